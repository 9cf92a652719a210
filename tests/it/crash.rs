//! kill -9 of the real program.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{World, alive, pids, until};

#[tokio::test]
async fn a_killed_server_leaves_no_child_and_its_run_is_recovered() {
    let world = World::new();
    world.pipeline(
        "tree",
        &[
            "echo one",
            "echo $$ > pids; sleep 1000 & echo $! >> pids; setsid sh -c 'echo $$ >> pids; exec sleep 1000' &
           echo two; while [ ! -e go ]; do sleep 0.02; done",
            "echo three",
        ],
    );
    let server = world.serve();
    let id = server.start(&world, "tree").await;
    server.until_line(&id, "two").await;
    let children =
        until("all three run", async || Some(pids(&world.file("pids"))).filter(|pids| pids.len() == 3)).await;
    let shown = server.frames(&id).await;
    server.kill();

    until("every child has died", async || children.iter().all(|pid| !alive(*pid)).then_some(())).await;

    let server = world.serve();
    let run = server.until_status(&id, "interrupted").await;
    let states: Vec<_> = run["phases"].as_array().unwrap().iter().map(|phase| &phase["state"]).collect();
    assert_eq!(states, ["completed", "failed", "skipped"]);
    assert!(run["error"].as_str().unwrap().contains("lease"));
    let frames = server.frames(&id).await;
    assert_eq!(frames[..shown.len()], shown[..], "what was shown is still there");

    std::fs::write(world.file("go"), "").unwrap();
    let rerun = server.post(&format!("/api/v1/runs/{id}/rerun"), json!({})).await;
    assert_eq!(rerun.status(), StatusCode::ACCEPTED);
    assert_eq!(server.until_status(&id, "completed").await["attempt"], 2);
    assert_eq!(server.frames(&id).await[..frames.len()], frames[..]);
}

/// Killed at any moment while it prints: what a reader was shown is there afterwards, and the journal has no hole.
#[tokio::test]
async fn what_was_shown_is_there_after_any_kill() {
    let world = World::new();
    world.pipeline("print", &["i=0; while :; do echo line $i; i=$((i+1)); sleep 0.001; done"]);
    let mut id = None;
    for round in 0..5u64 {
        let server = world.serve();
        match &id {
            None => id = Some(server.start(&world, "print").await),
            Some(id) => {
                server.until_status(id, "interrupted").await;
                server.post(&format!("/api/v1/runs/{id}/rerun"), json!({})).await;
            }
        }
        let id = id.as_deref().unwrap();
        let before = server.run(id).await["head"].as_u64().unwrap();
        // A different moment each round, told by the journal and not by the clock.
        until("it has printed some more", async || {
            let head = server.run(id).await["head"].as_u64().unwrap();
            (head > before + 37 * round).then_some(())
        })
        .await;
        let shown = server.frames(id).await;
        server.kill();

        let server = world.serve();
        server.until_status(id, "interrupted").await;
        assert_eq!(server.frames(id).await[..shown.len()], shown[..]);
        server.kill();
    }
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused() {
    let world = World::new();
    let server = world.serve();
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_runtrail"))
        .args(["serve", "--addr", "127.0.0.1:0", "--data-dir"])
        .arg(world.data())
        .output()
        .unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("another server uses this database"), "{said}");
    server.kill();
    world.serve();
}
