//! Hooks: forges start runs, and nothing without a signature does.

mod secrets;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;
use hmac::{Hmac, Mac};
use reqwest::{Response, StatusCode};
use runtrail::model::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{Server, World, until};

const SECRET: &str = "a secret that only the forge knows";
const PUSH: &str = r#"{"ref": "refs/heads/main", "repository": {"name": "app"}, "number": 7}"#;

/// A pipeline with a hook, whose secret is in a file, and the rest of its table.
fn hooked(world: &World, name: &str, lines: &str) {
    std::fs::write(world.data().join("secret"), format!("{SECRET}\n")).unwrap();
    let text = format!(
        "name = \"{name}\"\n[[params]]\nname = \"project\"\ntype = \"path\"\nrequired = true\n\
         [[params]]\nname = \"branch\"\ntype = \"string\"\n[[params]]\nname = \"number\"\ntype = \"integer\"\n\
         [[phases]]\nname = \"a\"\nrun = 'echo \"branch $RUNTRAIL_PARAM_BRANCH\"'\n\
         [hook]\nsecret_file = \"{}\"\n{lines}\n[hook.params]\nproject = \"{}\"\n\
         branch = {{ from = \"/ref\", strip_prefix = \"refs/heads/\" }}\nnumber = {{ from = \"/number\" }}\n",
        world.data().join("secret").display(),
        world.project().display(),
    );
    world.toml(name, &text);
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(secret: &str, body: &str) -> String {
    mac(secret.as_bytes(), body).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn github(secret: &str, body: &str, delivery: &str) -> Vec<(&'static str, String)> {
    vec![
        ("x-github-event", "push".into()),
        ("x-github-delivery", delivery.into()),
        ("x-hub-signature-256", format!("sha256={}", hex(secret, body))),
    ]
}

fn standard(key: &[u8], id: &str, seconds: i64, body: &str) -> Vec<(&'static str, String)> {
    let signature = STANDARD.encode(mac(key, &format!("{id}.{seconds}.{body}")));
    vec![
        ("webhook-id", id.into()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", format!("v1,{signature}")),
    ]
}

async fn call(server: &Server, pipeline: &str, headers: &[(&str, String)], body: &str) -> Response {
    let mut request = server.client.post(format!("{}/api/v1/hooks/{pipeline}", server.url)).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request.send().await.unwrap()
}

async fn answer(response: Response) -> (u16, Value) {
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

async fn code(response: Response) -> (u16, String) {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let (status, body) = answer(response).await;
    (status, body["code"].as_str().unwrap().to_owned())
}

async fn count(server: &Server) -> usize {
    server.get_json("/api/v1/runs?limit=200").await["runs"].as_array().unwrap().len()
}

#[tokio::test]
async fn hook_of_each_forge_starts_a_run() {
    let world = World::new();
    // All of them send the same body.
    hooked(&world, "p", "repeat = true");
    let server = world.serve();
    let plain = hex(SECRET, PUSH);
    let now = Timestamp::now().0 / 1000;
    let mut signed = standard(SECRET.as_bytes(), "msg_1", now, PUSH);
    signed.push(("x-gitlab-event", "Push Hook".into()));
    let cases = [
        (github(SECRET, PUSH, "d-1"), "hook of github, push, delivery d-1"),
        (
            vec![
                ("x-gitea-event", "push".into()),
                ("x-gitea-delivery", "d-2".into()),
                ("x-gitea-signature", plain.clone()),
            ],
            "hook of gitea, push, delivery d-2",
        ),
        (
            vec![
                ("x-forgejo-event", "push".into()),
                ("x-forgejo-delivery", "d-3".into()),
                ("x-forgejo-signature", plain.clone()),
            ],
            "hook of forgejo, push, delivery d-3",
        ),
        (
            vec![("x-event-key", "repo:push".into()), ("x-hub-signature", format!("sha256={plain}"))],
            "hook of bitbucket, repo:push",
        ),
        (
            vec![
                ("x-gitlab-event", "Push Hook".into()),
                ("idempotency-key", "d-5".into()),
                ("x-gitlab-token", SECRET.into()),
            ],
            "hook of gitlab, Push Hook, delivery d-5",
        ),
        (signed, "hook of gitlab, Push Hook, delivery msg_1"),
        (standard(SECRET.as_bytes(), "msg_2", now, PUSH), "hook of a webhook, delivery msg_2"),
    ];
    for (headers, by) in cases {
        let response = call(&server, "p", &headers, PUSH).await;
        let location = response.headers().get("location").map(|at| at.to_str().unwrap().to_owned());
        let (status, run) = answer(response).await;
        assert_eq!(status, 201, "{by}: {run}");
        let id = run["id"].as_str().unwrap();
        assert_eq!(location, Some(format!("/api/v1/runs/{id}")));
        assert_eq!(run["params"], json!({"project": world.project(), "branch": "main", "number": 7}));
        let first = server.frames(id).await[0].clone();
        assert_eq!((&first["kind"], &first["data"]["by"]), (&json!("origin"), &json!(by)));
    }
    let id = server.get_json("/api/v1/runs").await["runs"][0]["id"].as_str().unwrap().to_owned();
    server.until_status(&id, "completed").await;
    assert_eq!(server.lines(&id).await, ["branch main"]);
}

#[tokio::test]
async fn hook_without_the_secret_is_refused_and_slowed() {
    let world = World::new();
    hooked(&world, "p", "");
    let server = world.serve();
    let now = Timestamp::now().0 / 1000;
    let tampered = PUSH.replace("main", "evil");
    let wrong: [(Vec<(&str, String)>, &str); 4] = [
        (github("another secret", PUSH, "d"), PUSH),
        (github(SECRET, PUSH, "d"), &tampered),
        (standard(SECRET.as_bytes(), "msg", now - 600, PUSH), PUSH),
        (vec![("x-gitlab-event", "Push Hook".into()), ("x-gitlab-token", "guess".into())], PUSH),
    ];
    let asked = std::time::Instant::now();
    let refused = join_all(wrong.iter().map(|(headers, body)| async {
        let response = call(&server, "p", headers, body).await;
        assert_eq!(response.headers().contains_key("www-authenticate"), response.status() == StatusCode::UNAUTHORIZED);
        code(response).await
    }));
    // While they wait, no further guess is checked, not even a right one.
    let further = async {
        until("guesses are not looked at", async || {
            // At once, so that some arrive while another one waits.
            let all = join_all((0..6).map(|_| call(&server, "p", &[], PUSH))).await;
            all.into_iter().find(|response| response.status() == StatusCode::TOO_MANY_REQUESTS)
        })
        .await
    };
    let (refused, further) = tokio::join!(refused, further);
    let late = refused.iter().filter(|refused| **refused == (429, "too_many_attempts".into())).count();
    let told = refused.iter().filter(|refused| **refused == (401, "bad_signature".into())).count();
    assert!(late + told == 4, "{refused:?}");
    assert!(further.headers().contains_key("retry-after"));
    assert!(asked.elapsed().as_millis() >= 250);
    assert_eq!(count(&server).await, 0);
    // Failed attempts from the forge's address do not lock the forge out.
    let wrong = join_all((0..6).map(|_| call(&server, "p", &[], PUSH)));
    let right = async { call(&server, "p", &github(SECRET, PUSH, "d"), PUSH).await.status() };
    assert_eq!(tokio::join!(wrong, right).1, StatusCode::CREATED);
}

/// One by one, so that each is checked.
#[tokio::test]
async fn hook_wrong_signatures_are_refused() {
    let world = World::new();
    hooked(&world, "p", "");
    let server = world.serve();
    let now = Timestamp::now().0 / 1000;
    let mut renamed = standard(SECRET.as_bytes(), "msg", now, PUSH);
    renamed[0].1 = "msg_other".into();
    let mut bearer = github("wrong", PUSH, "d");
    bearer.push(("authorization", format!("Bearer {SECRET}")));
    for headers in [Vec::new(), renamed, bearer] {
        assert_eq!(code(call(&server, "p", &headers, PUSH).await).await, (401, "bad_signature".into()), "{headers:?}");
    }
    assert_eq!(count(&server).await, 0);
}

#[tokio::test]
async fn hook_redelivery_is_the_same_run() {
    let world = World::new();
    hooked(&world, "p", "");
    hooked(&world, "q", "");
    let server = world.serve();
    let first = github(SECRET, PUSH, "d-1");
    let (status, run) = answer(call(&server, "p", &first, PUSH).await).await;
    assert_eq!(status, 201, "{run}");
    let again = join_all((0..5).map(|_| async { answer(call(&server, "p", &first, PUSH).await).await })).await;
    assert!(again.iter().all(|(status, known)| *status == 200 && known["id"] == run["id"]), "{again:?}");
    // The id is not signed: another one, or none, makes no other delivery of it, nor does another event.
    let mut replayed = github(SECRET, PUSH, "d-2");
    let (status, known) = answer(call(&server, "p", &replayed, PUSH).await).await;
    assert_eq!((status, &known["id"]), (200, &run["id"]), "{known}");
    replayed.retain(|(name, _)| *name == "x-hub-signature-256");
    let (status, known) = answer(call(&server, "p", &replayed, PUSH).await).await;
    assert_eq!((status, &known["id"]), (200, &run["id"]), "{known}");
    replayed.push(("x-github-event", "create".to_owned()));
    let (status, known) = answer(call(&server, "p", &replayed, PUSH).await).await;
    assert_eq!((status, &known["id"]), (200, &run["id"]), "{known}");
    assert!(known["message"].as_str().unwrap().contains("with this body"), "{known}");
    // Another body, another pipeline, and a caller with the same text as its own key.
    let other_push = PUSH.replace("app", "site");
    for (pipeline, body) in [("p", other_push.as_str()), ("q", PUSH)] {
        let (status, other) = answer(call(&server, pipeline, &github(SECRET, body, "d-1"), body).await).await;
        assert!(status == 201 && other["id"] != run["id"], "{other}");
    }
    for key in ["d-1", "hook→p→d-1"] {
        let own = server.client.post(format!("{}/api/v1/runs", server.url)).header("Idempotency-Key", key);
        let own = own.json(&json!({"pipeline": "p", "params": {"project": world.project()}})).send().await.unwrap();
        assert_eq!(own.status().as_u16(), if key.is_ascii() { 201 } else { 400 }, "{key}");
    }
    assert_eq!(count(&server).await, 4);
    // It is the same after the file has changed, and after a restart.
    server.kill();
    hooked(&world, "p", "events = [\"push\", \"create\"]");
    let server = world.serve();
    let (status, known) = answer(call(&server, "p", &first, PUSH).await).await;
    assert_eq!((status, &known["id"]), (200, &run["id"]));
}

#[tokio::test]
async fn hook_ignores_other_events() {
    let world = World::new();
    hooked(&world, "p", "events = [\"push\"]\nif = { \"/ref\" = [\"refs/heads/main\", \"refs/heads/next\"] }");
    hooked(&world, "all", "");
    let server = world.serve();
    let named = |event: &str, body: &str| {
        let mut headers = github(SECRET, body, event);
        headers[0].1 = event.into();
        headers
    };
    let other = PUSH.replace("main", "feature");
    let next = PUSH.replace("main", "next");
    for (pipeline, event, body, expected) in [
        ("p", "issues", PUSH, 202),
        ("p", "ping", "not looked at", 202),
        ("p", "push", other.as_str(), 202),
        ("p", "push", &next, 201),
        ("all", "ping", PUSH, 202),
        ("all", "issues", &other, 201),
    ] {
        let (status, said) = answer(call(&server, pipeline, &named(event, body), body).await).await;
        assert_eq!(status, expected, "{pipeline} {event} {body}: {said}");
        assert_eq!(said["ignored"].is_string(), expected == 202, "{said}");
    }
    assert_eq!(count(&server).await, 2);
}

#[tokio::test]
async fn hook_payload_with_wrong_values_is_refused() {
    let world = World::new();
    hooked(&world, "p", "");
    let server = world.serve();
    let send = async |body: &str| call(&server, "p", &github(SECRET, body, "d"), body).await;
    let response = send(r#"{"ref": {"not": "text"}, "number": "many"}"#).await;
    let (status, body) = answer(response).await;
    assert_eq!((status, &body["code"]), (422, &json!("invalid_params")), "{body}");
    let params: Vec<&Value> = body["errors"].as_array().unwrap().iter().map(|error| &error["param"]).collect();
    assert_eq!(params, ["branch", "number"]);
    for bad in ["", "{", "payload=%7B%7D", "\u{0}"] {
        assert_eq!(code(send(bad).await).await, (400, "invalid_body".into()), "{bad:?}");
    }
    let form = "payload=%7B%22ref%22%3A%22refs%2Fheads%2Fa%2Bb%22%7D";
    let mut headers = github(SECRET, form, "form");
    headers.push(("content-type", "application/x-www-form-urlencoded".into()));
    let (status, run) = answer(call(&server, "p", &headers, form).await).await;
    assert_eq!((status, &run["params"]["branch"]), (201, &json!("a+b")), "{run}");
    // Larger than any other call's, and too large for this one.
    let large = format!("{{\"ref\": \"main\", \"pad\": \"{}\"}}", "x".repeat(2 << 20));
    assert_eq!(send(&large).await.status(), StatusCode::CREATED);
    let larger = "x".repeat((25 << 20) + 1);
    assert_eq!(code(send(&larger).await).await, (413, "body_too_large".into()));
    assert_eq!(count(&server).await, 2);
}

/// A sender whose bodies are not unique can declare it; its deliveries are then distinguished by their ids.
#[tokio::test]
async fn hook_repeat_takes_the_same_body_again() {
    let world = World::new();
    hooked(&world, "p", "repeat = true");
    let server = world.serve();
    for (delivery, expected) in [("d-1", 201), ("d-1", 200), ("d-2", 201)] {
        let (status, run) = answer(call(&server, "p", &github(SECRET, PUSH, delivery), PUSH).await).await;
        assert_eq!(status, expected, "{delivery}: {run}");
    }
    let mut unnamed = github(SECRET, PUSH, "d");
    unnamed.retain(|(name, _)| *name == "x-hub-signature-256");
    for _ in 0..2 {
        assert_eq!(answer(call(&server, "p", &unnamed, PUSH).await).await.0, 201);
    }
}
