//! The login form and the session's cookie.

use super::*;

#[tokio::test]
async fn page_without_a_session_redirects_to_the_login() {
    let router = guarded(Some(TOKEN));
    for (path, form) in [
        ("/", "/login"),
        ("/runs/1?a=b&c=d", "/login?next=/runs/1%3Fa%3Db%26c%3Dd"),
        ("//evil.example", "/login"),
        ("/nowhere", "/login?next=/nowhere"),
    ] {
        // In a request line `//evil.example` is a path.
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
async fn link_from_another_site_reloads_the_page() {
    let router = guarded(Some(TOKEN));
    let answer = ask(&router, "GET", "/runs/1?q='&x", &[("accept", HTML), ("sec-fetch-site", "cross-site")]).await;
    assert_eq!(answer.status(), 200);
    let page = text(answer).await;
    assert!(page.contains("content=\"0; url=/runs/1?q=&#39;&amp;x\"") && !page.contains("inside"), "{page}");
    let answer = ask(&router, "GET", "/runs/1", &[("accept", HTML), ("sec-fetch-site", "same-origin")]).await;
    assert_eq!(answer.headers()[header::LOCATION], "/login?next=/runs/1");
}

#[tokio::test]
async fn session_survives_a_restart_but_not_a_new_token() {
    let store = Arc::default();
    let serve = |token: &str| protect_with(access(token, &store));
    let cookie = cookie_of(&log_in(&serve(TOKEN), TOKEN, "/").await);
    assert_eq!(ask(&serve(TOKEN), "GET", "/", &[("cookie", &cookie)]).await.status(), 200);
    assert_eq!(ask(&serve("another token of this server"), "GET", "/", &[("cookie", &cookie)]).await.status(), 401);
}

#[tokio::test]
async fn session_is_valid_until_the_logout() {
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
    let answer = ask(&router, "POST", "/logout", &[("cookie", &cookie)]).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(answer.headers()[header::LOCATION], "/login");
    assert!(answer.headers()[header::SET_COOKIE].to_str().unwrap().starts_with("runtrail_session=; Path=/; Max-Age=0"));
    assert_eq!(answer.headers()["clear-site-data"], "\"cache\", \"cookies\", \"storage\"");
    // A copy of the cookie is invalid as well.
    assert_problem(ask(&router, "GET", "/api/v1/runs", &[("cookie", &cookie)]).await, 401, "unauthorized").await;
    assert_problem(ask(&router, "GET", "/logout", &[]).await, 405, "method_not_allowed").await;
}

#[tokio::test]
async fn session_cookie_is_secure_behind_tls() {
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
async fn login_never_redirects_to_another_site() {
    for next in ["https://evil.example", "//evil.example", "/%5Cevil.example", "/%09/evil.example", "/a%0d%0aX:y"] {
        let answer = log_in(&guarded(Some(TOKEN)), TOKEN, next).await;
        assert_eq!(answer.headers()[header::LOCATION], "/", "{next}");
        let form = text(ask(&guarded(Some(TOKEN)), "GET", &format!("/login?next={next}"), &[]).await).await;
        assert!(form.contains("name=\"next\" value=\"/\""), "{next}: {form}");
    }
}

#[tokio::test(start_paused = true)]
async fn failed_login_shows_the_form_with_the_reason() {
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
    assert_eq!(page.matches("<script").count(), 1, "the page's own: {page}");
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
async fn login_redirects_home_without_a_token() {
    let router = guarded(None);
    assert_eq!(ask(&router, "GET", "/login?next=/x", &[]).await.headers()[header::LOCATION], "/");
    assert_eq!(ask(&router, "POST", "/api/v1/runs", &[("authorization", "Bearer wrong")]).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn expired_cookie_is_deleted() {
    let router = guarded(Some(TOKEN));
    for accept in [HTML, "*/*"] {
        let lines = [("cookie", "runtrail_session=old"), ("accept", accept), ("sec-fetch-site", "cross-site")];
        let answer = ask(&router, "GET", "/", &lines).await;
        assert!(answer.headers()[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"), "{accept}");
        assert_eq!(answer.status(), if accept == HTML { 303 } else { 401 });
    }
}
