//! The token rule: with `--token`, every request shows it or the cookie that a login sets (CONTRACT.md, "Who may come in").
//!
//! Open without it is only what says nothing about runs: the two health checks, the login page, and what that page loads; and
//! calls of hooks, which show something else.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use super::client::{Client, over_tls};
use super::origin::SEC_FETCH_SITE;
use super::slow::Verdict;
use super::{Guard, landing, login};
use crate::base;
use crate::model::{Code, Problem};
use crate::server::security_txt;

/// The cookie's name. Servers below other paths of the host have others, since a browser sends the root's to all of them.
pub fn cookie_name() -> String {
    format!("runtrail_session{}", base::current().as_str().replace('/', "_"))
}

/// What a token and what a session is hashed with: a digest of one kind is never one of the other.
const FOR_TOKEN: &str = "runtrail token v1\0";
const FOR_SESSION: &str = "runtrail session v1\0";

/// The secret, as digests only. Digests are compared, never texts: they are of one length and in constant time.
pub struct Token {
    shown: [u8; 32],
    session: String,
}

impl Token {
    /// Knows this secret again.
    pub fn new(secret: &str) -> Self {
        Self { shown: digest(FOR_TOKEN, secret), session: session(secret) }
    }

    /// The cookie's value. Derived from the token, so that a restart keeps a login and another token ends it; and never the
    /// token itself, which so stays out of the browser's files.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Whether this is the token, or a login with it.
    pub fn admits(&self, shown: &Shown<'_>) -> bool {
        match shown {
            Shown::Token(secret) => digest(FOR_TOKEN, secret).ct_eq(&self.shown).into(),
            Shown::Session(session) => session.as_bytes().ct_eq(self.session.as_bytes()).into(),
        }
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

fn digest(purpose: &str, secret: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::new().chain_update(purpose).chain_update(secret).finalize().into()
}

fn session(secret: &str) -> String {
    digest(FOR_SESSION, secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a request shows to be let in.
#[derive(Debug, PartialEq, Eq)]
pub enum Shown<'a> {
    /// A token, by header or form.
    Token(&'a [u8]),
    /// A login's cookie.
    Session(&'a str),
}

impl<'a> Shown<'a> {
    /// The one thing a request shows: a second one would be a second guess. Other schemes of `Authorization` are a
    /// proxy's affair and show nothing to us.
    pub fn by(headers: &'a HeaderMap) -> Option<Self> {
        let mut bearers = headers.get_all(header::AUTHORIZATION).iter().filter_map(bearer);
        bearers.next().map(Self::Token).or_else(|| cookies(headers).next().map(Self::Session))
    }
}

/// `Bearer`, whatever its case (RFC 9110, section 11.1), spaces, and the token.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, rest) = value.as_bytes().split_at_checked(6)?;
    let token = rest.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer") && rest.starts_with(b" ") && !token.is_empty()).then_some(token)
}

/// The values of our cookie; HTTP/2 may spread cookies over several lines (RFC 9113, section 8.2.3).
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let ours = cookie_name();
    pairs.filter(move |(name, _)| *name == ours).map(|(_, value)| value)
}

/// What a request wants of the door.
#[derive(Debug, PartialEq, Eq)]
enum Want {
    /// To log in, or out.
    Login,
    Logout,
    /// What anyone may see.
    Open,
    /// A page, for a person.
    Page,
    /// Anything else, for a program.
    Call,
}

impl Want {
    fn of(request: &Request) -> Self {
        let path = request.uri().path();
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        match path {
            "/login" => Self::Login,
            "/logout" => Self::Logout,
            "/healthz" | "/readyz" | "/favicon.ico" | "/favicon.svg" | security_txt::PATH if reads => Self::Open,
            _ if reads && is_stylesheet(path) => Self::Open,
            _ if *request.method() == Method::POST && is_hook(path) => Self::Open,
            _ if reads && !is_call(path) && accepts_html(request.headers()) => Self::Page,
            _ => Self::Call,
        }
    }
}

/// `/pkg/name.css`, and nothing that could be a way around: no further slash, no `%`.
fn is_stylesheet(path: &str) -> bool {
    let name = path.strip_prefix("/pkg/").and_then(|file| file.strip_suffix(".css"));
    name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)))
}

