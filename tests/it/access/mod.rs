//! Access: the server's own token, login links, named tokens, sessions, and the audit log.

mod audit;

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use reqwest::header::{ACCEPT, COOKIE, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{Server, World, until};

fn token(world: &World) -> String {
    std::fs::read_to_string(world.data().join("token")).unwrap().trim().to_owned()
}

/// A browser that keeps its cookies in sight.
fn browser() -> Client {
    Client::builder().redirect(Policy::none()).build().unwrap()
}

/// The program with the server's address and data.
fn ask_program(world: &World, server: &Server, args: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_runtrail"));
    program.args(args).args(["--url", &server.url]).arg("--data-dir").arg(world.data());
    program.env_remove("RUNTRAIL_TOKEN").output().unwrap()
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap().trim().to_owned()
}

/// A login as the page's script does it.
struct Login {
    cookie: String,
    key: String,
}

impl Login {
    async fn with(server: &Server, field: &str, secret: &str) -> Result<Self, Response> {
        let form = [(field, secret)];
        let login = browser().post(format!("{}/login", server.url)).header(ACCEPT, "application/json").form(&form);
        let answer = login.send().await.unwrap();
        if answer.status() != StatusCode::OK {
            return Err(answer);
        }
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let said: Value = answer.json().await.unwrap();
        Ok(Self { cookie, key: said["key"].as_str().unwrap().to_owned() })
    }

    fn get(&self, server: &Server, path: &str) -> RequestBuilder {
        browser().get(format!("{}{path}", server.url)).header(COOKIE, &self.cookie)
    }

    fn post(&self, server: &Server, path: &str) -> RequestBuilder {
        let post = browser().post(format!("{}{path}", server.url));
        post.header(COOKIE, &self.cookie).header("x-runtrail-key", &self.key)
    }
}

async fn get(server: &Server, token: &str, path: &str) -> Response {
    browser().get(format!("{}{path}", server.url)).bearer_auth(token).send().await.unwrap()
}

async fn post(server: &Server, token: &str, path: &str, body: Value) -> Response {
    browser().post(format!("{}{path}", server.url)).bearer_auth(token).json(&body).send().await.unwrap()
}

async fn json_of(answer: Response, status: u16) -> Value {
    let found = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Starts a run; its id.
async fn start(server: &Server, token: &str, world: &World, pipeline: &str) -> String {
    let body = json!({ "pipeline": pipeline, "params": { "project": world.project() } });
    json_of(post(server, token, "/api/v1/runs", body).await, 201).await["id"].as_str().unwrap().to_owned()
}

async fn until_awaiting_approval(server: &Server, token: &str, id: &str) -> Value {
    until("the run asks", async || {
        let run = json_of(get(server, token, &format!("/api/v1/runs/{id}")).await, 200).await;
        run["approval"].is_object().then_some(run)
    })
    .await
}

const ASKS: &str = r#"
name = "asks"
[[params]]
name = "project"
type = "path"
[[phases]]
name = "deploy"
run = "echo deployed"
approval = true
"#;

#[tokio::test]
async fn token_file_is_private() {
    let world = World::new();
    world.pipeline("p", &["true"]);
    let server = world.serve_guarded(&[]);
    let file = world.data().join("token");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    for path in ["/api/v1/runs", "/metrics", "/events?list=1"] {
        assert_eq!(server.get(path).await.status(), 401, "{path}");
    }
    let body = json!({ "pipeline": "p", "params": { "project": world.project() } });
    assert_eq!(server.post("/api/v1/runs", body).await.status(), 401);
    let before = token(&world);
    start(&server, &before, &world, "p").await;
    // A restart keeps the token, so scripts and logins keep working.
    assert_eq!(server.terminate().await, Some(0));
    let server = world.serve_guarded(&[]);
    assert_eq!(token(&world), before);
    assert_eq!(get(&server, &before, "/api/v1/runs").await.status(), 200);
}

#[tokio::test]
async fn login_link_works_once() {
    let world = World::new();
    let server = world.serve_guarded(&[]);
    let link = printed(&ask_program(&world, &server, &["login"]));
    let (page, code) = link.split_once('#').unwrap();
    assert_eq!(page, format!("{}/login", server.url));
    let login = Login::with(&server, "code", code).await.unwrap_or_else(|answer| panic!("{answer:?}"));
    assert_eq!(login.get(&server, "/").send().await.unwrap().status(), 200);
    let again = Login::with(&server, "code", code).await.err().unwrap();
    assert_eq!(json_of(again, 401).await["code"], "unauthorized");
}

#[tokio::test]
async fn login_link_belongs_to_its_creator() {
    let world = World::new();
    let server = world.serve_guarded(&[]);
    let admin = printed(&ask_program(&world, &server, &["token", "create", "ada", "--role", "admin"]));
    let link = json_of(post(&server, &admin, "/api/v1/login-links", json!({})).await, 201).await;
    let code = link["url"].as_str().unwrap().split_once('#').unwrap().1;
    let login = Login::with(&server, "code", code).await.unwrap_or_else(|answer| panic!("{answer:?}"));
    let me = json_of(login.get(&server, "/api/v1/me").send().await.unwrap(), 200).await;
    assert_eq!(me, json!({ "name": "ada", "role": "admin", "via": "session" }));
    printed(&ask_program(&world, &server, &["token", "revoke", "ada"]));
    assert_eq!(login.get(&server, "/api/v1/me").send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn token_names_are_unique() {
    let world = World::new();
    let server = world.serve_guarded(&[]);
    let own = token(&world);
    let ci = json_of(post(&server, &own, "/api/v1/tokens", json!({ "name": "ci", "role": "viewer" })).await, 201).await;
    for name in ["operator", "unknown", "*", "an\u{200b}na", "a\u{202e}b", "", " a", ci["id"].as_str().unwrap()] {
        let refused = post(&server, &own, "/api/v1/tokens", json!({ "name": name, "role": "viewer" })).await;
        assert_eq!(json_of(refused, 400).await["code"], "bad_request", "{name:?}");
    }
    // Names are taken as they are written.
    for name in ["ci%31", "a b/c", ".."] {
        printed(&ask_program(&world, &server, &["token", "create", name, "--role", "viewer"]));
        printed(&ask_program(&world, &server, &["token", "revoke", name]));
    }
    let left = json_of(get(&server, &own, "/api/v1/tokens").await, 200).await;
    assert_eq!(left.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn token_has_its_role_until_revoked() {
    let world = World::new();
    world.pipeline("p", &["true"]);
    let server = world.serve_guarded(&[]);
    let viewer = printed(&ask_program(&world, &server, &["token", "create", "eyes", "--role", "viewer"]));
    let operator =
        printed(&ask_program(&world, &server, &["token", "create", "ci", "--role", "operator", "--expires", "1d"]));
    assert!(viewer.starts_with("rt_") && viewer != operator);
    let taken = ask_program(&world, &server, &["token", "create", "ci", "--role", "admin"]);
    assert!(!taken.status.success() && String::from_utf8_lossy(&taken.stderr).contains("Name already taken"));

    let body = json!({ "pipeline": "p", "params": { "project": world.project() } });
    assert_eq!(get(&server, &viewer, "/api/v1/runs").await.status(), 200);
    let refused = json_of(post(&server, &viewer, "/api/v1/runs", body).await, 403).await;
    assert_eq!(refused["code"], "forbidden");
    let id = start(&server, &operator, &world, "p").await;
    let run = json_of(get(&server, &viewer, &format!("/api/v1/runs/{id}")).await, 200).await;
    assert_eq!(run["origin"], json!({ "kind": "token", "name": "ci" }));

    let list = printed(&ask_program(&world, &server, &["token", "list"]));
    assert!(list.contains("eyes") && list.contains("operator") && !list.contains(&operator), "{list}");
    printed(&ask_program(&world, &server, &["token", "revoke", "ci"]));
    assert_eq!(get(&server, &operator, "/api/v1/runs").await.status(), 401);
    assert_eq!(get(&server, &viewer, "/api/v1/runs").await.status(), 200);
}

#[tokio::test]
async fn session_end_ends_streams() {
    let world = World::new();
    world.pipeline("p", &["true"]);
    let server = world.serve_guarded(&[]);
    let login = Login::with(&server, "token", &token(&world)).await.unwrap_or_else(|answer| panic!("{answer:?}"));
    let mut stream = login.get(&server, "/events?list=1").send().await.unwrap();
    assert_eq!(stream.status(), 200);
    assert!(stream.chunk().await.unwrap().is_some());
    let out = login.post(&server, "/logout").send().await.unwrap();
    assert_eq!(out.status(), 303);
    // To its end: that is the test.
    while stream.chunk().await.unwrap().is_some() {}
    assert_eq!(login.get(&server, "/api/v1/runs").send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn session_survives_restarts() {
    let world = World::new();
    let server = world.serve_guarded(&[]);
    let own = token(&world);
    let one = Login::with(&server, "token", &own).await.unwrap_or_else(|answer| panic!("{answer:?}"));
    let other = Login::with(&server, "token", &own).await.unwrap_or_else(|answer| panic!("{answer:?}"));
    assert_ne!(one.cookie, other.cookie);
    server.kill();
    let server = world.serve_guarded(&[]);
    let list = json_of(one.get(&server, "/api/v1/sessions").send().await.unwrap(), 200).await;
    let sessions = list.as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let other_id = sessions.iter().find(|session| session["current"] == false).unwrap()["id"].as_str().unwrap();
    let end = browser().delete(format!("{}/api/v1/sessions/{other_id}", server.url));
    let end = end.header(COOKIE, &one.cookie).header("x-runtrail-key", &one.key).send().await.unwrap();
    assert_eq!(end.status(), 204);
    assert_eq!(other.get(&server, "/api/v1/runs").send().await.unwrap().status(), 401);
    assert_eq!(one.get(&server, "/api/v1/runs").send().await.unwrap().status(), 200);
    // Neither the cookie nor the key is anywhere in the database.
    let database = [world.data().join("runtrail.db"), world.data().join("runtrail.db-wal")];
    for file in database {
        let bytes = std::fs::read(&file).unwrap_or_default();
        for secret in [one.cookie.split_once('=').unwrap().1, &one.key, &own] {
            assert!(memchr::memmem::find(&bytes, secret.as_bytes()).is_none(), "{}", file.display());
        }
    }
}

#[tokio::test]
async fn approval_needs_a_person_with_the_role() {
    let world = World::new();
    world.toml("asks", ASKS);
    let server = world.serve_guarded(&[]);
    let own = token(&world);
    let id = start(&server, &own, &world, "asks").await;
    until_awaiting_approval(&server, &own, &id).await;
    let approve = format!("/api/v1/runs/{id}/approve");
    assert_eq!(json_of(post(&server, &own, &approve, json!({})).await, 403).await["code"], "person_required");
    let operator = printed(&ask_program(&world, &server, &["token", "create", "op", "--role", "operator"]));
    let approver = printed(&ask_program(&world, &server, &["token", "create", "anna", "--role", "approver"]));
    let weak = Login::with(&server, "token", &operator).await.unwrap_or_else(|answer| panic!("{answer:?}"));
    let answer = weak.post(&server, &approve).json(&json!({})).send().await.unwrap();
    assert_eq!(json_of(answer, 403).await["code"], "forbidden");
    let anna = Login::with(&server, "token", &approver).await.unwrap_or_else(|answer| panic!("{answer:?}"));
    let answer = anna.post(&server, &approve).json(&json!({ "note": "looked at the diff" })).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let frames = until("the answer is journaled", async || {
        let page = json_of(get(&server, &own, &format!("/api/v1/runs/{id}/frames")).await, 200).await;
        let answered = |frame: &&Value| frame["kind"] == "approval" && frame["data"]["state"] == "approved";
        page["frames"].as_array().unwrap().iter().find(answered).cloned()
    })
    .await;
    assert_eq!(frames["data"]["note"], "looked at the diff");
    assert!(frames["data"]["by"].as_str().unwrap().starts_with("anna at 127.0.0.1"), "{frames}");
}

#[tokio::test]
async fn approval_may_need_a_second_person() {
    let world = World::new();
    world.toml("asks", &ASKS.replace("approval = true", "approval = true\napprovers = \"other\""));
    let server = world.serve_guarded(&[]);
    let own = token(&world);
    let create = |name| printed(&ask_program(&world, &server, &["token", "create", name, "--role", "approver"]));
    let (anna_token, bob) = (create("anna"), create("bob"));
    let anna = Login::with(&server, "token", &anna_token).await.unwrap_or_else(|answer| panic!("{answer:?}"));
    let bob = Login::with(&server, "token", &bob).await.unwrap_or_else(|answer| panic!("{answer:?}"));
    let body = json!({ "pipeline": "asks", "params": { "project": world.project() } });
    let run = json_of(anna.post(&server, "/api/v1/runs").json(&body).send().await.unwrap(), 201).await;
    assert_eq!(run["origin"], json!({ "kind": "person", "name": "anna" }));
    let id = run["id"].as_str().unwrap();
    until_awaiting_approval(&server, &own, id).await;
    let approve = format!("/api/v1/runs/{id}/approve");
    let own_run = anna.post(&server, &approve).json(&json!({})).send().await.unwrap();
    assert_eq!(json_of(own_run, 403).await["code"], "second_person_required");
    // A token and its session are one person, and so is a re-run by it.
    let by_token = start(&server, &anna_token, &world, "asks").await;
    until_awaiting_approval(&server, &own, &by_token).await;
    let own_run =
        anna.post(&server, &format!("/api/v1/runs/{by_token}/approve")).json(&json!({})).send().await.unwrap();
    assert_eq!(json_of(own_run, 403).await["code"], "second_person_required");
    assert_eq!(bob.post(&server, &approve).json(&json!({})).send().await.unwrap().status(), 202);
}

#[tokio::test]
async fn proxy_user_comes_from_the_header() {
    let world = World::new();
    world.pipeline("p", &["true"]);
    let flags = ["--trusted-proxy", "127.0.0.1", "--user-header", "X-User", "--user-role", "anna=operator"];
    let server = world.serve_with(&[&flags[..], &["--token", "correct horse battery staple"]].concat());
    let ask = |user: &str| {
        let body = json!({ "pipeline": "p", "params": { "project": world.project() } });
        let post = browser().post(format!("{}/api/v1/runs", server.url)).json(&body);
        post.header("x-user", user).header("x-forwarded-for", "203.0.113.9").send()
    };
    let run = json_of(ask("anna").await.unwrap(), 201).await;
    assert_eq!(run["origin"], json!({ "kind": "person", "name": "anna" }));
    assert_eq!(json_of(ask("bob").await.unwrap(), 403).await["code"], "forbidden");
    let audit = get(&server, "correct horse battery staple", "/api/v1/audit").await;
    let entries = json_of(audit, 200).await;
    assert_eq!(entries["entries"][0]["address"], "203.0.113.9");
}

#[test]
fn unsafe_flags_are_refused_at_start() {
    let world = World::new();
    let readable = world.file("readable");
    std::fs::write(&readable, "a secret of sixteen\n").unwrap();
    std::fs::set_permissions(&readable, std::fs::Permissions::from_mode(0o644)).unwrap();
    for (flags, word) in [
        (vec!["--addr", "0.0.0.0:0"], "without a token of yours"),
        (vec!["--addr", "0.0.0.0:0", "--no-token"], "without a token of yours"),
        (vec!["--addr", "0.0.0.0:0", "--token", "short"], "shorter than 16"),
        (vec!["--allow-host", "runs.example", "--token", "short"], "shorter than 16"),
        (vec!["--token", ""], "the token is empty"),
        (vec!["--no-token", "--token", "a secret of sixteen"], "cannot be used with"),
        (vec!["--user-header", "x-user"], "--trusted-proxy"),
        (vec!["--token-file", readable.to_str().unwrap()], "can be read by other users"),
        (vec!["--token-file", "/nowhere/token"], "cannot use the token file"),
        (vec!["--addr", "127.0.0.1:0", "--audit-log", "/dev/full"], "no regular file"),
    ] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_runtrail"));
        program.args(["serve"]).args(&flags).arg("--data-dir").arg(world.file("other"));
        let output = program.env_remove("RUNTRAIL_TOKEN").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(word), "{flags:?}: {said}");
    }
}
