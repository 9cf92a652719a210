//! `runtrail backup` beside a server that writes, and `runtrail restore` for the next one.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use reqwest::StatusCode;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::support::{Server, World, until};

fn runtrail(arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_runtrail"));
    program.args(arguments);
    program
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

fn backup(world: &World, file: &Path) -> String {
    let output = runtrail(&["backup", "--data-dir"]).arg(world.data()).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

fn restore(data: &Path, file: &Path, flags: &[&str]) -> Output {
    runtrail(&["restore", "--data-dir"]).arg(data).arg(file).args(flags).output().unwrap()
}

/// The seqs and data of each run's frames in a backup, in order.
fn journals(file: &Path) -> Vec<(String, Vec<(i64, Value)>)> {
    let backup = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut runs = backup.prepare("SELECT key, id, head FROM runs ORDER BY key").unwrap();
    let runs = runs.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get::<_, i64>(2)?))).unwrap();
    runs.map(|run| {
        let (key, id, head) = run.unwrap();
        let mut frames = backup.prepare("SELECT seq, data FROM frames WHERE run = ?1 ORDER BY seq").unwrap();
        let frames = frames.query_map([key], |row| Ok((row.get(0)?, row.get::<_, String>(1)?))).unwrap();
        let frames: Vec<_> =
            frames.map(|frame| frame.map(|(seq, data)| (seq, serde_json::from_str(&data).unwrap())).unwrap()).collect();
        assert_eq!(frames.len() as i64, head, "every frame up to the head");
        (id, frames)
    })
    .collect()
}

/// Prints numbered lines until there is a file `stop`: thousands a second, but not more than the test can read.
const COUNTING: &str =
    "i=0; while [ ! -e stop ]; do i=$((i+1)); echo line $i; [ $((i % 100)) -ne 0 ] || sleep 0.02; done";

async fn until_head_over(server: &Server, id: &str, head: u64) -> u64 {
    until("the run has printed more", async || server.run(id).await["head"].as_u64().filter(|now| *now > head)).await
}

/// Each of several backups of a server that never stops writing is one state: a prefix of every journal.
#[tokio::test]
async fn backup_beside_a_writing_server_has_a_prefix_of_each_journal() {
    let world = World::new();
    world.pipeline("counts", &[COUNTING]);
    let server = world.serve();
    let ids = [server.start(&world, "counts").await, server.start(&world, "counts").await];
    let mut before = 0;
    let mut files: Vec<PathBuf> = Vec::new();
    for round in 0..5 {
        before = until_head_over(&server, &ids[0], before + 100).await;
        let file = world.file(&format!("backup{round}"));
        let said = backup(&world, &file);
        assert!(said.contains("2 runs with"), "{said}");
        let saved = journals(&file);
        let head = saved[0].1.len() as u64;
        assert!(head >= before, "round {round}: {head} frames, and {before} were shown before it began");
        // It went on writing meanwhile and still does.
        before = until_head_over(&server, &ids[0], head).await;
        assert_eq!(server.run(&ids[0]).await["status"], "running");
        files.push(file);
    }
    std::fs::write(world.file("stop"), "").unwrap();
    for id in &ids {
        server.until_status(id, "completed").await;
    }
    let whole = [server.frames(&ids[0]).await, server.frames(&ids[1]).await];
    for file in &files {
        for (id, frames) in journals(file) {
            let whole = &whole[ids.iter().position(|known| *known == id).unwrap()];
            for (index, (seq, data)) in frames.iter().enumerate() {
                assert_eq!((*seq, data), (index as i64 + 1, &whole[index]["data"]), "{}", file.display());
            }
        }
    }
    assert_eq!(server.terminate().await, Some(0));
}

