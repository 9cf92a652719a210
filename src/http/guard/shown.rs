//! What a request shows of who makes it: a token, or the cookie of a login.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

use crate::base;

/// Pages of a login send its key with changes. A browser sends cookies to every port of a host, and this to none of them by itself.
pub const KEY_HEADER: HeaderName = HeaderName::from_static("x-runtrail-key");

/// The same in the address, for forms that are sent before the page has come to life.
const KEY_PARAM: &str = "_key";

/// The cookie's name. Behind TLS a prefix keeps other hosts and plain pages from setting it (RFC 6265bis, section 4.1.3). Servers below
/// other paths of the host have others, since a browser sends the root's to all of them.
pub fn cookie_name(tls: bool) -> String {
    let base = base::current();
    let prefix = match (tls, base.is_root()) {
        (false, _) => "",
        (true, true) => "__Host-",
        (true, false) => "__Secure-",
    };
    format!("{prefix}runtrail_session{}", base.as_str().replace('/', "_"))
}

/// What a request shows to be let in.
#[derive(Debug, PartialEq, Eq)]
pub enum Shown<'a> {
    /// A token.
    Token(&'a [u8]),
    /// A login's cookie.
    Session(&'a str),
}

impl<'a> Shown<'a> {
    /// The one thing a request shows: a second one would be a second guess. Other schemes of `Authorization` are a
    /// proxy's affair and show nothing to us.
    pub fn by(headers: &'a HeaderMap, tls: bool) -> Option<Self> {
        token(headers).map(Self::Token).or_else(|| cookie(headers, tls).map(Self::Session))
    }
}

/// The token of a request, if it has one.
pub fn token(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get_all(header::AUTHORIZATION).iter().find_map(bearer)
}

/// The cookie of a login, if the request has one.
pub fn cookie(headers: &HeaderMap, tls: bool) -> Option<&str> {
    cookies(headers, tls).next()
}

/// The key of a login, if the request has one.
pub fn key<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    let param = |query: &'a str| query.split('&').find_map(|pair| pair.strip_prefix(KEY_PARAM)?.strip_prefix('='));
    headers.get(KEY_HEADER).and_then(|key| key.to_str().ok()).or_else(|| uri.query().and_then(param))
}

/// `Bearer`, whatever its case (RFC 9110, section 11.1), spaces, and the token.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, rest) = value.as_bytes().split_at_checked(6)?;
    let token = rest.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer") && rest.starts_with(b" ") && !token.is_empty()).then_some(token)
}

/// The values of our cookie; HTTP/2 may spread cookies over several lines (RFC 9113, section 8.2.3).
fn cookies(headers: &HeaderMap, tls: bool) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let ours = cookie_name(tls);
    pairs.filter(move |(name, _)| *name == ours).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(HeaderName, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn request_shows_one_thing() {
        let auth = header::AUTHORIZATION;
        for (lines, tls, expected) in [
            (vec![], false, None),
            (vec![(auth.clone(), "Bearer abc")], false, Some(Shown::Token(b"abc"))),
            (vec![(auth.clone(), "bEARER   abc  ")], false, Some(Shown::Token(b"abc"))),
            (vec![(auth.clone(), "Bearer ")], false, None),
            (vec![(auth.clone(), "Bearerabc")], false, None),
            (vec![(auth.clone(), "Basic YTpi")], false, None),
            (vec![(header::COOKIE, "a=b; runtrail_session=s")], false, Some(Shown::Session("s"))),
            (vec![(header::COOKIE, "runtrail_session=s"), (auth, "Bearer abc")], false, Some(Shown::Token(b"abc"))),
            // Behind TLS only a cookie that other hosts cannot have set counts.
            (vec![(header::COOKIE, "runtrail_session=s")], true, None),
            (vec![(header::COOKIE, "__Host-runtrail_session=s")], true, Some(Shown::Session("s"))),
            (vec![(header::COOKIE, "__Host-runtrail_session=s")], false, None),
        ] {
            assert_eq!(Shown::by(&headers(&lines), tls), expected, "{lines:?} {tls}");
        }
    }

    #[test]
    fn key_is_in_a_header_or_in_the_address_of_a_form() {
        let none = HeaderMap::new();
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        assert_eq!(key(&none, &uri("/fn/x")), None);
        assert_eq!(key(&none, &uri("/fn/x?_key=abc")), Some("abc"));
        assert_eq!(key(&none, &uri("/fn/x?a=b&_key=abc")), Some("abc"));
        assert_eq!(key(&none, &uri("/fn/x?_keys=abc")), None);
        assert_eq!(key(&headers(&[(KEY_HEADER, "h")]), &uri("/fn/x?_key=abc")), Some("h"));
    }
}
