//! Signs notifications: by the Standard Webhooks specification (standardwebhooks.com), and as forges do, which more
//! receivers support. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The specification's prefix of a secret that is base64. Other secrets are used as they are.
const BASE64_PREFIX: &str = "whsec_";

/// Why a secret cannot sign.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSigningSecret {
    #[error("is empty")]
    Empty,
    #[error("begins with whsec_, but what follows is not base64")]
    NotBase64,
}

/// The two signatures of a notification.
#[derive(Debug, PartialEq, Eq)]
pub struct Signatures {
    /// The header `webhook-signature`.
    pub standard: String,
    /// The header `X-Hub-Signature-256`: of the body alone, with the secret as it is written.
    pub hub: String,
}

/// Signs a body with its id and its time, in seconds since 1970.
///
/// # Errors
/// [`InvalidSigningSecret`].
pub fn sign(secret: &str, id: &str, timestamp: i64, body: &[u8]) -> Result<Signatures, InvalidSigningSecret> {
    let secret = secret.trim();
    let key = match secret.strip_prefix(BASE64_PREFIX) {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| InvalidSigningSecret::NotBase64)?,
        None => secret.as_bytes().to_vec(),
    };
    if key.is_empty() {
        return Err(InvalidSigningSecret::Empty);
    }
    let standard = mac(&key, &[format!("{id}.{timestamp}.").as_bytes(), body]).ok_or(InvalidSigningSecret::Empty)?;
    let hub = mac(secret.as_bytes(), &[body]).ok_or(InvalidSigningSecret::Empty)?;
    let hex: String = hub.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Signatures { standard: format!("v1,{}", STANDARD.encode(standard)), hub: format!("sha256={hex}") })
}

/// `None` never happens: HMAC accepts keys of any length.
fn mac(key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of the specification's libraries.
    #[test]
    fn signature_matches_standard_webhooks() {
        let signed = sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed.unwrap().standard, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    /// The example in GitHub's documentation of webhooks.
    #[test]
    fn signature_matches_github() {
        let signed = sign("It's a Secret to Everybody", "msg_1", 0, b"Hello, World!").unwrap();
        assert_eq!(signed.hub, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    }

    #[test]
    fn signature_covers_id_time_and_body() {
        let sign = |id, timestamp, body: &str| sign("secret", id, timestamp, body.as_bytes()).unwrap();
        let signed = sign("a", 1, "x");
        assert_eq!(signed, sign("a", 1, "x"));
        for other in [sign("b", 1, "x"), sign("a", 2, "x"), sign("a", 1, "y")] {
            assert_ne!(signed.standard, other.standard);
        }
        assert_ne!(signed.hub, sign("a", 1, "y").hub);
    }

    #[test]
    fn signature_rejects_unusable_secrets() {
        assert_eq!(sign("", "a", 1, b""), Err(InvalidSigningSecret::Empty));
        assert_eq!(sign(" \n", "a", 1, b""), Err(InvalidSigningSecret::Empty));
        assert_eq!(sign("whsec_", "a", 1, b""), Err(InvalidSigningSecret::Empty));
        assert_eq!(sign("whsec_???", "a", 1, b""), Err(InvalidSigningSecret::NotBase64));
        assert_eq!(sign("s\n", "a", 1, b""), sign("s", "a", 1, b""), "a newline at the end of a file is ignored");
    }
}
