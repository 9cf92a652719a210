//! Calls of hooks.

use super::*;

#[tokio::test]
async fn hook_needs_no_token_but_similar_paths_do() {
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

#[tokio::test]
async fn hook_rejects_pages_of_other_sites() {
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
