//! The rules through the whole guard, as clients meet them. Each test fails when its rule is removed.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::future::join_all;
use proptest::prelude::*;
use tokio::time::Instant;
use tower::ServiceExt;

use super::*;
use crate::access::memory::MemoryAccessStore;

mod admission;
mod answers;
mod hook;
mod login;
mod origin;
mod token;

const TOKEN: &str = "correct horse battery staple";
const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

fn guarded(token: Option<&str>) -> Router {
    guarded_with(token, false)
}

fn guarded_with(token: Option<&str>, is_https_only: bool) -> Router {
    let inside = || async { "inside" };
    let referer = |headers: axum::http::HeaderMap| async move {
        let referer = headers.get(header::REFERER).and_then(|referer| referer.to_str().ok());
        referer.unwrap_or("inside").to_owned()
    };
    let page = || async { ([(header::CONTENT_SECURITY_POLICY, headers::csp(Some("abc")))], "page") };
    let router = Router::new()
        .route("/", get(page))
        .route("/runs/{id}", get(page))
        .route("/runs/{id}/events", get(inside))
        .route("/events", get(inside))
        .route("/api/v1/runs", get(inside).post(inside))
        .route("/api/v1/hooks/{pipeline}", post(inside))
        .route("/fn/{name}", post(referer))
        .route("/healthz", get(inside))
        .route("/readyz", get(inside))
        .route("/metrics", get(inside))
        .route("/favicon.svg", get(inside))
        .route("/pkg/{*file}", get(inside))
        .fallback(|| async { (StatusCode::NOT_FOUND, "nowhere").into_response() });
    let access = token.map(|token| access(token, &Arc::default()));
    protect(router, Arc::new(Guard::new(config(access, is_https_only)).unwrap()))
}

fn protect_with(access: Access) -> Router {
    let inside = || async { "inside" };
    let router = Router::new().fallback(inside);
    protect(router, Arc::new(Guard::new(config(Some(access), false)).unwrap()))
}

fn access(token: &str, store: &Arc<MemoryAccessStore>) -> Access {
    Access::new(token, store.clone(), store.clone(), &CancellationToken::new())
}

fn config(access: Option<Access>, is_https_only: bool) -> GuardConfig {
    GuardConfig {
        addr: "127.0.0.1:3000".parse().unwrap(),
        allowed_hosts: vec!["runs.example".to_owned()],
        access,
        has_strong_token: true,
        proxies: TrustedProxies::default(),
        stop: CancellationToken::new(),
        is_https_only,
        has_pages: true,
    }
}

/// A request with the server's `Host`, which a line of that name replaces.
fn request(method: &str, path: &str, lines: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost:3000"));
    for (name, value) in lines {
        let name: HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

fn from(ip: &str, mut request: Request<Body>) -> Request<Body> {
    request.extensions_mut().insert(ConnectInfo(SocketAddr::new(ip.parse().unwrap(), 50_000)));
    request
}

async fn send(router: &Router, request: Request<Body>) -> Response {
    router.clone().oneshot(request).await.unwrap()
}

async fn ask(router: &Router, method: &str, path: &str, lines: &[(&str, &str)]) -> Response {
    send(router, request(method, path, lines, "")).await
}

async fn log_in(router: &Router, token: &str, next: &str) -> Response {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    send(router, request("POST", "/login", &form, &format!("token={token}&next={next}"))).await
}

async fn text(response: Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

async fn assert_problem(response: Response, status: u16, code: &str) {
    assert_eq!(response.status(), status);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    let json: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(json["code"], code, "{json}");
    assert_eq!(json["status"], status, "{json}");
}

fn cookie_of(response: &Response) -> String {
    let line = response.headers()[header::SET_COOKIE].to_str().unwrap();
    line.split(';').next().unwrap().to_owned()
}
