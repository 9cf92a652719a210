//! Roles, people and tokens, session keys, login links and trusted proxies.

use super::*;
use crate::access::Actor;
use crate::access::LoginCredential;
use crate::model::Role;
use crate::model::audit::AuditAction;

fn operator() -> Actor {
    Actor {
        name: "operator".into(),
        role: Role::Admin,
        via: crate::model::AuthMethod::Token,
        address: None,
        through: "a test",
        parent: None,
    }
}

async fn create_token(access: &Access, name: &str, role: Role) -> String {
    access.admin().create_token(name, role, None, &operator()).await.unwrap().token
}

/// Logs in as the login page's script does. Returns the cookie and the key.
async fn log_in_with_script(router: &Router, token: &str) -> (String, String) {
    let lines = [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")];
    let answer = send(router, request("POST", "/login", &lines, &format!("token={token}&next=/runs/1"))).await;
    assert_eq!(answer.status(), 200);
    let cookie = cookie_of(&answer);
    let body: serde_json::Value = serde_json::from_str(&text(answer).await).unwrap();
    assert_eq!(body["next"], "/runs/1");
    (cookie, body["key"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn role_decides_what_a_token_may_do() {
    let access = access(TOKEN, &Arc::default());
    let router = protect_with(access.clone());
    for role in Role::ALL {
        let token = create_token(&access, &format!("the-{role}"), role).await;
        let bearer = format!("Bearer {token}");
        let status = async |method, path| ask(&router, method, path, &[("authorization", &bearer)]).await.status();
        let allowed = |needed| if role.allows(needed) { 200 } else { 403 };
        assert_eq!(status("GET", "/api/v1/runs").await, 200, "{role}");
        assert_eq!(status("POST", "/api/v1/runs").await, allowed(Role::Operator), "{role}");
        assert_eq!(status("DELETE", "/api/v1/runs/1").await, allowed(Role::Operator), "{role}");
        assert_eq!(status("GET", "/api/v1/audit").await, allowed(Role::Admin), "{role}");
        assert_eq!(status("POST", "/api/v1/tokens").await, allowed(Role::Admin), "{role}");
        // Approvals need a person, whatever the role of the token.
        assert_eq!(status("POST", "/api/v1/runs/1/approve").await, 403, "{role}");
    }
}

#[tokio::test]
async fn approval_needs_a_person_with_the_role() {
    let store = Arc::<MemoryAccessStore>::default();
    let access = access(TOKEN, &store);
    let router = protect_with(access.clone());
    let bearer = format!("Bearer {TOKEN}");
    let by_token = ask(&router, "POST", "/api/v1/runs/1/approve", &[("authorization", &bearer)]).await;
    assert_problem(by_token, 403, "person_required").await;
    for (role, status) in [(Role::Operator, 403), (Role::Approver, 200)] {
        let token = create_token(&access, &format!("the-{role}"), role).await;
        let cookie = cookie_of(&log_in(&router, &token, "/").await);
        let answer = ask(&router, "POST", "/api/v1/runs/1/approve", &[("cookie", &cookie)]).await;
        assert_eq!(answer.status(), status, "{role}");
    }
    // Rejections are written to the audit log in the background, at most once a second.
    tokio::task::yield_now().await;
    let refused = store.audit().into_iter().filter(|line| line.action == AuditAction::Refused);
    let refused: Vec<_> = refused.map(|line| (line.actor, line.outcome)).collect();
    assert_eq!(refused.first(), Some(&("operator".to_owned(), "person_required".to_owned())));
}

#[tokio::test]
async fn session_with_a_key_needs_it_for_changes() {
    let router = protect_with(access(TOKEN, &Arc::default()));
    let (cookie, key) = log_in_with_script(&router, TOKEN).await;
    assert_ne!(cookie.split('=').nth(1), Some(key.as_str()));
    // Other ports of this host see the cookie, but not the key.
    let read = ask(&router, "GET", "/api/v1/runs", &[("cookie", &cookie)]).await;
    assert_eq!(read.status(), 200);
    for (path, lines) in [
        ("/api/v1/runs", vec![("cookie", cookie.as_str())]),
        ("/fn/start_run", vec![("cookie", cookie.as_str())]),
        ("/fn/start_run", vec![("cookie", cookie.as_str()), ("x-runtrail-key", "wrong")]),
        ("/fn/start_run?_key=wrong", vec![("cookie", cookie.as_str())]),
    ] {
        assert_problem(ask(&router, "POST", path, &lines).await, 403, "session_key_missing").await;
    }
    let with_key = [("cookie", cookie.as_str()), ("x-runtrail-key", key.as_str())];
    assert_eq!(ask(&router, "POST", "/fn/start_run", &with_key).await.status(), 200);
    let form = format!("/fn/start_run?_key={key}");
    assert_eq!(ask(&router, "POST", &form, &[("cookie", &cookie)]).await.status(), 200);
    // A session of a browser without scripts has no key.
    let plain = cookie_of(&log_in(&router, TOKEN, "/").await);
    assert_eq!(ask(&router, "POST", "/fn/start_run", &[("cookie", &plain)]).await.status(), 200);
}

#[tokio::test]
async fn login_link_works_once() {
    let access = access(TOKEN, &Arc::default());
    let router = protect_with(access.clone());
    let (code, _) = access.admin().create_login_code(None).await.unwrap();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let submit = async || send(&router, request("POST", "/login", &form, &format!("code={code}"))).await;
    let first = submit().await;
    assert_eq!(first.status(), 303);
    assert_eq!(ask(&router, "GET", "/", &[("cookie", &cookie_of(&first))]).await.status(), 200);
    assert_eq!(submit().await.status(), 401);
    // A code is not a token, and a token is not a code.
    assert_eq!(ask(&router, "GET", "/", &[("authorization", &format!("Bearer {code}"))]).await.status(), 401);
    let token = send(&router, request("POST", "/login", &form, &format!("code={TOKEN}"))).await;
    assert_eq!(token.status(), 401);
}

#[tokio::test]
async fn revoked_token_ends_its_sessions_and_streams() {
    let access = access(TOKEN, &Arc::default());
    let router = protect_with(access.clone());
    let token = create_token(&access, "ci", Role::Operator).await;
    let cookie = cookie_of(&log_in(&router, &token, "/").await);
    let stream = access.by_cookie(cookie.split_once('=').unwrap().1).await.unwrap().unwrap().revoked;
    assert!(!stream.is_cancelled());
    access.admin().revoke_token("ci", &operator()).await.unwrap();
    assert!(stream.is_cancelled());
    assert_eq!(ask(&router, "GET", "/", &[("cookie", &cookie)]).await.status(), 401);
    assert_eq!(ask(&router, "GET", "/", &[("authorization", &format!("Bearer {token}"))]).await.status(), 401);
    assert!(access.log_in(LoginCredential::Token(&token), Default::default()).await.is_err());
}

#[tokio::test]
async fn user_header_counts_only_from_a_trusted_proxy() {
    let proxies = TrustedProxies {
        networks: vec!["10.0.0.0/8".parse().unwrap()],
        user_header: Some("x-user".parse().unwrap()),
        roles: vec!["anna=approver".parse().unwrap(), "*=viewer".parse().unwrap()],
    };
    let config = GuardConfig { proxies, ..config(Some(access(TOKEN, &Arc::default())), false) };
    let router = protect(Router::new().fallback(|| async { "inside" }), Arc::new(Guard::new(config).unwrap()));
    let by = async |ip, method, path, user| {
        let lines = [("x-user", user), ("x-forwarded-for", "203.0.113.9")];
        send(&router, from(ip, request(method, path, &lines, ""))).await.status()
    };
    assert_eq!(by("10.0.0.1", "GET", "/api/v1/runs", "bob").await, 200);
    assert_eq!(by("10.0.0.1", "POST", "/api/v1/runs", "bob").await, 403);
    assert_eq!(by("10.0.0.1", "POST", "/api/v1/runs/1/approve", "anna").await, 200);
    assert_eq!(by("10.0.0.1", "GET", "/api/v1/audit", "anna").await, 403);
    assert_eq!(by("192.0.2.1", "GET", "/api/v1/runs", "anna").await, 401);
    assert_eq!(by("10.0.0.1", "GET", "/api/v1/runs", "").await, 401);
}
