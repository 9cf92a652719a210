//! Runs that go: by rules, because someone deletes them, and whatever happens meanwhile.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use reqwest::StatusCode;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::support::feed::Feed;
use crate::support::http::{self, Version};
use crate::support::{Events, LIMIT, Server, World, until};

/// A pipeline without a project that says one line, with this besides.
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

/// The server's database, for a look.
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
    // As soon as nothing keeps it, it goes: two newer ones are there.
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

/// Flags are for all pipelines that say nothing: built-in ones, and those whose file is gone. But not while a file is refused, which
/// may be theirs.
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

#[tokio::test]
async fn delete_removes_the_run_everywhere() {
    let world = World::new();
    world.toml("p", &toml("p", "")).pipeline("long", &["sleep 1000"]);
    let server = world.serve();
    assert_eq!(delete(&server, "nonsense").await, StatusCode::NOT_FOUND);
    let active = server.start(&world, "long").await;
    server.until_status(&active, "running").await;
    assert_eq!(delete(&server, &active).await, StatusCode::CONFLICT);

    let body = json!({ "pipeline": "p" });
    let keyed = async |key: &str, body: &Value| {
        let request = server.client.post(format!("{}/api/v1/runs", server.url)).header("Idempotency-Key", key);
        let answer = request.json(body).send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    let id = keyed("one", &body).await.1["id"].as_str().unwrap().to_owned();
    server.until_status(&id, "completed").await;
    assert_eq!(keyed("one", &body).await.0, StatusCode::OK);
    pin(&server, &id, "pin").await;
    assert_eq!(server.get_json(&format!("/api/v1/runs/{id}/frames")).await["pinned"], true);
    let refused = server.client.delete(format!("{}/api/v1/runs/{id}", server.url)).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "run_pinned");
    pin(&server, &id, "unpin").await;
    assert_eq!(delete(&server, &id).await, StatusCode::NO_CONTENT);

    let gone = (StatusCode::NOT_FOUND, json!("run_not_found"));
    let run = format!("/api/v1/runs/{id}");
    for path in [
        run.clone(),
        format!("{run}/frames"),
        format!("{run}/log"),
        format!("/runs/{id}/events"),
        format!("/events?run={id}:0"),
    ] {
        assert_eq!(code(&server, &path).await, gone, "{path}");
    }
    for call in ["rerun", "cancel", "pin", "unpin", "approve"] {
        assert_eq!(server.post(&format!("{run}/{call}"), json!({})).await.status(), StatusCode::NOT_FOUND, "{call}");
    }
    assert_eq!(server.get(&format!("/runs/{id}")).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(delete(&server, &id).await, StatusCode::NOT_FOUND);
    assert_eq!(listed(&server).await, [active]);
    let metrics = server.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("runtrail_runs{status=\"completed\"} 0"), "{metrics}");
    until("its rows go", async || (count(&look(&world), "runs") == 1).then_some(())).await;
    // The key is kept for its day: it starts nothing, whether the run's row is there or not.
    let (status, problem) = keyed("one", &body).await;
    assert_eq!(
        (status, &problem["code"], &problem["retryable"]),
        (StatusCode::GONE, &json!("run_deleted"), &json!(false))
    );
    assert_eq!(keyed("one", &json!({ "pipeline": "p", "params": {} })).await.0, StatusCode::GONE);
    assert_eq!(keyed("one", &json!({ "pipeline": "long" })).await.0, StatusCode::CONFLICT);
    assert_eq!(keyed("two", &body).await.0, StatusCode::CREATED);
}

