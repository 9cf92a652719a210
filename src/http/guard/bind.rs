//! Which address may be served (CONTRACT.md, "Who may come in"): without a token, only loopback.

use std::net::SocketAddr;

/// Below this length a token can be guessed by someone with patience.
pub(super) const SHORT_TOKEN: usize = 16;

/// Why the server must not listen there. Each says what to do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// Anyone in the network could run commands.
    #[error(
        "will not listen on {0} without a token of yours: whoever reaches that address could run commands on this machine. \
         Set --token-file (RUNTRAIL_TOKEN_FILE) or --token (RUNTRAIL_TOKEN), or listen on a loopback address such as \
         127.0.0.1:{port}", port = .0.port()
    )]
    Open(SocketAddr),
    /// An empty secret is none. Most likely a variable that was meant to be filled.
    #[error("the token is empty: give --token (RUNTRAIL_TOKEN) a secret, or leave it out to have one made")]
    EmptyToken,
    /// It can be guessed from other machines.
    #[error(
        "the token is shorter than {SHORT_TOKEN} characters, and other machines could guess it: choose a longer one, such as \
         `openssl rand -hex 16` makes"
    )]
    ShortToken,
    /// No client could send it in a header (RFC 9110, section 5.5).
    #[error(
        "the token has control characters in it, so no client could send it: choose another for --token (RUNTRAIL_TOKEN)"
    )]
    UnsendableToken,
}

/// Whether this address may be served with this token of the operator's, or none. `is_exposed`: whether other machines reach it.
///
/// # Errors
/// [`BindError`]: it must not, and why.
pub fn check(addr: SocketAddr, is_exposed: bool, token: Option<&str>) -> Result<(), BindError> {
    // To the system, ::ffff:127.0.0.1 is 127.0.0.1.
    let loopback = addr.ip().to_canonical().is_loopback();
    match token.map(str::trim) {
        None if loopback => Ok(()),
        None => Err(BindError::Open(addr)),
        Some("") => Err(BindError::EmptyToken),
        Some(token) if token.chars().any(char::is_control) => Err(BindError::UnsendableToken),
        Some(token) if is_exposed && !is_strong(token) => Err(BindError::ShortToken),
        Some(_) => Ok(()),
    }
}

/// Whether a token is too long to be guessed.
pub fn is_strong(token: &str) -> bool {
    token.trim().len() >= SHORT_TOKEN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_open_without_a_token() {
        for addr in ["127.0.0.1:3000", "127.9.8.7:0", "[::1]:3000", "[::ffff:127.0.0.1]:3000"] {
            assert_eq!(check(addr.parse().unwrap(), false, None), Ok(()), "{addr}");
        }
        for addr in
            ["0.0.0.0:3000", "[::]:3000", "192.168.1.5:3000", "[fe80::1]:80", "8.8.8.8:80", "[::ffff:10.0.0.1]:80"]
        {
            let addr = addr.parse().unwrap();
            assert_eq!(check(addr, true, None), Err(BindError::Open(addr)), "{addr}");
            assert_eq!(check(addr, true, Some("correct horse battery staple")), Ok(()), "{addr}");
        }
    }

    #[test]
    fn the_refusal_says_why_and_what_to_do() {
        let text = check("0.0.0.0:3000".parse().unwrap(), true, None).unwrap_err().to_string();
        for word in ["0.0.0.0:3000", "token", "run commands", "--token", "RUNTRAIL_TOKEN", "127.0.0.1:3000"] {
            assert!(text.contains(word), "{word} in {text:?}");
        }
    }

    #[test]
    fn a_token_is_something_that_can_be_sent() {
        let addr = "127.0.0.1:3000".parse().unwrap();
        for empty in ["", " ", "\n"] {
            assert_eq!(check(addr, false, Some(empty)), Err(BindError::EmptyToken), "{empty:?}");
        }
        assert_eq!(check(addr, false, Some("a\nb")), Err(BindError::UnsendableToken));
        // A short one is accepted for this machine (with a warning), and a file's last newline is not part of it.
        assert_eq!(check(addr, false, Some("x")), Ok(()));
        assert_eq!(check(addr, false, Some("secret\n")), Ok(()));
        assert_eq!(check(addr, true, Some("secret\n")), Err(BindError::ShortToken));
        assert_eq!(check(addr, true, Some("0123456789abcdef\n")), Ok(()));
    }
}
