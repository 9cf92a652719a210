//! Hosts and origins.

use super::*;

#[tokio::test]
async fn foreign_host_gets_421_everywhere() {
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
async fn served_hosts_are_accepted() {
    let router = guarded(None);
    for host in ["localhost:3000", "127.0.0.1:3000", "[::1]:3000", "localhost:8080", "runs.example"] {
        let answer = ask(&router, "GET", "/api/v1/runs", &[("host", host)]).await;
        assert_eq!(answer.status(), 200, "{host}");
        assert_eq!(text(answer).await, "inside");
    }
}

#[tokio::test]
async fn missing_repeated_or_malformed_host_gets_400() {
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
    // HTTP/2 has `:authority` instead of Host, which hyper puts into the URI.
    let mut modern = request("GET", "http://localhost:3000/", &[], "");
    modern.headers_mut().remove(header::HOST);
    assert_eq!(send(&router, modern).await.status(), 200);
    let mut modern = request("GET", "http://evil.example/", &[], "");
    modern.headers_mut().remove(header::HOST);
    assert_problem(send(&router, modern).await, 421, "wrong_host").await;
}

#[tokio::test]
async fn other_sites_cannot_change_or_read() {
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
        for path in ["/api/v1/runs", "/events", "/runs/1/events", "/metrics"] {
            assert_problem(ask(&router, "GET", path, &[line]).await, 403, "foreign_origin").await;
            // A link that a person follows.
            let opened = [line, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
            assert_eq!(ask(&router, "GET", path, &opened).await.status(), 200, "{line:?}");
            let framed = [line, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
            assert_problem(ask(&router, "GET", path, &framed).await, 403, "foreign_origin").await;
        }
        assert_eq!(ask(&router, "GET", "/", &[line]).await.status(), 200, "{line:?}");
    }
    for lines in [&[][..], &[("origin", "http://localhost:3000"), ("sec-fetch-site", "same-origin")]] {
        assert_eq!(ask(&router, "POST", "/api/v1/runs", lines).await.status(), 200, "{lines:?}");
    }
}

#[tokio::test]
async fn other_sites_cannot_log_in_or_out() {
    let router = guarded(Some(TOKEN));
    for path in ["/login", "/logout"] {
        let answer = ask(&router, "POST", path, &[("origin", "http://evil.example")]).await;
        assert_problem(answer, 403, "foreign_origin").await;
    }
}
