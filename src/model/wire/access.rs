//! Tokens, sessions and login links as the access API and the admin page show them (docs/CONTRACT.md, "Access").
//!
//! Only [`CreatedToken`] and [`LoginCode`] contain a secret.

use serde::{Deserialize, Serialize};

use crate::model::identity::Role;
use crate::model::time::Timestamp;

/// A named API token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    pub id: String,
    pub name: String,
    pub role: Role,
    pub created_at: Timestamp,
    pub created_by: String,
    /// `None` for a token that never expires.
    pub expires_at: Option<Timestamp>,
    /// Accurate to about a minute.
    pub used_at: Option<Timestamp>,
}

/// The answer to creating a token: the only time that its secret is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedToken {
    #[serde(flatten)]
    pub view: TokenView,
    /// The secret, sent as `Authorization: Bearer …`.
    pub token: String,
}

/// A browser session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    pub id: String,
    /// The person or token that logged in.
    pub name: String,
    pub role: Role,
    /// The client's address at login.
    pub address: Option<String>,
    pub agent: Option<String>,
    pub created_at: Timestamp,
    /// The last request, accurate to about a minute.
    pub seen_at: Timestamp,
    /// The absolute end of the session, however much it is used.
    pub expires_at: Timestamp,
    /// Whether this is the session that made the request.
    #[serde(default)]
    pub current: bool,
}

/// The data of the admin page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessList {
    /// Newest first.
    pub tokens: Vec<TokenView>,
    /// Most recently active first.
    pub sessions: Vec<SessionView>,
}

/// A login link: it logs in one browser, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginCode {
    pub url: String,
    pub expires_at: Timestamp,
}
