//! Signatures and tokens that authenticate a request. Signatures are over the raw body; all comparisons take constant
//! time.
//!
//! - GitHub: `X-Hub-Signature-256: sha256=HEX`, an HMAC-SHA256 of the body (docs.github.com, "Validating webhook
//!   deliveries"). Gitea and Forgejo send it too.
//! - Bitbucket: the same as `X-Hub-Signature: sha256=HEX` (support.atlassian.com, "Manage webhooks", "Secure
//!   webhooks"). GitHub's header of that name is SHA-1, which is not taken.
//! - Gitea, Forgejo, Gogs: `X-Gitea-Signature`, `X-Forgejo-Signature`, `X-Gogs-Signature: HEX` (docs.gitea.com and
//!   forgejo.org, "Webhooks").
//! - Standard Webhooks: `webhook-signature`, one or several `v1,BASE64` of an HMAC-SHA256 of `ID.TIMESTAMP.BODY`
//!   (github.com/standard-webhooks, spec, "Signature scheme"). GitLab's signing tokens are of this kind
//!   (docs.gitlab.com, "Webhooks", "Signing tokens").
//! - GitLab: `X-Gitlab-Token`, the secret itself (docs.gitlab.com, "Webhooks", "Delivery headers").
//!
//! Only the strongest of a request's signatures counts, so that a request is a single guess.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::header::{Header, hex};
use super::secret::Secret;
use crate::model::Timestamp;

/// The largest difference of the time in a Standard Webhooks request: that of its libraries.
const TIME_TOLERANCE_MS: u64 = 5 * 60 * 1000;

/// The most signatures that are checked: a sender that rotates its key sends two.
const MAX_SIGNATURES: usize = 10;

/// The authentication of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature<'a> {
    /// A hexadecimal HMAC-SHA256 of the body.
    Hex(&'a str),
    /// A Standard Webhooks signature.
    Standard {
        id: &'a str,
        /// In seconds since 1970.
        timestamp: &'a str,
        /// Separated by spaces.
        signatures: &'a str,
    },
    /// The secret itself.
    Token(&'a str),
}

impl<'a> Signature<'a> {
    /// The strongest signature. `None` if there is none of a known kind.
    pub fn of(header: Header<'a>) -> Option<Self> {
        if let Some(signatures) = header("webhook-signature") {
            // Without the other two headers it cannot match.
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

    /// Whether it covers only the body, so that a delivery could be replayed with another id.
    pub const fn is_of_body(&self) -> bool {
        matches!(self, Self::Hex(_))
    }

    /// Whether it can be checked without the body.
    pub fn is_token(&self) -> bool {
        matches!(self, Self::Token(_))
    }

    /// Whether the sender knows the secret, and sent the request recently if it has a time.
    pub fn proves(&self, secret: &Secret, body: &[u8], now: Timestamp) -> bool {
        match self {
            Self::Hex(digits) => {
                let expected = hex(&digest(secret.text(), &[body]));
                digits.to_ascii_lowercase().as_bytes().ct_eq(expected.as_bytes()).into()
            }
            Self::Token(shown) => {
                // Digests have the same length, whatever was sent.
                Sha256::digest(shown.as_bytes()).ct_eq(&Sha256::digest(secret.text())).into()
            }
            Self::Standard { id, timestamp, signatures } => {
                let sent = timestamp.parse::<i64>().ok().and_then(|seconds| seconds.checked_mul(1000));
                let fresh = sent.is_some_and(|sent| sent.abs_diff(now.0) <= TIME_TOLERANCE_MS);
                if id.is_empty() || !fresh {
                    return false;
                }
                let signed: [&[u8]; 5] = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
                let expected = STANDARD.encode(digest(secret.standard_key(), &signed));
                let shown = signatures.split(' ').filter_map(|one| one.strip_prefix("v1,")).take(MAX_SIGNATURES);
                // All are compared, even after a match.
                let found = shown.map(|one| one.as_bytes().ct_eq(expected.as_bytes()));
                found.fold(subtle::Choice::from(0), |found, one| found | one).into()
            }
        }
    }
}

fn digest(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC accepts keys of any length, so this does not fail; and nothing equals an empty digest.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
