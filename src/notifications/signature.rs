//! How deliveries are signed: by the Standard Webhooks specification (standardwebhooks.com), and the way the forges do it, which more
//! receivers know. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// What a secret begins with whose rest is base64, as the specification has it. Any other one is taken as it is.
const PREFIX: &str = "whsec_";

/// The secret cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// It is empty.
    #[error("is empty")]
    Empty,
    /// It is `whsec_` with something else than base64 behind it.
    #[error("begins with whsec_, but what follows is not base64")]
    NotBase64,
}

/// The two signatures of a delivery.
#[derive(Debug, PartialEq, Eq)]
pub struct Signatures {
    /// `webhook-signature`.
    pub standard: String,
    /// `X-Hub-Signature-256`: of the body alone, with the secret as it is written.
    pub hub: String,
}

/// Signs a body that is sent under this id at this moment (seconds since 1970).
///
/// # Errors
/// [`BadSecret`].
pub fn sign(secret: &str, id: &str, timestamp: i64, body: &[u8]) -> Result<Signatures, BadSecret> {
    let secret = secret.trim();
    let key = match secret.strip_prefix(PREFIX) {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| BadSecret::NotBase64)?,
        None => secret.as_bytes().to_vec(),
    };
    if key.is_empty() {
        return Err(BadSecret::Empty);
    }
    let standard = mac(&key, &[format!("{id}.{timestamp}.").as_bytes(), body]).ok_or(BadSecret::Empty)?;
    let hub = mac(secret.as_bytes(), &[body]).ok_or(BadSecret::Empty)?;
    let hex: String = hub.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Signatures { standard: format!("v1,{}", STANDARD.encode(standard)), hub: format!("sha256={hex}") })
}

/// `None` for a key of a length that cannot be, which there is none of.
fn mac(key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the specification's own libraries are tested with.
    #[test]
    fn signs_as_the_specification_does() {
        let signed = sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed.unwrap().standard, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    /// The example of GitHub's documentation of its webhooks.
    #[test]
    fn signs_as_the_forges_do() {
        let signed = sign("It's a Secret to Everybody", "msg_1", 0, b"Hello, World!").unwrap();
        assert_eq!(signed.hub, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    }

    #[test]
    fn what_is_signed_is_all_of_it() {
        let sign = |id, timestamp, body: &str| sign("secret", id, timestamp, body.as_bytes()).unwrap();
        let signed = sign("a", 1, "x");
        assert_eq!(signed, sign("a", 1, "x"));
        for other in [sign("b", 1, "x"), sign("a", 2, "x"), sign("a", 1, "y")] {
            assert_ne!(signed.standard, other.standard);
        }
        assert_ne!(signed.hub, sign("a", 1, "y").hub);
    }

    #[test]
    fn a_secret_is_one() {
        assert_eq!(sign("", "a", 1, b""), Err(BadSecret::Empty));
        assert_eq!(sign(" \n", "a", 1, b""), Err(BadSecret::Empty));
        assert_eq!(sign("whsec_", "a", 1, b""), Err(BadSecret::Empty));
        assert_eq!(sign("whsec_???", "a", 1, b""), Err(BadSecret::NotBase64));
        assert_eq!(sign("s\n", "a", 1, b""), sign("s", "a", 1, b""), "as a file gives it");
    }
}
