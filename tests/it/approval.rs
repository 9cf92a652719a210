//! Approvals: a waiting run survives the server and continues exactly once, as decided.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Server, World, until};

/// Three phases; the second needs approval and prints the decision.
const GATED: &str = r#"
name = "gated"

[[phases]]
name = "build"
run = "echo made > made.txt; echo built"

[[phases]]
name = "deploy"
run = "cat made.txt; cat $RUNTRAIL_WORKSPACE/approval.json; echo"
approval = true
question = "Deploy to production?"

[[phases]]
name = "tell"
run = "echo told"
"#;

fn world() -> World {
    let world = World::new();
    world.toml("gated", GATED).pipeline("plain", &["echo plain"]).pipeline("long", &["sleep 1000"]);
    world
}

async fn start(server: &Server) -> String {
    let started = server.post("/api/v1/runs", json!({ "pipeline": "gated" })).await;
    assert_eq!(started.status(), StatusCode::CREATED);
    started.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
}

/// The status and the code, if it is a problem.
async fn answer(server: &Server, id: &str, word: &str, body: Value) -> (u16, String) {
    let answered = server.post(&format!("/api/v1/runs/{id}/{word}"), body).await;
    let status = answered.status().as_u16();
    (status, answered.json::<Value>().await.unwrap()["code"].as_str().unwrap_or_default().to_owned())
}

fn kinds(frames: &[Value]) -> Vec<String> {
    let word = |frame: &Value| match frame["kind"].as_str().unwrap() {
        "status" => frame["data"]["to"].as_str().unwrap().to_owned(),
        "phase" => format!("{} {}", frame["phase"].as_str().unwrap(), frame["data"]["state"].as_str().unwrap()),
        "approval" => format!("{} {}", frame["phase"].as_str().unwrap(), frame["data"]["state"].as_str().unwrap()),
        kind => kind.to_owned(),
    };
    frames.iter().map(word).filter(|word| word != "log").collect()
}

fn phases(run: &Value) -> Vec<&str> {
    run["phases"].as_array().unwrap().iter().map(|phase| phase["state"].as_str().unwrap()).collect()
}

fn yes() -> (u16, String) {
    (202, String::new())
}

fn conflict(code: &str) -> (u16, String) {
    (409, code.to_owned())
}

#[tokio::test]
async fn approval_occupies_no_worker() {
    let world = world();
    let server = world.serve_with(&["--workers", "1"]);
    let id = start(&server).await;
    let run = server.until_awaiting_approval(&id).await;
    assert_eq!((&run["status"], &run["phase"]), (&json!("running"), &json!("deploy")));
    assert_eq!(phases(&run), ["completed", "pending", "pending"]);
    assert_eq!(run["approval"], json!({ "seq": run["head"], "question": "Deploy to production?" }));
    // The one worker is free, and the lease may run out as often as it likes.
    for _ in 0..2 {
        let other = server.start(&world, "plain").await;
        server.until_status(&other, "completed").await;
    }
    assert_eq!(server.run(&id).await, run);
    // Neither a re-run nor an answer to something else.
    let rerun = server.post(&format!("/api/v1/runs/{id}/rerun"), json!({})).await;
    assert_eq!(rerun.status(), StatusCode::CONFLICT);
    assert_eq!(answer(&server, &id, "approve", json!({ "seq": 1 })).await, conflict("not_waiting"));
    assert_eq!(answer(&server, &id, "approve", json!({ "exclude": ["a.rs"] })).await, (400, "bad_request".into()));
    assert_eq!(answer(&server, &id, "reject", json!({ "exclude": ["a.rs"] })).await, (400, "bad_request".into()));
    assert_eq!(answer(&server, &id, "approve", json!({ "sec": 1 })).await, (400, "invalid_body".into()));
    assert_eq!(server.run(&id).await, run);

    assert_eq!(answer(&server, &id, "approve", json!({ "seq": run["approval"]["seq"] })).await, yes());
    let run = server.until_status(&id, "completed").await;
    assert_eq!((phases(&run), &run["approval"]), (vec!["completed"; 3], &Value::Null));
    let frames = server.frames(&id).await;
    let told = [
        "running",
        "build started",
        "build completed",
        "deploy waiting",
        "deploy approved",
        "deploy started",
        "deploy completed",
        "tell started",
        "tell completed",
        "completed",
    ];
    assert_eq!(kinds(&frames), told);
    let approved = frames.iter().find(|frame| frame["data"]["state"] == "approved").unwrap();
    assert_eq!(approved["data"]["question"], "Deploy to production?");
    assert!(approved["data"]["by"].as_str().unwrap().ends_with("through the API"), "{approved}");
    // Its folder is as the first phase left it, and it finds the answer.
    let lines = server.lines(&id).await;
    assert_eq!(lines[..2], ["built", "made"]);
    let found: Value = serde_json::from_str(&lines[2]).unwrap();
    assert_eq!((&found["approved"], &found["by"]), (&json!(true), &approved["data"]["by"]));
    assert_eq!(answer(&server, &id, "approve", json!({})).await, conflict("not_waiting"));
    assert!(world.workspaces().is_empty());
}