/// The page after a run that was deleted begins where it would have.
#[tokio::test]
async fn list_pages_continue_after_a_deleted_run() {
    let world = World::new();
    world.toml("p", &toml("p", ""));
    let server = world.serve();
    let mut runs = Vec::new();
    for _ in 0..5 {
        runs.push(completed(&server, "p").await);
    }
    assert_eq!(delete(&server, &runs[2]).await, StatusCode::NO_CONTENT);
    let look = look(&world);
    for _ in 0..2 {
        let page = server.get_json(&format!("/api/v1/runs?before={}", runs[2])).await;
        let ids: Vec<&str> = page["runs"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
        assert_eq!(ids, [&runs[1], &runs[0]]);
        until("its row goes", async || (count(&look, "runs") == 4).then_some(())).await;
    }
}

/// A reader in the middle of a journal is told that there is no more of it, and not to come back.
#[tokio::test]
async fn delete_ends_streams_with_a_problem() {
    let world = World::new();
    world.pipeline(
        "much",
        &["yes 'a line that is repeated many times, so that no buffer takes all of them' | head -n 150000"],
    );
    let server = world.serve();
    let id = server.start(&world, "much").await;
    server.until_status(&id, "completed").await;
    let mut answers = Vec::new();
    for path in [format!("/runs/{id}/events"), format!("/events?run={id}:0")] {
        let mut answer =
            http::get(server.addr(), server.addr(), &path, None, Version::Http11, 16 * 1024).await.unwrap();
        let first = answer.piece().await.unwrap().unwrap();
        answers.push((answer, first));
    }
    assert_eq!(delete(&server, &id).await, StatusCode::NO_CONTENT);
    for (mut answer, mut bytes) in answers {
        while let Some(piece) = answer.piece().await.unwrap() {
            bytes.extend(piece);
        }
        let text = String::from_utf8(bytes).unwrap();
        let told = text.split("\n\n").filter_map(|event| event.strip_prefix("event: problem\ndata: "));
        let told: Vec<Value> = told.map(|data| serde_json::from_str(data).unwrap()).collect();
        let [problem] = &told[..] else { panic!("{told:?}") };
        assert_eq!((&problem["code"], &problem["retryable"]), (&json!("run_not_found"), &json!(false)));
        assert!(
            text.trim_end().ends_with('}') && text.rfind("event:") == text.rfind("event: problem"),
            "it is the last"
        );
        assert!(!text.contains("\"seq\":150000"), "it was deleted while it was read");
    }
}

/// Of a re-run and a deletion, of a pin and a deletion at the same moment one wins, and the other is told.
#[tokio::test]
async fn one_wins() {
    let world = World::new();
    world.toml("p", &toml("p", ""));
    let server = world.serve();
    let (mut deleted, mut stayed) = (0, 0);
    for round in 0..40 {
        let id = completed(&server, "p").await;
        let (call, done) = if round % 2 == 0 { ("rerun", StatusCode::ACCEPTED) } else { ("pin", StatusCode::OK) };
        let path = format!("/api/v1/runs/{id}/{call}");
        let other = async {
            // Now the one, now the other is first.
            if round % 4 < 2 {
                tokio::task::yield_now().await;
            }
            server.post(&path, json!({})).await.status()
        };
        let (gone, other) = tokio::join!(delete(&server, &id), other);
        let is_there = server.get(&format!("/api/v1/runs/{id}")).await.status() == StatusCode::OK;
        match gone {
            StatusCode::NO_CONTENT => {
                // A re-run or a pin may have come to its end before.
                assert!(other == StatusCode::NOT_FOUND || other == done, "{other}");
                assert!(!is_there);
                deleted += 1;
            }
            StatusCode::CONFLICT => {
                assert_eq!(other, done);
                assert!(is_there);
                stayed += 1;
            }
            status => panic!("{status}"),
        }
    }
    assert_eq!(deleted + stayed, 40);
    let look = look(&world);
    until("what was deleted goes", async || (count(&look, "runs") == stayed).then_some(())).await;
    is_sound(&look);
}

/// A run of so many frames, beside those that are there, as if a server had carried it out.
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

/// Killed again and again while a large run goes: each next server goes on, nobody ever sees a part of it, and nothing else suffers.
#[tokio::test]
async fn delete_is_finished_after_a_crash() {
    const FRAMES: u64 = 200_000;
    let world = World::new();
    world.toml("p", &toml("p", ""));
    let server = world.serve();
    let stays = completed(&server, "p").await;
    let before = server.frames(&stays).await;
    assert_eq!(server.terminate().await, Some(0));
    let id = add_large_run(&world, FRAMES);
    let scratch = world.data().join("scratch").join(&id);
    std::fs::create_dir_all(scratch.join("deep")).unwrap();
    let mut server = world.serve();
    assert_eq!(server.run(&id).await["head"], FRAMES);
    assert_eq!(delete(&server, &id).await, StatusCode::NO_CONTENT);
    let mut left = FRAMES as i64;
    let mut in_the_middle = 0;
    // Between two looks all that is left may go.
    while in_the_middle < 3 && left > 0 {
        let look = look(&world);
        left = until("some more of it is gone", async || {
            let now = count(&look, "frames") - before.len() as i64;
            (now == 0 || now < left - 5000).then_some(now)
        })
        .await;
        in_the_middle += i32::from(left > 0);
        server.kill();
        server = world.serve();
        assert_eq!(
            code(&server, &format!("/api/v1/runs/{id}/frames")).await,
            (StatusCode::NOT_FOUND, json!("run_not_found"))
        );
        assert_eq!(listed(&server).await, std::slice::from_ref(&stays));
        assert_eq!(delete(&server, &id).await, StatusCode::NOT_FOUND);
    }
    assert!(in_the_middle > 0, "it was in the middle");
    until("all of it is gone", async || (count(&look(&world), "runs") == 1).then_some(())).await;
    assert!(!scratch.exists());
    assert_eq!(server.frames(&stays).await, before);
    assert_eq!(count(&look(&world), "frames"), before.len() as i64);
    // And then the file shrinks, though the server runs.
    until("room is given back", async || {
        let size = server.get_json("/api/v1/database").await;
        (size["free_bytes"].as_u64().unwrap() <= 4 << 20 && size["bytes"].as_u64().unwrap() < 8 << 20).then_some(())
    })
    .await;
    assert_eq!(server.terminate().await, Some(0));
    is_sound(&look(&world));
}

/// While a large run goes, another one's frames come as fast as ever, or nearly.
#[tokio::test]
async fn purge_does_not_block_writes() {
    let world = World::new();
    world.toml("p", &toml("p", "")).fed();
    let server = world.serve();
    completed(&server, "p").await;
    assert_eq!(server.terminate().await, Some(0));
    let id = add_large_run(&world, 200_000);
    let server = world.serve();
    let mut feed = Feed::start(&world, &server).await;
    let mut events = Events::open(&server, &format!("/runs/{}/events", feed.id)).await;
    let mut took = async |number: u32| {
        let line = format!("line {number};\n");
        let began = std::time::Instant::now();
        feed.print(line.as_bytes()).await;
        while !events.next().await.unwrap().data.contains(line.trim()) {}
        began.elapsed()
    };
    let mut alone = Vec::new();
    for number in 0..200 {
        alone.push(took(number).await);
    }
    assert_eq!(delete(&server, &id).await, StatusCode::NO_CONTENT);
    let (look, mut beside) = (look(&world), Vec::new());
    for number in 200.. {
        beside.push(took(number).await);
        if number % 20 == 0 && count(&look, "runs") == 2 {
            break;
        }
    }
    for times in [&mut alone, &mut beside] {
        times.sort();
    }
    let at = |times: &[Duration], part: usize| times[(times.len() - 1) * part / 100];
    println!(
        "alone: median {:?}, 99 % {:?}; while a run goes: median {:?}, 99 % {:?}, of {}",
        at(&alone, 50),
        at(&alone, 99),
        at(&beside, 50),
        at(&beside, 99),
        beside.len()
    );
    assert!(beside.len() > 50, "it was measured while the run went: {}", beside.len());
    // Loose, since other tests run meanwhile: one transaction for all of it takes seconds, and lets few lines through.
    assert!(
        at(&beside, 50) < at(&alone, 50) * 3 + Duration::from_millis(500),
        "{:?} {:?}",
        at(&alone, 50),
        at(&beside, 50)
    );
}

/// What cannot be taken away now is taken away later, and the run is gone all the same.
#[tokio::test]
async fn purge_retries_folders() {
    let world = World::new();
    world.toml("p", &toml("p", ""));
    let server = world.serve();
    let id = completed(&server, "p").await;
    let scratch = world.data().join("scratch").join(&id);
    // A mounted file system is left alone.
    let mount = std::process::Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&scratch).status();
    if !mount.is_ok_and(|done| done.success()) {
        println!("skipped: only root can mount something");
        return;
    }
    assert_eq!(delete(&server, &id).await, StatusCode::NO_CONTENT);
    let look = look(&world);
    until("its frames go", async || (count(&look, "frames") == 0).then_some(())).await;
    assert_eq!(listed(&server).await, Vec::<String>::new());
    assert_eq!(count(&look, "runs"), 1);
    assert!(std::process::Command::new("umount").arg(&scratch).status().unwrap().success());
    server.kill();
    let _server = world.serve();
    until("the rest goes", async || (count(&look, "runs") == 0).then_some(())).await;
}

