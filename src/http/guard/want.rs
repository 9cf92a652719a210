//! What a request wants of the guard, by its address.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};

use crate::http::security_txt;

/// What a request wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Want {
    /// To log in, or out.
    Login,
    /// To log out.
    Logout,
    /// The script of the login page.
    Script,
    /// What anyone may see.
    Open,
    /// A page, for a person.
    Page,
    /// Anything else, for a program.
    Call,
}

impl Want {
    /// What this request wants.
    pub fn of(request: &Request) -> Self {
        let path = request.uri().path();
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        match path {
            "/login" => Self::Login,
            "/logout" => Self::Logout,
            "/login.js" if reads => Self::Script,
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

/// `/api/v1/hooks/name`, which a forge on another machine calls: its signature stands for the token (`http/hooks.rs`). Nothing
/// that could be a way around: no further slash, no `%`.
fn is_hook(path: &str) -> bool {
    let name = path.strip_prefix("/api/v1/hooks/");
    name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'))
}

/// What programs read, even when it is typed into an address bar.
pub fn is_call(path: &str) -> bool {
    path.starts_with("/api/") || path.starts_with("/fn/") || path.ends_with("/events") || path == "/metrics"
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let mut kinds = lines.flat_map(|line| line.split(',')).filter_map(|kind| kind.split(';').next());
    kinds.any(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("GET", "/login.js", "*/*", Want::Script),
            ("DELETE", "/login", "*/*", Want::Login),
            ("POST", "/logout", "*/*", Want::Logout),
        ] {
            let request = Request::builder().method(method).uri(path).header("accept", accept);
            assert_eq!(Want::of(&request.body(axum::body::Body::empty()).unwrap()), want, "{method} {path} {accept}");
        }
    }
}
