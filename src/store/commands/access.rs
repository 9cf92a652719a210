//! The stored form of tokens, sessions and login codes. Only digests of their secrets are stored.

use crate::model::{Role, Timestamp};

/// A digest of a secret.
pub type Digest = [u8; 32];

/// A named token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    pub id: String,
    pub name: String,
    pub role: Role,
    /// Of its secret.
    pub digest: Digest,
    pub created_at: Timestamp,
    pub created_by: String,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// When it was last used.
    pub used_at: Option<Timestamp>,
}

/// A login of a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSession {
    pub id: String,
    /// Who has logged in.
    pub name: String,
    pub role: Role,
    /// Of its cookie.
    pub digest: Digest,
    /// Of the value that pages send with changes; `None` where no script ran at the login.
    pub key_digest: Option<Digest>,
    /// The token it was made with: its id, or a digest of the server's own. Without that token the session is over.
    pub parent: String,
    /// The address it was made from.
    pub address: Option<String>,
    /// The browser's `User-Agent`.
    pub agent: Option<String>,
    pub created_at: Timestamp,
    /// When it was last used.
    pub seen_at: Timestamp,
    /// When it ends, however much it is used.
    pub expires_at: Timestamp,
}

/// A code that logs one browser in, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCode {
    /// Of the code.
    pub digest: Digest,
    /// The name of the session it makes.
    pub name: String,
    /// The role of that session.
    pub role: Role,
    /// The token that session is made with.
    pub parent: String,
    /// When it stops working.
    pub expires_at: Timestamp,
}
