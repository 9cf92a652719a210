//! Headers of all responses, and arbitrary requests.

use super::*;

#[tokio::test]
async fn every_response_has_the_security_headers() {
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
    // A page keeps its own policy and gets no second one.
    let page = ask(&router, "GET", "/", &[("authorization", &bearer)]).await;
    let policies: Vec<_> = page.headers().get_all(header::CONTENT_SECURITY_POLICY).iter().collect();
    assert_eq!(policies, [&headers::csp(Some("abc"))]);
}

#[tokio::test]
async fn api_responses_are_not_stored() {
    let router = guarded(None);
    for (path, may_store) in
        [("/api/v1/runs", false), ("/api/v1/nothing", false), ("/metrics", false), ("/healthz", true)]
    {
        let answer = ask(&router, "GET", path, &[]).await;
        let is_storable = answer.headers().get(header::CACHE_CONTROL).is_none_or(|value| value != "no-store");
        assert_eq!(is_storable, may_store, "{path}");
    }
}

#[tokio::test]
async fn hsts_is_sent_only_with_an_https_public_url() {
    for (is_https_only, expected) in [(false, None), (true, Some("max-age=31536000"))] {
        let router = guarded_with(Some(TOKEN), is_https_only);
        for path in ["/", "/login", "/healthz", "/api/v1/runs"] {
            // X-Forwarded-Proto has no influence.
            let answer = ask(&router, "GET", path, &[("x-forwarded-proto", "https")]).await;
            let header = answer.headers().get(header::STRICT_TRANSPORT_SECURITY);
            assert_eq!(header.and_then(|value| value.to_str().ok()), expected, "{path}");
        }
    }
}

#[tokio::test]
async fn foreign_referer_is_removed_from_forms() {
    let router = guarded(None);
    for (referer, seen) in [
        ("http://localhost:3000/runs/1", "http://localhost:3000/runs/1"),
        ("https://runs.example/", "https://runs.example/"),
        ("http://evil.example/", "inside"),
        ("http://localhost:8080/", "inside"),
    ] {
        let answer = ask(&router, "POST", "/fn/x", &[("referer", referer)]).await;
        assert_eq!(text(answer).await, seen, "{referer}");
    }
}

/// A header value, often similar to what the rules accept.
fn value() -> impl Strategy<Value = HeaderValue> {
    let near =
        "(Bearer |runtrail_session=|; |https?://|localhost|:|\\[|\\]|null|same-site|text/html|,|[a-z0-9.@/ ]){0,6}";
    let bytes = prop_oneof![proptest::collection::vec(any::<u8>(), 0..64), near.prop_map(String::into_bytes)];
    bytes.prop_filter_map("not a header", |bytes| HeaderValue::from_bytes(&bytes).ok())
}

proptest! {
    #[test]
    fn arbitrary_request_is_answered_and_needs_the_token(
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
        let (status, body) = runtime.block_on(async {
            let answer = send(&guarded(Some(TOKEN)), request).await;
            (answer.status(), text(answer).await)
        });
        let is_public = path.starts_with("/pkg/");
        prop_assert!(is_public || !matches!(body.as_str(), "inside" | "page"), "{status} {body}");
        prop_assert!(status != StatusCode::INTERNAL_SERVER_ERROR, "{body}");
    }
}
