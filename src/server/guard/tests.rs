//! Each rule, asked through the whole guard as a client would. Each test fails when its rule is taken out.

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

const TOKEN: &str = "correct horse battery staple";
const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

fn guarded(token: Option<&str>) -> Router {
    let inside = || async { "inside" };
    let page = || async { ([(header::CONTENT_SECURITY_POLICY, headers::csp(Some("abc")))], "page") };
    let router = Router::new()
        .route("/", get(page))
        .route("/runs/{id}", get(page))
        .route("/runs/{id}/events", get(inside))
        .route("/events", get(inside))
        .route("/api/v1/runs", get(inside).post(inside))
        .route("/api/v1/hooks/{pipeline}", post(inside))
        .route("/fn/{name}", post(inside))
        .route("/healthz", get(inside))
        .route("/readyz", get(inside))
        .route("/metrics", get(inside))
        .route("/favicon.svg", get(inside))
        .route("/pkg/{*file}", get(inside))
        .fallback(|| async { (StatusCode::NOT_FOUND, "nowhere").into_response() });
    let config = GuardConfig {
        addr: "127.0.0.1:3000".parse().unwrap(),
        allow_hosts: vec!["runs.example".to_owned()],
        token: token.map(str::to_owned),
    };
    protect(router, Arc::new(Guard::new(config).unwrap()))
}

/// A request as a client of this server sends it; lines of the same name replace `Host`.
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

#[tokio::test]
async fn a_foreign_host_gets_421_everywhere() {
    for router in [guarded(None), guarded(Some(TOKEN))] {
        for (method, path) in [
            ("GET", "/"),
            ("POST", "/api/v1/runs"),
            ("GET", "/healthz"),
            ("GET", "/nowhere"),
            ("GET", "/login"),
            ("POST", "/login"),
            ("OPTIONS", "/"),
        ] {
            let answer = ask(&router, method, path, &[("host", "evil.example:3000")]).await;
            assert_problem(answer, 421, "wrong_host").await;
        }
    }
}

#[tokio::test]
async fn own_hosts_come_in() {
    let router = guarded(None);
    for host in ["localhost:3000", "127.0.0.1:3000", "[::1]:3000", "localhost:8080", "runs.example"] {
        let answer = ask(&router, "GET", "/api/v1/runs", &[("host", host)]).await;
        assert_eq!(answer.status(), 200, "{host}");
        assert_eq!(text(answer).await, "inside");
    }
}

#[tokio::test]
async fn no_host_two_hosts_or_no_real_one_gets_400() {
    let router = guarded(None);
    let mut none = request("GET", "/", &[], "");
    none.headers_mut().remove(header::HOST);
    assert_problem(send(&router, none).await, 400, "bad_request").await;
    let mut old = request("GET", "/", &[], "");
    old.headers_mut().remove(header::HOST);
    *old.version_mut() = axum::http::Version::HTTP_10;
    assert_problem(send(&router, old).await, 421, "wrong_host").await;
    let mut two = request("GET", "/", &[], "");
    two.headers_mut().append(header::HOST, HeaderValue::from_static("localhost:3000"));
    assert_problem(send(&router, two).await, 400, "bad_request").await;
    assert_problem(ask(&router, "GET", "/", &[("host", "evil.example@localhost")]).await, 400, "bad_request").await;
    // HTTP/2 has no Host but `:authority`, which hyper puts into the address.
    let mut modern = request("GET", "http://localhost:3000/", &[], "");
    modern.headers_mut().remove(header::HOST);
    assert_eq!(send(&router, modern).await.status(), 200);
    let mut modern = request("GET", "http://evil.example/", &[], "");
    modern.headers_mut().remove(header::HOST);
    assert_problem(send(&router, modern).await, 421, "wrong_host").await;
}

