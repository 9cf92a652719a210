//! Secret values, which are never shown.

use std::collections::BTreeMap;
use std::fmt;

/// The minimum length without the white space around it. A shorter secret cannot be masked in output, since it would
/// match ordinary text.
pub const MIN_SECRET_BYTES: usize = 4;

/// Secrets by name. The `Debug` form shows only names, and there is no serialization.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, String>);

impl Secrets {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

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
