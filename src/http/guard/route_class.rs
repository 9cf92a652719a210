//! How the guard treats a request, by its method and path.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};

use crate::http::security_txt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteClass {
    Login,
    Logout,
    /// The script of the login page.
    LoginScript,
    /// Needs no authentication by the guard.
    Public,
    /// A page, requested by a browser. Without a session, it redirects to the login.
    Page,
    /// Everything else. Without a credential, it is a 401.
    Api,
}

impl RouteClass {
    pub fn of(request: &Request) -> Self {
        let path = request.uri().path();
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        match path {
            "/login" => Self::Login,
            "/logout" => Self::Logout,
            "/login.js" if reads => Self::LoginScript,
            "/healthz" | "/readyz" | "/favicon.ico" | "/favicon.svg" | security_txt::PATH if reads => Self::Public,
            _ if reads && is_stylesheet(path) => Self::Public,
            _ if *request.method() == Method::POST && is_hook(path) => Self::Public,
            _ if reads && !is_api(path) && accepts_html(request.headers()) => Self::Page,
            _ => Self::Api,
        }
    }
}

/// `/pkg/name.css`. Without further slashes and `%`, so that the path cannot mean another file.
fn is_stylesheet(path: &str) -> bool {
    let name = path.strip_prefix("/pkg/").and_then(|file| file.strip_suffix(".css"));
    name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)))
}

/// `/api/v1/hooks/name`, which a forge calls without a token: `http/hooks` verifies its signature. Without further
/// slashes and `%`, so that the path cannot mean another route.
fn is_hook(path: &str) -> bool {
    let name = path.strip_prefix("/api/v1/hooks/");
    name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'))
}

/// Paths that serve data, not pages: the API, server functions, streams and metrics.
pub fn is_api(path: &str) -> bool {
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
    fn route_class_depends_on_method_path_and_accept() {
        let html = "application/xhtml+xml, text/html;q=0.9, */*;q=0.8";
        for (method, path, accept, class) in [
            ("GET", "/", html, RouteClass::Page),
            ("HEAD", "/runs/1?x=/api/", html, RouteClass::Page),
            ("GET", "/", "*/*", RouteClass::Api),
            ("POST", "/", html, RouteClass::Api),
            ("GET", "/api/v1/runs", html, RouteClass::Api),
            ("POST", "/fn/start1", html, RouteClass::Api),
            ("GET", "/runs/1/events", html, RouteClass::Api),
            ("GET", "/runs/1/events", "text/event-stream", RouteClass::Api),
            ("GET", "/events", html, RouteClass::Api),
            ("GET", "/metrics", html, RouteClass::Api),
            ("GET", "/healthz", "*/*", RouteClass::Public),
            ("GET", "/readyz", "*/*", RouteClass::Public),
            ("POST", "/healthz", "*/*", RouteClass::Api),
            ("GET", "/.well-known/security.txt", "*/*", RouteClass::Public),
            ("GET", "/.well-known/", "*/*", RouteClass::Api),
            ("GET", "/favicon.svg", "*/*", RouteClass::Public),
            ("GET", "/pkg/runtrail.css", "text/css", RouteClass::Public),
            ("POST", "/pkg/runtrail.css", "text/css", RouteClass::Api),
            ("GET", "/pkg/runtrail.js", "*/*", RouteClass::Api),
            ("GET", "/pkg/runtrail.wasm", "*/*", RouteClass::Api),
            ("GET", "/pkg/../api/v1/runs/x.css", "*/*", RouteClass::Api),
            ("GET", "/pkg/..%2fapi/x.css", "*/*", RouteClass::Api),
            ("GET", "/api/v1/runs/x.css", "*/*", RouteClass::Api),
            ("GET", "/healthz/", "*/*", RouteClass::Api),
            ("GET", "/LOGIN", "*/*", RouteClass::Api),
            ("GET", "/login.js", "*/*", RouteClass::LoginScript),
            ("DELETE", "/login", "*/*", RouteClass::Login),
            ("POST", "/logout", "*/*", RouteClass::Logout),
        ] {
            let request = Request::builder().method(method).uri(path).header("accept", accept);
            assert_eq!(
                RouteClass::of(&request.body(axum::body::Body::empty()).unwrap()),
                class,
                "{method} {path} {accept}"
            );
        }
    }
}
