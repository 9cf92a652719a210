//! What a login takes and yields.

use super::NoRandomness;
use crate::journal::WriteError;
use crate::store::StoreError;

/// What a browser logs in with.
#[derive(Clone, Copy, Debug)]
pub enum LoginCredential<'a> {
    Token(&'a str),
    /// The code of a login link.
    Code(&'a str),
}

/// The browser that logs in.
#[derive(Clone, Debug, Default)]
pub struct BrowserInfo {
    pub address: Option<String>,
    /// The `User-Agent` header.
    pub agent: Option<String>,
    /// Whether a script of the login page can store a key. Only then does the session get one.
    pub has_script: bool,
}

/// The secrets of a new session.
#[derive(Clone, Debug)]
pub struct LoginSecrets {
    pub cookie: String,
    /// The key that the session's pages send with changes.
    pub key: Option<String>,
}

/// Why a browser was not logged in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    #[error("the token or login code is unknown, has expired or was used before")]
    Invalid,
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<StoreError> for LoginError {
    fn from(error: StoreError) -> Self {
        Self::Write(error.into())
    }
}
