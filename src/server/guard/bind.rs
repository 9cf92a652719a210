//! Which address may be served (CONTRACT.md, "Who may come in"): without a token, only loopback.

use std::net::SocketAddr;

/// Below this length a token can be guessed by someone with patience.
pub(super) const SHORT_TOKEN: usize = 16;

/// Why the server must not listen there. Each says what to do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// Anyone in the network could run commands.
    #[error(
        "will not listen on {0} without a token: whoever reaches that address could run commands on this machine. \
         Set --token (RUNTRAIL_TOKEN), or listen on a loopback address such as 127.0.0.1:{port}", port = .0.port()
    )]
    Open(SocketAddr),
    /// An empty secret is none. Most likely a variable that was meant to be filled.
    #[error("the token is empty: give --token (RUNTRAIL_TOKEN) a secret, or leave it out to serve this machine only")]
    EmptyToken,
    /// No client could send it in a header (RFC 9110, section 5.5).
    #[error(
        "the token has control characters in it, so no client could send it: choose another for --token (RUNTRAIL_TOKEN)"
    )]
    UnsendableToken,
}

/// Whether this address may be served, with this token or none.
///
/// # Errors
/// [`BindError`]: it must not, and why.
pub fn check(addr: SocketAddr, token: Option<&str>) -> Result<(), BindError> {
    // To the system, ::ffff:127.0.0.1 is 127.0.0.1.
    let loopback = addr.ip().to_canonical().is_loopback();
    match token.map(str::trim) {
        None if loopback => Ok(()),
        None => Err(BindError::Open(addr)),
        Some("") => Err(BindError::EmptyToken),
        Some(token) if token.chars().any(char::is_control) => Err(BindError::UnsendableToken),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_open_without_a_token() {
        for addr in ["127.0.0.1:3000", "127.9.8.7:0", "[::1]:3000", "[::ffff:127.0.0.1]:3000"] {
            assert_eq!(check(addr.parse().unwrap(), None), Ok(()), "{addr}");
        }
        for addr in
            ["0.0.0.0:3000", "[::]:3000", "192.168.1.5:3000", "[fe80::1]:80", "8.8.8.8:80", "[::ffff:10.0.0.1]:80"]
        {
            let addr = addr.parse().unwrap();
            assert_eq!(check(addr, None), Err(BindError::Open(addr)), "{addr}");
            assert_eq!(check(addr, Some("correct horse battery staple")), Ok(()), "{addr}");
        }
    }

    #[test]
    fn the_refusal_says_why_and_what_to_do() {
        let text = check("0.0.0.0:3000".parse().unwrap(), None).unwrap_err().to_string();
        for word in ["0.0.0.0:3000", "token", "run commands", "--token", "RUNTRAIL_TOKEN", "127.0.0.1:3000"] {
            assert!(text.contains(word), "{word} in {text:?}");
        }
    }

    #[test]
    fn a_token_is_something_that_can_be_sent() {
        let addr = "127.0.0.1:3000".parse().unwrap();
        for empty in ["", " ", "\n"] {
            assert_eq!(check(addr, Some(empty)), Err(BindError::EmptyToken), "{empty:?}");
        }
        assert_eq!(check(addr, Some("a\nb")), Err(BindError::UnsendableToken));
        // A short one is accepted (with a warning), and a file's last newline is not part of it.
        assert_eq!(check(addr, Some("x")), Ok(()));
        assert_eq!(check(addr, Some("secret\n")), Ok(()));
    }
}
