//! Secrets that the server makes, and the digests that it keeps of them. Pure, but for the system's randomness.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::store::Digest;

/// What a secret is for. A digest of one kind is never one of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A token, sent as `Authorization: Bearer` or filled in.
    Token,
    /// The cookie of a session.
    Session,
    /// What the pages of a session send with changes.
    Key,
    /// A code that logs in once.
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

    /// The digest of a secret for this purpose.
    pub fn digest(self, secret: impl AsRef<[u8]>) -> Digest {
        Sha256::new().chain_update(self.label()).chain_update(secret).finalize().into()
    }
}

/// The system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes, so no secret can be made")]
pub struct NoRandomness;

/// A new secret of 256 random bits: 43 characters that can be sent in a header, a cookie and an address.
///
/// # Errors
/// [`NoRandomness`].
pub fn generate() -> Result<String, NoRandomness> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The beginning of the secrets of named tokens, so that scanners of code recognize them.
pub const TOKEN_PREFIX: &str = "rt_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_can_be_sent_anywhere() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 43);
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'), "{one}");
    }

    #[test]
    fn digest_of_one_purpose_is_none_of_another() {
        let all = [Purpose::Token, Purpose::Session, Purpose::Key, Purpose::Code].map(|purpose| purpose.digest("a"));
        for (place, digest) in all.iter().enumerate() {
            assert!(!all[..place].contains(digest));
        }
        assert_eq!(Purpose::Token.digest("a"), Purpose::Token.digest(b"a"));
    }
}
