//! The credential of a request: a token, or the cookie of a session.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

use crate::base;

/// Pages send the key of their session with changes. Browsers send cookies to every port of a host, but this header
/// only if a script sets it.
pub const KEY_HEADER: HeaderName = HeaderName::from_static("x-runtrail-key");

/// The query parameter with the key, for forms that are sent before the page is hydrated.
const KEY_PARAM: &str = "_key";

/// The name of the session's cookie. Behind TLS a prefix keeps other hosts and plain HTTP from setting it (RFC 6265bis,
/// section 4.1.3). Contains the base path, because browsers send cookies of the root path to servers below other paths
/// of the host.
pub fn cookie_name(is_tls: bool) -> String {
    let base = base::current();
    let prefix = match (is_tls, base.is_root()) {
        (false, _) => "",
        (true, true) => "__Host-",
        (true, false) => "__Secure-",
    };
    format!("{prefix}runtrail_session{}", base.as_str().replace('/', "_"))
}

#[derive(Debug, PartialEq, Eq)]
pub enum Credential<'a> {
    Token(&'a [u8]),
    /// The value of the session's cookie.
    Session(&'a str),
}

impl<'a> Credential<'a> {
    /// The only credential of a request that counts: a second one would be a second guess. Other schemes of
    /// `Authorization` belong to proxies and are ignored.
    pub fn of(headers: &'a HeaderMap, is_tls: bool) -> Option<Self> {
        token(headers).map(Self::Token).or_else(|| cookie(headers, is_tls).map(Self::Session))
    }
}

pub fn token(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get_all(header::AUTHORIZATION).iter().find_map(bearer)
}

/// The value of the session's cookie.
pub fn cookie(headers: &HeaderMap, is_tls: bool) -> Option<&str> {
    cookies(headers, is_tls).next()
}

/// The key of the session, from the header or the query.
pub fn session_key<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    let param = |query: &'a str| query.split('&').find_map(|pair| pair.strip_prefix(KEY_PARAM)?.strip_prefix('='));
    headers.get(KEY_HEADER).and_then(|key| key.to_str().ok()).or_else(|| uri.query().and_then(param))
}

/// `Bearer`, whatever its case (RFC 9110, section 11.1), spaces, and the token.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, rest) = value.as_bytes().split_at_checked(6)?;
    let token = rest.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer") && rest.starts_with(b" ") && !token.is_empty()).then_some(token)
}

/// The values of the session's cookie. HTTP/2 may spread cookies over several lines (RFC 9113, section 8.2.3).
fn cookies(headers: &HeaderMap, is_tls: bool) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let cookie_name = cookie_name(is_tls);
    pairs.filter(move |(name, _)| *name == cookie_name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(HeaderName, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn request_has_at_most_one_credential() {
        let auth = header::AUTHORIZATION;
        for (lines, tls, expected) in [
            (vec![], false, None),
            (vec![(auth.clone(), "Bearer abc")], false, Some(Credential::Token(b"abc"))),
            (vec![(auth.clone(), "bEARER   abc  ")], false, Some(Credential::Token(b"abc"))),
            (vec![(auth.clone(), "Bearer ")], false, None),
            (vec![(auth.clone(), "Bearerabc")], false, None),
            (vec![(auth.clone(), "Basic YTpi")], false, None),
            (vec![(header::COOKIE, "a=b; runtrail_session=s")], false, Some(Credential::Session("s"))),
            (
                vec![(header::COOKIE, "runtrail_session=s"), (auth, "Bearer abc")],
                false,
                Some(Credential::Token(b"abc")),
            ),
            // Behind TLS only a cookie that other hosts cannot have set counts.
            (vec![(header::COOKIE, "runtrail_session=s")], true, None),
            (vec![(header::COOKIE, "__Host-runtrail_session=s")], true, Some(Credential::Session("s"))),
            (vec![(header::COOKIE, "__Host-runtrail_session=s")], false, None),
        ] {
            assert_eq!(Credential::of(&headers(&lines), tls), expected, "{lines:?} {tls}");
        }
    }

    #[test]
    fn session_key_is_in_the_header_or_the_query() {
        let none = HeaderMap::new();
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        assert_eq!(session_key(&none, &uri("/fn/x")), None);
        assert_eq!(session_key(&none, &uri("/fn/x?_key=abc")), Some("abc"));
        assert_eq!(session_key(&none, &uri("/fn/x?a=b&_key=abc")), Some("abc"));
        assert_eq!(session_key(&none, &uri("/fn/x?_keys=abc")), None);
        assert_eq!(session_key(&headers(&[(KEY_HEADER, "h")]), &uri("/fn/x?_key=abc")), Some("h"));
    }
}