#[tokio::test]
async fn another_site_changes_nothing() {
    let router = guarded(None);
    for line in [
        ("origin", "http://evil.example"),
        ("origin", "http://localhost:8080"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        for path in ["/api/v1/runs", "/fn/start", "/nowhere"] {
            assert_problem(ask(&router, "POST", path, &[line]).await, 403, "foreign_origin").await;
        }
        assert_eq!(ask(&router, "GET", "/api/v1/runs", &[line]).await.status(), 200, "{line:?}");
    }
    for lines in [&[][..], &[("origin", "http://localhost:3000"), ("sec-fetch-site", "same-origin")]] {
        assert_eq!(ask(&router, "POST", "/api/v1/runs", lines).await.status(), 200, "{lines:?}");
    }
}

#[tokio::test]
async fn another_site_logs_nobody_in_or_out() {
    let router = guarded(Some(TOKEN));
    for path in ["/login", "/logout"] {
        let answer = ask(&router, "POST", path, &[("origin", "http://evil.example")]).await;
        assert_problem(answer, 403, "foreign_origin").await;
    }
}

#[tokio::test]
async fn without_the_token_only_the_door_is_open() {
    let router = guarded(Some(TOKEN));
    for path in ["/healthz", "/readyz", "/login", "/pkg/runtrail.css", "/favicon.svg"] {
        assert_eq!(ask(&router, "GET", path, &[]).await.status(), 200, "{path}");
    }
    for (method, path) in [
        ("GET", "/api/v1/runs"),
        ("POST", "/api/v1/runs"),
        ("POST", "/fn/start"),
        ("GET", "/runs/1/events"),
        ("GET", "/events"),
        ("GET", "/metrics"),
        ("GET", "/"),
        ("GET", "/pkg/runtrail.js"),
        ("GET", "/nowhere"),
        ("OPTIONS", "/api/v1/runs"),
    ] {
        let answer = ask(&router, method, path, &[]).await;
        assert!(answer.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().starts_with("Bearer"), "{path}");
        assert_problem(answer, 401, "unauthorized").await;
    }
}

#[tokio::test]
async fn a_page_without_a_login_leads_to_the_form_and_back() {
    let router = guarded(Some(TOKEN));
    for (path, form) in [
        ("/", "/login"),
        ("/runs/1?a=b&c=d", "/login?next=/runs/1%3Fa%3Db%26c%3Dd"),
        ("//evil.example", "/login"),
        ("/nowhere", "/login?next=/nowhere"),
    ] {
        // As HTTP sends it: `//evil.example` in a request line is a path.
        let mut parts = axum::http::uri::Parts::default();
        parts.path_and_query = Some(path.parse().unwrap());
        let mut asked = request("GET", "/", &[("accept", HTML), ("sec-fetch-site", "none")], "");
        *asked.uri_mut() = axum::http::Uri::from_parts(parts).unwrap();
        let answer = send(&router, asked).await;
        assert_eq!(answer.status(), 303, "{path}");
        assert_eq!(answer.headers()[header::LOCATION], form, "{path}");
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    }
    let form = text(ask(&router, "GET", "/login?next=/runs/1%3Fa%3Db%26c%3Dd", &[]).await).await;
    assert!(form.contains("name=\"next\" value=\"/runs/1?a=b&amp;c=d\""), "{form}");
}

#[tokio::test]
async fn a_link_on_another_site_asks_once_more_from_here() {
    let router = guarded(Some(TOKEN));
    let answer = ask(&router, "GET", "/runs/1?q='&x", &[("accept", HTML), ("sec-fetch-site", "cross-site")]).await;
    assert_eq!(answer.status(), 200);
    let page = text(answer).await;
    assert!(page.contains("content=\"0; url=/runs/1?q=&#39;&amp;x\"") && !page.contains("inside"), "{page}");
    let answer = ask(&router, "GET", "/runs/1", &[("accept", HTML), ("sec-fetch-site", "same-origin")]).await;
    assert_eq!(answer.headers()[header::LOCATION], "/login?next=/runs/1");
}

#[tokio::test]
async fn the_token_opens() {
    let router = guarded(Some(TOKEN));
    let bearer = format!("Bearer {TOKEN}");
    for (method, path) in
        [("GET", "/"), ("POST", "/api/v1/runs"), ("POST", "/fn/start"), ("GET", "/events"), ("GET", "/metrics")]
    {
        assert_eq!(ask(&router, method, path, &[("authorization", &bearer)]).await.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_login_opens_until_the_logout() {
    let router = guarded(Some(TOKEN));
    let answer = log_in(&router, "correct+horse+battery+staple", "/runs/1%23f17").await;
    assert_eq!(answer.status(), 303);
    assert_eq!(answer.headers()[header::LOCATION], "/runs/1#f17");
    let set = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    for attribute in ["Path=/", "Max-Age=2592000", "HttpOnly", "SameSite=Strict"] {
        assert!(set.contains(attribute), "{attribute} in {set}");
    }
    assert!(!set.contains("Secure") && !set.contains("correct"), "{set}");

    let cookie = cookie_of(&answer);
    for path in ["/", "/api/v1/runs", "/events", "/pkg/runtrail.js"] {
        assert_eq!(ask(&router, "GET", path, &[("cookie", &cookie), ("accept", HTML)]).await.status(), 200, "{path}");
    }
    // A restart keeps the login, another token ends it.
    assert_eq!(ask(&guarded(Some(TOKEN)), "GET", "/", &[("cookie", &cookie)]).await.status(), 200);
    assert_eq!(ask(&guarded(Some("another token")), "GET", "/", &[("cookie", &cookie)]).await.status(), 401);

    let answer = ask(&router, "POST", "/logout", &[("cookie", &cookie)]).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(answer.headers()[header::LOCATION], "/login");
    assert!(answer.headers()[header::SET_COOKIE].to_str().unwrap().starts_with("runtrail_session=; Path=/; Max-Age=0"));
    assert_problem(ask(&router, "GET", "/logout", &[]).await, 405, "method_not_allowed").await;
}

#[tokio::test]
async fn behind_tls_the_cookie_is_secure() {
    let router = guarded(Some(TOKEN));
    let lines = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-forwarded-proto", "https"),
        ("host", "runs.example"),
        ("origin", "https://runs.example"),
    ];
    let answer = send(&router, request("POST", "/login", &lines, &format!("token={TOKEN}"))).await;
    assert_eq!(answer.status(), 303);
    assert!(answer.headers()[header::SET_COOKIE].to_str().unwrap().ends_with("; Secure"));
    assert_eq!(answer.headers()[header::LOCATION], "/");
}

#[tokio::test]
async fn a_login_leads_nowhere_else() {
    for next in ["https://evil.example", "//evil.example", "/%5Cevil.example", "/%09/evil.example", "/a%0d%0aX:y"] {
        let answer = log_in(&guarded(Some(TOKEN)), TOKEN, next).await;
        assert_eq!(answer.headers()[header::LOCATION], "/", "{next}");
        let form = text(ask(&guarded(Some(TOKEN)), "GET", &format!("/login?next={next}"), &[]).await).await;
        assert!(form.contains("name=\"next\" value=\"/\""), "{next}: {form}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_login_shows_the_form_with_the_reason() {
    let answer = log_in(&guarded(Some(TOKEN)), "%3Cscript%3E", "/runs/1%22%3E%3Cscript%3E").await;
    assert_eq!(answer.status(), 401);
    assert!(answer.headers().get(header::SET_COOKIE).is_none());
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
    let page = text(answer).await;
    for part in [
        "<title>Error: Log in · Runtrail</title>",
        "role=\"alert\"",
        "aria-invalid=\"true\"",
        "<label class=\"login-label\" for=\"token\">",
        "value=\"/runs/1&quot;&gt;&lt;script&gt;\"",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("<script"), "{page}");
}

#[tokio::test]
async fn a_login_is_a_small_form() {
    let router = guarded(Some(TOKEN));
    let large = "a".repeat(10_000);
    assert_problem(log_in(&router, &large, "/").await, 413, "body_too_large").await;
    let json = request("POST", "/login", &[("content-type", "application/json")], "{\"token\":\"x\"}");
    assert_problem(send(&router, json).await, 400, "invalid_body").await;
    let empty = request("POST", "/login", &[("content-type", "application/x-www-form-urlencoded")], "");
    assert_problem(send(&router, empty).await, 400, "invalid_body").await;
}

#[tokio::test]
async fn without_a_token_there_is_no_login() {
    let router = guarded(None);
    assert_eq!(ask(&router, "GET", "/login?next=/x", &[]).await.headers()[header::LOCATION], "/");
    assert_eq!(ask(&router, "POST", "/api/v1/runs", &[("authorization", "Bearer wrong")]).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn wrong_tokens_wait_longer_and_longer_and_right_ones_never() {
    let router = guarded(Some(TOKEN));
    let right = format!("Bearer {TOKEN}");
    let wrong: [(&str, &str); 3] =
        [("authorization", "Bearer wrong"), ("cookie", "runtrail_session=wrong"), ("authorization", "bearer x")];
    for (index, expected) in [250, 500, 1000, 2000, 4000, 5000, 5000].into_iter().enumerate() {
        let begun = Instant::now();
        let answer = if index == 3 {
            log_in(&router, "wrong", "/").await
        } else {
            ask(&router, "GET", "/api/v1/runs", &[wrong[index % 3]]).await
        };
        assert_eq!(answer.status(), 401);
        let waited = begun.elapsed();
        // Tokio's clock has steps of a millisecond.
        assert!(waited.abs_diff(Duration::from_millis(expected)) <= Duration::from_millis(2), "{index}: {waited:?}");

        let begun = Instant::now();
        let answer = ask(&router, "GET", "/api/v1/runs", &[("authorization", &right)]).await;
        assert_eq!((answer.status(), begun.elapsed()), (StatusCode::OK, Duration::ZERO));
    }
    // No token at all is no guess.
    let begun = Instant::now();
    assert_eq!(ask(&router, "GET", "/api/v1/runs", &[]).await.status(), 401);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn guesses_at_once_are_refused_and_hanging_up_wins_nothing() {
    let router = guarded(Some(TOKEN));
    let guess = |ip| {
        let lines = [("authorization", "Bearer wrong")];
        send(&router, from(ip, request("GET", "/api/v1/runs", &lines, "")))
    };
    let answers = join_all((0..10).map(|_| guess("10.0.0.1"))).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status() == status).count();
    assert_eq!((count(401), count(429)), (4, 6));

    // Whoever hangs up before the answer has used up the wait all the same.
    let router = guarded(Some(TOKEN));
    let guess = |ip, token: &str| {
        let bearer = format!("Bearer {token}");
        let sent = send(&router, from(ip, request("GET", "/api/v1/runs", &[("authorization", &bearer)], "")));
        async { tokio::time::timeout(Duration::from_millis(10), sent).await }
    };
    for _ in 0..4 {
        assert!(guess("10.0.0.1", "wrong").await.is_err());
    }
    for token in ["wrong", TOKEN] {
        let answer = guess("10.0.0.1", token).await.unwrap();
        assert_eq!(answer.headers()[header::RETRY_AFTER], "1");
        assert_problem(answer, 429, "too_many_attempts").await;
    }
    assert_eq!(guess("10.0.0.2", TOKEN).await.unwrap().status(), 200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(guess("10.0.0.1", TOKEN).await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn an_old_login_is_taken_back() {
    let router = guarded(Some(TOKEN));
    for accept in [HTML, "*/*"] {
        let lines = [("cookie", "runtrail_session=old"), ("accept", accept), ("sec-fetch-site", "cross-site")];
        let answer = ask(&router, "GET", "/", &lines).await;
        assert!(answer.headers()[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"), "{accept}");
        assert_eq!(answer.status(), if accept == HTML { 303 } else { 401 });
    }
}

#[tokio::test]
async fn every_answer_is_dressed() {
    let router = guarded(Some(TOKEN));
    let bearer = format!("Bearer {TOKEN}");
    for (status, lines, path) in [
        (200, &[("authorization", bearer.as_str())][..], "/api/v1/runs"),
        (404, &[("authorization", &bearer)], "/nowhere"),
        (405, &[("authorization", &bearer)], "/fn/x"),
        (401, &[], "/api/v1/runs"),
        (421, &[("host", "evil.example")], "/"),
        (400, &[("host", "")], "/"),
        (200, &[], "/login"),
        (303, &[("accept", HTML)], "/"),
    ] {
        let answer = ask(&router, "GET", path, lines).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.headers()[header::CONTENT_SECURITY_POLICY], headers::csp(None), "{status}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.headers()[name], value, "{status}");
        }
        assert!(answer.headers()["permissions-policy"].to_str().unwrap().contains("camera=()"));
    }
    // A page keeps the policy that names its nonce, and has no second one.
    let page = ask(&router, "GET", "/", &[("authorization", &bearer)]).await;
    let policies: Vec<_> = page.headers().get_all(header::CONTENT_SECURITY_POLICY).iter().collect();
    assert_eq!(policies, [&headers::csp(Some("abc"))]);
}

#[test]
fn no_guard_where_none_should_serve() {
    let guard = |addr: &str, host: &str, token: Option<&str>| {
        let addr = addr.parse().unwrap();
        Guard::new(GuardConfig { addr, allow_hosts: vec![host.to_owned()], token: token.map(str::to_owned) })
    };
    assert!(guard("127.0.0.1:0", "a", None).is_ok());
    assert!(guard("0.0.0.0:0", "a", Some("short")).is_ok());
    assert!(matches!(guard("0.0.0.0:0", "a", None), Err(GuardError::Bind(BindError::Open(_)))));
    assert!(matches!(guard("127.0.0.1:0", "a", Some(" ")), Err(GuardError::Bind(BindError::EmptyToken))));
    assert!(matches!(guard("127.0.0.1:0", "http://a", None), Err(GuardError::Host(_))));
}

/// Bytes of a header as a client may send them, often near to what the rules look for.
fn value() -> impl Strategy<Value = HeaderValue> {
    let near =
        "(Bearer |runtrail_session=|; |https?://|localhost|:|\\[|\\]|null|same-site|text/html|,|[a-z0-9.@/ ]){0,6}";
    let bytes = prop_oneof![proptest::collection::vec(any::<u8>(), 0..64), near.prop_map(String::into_bytes)];
    bytes.prop_filter_map("not a header", |bytes| HeaderValue::from_bytes(&bytes).ok())
}

proptest! {
    #[test]
    fn whatever_is_sent_is_answered_and_comes_in_only_with_the_token(
        method in "GET|HEAD|POST|DELETE|OPTIONS",
        path in "/(login|logout|runs/1|api/v1/runs|pkg/a\\.css)?(\\?next=[!-~]{0,12})?",
        lines in proptest::collection::vec(
            (prop::sample::select(vec![
                "host", "origin", "sec-fetch-site", "authorization", "cookie", "accept", "x-forwarded-proto", "content-type",
            ]), value()),
            0..6,
        ),
        body in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        prop_assume!(path.parse::<axum::http::Uri>().is_ok());
        let mut request = Request::builder().method(method.as_str()).uri(&path).body(Body::from(body)).unwrap();
        for (name, value) in lines {
            request.headers_mut().append(name, value);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let inside = runtime.block_on(async {
            let answer = send(&guarded(Some(TOKEN)), request).await;
            (answer.status(), text(answer).await)
        });
        let open = path.starts_with("/pkg/");
        prop_assert!(open || !matches!(inside.1.as_str(), "inside" | "page"), "{inside:?}");
        prop_assert!(inside.0 != StatusCode::INTERNAL_SERVER_ERROR, "{inside:?}");
    }
}

#[tokio::test]
async fn a_hook_is_called_without_the_token_and_nothing_else_is_by_its_address() {
    let router = guarded(Some(TOKEN));
    let answer = ask(&router, "POST", "/api/v1/hooks/nightly-2", &[]).await;
    assert_eq!((answer.status().as_u16(), text(answer).await.as_str()), (200, "inside"));
    for path in [
        "/api/v1/hooks/nightly/x",
        "/api/v1/hooks/../runs",
        "/api/v1/hooks/%2e%2e%2fruns",
        "/api/v1/hooks/..;/runs",
        "/api/v1/hooks//../runs",
        "/api/v1/hooksnightly",
        "//api/v1/hooks/nightly",
        "/fn/hooks",
    ] {
        assert_problem(ask(&router, "POST", path, &[]).await, 401, "unauthorized").await;
    }
    for method in ["GET", "PUT", "DELETE"] {
        assert_problem(ask(&router, method, "/api/v1/hooks/nightly", &[]).await, 401, "unauthorized").await;
    }
}

/// What a page that the operator looks at can send: the browser says where it comes from.
#[tokio::test]
async fn no_other_site_calls_a_hook() {
    for router in [guarded(None), guarded(Some(TOKEN))] {
        let hook = "/api/v1/hooks/nightly";
        for lines in [
            &[("origin", "http://evil.example")][..],
            &[("origin", "null")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
        ] {
            assert_problem(ask(&router, "POST", hook, lines).await, 403, "foreign_origin").await;
        }
        assert_problem(ask(&router, "POST", hook, &[("host", "evil.example")]).await, 421, "wrong_host").await;
        assert_eq!(ask(&router, "POST", hook, &[("host", "runs.example")]).await.status(), 200);
    }
}
