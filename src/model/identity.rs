//! Who makes a request, and what they may do (docs/CONTRACT.md, "Access").

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What somebody may do. Each role may do all that the ones before it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads runs, logs and settings.
    #[default]
    Viewer,
    /// Starts, re-runs, cancels, pins and deletes runs, and pauses schedules.
    Operator,
    /// Answers the questions that runs wait with.
    Approver,
    /// Manages tokens and sessions, and reads the audit log.
    Admin,
}

/// The text names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role; a role is viewer, operator, approver or admin")]
pub struct UnknownRole(pub String);

impl Role {
    /// All roles, the weakest first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Approver, Self::Admin];

    /// The role's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    /// Whether this role may do what needs the other one.
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

/// How a request shows who makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// Not at all: the server has no token (`--no-token`).
    Open,
    /// A person who has logged in.
    Session,
    /// A program with a token.
    Token,
    /// A person whom a trusted proxy names.
    Proxy,
}

impl AuthMethod {
    /// Whether it is a person, as far as that can be known: without a token anybody may be one.
    pub const fn is_person(self) -> bool {
        matches!(self, Self::Open | Self::Session | Self::Proxy)
    }
}

/// The name of whoever has the server's own token, or needs none.
pub const OWNER: &str = "operator";

/// Who looks at a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentUser {
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// How they have shown who they are.
    pub via: AuthMethod,
}

impl Default for CurrentUser {
    /// Somebody who may do nothing but look.
    fn default() -> Self {
        Self { name: String::new(), role: Role::Viewer, via: AuthMethod::Session }
    }
}

/// The longest name of a token or a user, in bytes.
pub const MAX_NAME_BYTES: usize = 100;

/// Whether a text can name a token or a user: 1 to [`MAX_NAME_BYTES`] bytes, without control characters and blanks at the ends.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME_BYTES && text.trim() == text && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_includes_the_ones_before_it() {
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
    fn names_are_one_line_of_text() {
        for name in ["ci", "Anna Ødegård", "a@b.example"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", " a", "a\n", "a\u{1b}[1m", &"a".repeat(MAX_NAME_BYTES + 1)] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
