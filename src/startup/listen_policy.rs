//! Which address may be served (docs/CONTRACT.md, "Access"): without a configured token, only loopback.

use std::net::SocketAddr;

/// A shorter token can be guessed.
pub const MIN_STRONG_TOKEN_CHARS: usize = 16;

/// Why the server must not listen on an address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// Everyone in the network could run commands.
    #[error(
        "will not listen on {0} without a token of yours: everyone who reaches that address could run commands on this machine. \
         Set --token-file (RUNTRAIL_TOKEN_FILE) or --token (RUNTRAIL_TOKEN), or listen on a loopback address such as \
         127.0.0.1:{port}", port = .0.port()
    )]
    Open(SocketAddr),
    /// Most likely an environment variable that was not filled in.
    #[error("the token is empty: give --token (RUNTRAIL_TOKEN) a secret, or leave it out to have one made")]
    EmptyToken,
    /// Other machines can reach the server and guess the token.
    #[error(
        "the token is shorter than {MIN_STRONG_TOKEN_CHARS} characters, and other machines could guess it: choose a longer one, such as \
         `openssl rand -hex 16` makes"
    )]
    ShortToken,
    /// A header cannot contain it (RFC 9110, section 5.5).
    #[error(
        "the token contains control characters, so no client could send it: choose another for --token (RUNTRAIL_TOKEN)"
    )]
    UnsendableToken,
}

/// Checks whether `addr` may be served with the configured token, if any. `is_exposed`: whether other machines reach
/// the server.
///
/// # Errors
/// [`ListenError`].
pub fn check(addr: SocketAddr, is_exposed: bool, token: Option<&str>) -> Result<(), ListenError> {
    // The system treats ::ffff:127.0.0.1 as 127.0.0.1.
    let loopback = addr.ip().to_canonical().is_loopback();
    match token.map(str::trim) {
        None if loopback => Ok(()),
        None => Err(ListenError::Open(addr)),
        Some("") => Err(ListenError::EmptyToken),
        Some(token) if token.chars().any(char::is_control) => Err(ListenError::UnsendableToken),
        Some(token) if is_exposed && !is_strong(token) => Err(ListenError::ShortToken),
        Some(_) => Ok(()),
    }
}

/// Whether a token is too long to guess.
pub fn is_strong(token: &str) -> bool {
    token.trim().len() >= MIN_STRONG_TOKEN_CHARS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_without_token_allows_loopback_only() {
        for addr in ["127.0.0.1:3000", "127.9.8.7:0", "[::1]:3000", "[::ffff:127.0.0.1]:3000"] {
            assert_eq!(check(addr.parse().unwrap(), false, None), Ok(()), "{addr}");
        }
        for addr in
            ["0.0.0.0:3000", "[::]:3000", "192.168.1.5:3000", "[fe80::1]:80", "8.8.8.8:80", "[::ffff:10.0.0.1]:80"]
        {
            let addr = addr.parse().unwrap();
            assert_eq!(check(addr, true, None), Err(ListenError::Open(addr)), "{addr}");
            assert_eq!(check(addr, true, Some("correct horse battery staple")), Ok(()), "{addr}");
        }
    }

    #[test]
    fn listen_error_names_the_address_and_the_remedy() {
        let text = check("0.0.0.0:3000".parse().unwrap(), true, None).unwrap_err().to_string();
        for word in ["0.0.0.0:3000", "token", "run commands", "--token", "RUNTRAIL_TOKEN", "127.0.0.1:3000"] {
            assert!(text.contains(word), "{word} in {text:?}");
        }
    }

    #[test]
    fn token_must_fit_a_header_and_be_long_if_exposed() {
        let addr = "127.0.0.1:3000".parse().unwrap();
        for empty in ["", " ", "\n"] {
            assert_eq!(check(addr, false, Some(empty)), Err(ListenError::EmptyToken), "{empty:?}");
        }
        assert_eq!(check(addr, false, Some("a\nb")), Err(ListenError::UnsendableToken));
        // A short token is accepted on loopback (with a warning). The trailing newline of a token file does not count.
        assert_eq!(check(addr, false, Some("x")), Ok(()));
        assert_eq!(check(addr, false, Some("secret\n")), Ok(()));
        assert_eq!(check(addr, true, Some("secret\n")), Err(ListenError::ShortToken));
        assert_eq!(check(addr, true, Some("0123456789abcdef\n")), Ok(()));
    }
}
