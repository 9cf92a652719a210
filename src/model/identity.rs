//! Identities and roles (docs/CONTRACT.md, "Access").

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an identity may do. Each role includes the ones before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads runs, logs and settings.
    #[default]
    Viewer,
    /// Starts, re-runs, cancels, pins and deletes runs, and pauses schedules.
    Operator,
    /// Decides approvals.
    Approver,
    /// Manages tokens and sessions, and reads the audit log.
    Admin,
}

/// The text is not a role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role; use viewer, operator, approver or admin")]
pub struct UnknownRole(pub String);

impl Role {
    /// Weakest first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Approver, Self::Admin];

    /// The word in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    /// Whether this role includes `needed`.
    pub fn allows(self, needed: Self) -> bool {
        self >= needed
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// How a request was authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// Not at all: the server runs with `--no-token`.
    Open,
    /// A session of a person who has logged in.
    Session,
    /// A bearer token.
    Token,
    /// A user whom a trusted proxy names.
    Proxy,
}

impl AuthMethod {
    /// Whether a person made the request, as far as the server can know: with `--no-token` anybody counts as one.
    pub const fn is_person(self) -> bool {
        matches!(self, Self::Open | Self::Session | Self::Proxy)
    }
}

/// The name of the holder of the server's own token, and of everybody with `--no-token`.
pub const OWNER: &str = "operator";

/// The identity that a page is rendered for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentUser {
    pub name: String,
    pub role: Role,
    pub via: AuthMethod,
}

impl Default for CurrentUser {
    /// May only read.
    fn default() -> Self {
        Self { name: String::new(), role: Role::Viewer, via: AuthMethod::Session }
    }
}

/// Of tokens and users.
pub const MAX_NAME_BYTES: usize = 100;

/// Whether the text can name a token or a user: 1 to [`MAX_NAME_BYTES`] bytes, no control characters, no white space
/// around it.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME_BYTES && text.trim() == text && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_includes_the_weaker_ones() {
        for (place, role) in Role::ALL.into_iter().enumerate() {
            for (other, needed) in Role::ALL.into_iter().enumerate() {
                assert_eq!(role.allows(needed), place >= other, "{role} {needed}");
            }
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert!("root".parse::<Role>().is_err());
    }

    #[test]
    fn name_is_one_line_of_text() {
        for name in ["ci", "Anna Ødegård", "a@b.example"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", " a", "a\n", "a\u{1b}[1m", &"a".repeat(MAX_NAME_BYTES + 1)] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
