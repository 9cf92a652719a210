//! Retention: runs that rules or people delete.

mod deletion;
mod vacuum;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use reqwest::StatusCode;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::support::feed::Feed;
use crate::support::http::{self, Version};
use crate::support::{Events, LIMIT, Server, World, until};

/// A pipeline without a project that prints one line, with these further keys.
fn toml(name: &str, besides: &str) -> String {
    format!("name = \"{name}\"\n{besides}\n[[phases]]\nname = \"a\"\nrun = \"echo here > left; echo line\"\n")
}

async fn start(server: &Server, pipeline: &str) -> String {
    let answer = server.post("/api/v1/runs", json!({ "pipeline": pipeline })).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
}

async fn completed(server: &Server, pipeline: &str) -> String {
    let id = start(server, pipeline).await;
    server.until_status(&id, "completed").await;
    id
}

async fn delete(server: &Server, id: &str) -> StatusCode {
    server.client.delete(format!("{}/api/v1/runs/{id}", server.url)).send().await.unwrap().status()
}

async fn pin(server: &Server, id: &str, call: &str) -> Value {
    let answer = server.post(&format!("/api/v1/runs/{id}/{call}"), json!({})).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

/// The ids that the list has, the newest first.
async fn listed(server: &Server) -> Vec<String> {
    let page = server.get_json("/api/v1/runs?limit=200").await;
    page["runs"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect()
}

async fn until_listed(server: &Server, what: &str, expected: &[&String]) {
    until(what, async || (listed(server).await.iter().collect::<Vec<_>>() == expected).then_some(())).await;
}

async fn code(server: &Server, path: &str) -> (StatusCode, Value) {
    let answer = server.get(path).await;
    let status = answer.status();
    (status, answer.json::<Value>().await.map_or(Value::Null, |problem| problem["code"].clone()))
}

/// The server's database, read-only.
fn look(world: &World) -> Connection {
    let file = world.data().join("runtrail.db");
    let look = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    look.busy_timeout(LIMIT).unwrap();
    look
}

fn count(of: &Connection, what: &str) -> i64 {
    of.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0)).unwrap()
}

fn is_sound(database: &Connection) {
    let checked: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(checked, "ok");
    assert_eq!(count(database, "pragma_foreign_key_check"), 0);
}

#[tokio::test]
async fn retention_keeps_newest_and_pinned_runs() {
    let world = World::new();
    world.toml("few", &toml("few", "[retention]\ncount = 2")).toml("all", &toml("all", ""));
    let server = world.serve();
    let first = completed(&server, "few").await;
    let pinned = pin(&server, &first, "pin").await;
    assert_eq!((&pinned["pinned"], &pinned["pins"]), (&json!(true), &json!(1)));
    assert_eq!(pin(&server, &first, "pin").await["pins"], 1, "harmless");
    let other = completed(&server, "all").await;
    let mut few = Vec::new();
    for _ in 0..4 {
        few.push(completed(&server, "few").await);
    }
    until_listed(&server, "two go", &[&few[3], &few[2], &other, &first]).await;
    let scratch = |id: &str| world.data().join("scratch").join(id);
    until("nothing is left of them", async || (count(&look(&world), "runs") == 4).then_some(())).await;
    for gone in &few[..2] {
        assert_eq!(
            code(&server, &format!("/api/v1/runs/{gone}")).await,
            (StatusCode::NOT_FOUND, json!("run_not_found"))
        );
        assert!(!scratch(gone).exists());
    }
    assert!(scratch(&few[3]).join("left").exists() && scratch(&first).join("left").exists());
    // Once it is unpinned it is deleted: two newer ones exist.
    assert_eq!(pin(&server, &first, "unpin").await["pinned"], false);
    until_listed(&server, "the third goes", &[&few[3], &few[2], &other]).await;
    let look = look(&world);
    until("its frames too", async || (count(&look, "runs") == 3).then_some(())).await;
    let orphans = |table: &str| count(&look, &format!("{table} WHERE run NOT IN (SELECT key FROM runs)"));
    assert_eq!(["frames", "phases", "attempts"].map(orphans), [0; 3]);
    is_sound(&look);
}

