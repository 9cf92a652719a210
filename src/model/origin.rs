//! Who or what started an attempt.

use serde::{Deserialize, Serialize};

use super::identity::{AuthMethod, OWNER};

/// The kind of an attempt's origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginKind {
    /// Anybody, on a server with `--no-token`.
    Open,
    /// A person who has logged in, or whom a trusted proxy names.
    Person,
    /// A program with a token.
    Token,
    Schedule,
    Hook,
}

impl From<AuthMethod> for OriginKind {
    fn from(via: AuthMethod) -> Self {
        match via {
            AuthMethod::Open => Self::Open,
            AuthMethod::Session | AuthMethod::Proxy => Self::Person,
            AuthMethod::Token => Self::Token,
        }
    }
}

/// Who or what started an attempt; for a re-run, who requested it. An attempt that resumes automatically has the
/// origin of the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOrigin {
    pub kind: OriginKind,
    /// The name of the person or token, the schedule with its due time, or the delivery.
    pub name: String,
}

impl RunOrigin {
    /// Whether the person or token of this name started it.
    pub fn is_by(&self, name: &str) -> bool {
        match self.kind {
            OriginKind::Open | OriginKind::Person | OriginKind::Token => self.name == name,
            OriginKind::Schedule | OriginKind::Hook => false,
        }
    }

    /// A description for people, such as "Anna" or "the token ci".
    pub fn display_name(&self) -> String {
        match self.kind {
            OriginKind::Token if self.name == OWNER => "the operator’s token".to_owned(),
            OriginKind::Open | OriginKind::Person if self.name == OWNER => "the operator".to_owned(),
            OriginKind::Token => format!("the token {}", self.name),
            OriginKind::Open | OriginKind::Person | OriginKind::Schedule | OriginKind::Hook => self.name.clone(),
        }
    }
}
