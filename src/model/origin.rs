//! What asked for an attempt of a run.

use serde::{Deserialize, Serialize};

use super::identity::{AuthMethod, OWNER};

/// What asked for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginKind {
    /// Somebody, on a server without a token.
    Open,
    /// A person who has logged in, or whom a proxy names.
    Person,
    /// A program with a token.
    Token,
    /// A schedule.
    Schedule,
    /// A call of a hook.
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

/// Who or what asked for an attempt of a run: for a re-run, who asked for that one. An attempt that goes on by itself after an
/// interruption has the origin of the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOrigin {
    /// What it is.
    pub kind: OriginKind,
    /// The name of the person or the token, the schedule with its due time, or the delivery.
    pub name: String,
}

impl RunOrigin {
    /// Whether the person or program of this name asked for it.
    pub fn is_by(&self, name: &str) -> bool {
        match self.kind {
            OriginKind::Open | OriginKind::Person | OriginKind::Token => self.name == name,
            OriginKind::Schedule | OriginKind::Hook => false,
        }
    }

    /// In words for people, such as "Anna" or "the token ci".
    pub fn display_name(&self) -> String {
        match self.kind {
            OriginKind::Token if self.name == OWNER => "the operator’s token".to_owned(),
            OriginKind::Open | OriginKind::Person if self.name == OWNER => "the operator".to_owned(),
            OriginKind::Token => format!("the token {}", self.name),
            OriginKind::Open | OriginKind::Person | OriginKind::Schedule | OriginKind::Hook => self.name.clone(),
        }
    }
}
