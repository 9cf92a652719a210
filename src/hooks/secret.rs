//! The secret that a hook shares with its forge.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::header::hex;
use crate::model::hook::SecretLocation;
use crate::secrets::files;

/// The longest secret. Bounds the memory for a wrong file.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// The prefix of Standard Webhooks secrets; the rest is the key in base64.
const STANDARD_PREFIX: &str = "whsec_";

/// A secret. `Debug` does not reveal it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    key: Vec<u8>,
}

/// A secret of so many bytes cannot be guessed over a network.
const STRONG_BYTES: usize = 16;

impl Secret {
    pub fn is_strong(&self) -> bool {
        self.key.len() >= STRONG_BYTES
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a hook has no usable secret. The texts have a remedy and do not reveal the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookSecretError {
    #[error("The hook has no secret: the variable {0} is not set. Set it, and start the server again.")]
    NotSet(String),
    #[error("The hook has no secret: the file {file} cannot be read ({reason}). Create it or correct `secret_file`.")]
    Unreadable { file: String, reason: String },
    #[error(
        "The hook has no secret: the credential {name} cannot be read ({reason}). Name it with `LoadCredential=` in the service's unit."
    )]
    NoCredential { name: String, reason: String },
    #[error("The hook has no secret: {0} is empty, larger than 64 KiB, or no text.")]
    Empty(String),
    /// It can be guessed, and other machines can call the hook.
    #[error(
        "The hook's secret in {0} is shorter than {STRONG_BYTES} bytes, so it can be guessed. Use a longer one here and at the forge, such as \
         `openssl rand -hex 16` prints."
    )]
    Short(String),
    #[error("The hook's secret in {0} begins with `whsec_`, but what follows is not base64. Copy it again.")]
    NotBase64(String),
}

impl Secret {
    /// Reads the current secret.
    ///
    /// # Errors
    /// [`HookSecretError`].
    pub fn read(place: &SecretLocation) -> Result<Self, HookSecretError> {
        match place {
            SecretLocation::Env(name) => {
                let text = std::env::var_os(name).ok_or_else(|| HookSecretError::NotSet(name.clone()))?;
                Self::of(text.to_str().unwrap_or_default(), name)
            }
            SecretLocation::File(path) => {
                let shown = path.display().to_string();
                let unreadable = |error: std::io::Error| HookSecretError::Unreadable {
                    file: shown.clone(),
                    reason: error.to_string(),
                };
                let bytes = files::read(path, MAX_SECRET_BYTES).map_err(unreadable)?;
                Self::of(std::str::from_utf8(&bytes).unwrap_or_default(), &shown)
            }
            SecretLocation::Credential(name) => {
                let missing = |reason: String| HookSecretError::NoCredential { name: name.clone(), reason };
                let path = files::credential(name).map_err(|error| missing(error.to_string()))?;
                let bytes = files::read(&path, MAX_SECRET_BYTES).map_err(|error| missing(error.to_string()))?;
                Self::of(std::str::from_utf8(&bytes).unwrap_or_default(), &shown(place))
            }
        }
    }

    /// Reads the current secret, and refuses one that can be guessed.
    ///
    /// # Errors
    /// [`HookSecretError`].
    pub fn read_strong(place: &SecretLocation) -> Result<Self, HookSecretError> {
        let secret = Self::read(place)?;
        if secret.is_strong() {
            return Ok(secret);
        }
        Err(HookSecretError::Short(shown(place)))
    }

    /// A random secret, to check requests to hooks that do not exist in the same time.
    pub fn unknown() -> Self {
        let mut key = vec![0; 32];
        // Without randomness it is zeros, which is fine: a hook that does not exist accepts nothing.
        let _ = getrandom::fill(&mut key);
        Self { text: hex(&key), key }
    }

    /// The secret in this text. `place` names its source for messages.
    fn of(text: &str, place: &str) -> Result<Self, HookSecretError> {
        let text = text.trim();
        if text.is_empty() || text.len() as u64 > MAX_SECRET_BYTES {
            return Err(HookSecretError::Empty(place.to_owned()));
        }
        let key = match text.strip_prefix(STANDARD_PREFIX) {
            Some(rest) => STANDARD.decode(rest).map_err(|_| HookSecretError::NotBase64(place.to_owned()))?,
            None => text.as_bytes().to_vec(),
        };
        if key.is_empty() {
            return Err(HookSecretError::Empty(place.to_owned()));
        }
        Ok(Self { text: text.to_owned(), key })
    }

    /// The secret as it is entered at the forge.
    pub fn text(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The key of Standard Webhooks signatures: decoded if the secret has the prefix `whsec_`.
    pub fn standard_key(&self) -> &[u8] {
        &self.key
    }
}

/// The place for messages.
fn shown(place: &SecretLocation) -> String {
    match place {
        SecretLocation::Env(name) => name.clone(),
        SecretLocation::File(path) => path.display().to_string(),
        SecretLocation::Credential(name) => format!("the credential {name}"),
    }
}

#[cfg(test)]
impl Secret {
    /// A secret of this text.
    pub fn test(text: &str) -> Self {
        Self::of(text, "a test").unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hook_secret_is_read_or_has_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            Secret::read(&SecretLocation::File(path))
        };
        assert_eq!(read("a", b" two words\r\n").unwrap().text(), b"two words");
        let standard = read("b", b"whsec_aGk=\n").unwrap();
        assert_eq!((standard.text(), standard.standard_key()), (&b"whsec_aGk="[..], &b"hi"[..]));
        for empty in [&b""[..], b" \n", b"\xff\xfe", &[b'x'; 70_000], b"whsec_"] {
            assert!(matches!(read("c", empty), Err(HookSecretError::Empty(_))));
        }
        let error = read("d", b"whsec_topsecret!").unwrap_err();
        assert!(matches!(error, HookSecretError::NotBase64(_)) && !error.to_string().contains("topsecret"), "{error}");
        for (path, reason) in [(folder.path().join("none"), "No such file"), (folder.path().into(), "not a plain file")]
        {
            let error = Secret::read(&SecretLocation::File(path)).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let unset = Secret::read(&SecretLocation::Env("RUNTRAIL_TEST_NOT_SET".into())).unwrap_err();
        assert!(unset.to_string().contains("variable RUNTRAIL_TEST_NOT_SET is not set"), "{unset}");
        assert_eq!(format!("{standard:?}"), "Secret(…)");
    }
}