/// `/api/v1/hooks/name`, which a forge on another machine calls: its signature stands for the token (`server/hooks.rs`). Nothing
/// that could be a way around: no further slash, no `%`.
fn is_hook(path: &str) -> bool {
    let name = path.strip_prefix("/api/v1/hooks/");
    name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'))
}

/// What programs read, even when it is typed into an address bar.
pub(super) fn is_call(path: &str) -> bool {
    path.starts_with("/api/") || path.starts_with("/fn/") || path.ends_with("/events") || path == "/metrics"
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let mut kinds = lines.flat_map(|line| line.split(',')).filter_map(|kind| kind.split(';').next());
    kinds.any(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
}

/// Lets requests pass that show the token, or need none; answers the login's own addresses.
pub async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let want = Want::of(&request);
    let Some(token) = &guard.token else {
        // A bookmark of the time when there was a token.
        return if want == Want::Login { see_other("/") } else { next.run(request).await };
    };
    match want {
        Want::Open => return next.run(request).await,
        Want::Login => return login::login(&guard, token, request).await,
        Want::Logout => return login::logout(&guard, &request),
        Want::Page | Want::Call => {}
    }
    let client = Client::of(&request);
    let Some(shown) = Shown::by(request.headers()) else {
        return if want == Want::Page { ask_person(&request) } else { ask_program("This server needs its token.") };
    };
    let by_cookie = matches!(shown, Shown::Session(_));
    let right = token.admits(&shown);
    let mut answer = match guard.slowdown.judge(client, right, Instant::now()) {
        Verdict::Right => return next.run(request).await,
        Verdict::Busy(wait) => too_many(&Later::after(wait)),
        Verdict::Wrong(wait) => {
            tracing::warn!(%client, "a request with a wrong token or an old login");
            tokio::time::sleep(wait).await;
            if want == Want::Page { ask_person(&request) } else { ask_program("The token is not this server's.") }
        }
    };
    // An old login's cookie would be a wrong token with every request, and each of them would wait.
    if by_cookie {
        answer.headers_mut().append(header::SET_COOKIE, login::cookie("", guard.secure || over_tls(&request)));
    }
    answer
}

/// A problem for a program, with the challenge that RFC 9110, section 15.5.2 wants, in RFC 6750's form.
fn ask_program(what: &str) -> Response {
    let how = format!("Send it as `Authorization: Bearer TOKEN`, or log in at {}.", base::path("/login"));
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"runtrail\"")];
    (challenge, Problem::new(Code::Unauthorized, format!("{what} {how}"))).into_response()
}

/// The login form for a person, who comes back here afterwards.
fn ask_person(request: &Request) -> Response {
    let here = request.uri().path_and_query().map_or("/", |here| here.as_str());
    let site = request.headers().get(&SEC_FETCH_SITE).map(HeaderValue::as_bytes);
    // A link on another site, in a chat or a mail: browsers hold a SameSite=Strict cookie back, so a logged-in person seems
    // not to be. Our own page asks again, and now the cookie comes; the browser's word tells the second time from the first.
    if matches!(site, Some(b"cross-site" | b"same-site")) && cookies(request.headers()).next().is_none() {
        return login::once_more(&base::path(landing::local(here)));
    }
    see_other(&landing::login_url(here))
}

/// When to try again, in the whole seconds that `Retry-After` has.
pub(super) struct Later(u64);

impl Later {
    /// No earlier than this.
    pub(super) fn after(wait: Duration) -> Self {
        Self(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }

    /// For a person.
    pub(super) fn sentence(&self) -> String {
        format!("Too many wrong tokens came from your address. Try again in {} s.", self.0)
    }

    /// For a program.
    pub(super) fn header(&self) -> [(HeaderName, String); 1] {
        [(header::RETRY_AFTER, self.0.to_string())]
    }
}

fn too_many(later: &Later) -> Response {
    (later.header(), Problem::new(Code::TooManyAttempts, later.sentence())).into_response()
}

/// Go there with a GET, and ask again the next time.
pub(super) fn see_other(to: &str) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Redirect::to(to)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "correct horse battery staple";

    #[test]
    fn the_token_and_its_session_are_known_again_and_nothing_else() {
        let token = Token::new(SECRET);
        assert!(token.admits(&Shown::Token(SECRET.as_bytes())));
        assert!(token.admits(&Shown::Session(token.session())));
        for wrong in ["", "correct", "correct horse battery staple ", "Correct horse battery staple", token.session()] {
            assert!(!token.admits(&Shown::Token(wrong.as_bytes())), "{wrong:?}");
        }
        for wrong in ["", SECRET, Token::new("other").session()] {
            assert!(!token.admits(&Shown::Session(wrong)), "{wrong:?}");
        }
    }

