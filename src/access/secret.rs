//! Secrets that the server generates, and their digests. Pure, except for the system's randomness.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::store::Digest;

/// What a secret is for. Digests for different purposes never match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A token, sent as `Authorization: Bearer` or in the login form.
    Token,
    /// The cookie of a session.
    Session,
    /// The key that the pages of a session send with changes.
    Key,
    /// A login code, which works once.
    Code,
}

impl Purpose {
    const fn label(self) -> &'static str {
        match self {
            Self::Token => "runtrail token v2\0",
            Self::Session => "runtrail session v2\0",
            Self::Key => "runtrail key v2\0",
            Self::Code => "runtrail code v2\0",
        }
    }

    pub fn digest(self, secret: impl AsRef<[u8]>) -> Digest {
        Sha256::new().chain_update(self.label()).chain_update(secret).finalize().into()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot generate a secret: the system provides no random bytes")]
pub struct NoRandomness;

/// A new secret of 256 random bits: 43 characters that are valid in a header, a cookie and a URL.
///
/// # Errors
/// [`NoRandomness`].
pub fn generate() -> Result<String, NoRandomness> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The prefix of named tokens, by which secret scanners recognize them.
pub const TOKEN_PREFIX: &str = "rt_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_unique_and_url_safe() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 43);
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'), "{one}");
    }

    #[test]
    fn digest_depends_on_the_purpose() {
        let all = [Purpose::Token, Purpose::Session, Purpose::Key, Purpose::Code].map(|purpose| purpose.digest("a"));
        for (index, digest) in all.iter().enumerate() {
            assert!(!all[..index].contains(digest));
        }
        assert_eq!(Purpose::Token.digest("a"), Purpose::Token.digest(b"a"));
    }
}