#[tokio::test]
async fn approval_rejected_or_cancelled_ends_the_run() {
    let world = world();
    let server = world.serve();
    for (word, reason) in [("reject", "rejected by the operator"), ("cancel", "cancelled by the operator")] {
        let id = start(&server).await;
        server.until_awaiting_approval(&id).await;
        assert_eq!(answer(&server, &id, word, json!({})).await, yes());
        let run = server.until_status(&id, "cancelled").await;
        assert_eq!((phases(&run), &run["approval"]), (vec!["completed", "skipped", "skipped"], &Value::Null));
        let last = server.frames(&id).await.pop().unwrap();
        assert!(last["data"]["reason"].as_str().unwrap().starts_with(reason), "{last}");
        assert_eq!(server.lines(&id).await, ["built"]);
        // It can be run again, and asks again.
        let again = server.post(&format!("/api/v1/runs/{id}/rerun"), json!({})).await;
        assert_eq!(again.status(), StatusCode::ACCEPTED);
        assert_eq!(server.until_awaiting_approval(&id).await["attempt"], 2);
    }
}

#[tokio::test]
async fn approval_takes_one_decision() {
    let world = world();
    let server = world.serve();
    let id = start(&server).await;
    server.until_awaiting_approval(&id).await;
    let words = ["approve", "reject"].into_iter().cycle().take(20);
    let answers = futures::future::join_all(words.map(|word| answer(&server, &id, word, json!({})))).await;
    assert_eq!(answers.iter().filter(|answer| **answer == yes()).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| *answer == yes() || *answer == conflict("not_waiting")), "{answers:?}");
    let run = until("the end", async || {
        let run = server.run(&id).await;
        run["finished_at"].is_string().then_some(run)
    })
    .await;
    let approved = answers.iter().position(|answer| *answer == yes()).unwrap().is_multiple_of(2);
    assert_eq!(run["status"], if approved { "completed" } else { "cancelled" });
    let frames = server.frames(&id).await;
    assert_eq!(frames.iter().filter(|frame| frame["kind"] == "approval").count(), 2);
}