#[tokio::test]
async fn retention_deletes_old_finished_runs() {
    let world = World::new();
    // Each waits for a file of its own, and then writes down when it ends.
    let held = |name: &str, age: &str| {
        let project = "[[params]]\nname = \"project\"\ntype = \"path\"\n";
        let run = "while [ ! -e $RUNTRAIL_RUN_ID ]; do sleep 0.05; done; date +%s%3N > ended";
        let phase = format!("[[phases]]\nname = \"a\"\nrun = \"{run}\"\n");
        world.toml(name, &format!("name = \"{name}\"\n{project}{phase}[retention]\nage = \"{age}\"\n"));
    };
    held("old", "2s");
    held("held", "1ms");
    let server = world.serve();
    let let_go = |id: &str| std::fs::write(world.file(id), "").unwrap();
    let active = server.start(&world, "held").await;
    server.until_status(&active, "running").await;
    let pinned = server.start(&world, "old").await;
    pin(&server, &pinned, "pin").await;
    let_go(&pinned);
    server.until_status(&pinned, "completed").await;
    let mut list = Events::open(&server, "/events?list=1").await;
    let goes = server.start(&world, "old").await;
    let_go(&goes);
    loop {
        let event = list.next().await.unwrap();
        if event.event == "list" && event.data.contains("deleted") {
            assert_eq!(serde_json::from_str::<Value>(&event.data).unwrap(), json!({ "id": goes, "deleted": true }));
            break;
        }
    }
    let ended: i64 = std::fs::read_to_string(world.file("ended")).unwrap().trim().parse().unwrap();
    let stayed = runtrail::model::Timestamp::now().0 - ended;
    assert!(stayed >= 2000, "it went after {stayed} ms");
    assert_eq!(listed(&server).await, [pinned, active.clone()]);
    assert_eq!(server.run(&active).await["status"], "running");
    let_go(&active);
    until("it goes when it has ended", async || (!listed(&server).await.contains(&active)).then_some(())).await;
}

/// Flags apply to all pipelines without a rule: built-in ones, and those whose file is gone. But not while a file is
/// refused, which may be theirs.
#[tokio::test]
async fn retention_flags_apply_without_a_rule() {
    let world = World::new();
    world
        .toml("own", &toml("own", "[retention]\ncount = 3"))
        .toml("plain", &toml("plain", ""))
        .toml("gone", &toml("gone", ""));
    let server = world.serve();
    let mut runs = Vec::new();
    for pipeline in ["own", "plain", "gone"] {
        for _ in 0..3 {
            runs.push(completed(&server, pipeline).await);
        }
    }
    for _ in 0..3 {
        // Fails at once: it is no repository.
        let built_in = json!({ "pipeline": "autofix", "params": { "project": world.project() } });
        let id = server.post("/api/v1/runs", built_in).await.json::<Value>().await.unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        server.until_status(&id, "failed").await;
        runs.push(id);
    }
    assert_eq!(server.terminate().await, Some(0));
    let file = world.data().parent().unwrap().join("pipelines/gone.toml");
    std::fs::write(&file, "name = \"gon").unwrap();
    let keep_one = ["--keep-count", "1"];
    let server = world.serve_with(&keep_one);
    let newest = [11, 8, 7, 6, 5, 2, 1, 0].map(|run: usize| &runs[run]);
    until_listed(&server, "those with a known rule go", &newest).await;
    assert_eq!(server.terminate().await, Some(0));
    std::fs::remove_file(file).unwrap();
    let server = world.serve_with(&keep_one);
    until_listed(&server, "those without a file go too", &[11, 8, 5, 2, 1, 0].map(|run: usize| &runs[run])).await;
    assert_eq!(server.terminate().await, Some(0));
    let server = world.serve_with(&["--keep-age", "1ms"]);
    until_listed(&server, "by age", &[2, 1, 0].map(|run: usize| &runs[run])).await;
}

/// A run with so many frames, as if a server had executed it.
fn add_large_run(world: &World, frames: u64) -> String {
    let database = Connection::open(world.data().join("runtrail.db")).unwrap();
    let id = runtrail::model::RunId::generate();
    let columns = "pipeline, params, created_at, queued_at";
    let insert = format!("INSERT INTO runs (id, {columns}) SELECT ?, {columns} FROM runs LIMIT 1");
    database.execute(&insert, [id.as_str()]).unwrap();
    let key = database.last_insert_rowid();
    database
        .execute(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?2)
             INSERT INTO frames SELECT ?1, n, 0, 1, 'a', 'log', json_object('stream', 'stdout', 'line', 'line ' || n || printf('%.*c', 80, 'x')) FROM n",
            (key, frames as i64),
        )
        .unwrap();
    for step in [
        "status = 'running', started_at = created_at, lease_until = 1",
        "status = 'completed', finished_at = created_at, lease_until = NULL",
    ] {
        let change = format!("UPDATE runs SET {step}, head = ?2 WHERE key = ?1");
        database.execute(&change, (key, frames as i64)).unwrap();
    }
    id.as_str().to_owned()
}
