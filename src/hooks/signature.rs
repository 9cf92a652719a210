//! How senders prove that a request is theirs. All of it is over the raw body and compared in constant time.
//!
//! - GitHub: `X-Hub-Signature-256: sha256=HEX`, an HMAC-SHA256 of the body (docs.github.com, "Validating webhook deliveries").
//!   Gitea and Forgejo send it too.
//! - Bitbucket: the same as `X-Hub-Signature: sha256=HEX` (support.atlassian.com, "Manage webhooks", "Secure webhooks"). GitHub's
//!   header of that name is SHA-1, which is not taken.
//! - Gitea, Forgejo, Gogs: `X-Gitea-Signature`, `X-Forgejo-Signature`, `X-Gogs-Signature: HEX` (docs.gitea.com and forgejo.org,
//!   "Webhooks").
//! - Standard Webhooks: `webhook-signature`, one or several `v1,BASE64` of an HMAC-SHA256 of `ID.TIMESTAMP.BODY`
//!   (github.com/standard-webhooks, spec, "Signature scheme"). GitLab's signing tokens are of this kind (docs.gitlab.com,
//!   "Webhooks", "Signing tokens").
//! - GitLab: `X-Gitlab-Token`, the secret itself (docs.gitlab.com, "Webhooks", "Delivery headers").
//!
//! The best of those that a request has is the one that counts, and only that: a request is one guess.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Header, Secret};
use crate::model::Timestamp;

/// How far the time of a Standard Webhooks request may be from ours, in milliseconds: what its libraries allow.
const TOLERANCE: u64 = 5 * 60 * 1000;

/// The most signatures that are looked at: a sender that changes its key sends two.
const MOST: usize = 10;

/// What a request shows to prove whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature<'a> {
    /// An HMAC-SHA256 of the body in hexadecimal digits.
    Hex(&'a str),
    /// A Standard Webhooks signature.
    Standard {
        /// The delivery.
        id: &'a str,
        /// When it was sent, in seconds since 1970, as text.
        timestamp: &'a str,
        /// The signatures, with spaces between them.
        signatures: &'a str,
    },
    /// The secret itself.
    Token(&'a str),
}

impl<'a> Signature<'a> {
    /// The signature that counts. `None` if there is none of a known kind.
    pub fn of(header: Header<'a>) -> Option<Self> {
        if let Some(signatures) = header("webhook-signature") {
            // Without its other two headers nothing can match it.
            let other = |name| header(name).unwrap_or_default();
            return Some(Self::Standard { id: other("webhook-id"), timestamp: other("webhook-timestamp"), signatures });
        }
        let prefixed = |name| header(name).and_then(|value| value.trim().strip_prefix("sha256="));
        let plain = |name| header(name).map(str::trim);
        let hex = prefixed("x-hub-signature-256")
            .or_else(|| plain("x-forgejo-signature"))
            .or_else(|| plain("x-gitea-signature"))
            .or_else(|| plain("x-gogs-signature"))
            .or_else(|| prefixed("x-hub-signature"));
        hex.map(Self::Hex).or_else(|| header("x-gitlab-token").map(Self::Token))
    }

    /// Whether it is over the body and nothing else: then whoever has a delivery can send it again under another name.
    pub const fn is_of_body(&self) -> bool {
        matches!(self, Self::Hex(_))
    }

    /// Whether it can be judged without the body.
    pub fn is_token(&self) -> bool {
        matches!(self, Self::Token(_))
    }

    /// Whether whoever sent this knows the secret, and sent it now if it says when.
    pub fn proves(&self, secret: &Secret, body: &[u8], now: Timestamp) -> bool {
        match self {
            Self::Hex(digits) => {
                let expected = hex(&digest(secret.text(), &[body]));
                digits.to_ascii_lowercase().as_bytes().ct_eq(expected.as_bytes()).into()
            }
            Self::Token(shown) => {
                // Digests are of one length, whatever was shown.
                Sha256::digest(shown.as_bytes()).ct_eq(&Sha256::digest(secret.text())).into()
            }
            Self::Standard { id, timestamp, signatures } => {
                let sent = timestamp.parse::<i64>().ok().and_then(|seconds| seconds.checked_mul(1000));
                let fresh = sent.is_some_and(|sent| sent.abs_diff(now.0) <= TOLERANCE);
                if id.is_empty() || !fresh {
                    return false;
                }
                let signed: [&[u8]; 5] = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
                let expected = STANDARD.encode(digest(secret.standard_key(), &signed));
                let shown = signatures.split(' ').filter_map(|one| one.strip_prefix("v1,")).take(MOST);
                // All are looked at, whichever matches.
                let found = shown.map(|one| one.as_bytes().ct_eq(expected.as_bytes()));
                found.fold(subtle::Choice::from(0), |found, one| found | one).into()
            }
        }
    }
}

fn digest(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC takes keys of any length, so there is no error; and nothing is equal to an empty digest.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

/// Bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