/// The next server shows what was backed up, takes the same token, and starts new runs.
#[tokio::test]
async fn restored_backup_is_served() {
    let world = World::new();
    world.pipeline("says", &["echo one; echo two"]).pipeline("counts", &[COUNTING]);
    let server = world.serve_guarded(&[]);
    let token = std::fs::read_to_string(world.data().join("token")).unwrap();
    let call = async |server: &Server, path: &str| {
        let answer = server.client.get(format!("{}{path}", server.url)).bearer_auth(token.trim()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json::<Value>().await.unwrap()
    };
    let start = async |server: &Server, pipeline: &str| {
        let body = json!({ "pipeline": pipeline, "params": { "project": world.project() } });
        let request = server.client.post(format!("{}/api/v1/runs", server.url)).bearer_auth(token.trim()).json(&body);
        request.send().await.unwrap().json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let until_status = async |server: &Server, id: &str, status: &str| {
        until(status, async || (call(server, &format!("/api/v1/runs/{id}")).await["status"] == status).then_some(()))
            .await;
    };
    let (ended, active) = (start(&server, "says").await, start(&server, "counts").await);
    until_status(&server, &ended, "completed").await;
    until_status(&server, &active, "running").await;
    let frames = format!("/api/v1/runs/{ended}/frames");
    let before = call(&server, &frames).await;
    let file = world.file("backup");
    assert!(backup(&world, &file).contains("and the server's token"));

    // In use: refused, and nothing changes.
    let output = restore(&world.data(), &file, &["--force"]);
    assert!(!output.status.success() && text(&output).contains("a server uses the database"), "{}", text(&output));
    let later = start(&server, "says").await;
    until_status(&server, &later, "completed").await;
    std::fs::write(world.file("stop"), "").unwrap();
    server.kill();

    // In place, and on another machine.
    let output = restore(&world.data(), &file, &[]);
    assert!(!output.status.success() && text(&output).contains("--force"), "{}", text(&output));
    let output = restore(&world.data(), &file, &["--force"]);
    assert!(output.status.success() && text(&output).contains("runtrail.db.replaced"), "{}", text(&output));
    let elsewhere = world.file("elsewhere/data");
    let output = restore(&elsewhere, &file, &[]);
    assert!(output.status.success() && text(&output).contains("and the server's token"), "{}", text(&output));
    for data in [world.data(), elsewhere] {
        let server = world.serve_guarded_on(&data, &[]);
        assert_eq!(call(&server, &frames).await, before, "{}", data.display());
        until_status(&server, &active, "interrupted").await;
        let listed = call(&server, "/api/v1/runs").await;
        let listed: Vec<_> = listed["runs"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
        assert_eq!(listed, [active.as_str(), ended.as_str()], "the later run is not in it");
        let again = start(&server, "says").await;
        until_status(&server, &again, "completed").await;
    }
}

/// A backup that is killed leaves no file with its name.
#[tokio::test]
async fn backup_that_is_killed_leaves_none() {
    let world = World::new();
    world.pipeline("counts", &[COUNTING]);
    let server = world.serve();
    let id = server.start(&world, "counts").await;
    until_head_over(&server, &id, 5_000).await;
    let mut killed = 0;
    for round in 0..10_u64 {
        let file = world.file(&format!("backup{round}"));
        let mut child =
            runtrail(&["backup", "--data-dir"]).arg(world.data()).arg(&file).stdout(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(20 * round)).await;
        let _ = child.kill();
        if child.wait().unwrap().success() {
            assert!(!journals(&file).is_empty());
        } else if file.exists() {
            assert!(!journals(&file).is_empty(), "it has its name only when it is complete");
        } else {
            killed += 1;
        }
    }
    assert!(killed > 0, "none was killed in time");
    std::fs::write(world.file("stop"), "").unwrap();
    server.until_status(&id, "completed").await;
}

#[test]
fn backup_names_the_tool_for_postgresql() {
    for command in ["backup", "restore"] {
        let output =
            runtrail(&[command, "--database-url", "postgres://runtrail@localhost/runtrail", "file"]).output().unwrap();
        assert!(!output.status.success() && text(&output).contains("pg_dump"), "{}", text(&output));
    }
}

/// `runtrail health`: whether a server is ready, with and without waiting for it.
#[tokio::test]
async fn health_asks_the_server() {
    let world = World::new();
    let server = world.serve();
    let ask = |url: &str, flags: &[&str]| runtrail(&["health", "--url", url]).args(flags).output().unwrap();
    assert_eq!(ask(&server.url, &[]).status.code(), Some(0));
    let url = server.url.clone();
    server.kill();
    let output = ask(&url, &[]);
    assert!(output.status.code() == Some(1) && text(&output).contains("no server responds"), "{}", text(&output));
    assert_eq!(ask("ftp://x", &[]).status.code(), Some(1));
    // It waits for one that starts later.
    let port = crate::support::steady_port();
    let url = format!("http://127.0.0.1:{port}");
    let waiting = runtrail(&["health", "--url", &url, "--wait", "100s"]).stdout(Stdio::piped()).spawn().unwrap();
    let _server = world.serve_with(&["--addr", &format!("127.0.0.1:{port}")]);
    let output = tokio::task::spawn_blocking(|| waiting.wait_with_output()).await.unwrap().unwrap();
    assert!(output.status.success() && text(&output).contains("ready"), "{}", text(&output));
}
