//! Values that are never shown.

use std::collections::BTreeMap;
use std::fmt;

/// The shortest secret, in bytes, without the white space around it. A shorter one cannot be masked in what a command prints: ordinary
/// text would be masked with it.
pub const MIN_SECRET_BYTES: usize = 4;

/// Secrets by name. Its `Debug` form says nothing of the values, and there is no way to serialize it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, String>);

impl Secrets {
    /// No secrets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a secret, or replaces the one of this name.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// The secret of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_debug_form_has_names_only() {
        let mut secrets = Secrets::new();
        secrets.insert("password", "hunter-2");
        let shown = format!("{secrets:?}");
        assert!(shown.contains("password") && !shown.contains("hunter"), "{shown}");
        assert_eq!(secrets.get("password"), Some("hunter-2"));
    }
}
