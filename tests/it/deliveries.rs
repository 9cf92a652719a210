//! The list of deliveries: every call of a hook and its result.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::forge::{SECRET, github, hooked, push, send};
use crate::support::{Server, World, until, within};

const RECIPE: &str = "[[params]]\nname = \"pr\"\ntype = \"integer\"\n[[params]]\nname = \"draft\"\ntype = \"boolean\"\n\
                      [[phases]]\nname = \"a\"\nrun = \"true\"\n";
const PARAMS: &str = "[hook.params]\npr = { from = \"/number\" }\ndraft = { from = \"/draft\" }\n";

async fn list(server: &Server, query: &str) -> Vec<Value> {
    server.get_json(&format!("/api/v1/deliveries?{query}")).await["deliveries"].as_array().unwrap().clone()
}

/// The newest delivery, once its result is this one.
async fn newest(server: &Server, query: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    until("the delivery is listed", async || list(server, query).await.into_iter().next().filter(|one| is_it(one)))
        .await
}

#[tokio::test]
async fn delivery_is_listed_with_its_result() {
    let world = World::new();
    let lines = format!(
        "events = [\"push\"]\nif = {{ \"/ref\" = {{ pattern = \"refs/heads/(main|release/.*)\" }} }}\n{PARAMS}"
    );
    hooked(&world, "p", RECIPE, &lines);
    let server = world.serve();
    let main = r#"{"ref": "refs/heads/main", "number": 17, "draft": false}"#;
    let (status, run) = push(&server, "p", "d-1", main).await;
    assert_eq!(status, 201, "{run}");
    let id = run["id"].as_str().unwrap().to_owned();
    server.until_status(&id, "completed").await;
    assert_eq!(push(&server, "p", "d-1", main).await.0, 200);
    assert_eq!(send(&server, "p", &github("issues", "d-2", SECRET, main), main).await.0, 202);
    assert_eq!(push(&server, "p", "d-3", r#"{"ref": "refs/heads/wip"}"#).await.0, 202);
    let wrong = r#"{"ref": "refs/heads/main", "number": "many", "draft": [1]}"#;
    assert_eq!(push(&server, "p", "d-4", wrong).await.0, 422);
    assert_eq!(push(&server, "p", "d-5", "{").await.0, 400);
    let found = list(&server, "").await;
    let told: Vec<(&str, &str, &Value)> = found
        .iter()
        .map(|one| (one["delivery"].as_str().unwrap(), one["result"].as_str().unwrap(), &one["run"]))
        .collect();
    let (id, none) = (json!(id), Value::Null);
    assert_eq!(
        told,
        [
            ("d-5", "refused", &none),
            ("d-4", "refused", &none),
            ("d-3", "ignored", &none),
            ("d-2", "ignored", &none),
            ("d-1", "duplicate", &id),
            ("d-1", "started", &id),
        ]
    );
    for (one, code, reasons) in [
        (&found[0], json!("invalid_body"), &["no payload"][..]),
        (&found[1], json!("invalid_params"), &["`pr`", "`draft`", "whole number"]),
        (&found[2], Value::Null, &["`/ref` matches `refs/heads/(main|release/.*)`"]),
        (&found[3], Value::Null, &["event `issues`"]),
        (&found[4], Value::Null, &["has completed", "rerun"]),
    ] {
        assert_eq!(one["code"], code, "{one}");
        for reason in reasons {
            assert!(one["reason"].as_str().unwrap().contains(reason), "{one}");
        }
        assert_eq!((&one["pipeline"], &one["forge"], &one["calls"]), (&json!("p"), &json!("github"), &json!(1)));
    }
    // Pages and filters.
    assert_eq!(list(&server, "result=refused").await.len(), 2);
    assert_eq!(list(&server, "pipeline=p&result=started").await.len(), 1);
    assert_eq!(list(&server, "pipeline=other").await.len(), 0);
    let page = server.get_json("/api/v1/deliveries?limit=4").await;
    let rest = list(&server, &format!("limit=4&before={}", page["next"].as_str().unwrap())).await;
    assert_eq!(rest, found[4..]);
    for bad in ["result=lost", "limit=0", "limit=201", "limit=x", "before=x"] {
        let answer = server.get(&format!("/api/v1/deliveries?{bad}")).await;
        assert_eq!(answer.status().as_u16(), 400, "{bad}");
    }
    // The pages, without a script.
    let page = server.get("/deliveries?result=refused").await.text().await.unwrap();
    assert!(page.contains("d-4") && page.contains("whole number") && !page.contains("d-3"), "{page}");
    let first = server.get("/").await.text().await.unwrap();
    assert!(first.contains("2 deliveries were refused") && first.contains("/deliveries?result=refused"));
}

#[tokio::test]
async fn delivery_without_the_secret_is_only_counted() {
    let world = World::new();
    hooked(&world, "p", RECIPE, PARAMS);
    hooked(&world, "bare", RECIPE, PARAMS);
    let bare = world.data().join("bare");
    let text = format!("name = \"bare\"\n{RECIPE}[hook]\nsecret_file = \"{}\"\n", bare.display());
    world.toml("bare", &text);
    let server = world.serve();
    let wrong = github("push", "d", "another secret", "{}");
    let refused = join_all((0..3).map(|_| send(&server, "p", &wrong, "{}"))).await;
    assert!(refused.iter().all(|(status, _)| *status == 401), "{refused:?}");
    let told = newest(&server, "pipeline=p", |one| one["calls"] == 3).await;
    assert_eq!((&told["result"], &told["code"]), (&json!("refused"), &json!("bad_signature")), "{told}");
    assert_eq!(
        (send(&server, "bare", &wrong, "{}").await.0, send(&server, "nigthly", &wrong, "{}").await.0),
        (503, 401)
    );
    let told = newest(&server, "pipeline=bare", |_| true).await;
    assert_eq!(told["code"], "hook_secret_missing", "{told}");
    let told = newest(&server, "pipeline=nigthly", |_| true).await;
    assert_eq!(told["code"], "hook_not_found", "{told}");
    // A pipeline whose file is refused has no hook; when it is mended the same delivery starts a run.
    world.toml("p", "name = ");
    until("the file is refused", async || {
        let faults = server.get_json("/fn/offer").await["faults"].clone();
        faults.as_array().unwrap().iter().any(|fault| fault["file"] == "p.toml").then_some(())
    })
    .await;
    assert_eq!(push(&server, "p", "d-9", "{}").await.0, 401);
    hooked(&world, "p", RECIPE, PARAMS);
    until("the delivery starts a run", async || (push(&server, "p", "d-9", "{}").await.0 == 201).then_some(())).await;
    // The list contains no secrets, and the first page reports what was refused.
    let all = server.get("/api/v1/deliveries").await.text().await.unwrap();
    assert!(!all.contains(SECRET) && !all.contains("another secret") && !all.contains("sha256="), "{all}");
    assert!(server.get("/").await.text().await.unwrap().contains("were refused"));
}

#[tokio::test]
async fn delivery_of_a_failed_run_names_the_rerun() {
    let world = World::new();
    let failing = "[[phases]]\nname = \"a\"\nrun = \"exit 3\"\n";
    hooked(&world, "p", failing, "");
    let server = world.serve();
    let (_, run) = push(&server, "p", "d-1", "{}").await;
    let id = run["id"].as_str().unwrap();
    server.until_status(id, "failed").await;
    let (status, again) = push(&server, "p", "d-1", "{}").await;
    assert_eq!((status, &again["id"], &again["status"]), (200, &json!(id), &json!("failed")));
    let message = again["message"].as_str().unwrap();
    assert!(message.contains("has failed") && message.contains("/rerun"), "{message}");
    assert_eq!(again["page"], format!("/runs/{id}"));
    let rerun = again["rerun"].as_str().unwrap();
    assert_eq!(server.post(rerun, json!({})).await.status().as_u16(), 202);
}

/// A run that the concurrency group refuses is a delivery that was refused.
#[tokio::test]
async fn delivery_to_a_busy_group_is_listed() {
    let world = World::new();
    let hold =
        "concurrency = { per = \"pipeline\", when_busy = \"refuse\" }\n[[phases]]\nname = \"a\"\nrun = \"sleep 600\"\n";
    hooked(&world, "p", hold, "");
    let server = world.serve();
    assert_eq!(push(&server, "p", "d-1", "{}").await.0, 201);
    assert_eq!(push(&server, "p", "d-2", "{ }").await.0, 409);
    let told = list(&server, "result=refused").await.remove(0);
    assert_eq!((&told["code"], &told["delivery"]), (&json!("group_busy"), &json!("d-2")), "{told}");
}

/// Connections that promise large bodies with wrong signatures and send nothing are in the way of no forge.
#[tokio::test]
async fn delivery_is_not_delayed_by_bodies_that_never_arrive() {
    let world = World::new();
    hooked(&world, "p", RECIPE, PARAMS);
    let server = world.serve();
    let mut stalled = Vec::new();
    for at in 0..40 {
        let mut socket = TcpStream::connect(server.addr()).await.unwrap();
        let length = if at % 2 == 0 { "Transfer-Encoding: chunked" } else { "Content-Length: 26000000" };
        let head = format!(
            "POST /api/v1/hooks/p HTTP/1.1\r\nHost: {}\r\nX-Hub-Signature-256: sha256={}\r\n{length}\r\n\r\n",
            server.addr(),
            "0".repeat(64)
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        stalled.push(socket);
    }
    let mut delivery = 0;
    within(Duration::from_secs(4), "a delivery beside bodies that never come", async || {
        delivery += 1;
        let begun = Instant::now();
        // Six megabytes, as of a push of many commits.
        let body = format!("{{\"pad\": \"{}\"}}", "x".repeat(6 << 20));
        let (status, answer) = push(&server, "p", &format!("d-{delivery}"), &body).await;
        assert_eq!(status, 201, "{answer}");
        begun.elapsed()
    })
    .await;
    drop(stalled);
}