/// What a server that was killed has not taken away is gone as well.
#[tokio::test]
async fn vacuum_finishes_interrupted_purges() {
    const FRAMES: u64 = 100_000;
    let world = World::new();
    world.toml("p", &toml("p", ""));
    let server = world.serve();
    let stays = completed(&server, "p").await;
    let before = server.frames(&stays).await;
    assert_eq!(server.terminate().await, Some(0));
    let id = add_large_run(&world, FRAMES);
    let scratch = world.data().join("scratch").join(&id);
    std::fs::create_dir_all(&scratch).unwrap();
    let server = world.serve();
    assert_eq!(delete(&server, &id).await, StatusCode::NO_CONTENT);
    server.kill();
    let left = count(&look(&world), "frames");
    assert!(left > before.len() as i64, "it was killed in the middle");

    let data = world.data();
    let (code, text) = said(&vacuum(&["--data-dir", data.to_str().unwrap()]));
    assert_eq!(code, Some(0), "{text}");
    let look = look(&world);
    assert_eq!(count(&look, "frames"), before.len() as i64);
    assert_eq!(count(&look, "attempts WHERE run <> (SELECT min(key) FROM runs)"), 0);
    assert_eq!(count(&look, "pragma_freelist_count WHERE freelist_count > 0"), 0);
    let size = std::fs::metadata(data.join("runtrail.db")).unwrap().len();
    assert!(size < 1 << 20, "{size} bytes");
    is_sound(&look);
    // Folders are the server's, and its row is the note of them.
    assert!(scratch.exists() && count(&look, "runs") == 2);
    let server = world.serve();
    until("the rest of it goes", async || (count(&look, "runs") == 1).then_some(())).await;
    assert!(!scratch.exists());
    assert_eq!(server.frames(&stays).await, before);
}