    #[test]
    fn a_session_survives_a_restart_and_says_nothing_of_the_token() {
        let token = Token::new(SECRET);
        assert_eq!(token.session(), Token::new(SECRET).session());
        assert_eq!(token.session().len(), 64);
        assert!(token.session().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(digest(FOR_TOKEN, SECRET), digest(FOR_SESSION, SECRET));
        assert_eq!(format!("{token:?}"), "Token(…)");
    }

    fn shown(lines: &[(HeaderName, &'static str)]) -> Option<String> {
        let headers: HeaderMap =
            lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        Shown::by(&headers).map(|shown| match shown {
            Shown::Token(token) => format!("token {}", String::from_utf8_lossy(token)),
            Shown::Session(session) => format!("session {session}"),
        })
    }

    #[test]
    fn one_thing_is_shown() {
        use header::{AUTHORIZATION, COOKIE};
        for (lines, expected) in [
            (&[(AUTHORIZATION, "Bearer abc")][..], Some("token abc")),
            (&[(AUTHORIZATION, "bearer   a b ")], Some("token a b")),
            (&[(AUTHORIZATION, "Bearer ")], None),
            (&[(AUTHORIZATION, "Bearerabc")], None),
            (&[(AUTHORIZATION, "Basic abc")], None),
            (&[(COOKIE, "a=b; runtrail_session=abc; c=d")], Some("session abc")),
            (&[(COOKIE, "a=b"), (COOKIE, "runtrail_session=abc")], Some("session abc")),
            (&[(COOKIE, "xruntrail_session=abc; runtrail_session_=d; Runtrail_session=e")], None),
            // A proxy's own login beside ours.
            (&[(AUTHORIZATION, "Basic abc"), (COOKIE, "runtrail_session=abc")], Some("session abc")),
            (&[(AUTHORIZATION, "Bearer abc"), (COOKIE, "runtrail_session=abc")], Some("token abc")),
        ] {
            assert_eq!(shown(lines).as_deref(), expected, "{lines:?}");
        }
    }

    #[test]
    fn what_is_wanted() {
        let html = "application/xhtml+xml, text/html;q=0.9, */*;q=0.8";
        for (method, path, accept, want) in [
            ("GET", "/", html, Want::Page),
            ("HEAD", "/runs/1?x=/api/", html, Want::Page),
            ("GET", "/", "*/*", Want::Call),
            ("POST", "/", html, Want::Call),
            ("GET", "/api/v1/runs", html, Want::Call),
            ("POST", "/fn/start1", html, Want::Call),
            ("GET", "/runs/1/events", html, Want::Call),
            ("GET", "/runs/1/events", "text/event-stream", Want::Call),
            ("GET", "/events", html, Want::Call),
            ("GET", "/metrics", html, Want::Call),
            ("GET", "/healthz", "*/*", Want::Open),
            ("GET", "/readyz", "*/*", Want::Open),
            ("POST", "/healthz", "*/*", Want::Call),
            ("GET", "/.well-known/security.txt", "*/*", Want::Open),
            ("GET", "/.well-known/", "*/*", Want::Call),
            ("GET", "/favicon.svg", "*/*", Want::Open),
            ("GET", "/pkg/runtrail.css", "text/css", Want::Open),
            ("POST", "/pkg/runtrail.css", "text/css", Want::Call),
            ("GET", "/pkg/runtrail.js", "*/*", Want::Call),
            ("GET", "/pkg/runtrail.wasm", "*/*", Want::Call),
            ("GET", "/pkg/../api/v1/runs/x.css", "*/*", Want::Call),
            ("GET", "/pkg/..%2fapi/x.css", "*/*", Want::Call),
            ("GET", "/api/v1/runs/x.css", "*/*", Want::Call),
            ("GET", "/healthz/", "*/*", Want::Call),
            ("GET", "/LOGIN", "*/*", Want::Call),
            ("DELETE", "/login", "*/*", Want::Login),
            ("POST", "/logout", "*/*", Want::Logout),
        ] {
            let request = Request::builder().method(method).uri(path).header("accept", accept);
            assert_eq!(Want::of(&request.body(axum::body::Body::empty()).unwrap()), want, "{method} {path} {accept}");
        }
    }
}
