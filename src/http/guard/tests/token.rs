//! Tokens, and the limit of guesses.

use super::*;

#[tokio::test]
async fn only_public_routes_work_without_a_token() {
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
async fn token_is_accepted() {
    let router = guarded(Some(TOKEN));
    let bearer = format!("Bearer {TOKEN}");
    for (method, path) in
        [("GET", "/"), ("POST", "/api/v1/runs"), ("POST", "/fn/start"), ("GET", "/events"), ("GET", "/metrics")]
    {
        assert_eq!(ask(&router, method, path, &[("authorization", &bearer)]).await.status(), 200, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn invalid_tokens_are_delayed_and_valid_ones_are_not() {
    let router = guarded(Some(TOKEN));
    let valid = format!("Bearer {TOKEN}");
    let invalid: [(&str, &str); 2] = [("authorization", "Bearer wrong"), ("authorization", "bearer x")];
    for (index, expected) in [250, 500, 1000, 2000, 4000, 5000, 5000].into_iter().enumerate() {
        let begun = Instant::now();
        let answer = if index == 3 {
            log_in(&router, "wrong", "/").await
        } else {
            ask(&router, "GET", "/api/v1/runs", &[invalid[index % 2]]).await
        };
        assert_eq!(answer.status(), 401);
        let waited = begun.elapsed();
        // Tokio's clock has steps of a millisecond.
        assert!(waited.abs_diff(Duration::from_millis(expected)) <= Duration::from_millis(2), "{index}: {waited:?}");

        let begun = Instant::now();
        let answer = ask(&router, "GET", "/api/v1/runs", &[("authorization", &valid)]).await;
        assert_eq!((answer.status(), begun.elapsed()), (StatusCode::OK, Duration::ZERO));
    }
    // A request without a token, or with a wrong cookie, does not count as a guess.
    for lines in [&[][..], &[("cookie", "runtrail_session=wrong")]] {
        let begun = Instant::now();
        assert_eq!(ask(&router, "GET", "/api/v1/runs", lines).await.status(), 401);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_guesses_are_throttled_even_after_disconnects() {
    let router = guarded(Some(TOKEN));
    let guess = |ip| {
        let lines = [("authorization", "Bearer wrong")];
        send(&router, from(ip, request("GET", "/api/v1/runs", &lines, "")))
    };
    let answers = join_all((0..10).map(|_| guess("10.0.0.1"))).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status() == status).count();
    assert_eq!((count(401), count(429)), (4, 6));

    // A client that disconnects before the response does not shorten the delay.
    let router = guarded(Some(TOKEN));
    let guess = |ip, token: &str| {
        let bearer = format!("Bearer {token}");
        let sent = send(&router, from(ip, request("GET", "/api/v1/runs", &[("authorization", &bearer)], "")));
        async { tokio::time::timeout(Duration::from_millis(10), sent).await }
    };
    for _ in 0..4 {
        assert!(guess("10.0.0.1", "wrong").await.is_err());
    }
    let answer = guess("10.0.0.1", "wrong").await.unwrap();
    assert_eq!(answer.headers()[header::RETRY_AFTER], "1");
    assert_problem(answer, 429, "too_many_attempts").await;
    // A valid strong token is never throttled.
    assert_eq!(guess("10.0.0.1", TOKEN).await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn short_token_is_throttled_like_invalid_ones() {
    let short = GuardConfig { has_strong_token: false, ..config(Some(access("short", &Arc::default())), false) };
    let router = protect(Router::new().fallback(|| async { "inside" }), Arc::new(Guard::new(short).unwrap()));
    let guess = |ip, token: &str| {
        let bearer = format!("Bearer {token}");
        let sent = send(&router, from(ip, request("GET", "/api/v1/runs", &[("authorization", &bearer)], "")));
        async { tokio::time::timeout(Duration::from_millis(10), sent).await }
    };
    for _ in 0..4 {
        assert!(guess("10.0.0.1", "wrong").await.is_err());
    }
    for token in ["wrong", "short"] {
        let answer = guess("10.0.0.1", token).await.unwrap();
        assert_problem(answer, 429, "too_many_attempts").await;
    }
    assert_eq!(guess("10.0.0.2", "short").await.unwrap().status(), 200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(guess("10.0.0.1", "short").await.unwrap().status(), 200);
}
