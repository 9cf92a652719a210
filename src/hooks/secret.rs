//! The secret that a hook and its forge share.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::hook::SecretLocation;
use crate::secrets::files;

/// No secret is longer, in bytes. Keeps a wrong file from filling the memory.
const LONGEST: u64 = 64 * 1024;

/// The beginning of secrets as Standard Webhooks write them; the rest is the key in base64.
const STANDARD_PREFIX: &str = "whsec_";

/// A secret. Says nothing of itself in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    key: Vec<u8>,
}

/// So many bytes cannot be guessed over a network.
const STRONG: usize = 16;

impl Secret {
    /// Whether it is too long to be guessed.
    pub fn is_strong(&self) -> bool {
        self.key.len() >= STRONG
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why there is no secret. Each is a sentence that says what to do, and has nothing of the secret in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// The variable is not there.
    #[error("The hook has no secret: the variable {0} is not set. Set it, and start the server again.")]
    NotSet(String),
    /// The file cannot be read.
    #[error("The hook has no secret: the file {file} cannot be read ({reason}). Create it or correct `secret_file`.")]
    Unreadable {
        /// The file, as it was named.
        file: String,
        /// What the system says.
        reason: String,
    },
    /// The credential cannot be read.
    #[error(
        "The hook has no secret: the credential {name} cannot be read ({reason}). Name it with `LoadCredential=` in the service's unit."
    )]
    NoCredential {
        /// Its name.
        name: String,
        /// What the system says.
        reason: String,
    },
    /// There is nothing in it, or no text.
    #[error("The hook has no secret: {0} is empty, larger than 64 KiB, or no text.")]
    Empty(String),
    /// It is so short that it can be guessed, and the hook can be called from other machines.
    #[error(
        "The hook's secret in {0} is shorter than {STRONG} bytes, so it can be guessed. Use a longer one here and at the forge, such as \
         `openssl rand -hex 16` prints."
    )]
    Short(String),
    /// It begins as those of Standard Webhooks do and goes on otherwise.
    #[error("The hook's secret in {0} begins with `whsec_`, but what follows is not base64. Copy it again.")]
    NotBase64(String),
}

impl Secret {
    /// The secret that is there now.
    ///
    /// # Errors
    /// [`BadSecret`]
    pub fn read(place: &SecretLocation) -> Result<Self, BadSecret> {
        match place {
            SecretLocation::Env(name) => {
                let text = std::env::var_os(name).ok_or_else(|| BadSecret::NotSet(name.clone()))?;
                Self::of(text.to_str().unwrap_or_default(), name)
            }
            SecretLocation::File(path) => {
                let shown = path.display().to_string();
                let unreadable =
                    |error: std::io::Error| BadSecret::Unreadable { file: shown.clone(), reason: error.to_string() };
                let bytes = files::read(path, LONGEST).map_err(unreadable)?;
                Self::of(std::str::from_utf8(&bytes).unwrap_or_default(), &shown)
            }
            SecretLocation::Credential(name) => {
                let missing = |reason: String| BadSecret::NoCredential { name: name.clone(), reason };
                let path = files::credential(name).map_err(|error| missing(error.to_string()))?;
                let bytes = files::read(&path, LONGEST).map_err(|error| missing(error.to_string()))?;
                Self::of(std::str::from_utf8(&bytes).unwrap_or_default(), &shown(place))
            }
        }
    }

    /// The same, unless it can be guessed.
    ///
    /// # Errors
    /// [`BadSecret`]
    pub fn read_strong(place: &SecretLocation) -> Result<Self, BadSecret> {
        let secret = Self::read(place)?;
        if secret.is_strong() {
            return Ok(secret);
        }
        Err(BadSecret::Short(shown(place)))
    }

    /// One that nobody knows, for hooks that are not there.
    pub fn unknown() -> Self {
        let mut key = vec![0; 32];
        // Without randomness it is zeros, which prove nothing either: nobody is let in by it.
        let _ = getrandom::fill(&mut key);
        Self { text: super::signature::hex(&key), key }
    }

    /// The secret in this text, which is from there.
    fn of(text: &str, place: &str) -> Result<Self, BadSecret> {
        let text = text.trim();
        if text.is_empty() || text.len() as u64 > LONGEST {
            return Err(BadSecret::Empty(place.to_owned()));
        }
        let key = match text.strip_prefix(STANDARD_PREFIX) {
            Some(rest) => STANDARD.decode(rest).map_err(|_| BadSecret::NotBase64(place.to_owned()))?,
            None => text.as_bytes().to_vec(),
        };
        if key.is_empty() {
            return Err(BadSecret::Empty(place.to_owned()));
        }
        Ok(Self { text: text.to_owned(), key })
    }

    /// The secret as the operator wrote it: what a forge is given.
    pub fn text(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The key of a Standard Webhooks signature: behind `whsec_` it is written in base64.
    pub fn standard_key(&self) -> &[u8] {
        &self.key
    }
}

/// The place in a few words.
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
    fn a_secret_is_in_a_file_or_there_is_a_reason() {
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
            assert!(matches!(read("c", empty), Err(BadSecret::Empty(_))));
        }
        let error = read("d", b"whsec_topsecret!").unwrap_err();
        assert!(matches!(error, BadSecret::NotBase64(_)) && !error.to_string().contains("topsecret"), "{error}");
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
