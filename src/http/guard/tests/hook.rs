//! What a hook may, and nobody else.

use super::*;

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
