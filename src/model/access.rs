//! Tokens and sessions, as the API and the page for admins show them. Secrets are never among this, except once for a new token.

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::identity::Role;

/// A named token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it stops working; `None` for one that does not.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to about a minute.
    pub used_at: Option<Timestamp>,
}

/// A token that was just made, with its secret. Nobody can read the secret later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedToken {
    /// The token.
    #[serde(flatten)]
    pub view: TokenView,
    /// What to send as `Authorization: Bearer`.
    pub token: String,
}

/// A login of a browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    /// Its id.
    pub id: String,
    /// Who has logged in.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// From where they logged in.
    pub address: Option<String>,
    /// What their browser calls itself.
    pub agent: Option<String>,
    /// When they logged in.
    pub created_at: Timestamp,
    /// When they were last here, to about a minute.
    pub seen_at: Timestamp,
    /// When the login ends, however much it is used.
    pub expires_at: Timestamp,
    /// Whether it is the one that asks.
    #[serde(default)]
    pub current: bool,
}

/// What the page for admins shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessList {
    /// The tokens, newest first.
    pub tokens: Vec<TokenView>,
    /// The sessions, the one that was here last first.
    pub sessions: Vec<SessionView>,
}

/// A one-time code that logs a browser in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginCode {
    /// The link to open.
    pub url: String,
    /// When it stops working.
    pub expires_at: Timestamp,
}