#[tokio::test]
async fn approval_survives_crashes_and_restarts() {
    let world = world();
    let flags = ["--workers", "1"];
    let server = world.serve_with(&flags);
    let id = start(&server).await;
    let asked = server.until_awaiting_approval(&id).await;
    server.kill_and_lapse();
    let server = world.serve_with(&flags);
    // Long enough for every check of leases by the engine.
    let other = server.start(&world, "plain").await;
    server.until_status(&other, "completed").await;
    assert_eq!(server.run(&id).await, asked);
    assert_eq!(server.terminate().await, Some(0));

    // Answered while the one worker is busy, and killed before it gets to it.
    let server = world.serve_with(&flags);
    let busy = server.start(&world, "long").await;
    server.until_status(&busy, "running").await;
    assert_eq!(answer(&server, &id, "approve", json!({})).await, yes());
    let answered = server.run(&id).await;
    assert_eq!((&answered["status"], &answered["approval"]), (&json!("running"), &Value::Null));
    server.kill_and_lapse();

    let server = world.serve_with(&flags);
    let run = server.until_status(&id, "completed").await;
    assert_eq!((phases(&run), &run["attempt"]), (vec!["completed"; 3], &json!(1)));
    assert_eq!(server.lines(&id).await[..2], ["built", "made"]);
    assert_eq!(server.until_status(&busy, "interrupted").await["attempt"], 1);
    assert!(world.workspaces().is_empty());
}

/// Cancelling needs no free worker, and a cancelled run is not asked again.
#[tokio::test]
async fn approval_can_be_cancelled_while_workers_are_busy() {
    let world = world();
    let server = world.serve_with(&["--workers", "1"]);
    let (cancelled, rejected) = (start(&server).await, start(&server).await);
    server.until_awaiting_approval(&cancelled).await;
    server.until_awaiting_approval(&rejected).await;
    let busy = server.start(&world, "long").await;
    server.until_status(&busy, "running").await;
    for (id, word) in [(&cancelled, "cancel"), (&rejected, "reject")] {
        assert_eq!(answer(&server, id, word, json!({})).await, yes());
        assert_eq!(answer(&server, id, "approve", json!({})).await, conflict("not_waiting"));
        server.until_status(id, "cancelled").await;
    }
    assert_eq!(server.run(&busy).await["status"], "running");
}

/// Ending the run needs no folder.
#[tokio::test]
async fn approval_can_be_rejected_without_the_project() {
    let world = World::new();
    let text = "name = \"gated\"\n[[params]]\nname = \"project\"\ntype = \"path\"\n[[phases]]\nname = \"a\"\nrun = \"true\"\napproval = true\n";
    world.toml("gated", text);
    let server = world.serve();
    for word in ["cancel", "reject"] {
        let project = world.file(word);
        std::fs::create_dir(&project).unwrap();
        let started =
            server.post("/api/v1/runs", json!({ "pipeline": "gated", "params": { "project": project } })).await;
        let id = started.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
        server.until_awaiting_approval(&id).await;
        std::fs::remove_dir(&project).unwrap();
        assert_eq!(answer(&server, &id, word, json!({})).await, yes());
        let run = server.until_status(&id, "cancelled").await;
        assert_eq!((phases(&run), &run["error"]), (vec!["skipped"], &Value::Null));
    }
}

/// Numbers outside the database's range, as a careless command may report them.
#[tokio::test]
async fn patch_with_wild_numbers_is_harmless() {
    let world = World::new();
    let patch =
        r#"::frame {"kind":"patch","path":"a","diff":"x","added":18446744073709551615,"removed":9223372036854775808}"#;
    let text = format!(
        "name = \"gated\"\n[[phases]]\nname = \"a\"\nrun = \"\"\"\nprintf '%s\\n' '{patch}'\n\"\"\"\n[[phases]]\nname = \"b\"\nrun = \"true\"\napproval = {{ patches = true }}\n"
    );
    world.toml("gated", &text);
    let server = world.serve();
    let id = start(&server).await;
    server.until_awaiting_approval(&id).await;
    let listed = server.get(&format!("/fn/patches?id={id}&attempt=1")).await;
    assert_eq!(listed.status(), StatusCode::OK, "{}", listed.text().await.unwrap());
    assert_eq!(answer(&server, &id, "approve", json!({ "exclude": ["a", "a"] })).await, yes());
    server.until_status(&id, "completed").await;
}