fn vacuum(flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_runtrail")).arg("vacuum").args(flags).output().unwrap()
}

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned())
}

#[tokio::test]
async fn vacuum_shrinks_an_unused_database() {
    let world = World::new();
    world.toml("p", &toml("p", ""));
    let server = world.serve();
    let id = completed(&server, "p").await;
    let frames = server.frames(&id).await;
    let size = server.get_json("/api/v1/database").await;
    assert_eq!(size["runs"], 1);
    assert!(size["bytes"].as_u64().unwrap() > 0 && size["wal_bytes"].is_u64() && size["free_bytes"].is_u64());
    let metrics = server.get("/metrics").await.text().await.unwrap();
    for gauge in ["runtrail_database_bytes", "runtrail_database_free_bytes", "runtrail_database_wal_bytes"] {
        assert!(metrics.contains(&format!("\n{gauge} ")), "{gauge}");
    }
    let data = world.data();
    let here = ["--data-dir", data.to_str().unwrap()];
    let url = format!("sqlite://{}", data.join("runtrail.db").display());
    let by_url = ["--database-url", &url];
    for flags in [here, by_url] {
        let (code, text) = said(&vacuum(&flags));
        assert_eq!(code, Some(1));
        assert!(text.contains("a server uses this database; stop it first"), "{text}");
    }
    assert_eq!(server.terminate().await, Some(0));

    // As a version without retention has left it: it gives nothing back by itself.
    let file = data.join("runtrail.db");
    let old = Connection::open(&file).unwrap();
    old.execute_batch("PRAGMA auto_vacuum = NONE; VACUUM; CREATE TABLE much AS SELECT printf('%.*c', 5000000, 'x') AS x; DROP TABLE much")
        .unwrap();
    drop(old);
    let before = std::fs::metadata(&file).unwrap().len();
    let (code, text) = said(&vacuum(&here));
    assert_eq!(code, Some(0), "{text}");
    let after = std::fs::metadata(&file).unwrap().len();
    assert!(after + 5_000_000 <= before, "{before} {after}");
    assert!(text.contains(&format!("{after} bytes now")), "{text}");
    let opened = Connection::open(&file).unwrap();
    assert_eq!(opened.query_row("PRAGMA auto_vacuum", [], |row| row.get::<_, i64>(0)).unwrap(), 2);
    is_sound(&opened);
    drop(opened);
    assert_eq!(said(&vacuum(&by_url)).0, Some(0), "it may be done again");

    let reader = Connection::open(&file).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM runs").unwrap();
    let (code, text) = said(&vacuum(&here));
    assert!(code == Some(1) && text.contains("another program has this database open"), "{text}");
    drop(reader);

    let server = world.serve();
    assert_eq!(server.frames(&id).await, frames);
}

#[test]
fn vacuum_touches_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let url = |name: &str| format!("sqlite://{}", file(name).display());
    std::fs::write(file("text"), "no database at all, but long enough to be looked at as one".repeat(100)).unwrap();
    Connection::open(file("other")).unwrap().execute_batch("CREATE TABLE x (y)").unwrap();
    for (name, sentence) in
        [("text", "is no database of runs"), ("other", "is no database of runs"), ("absent", "there is no database")]
    {
        let before = std::fs::read(file(name)).ok();
        let (code, text) = said(&vacuum(&["--database-url", &url(name)]));
        assert_eq!(code, Some(1), "{name}: {text}");
        assert!(text.contains(sentence), "{name}: {text}");
        assert_eq!(std::fs::read(file(name)).ok(), before, "{name}");
    }
    assert_eq!(said(&vacuum(&["--data-dir", file("nowhere").to_str().unwrap()])).0, Some(1));
    assert!(!Path::new(&file("nowhere")).exists(), "nothing is made");
    assert_eq!(said(&vacuum(&["--database-url", "postgres://u:secret@h/d"])).0, Some(1));
    assert_eq!(said(&vacuum(&["--nonsense"])).0, Some(2));
}
