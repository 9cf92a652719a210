//! Another program holds the database's write lock: nothing is lost, reads are served, runs wait and continue, and a
//! refused change never happens.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

use crate::support::feed::Feed;
use crate::support::history::History;
use crate::support::reader::{Kind, Reader, ReaderOptions};
use crate::support::{Server, World, until};

/// Longer than leases of one second, than one statement waits for a lock, and than requests wait for an answer.
const LONG: Duration = Duration::from_secs(13);

/// Takes the write lock, as a backup or a curious operator would. It is free again when this is dropped.
async fn lock(world: &World) -> SqliteConnection {
    let url = format!("sqlite://{}", world.data().join("runtrail.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut connection).await.unwrap();
    connection
}

/// An answer that means: nothing was done, try again.
async fn assert_refused(response: reqwest::Response) {
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let problem: Value = response.json().await.unwrap();
    assert_eq!((&problem["code"], &problem["retryable"]), (&json!("database_unavailable"), &json!(true)), "{problem}");
}

async fn until_outage(server: &Server) -> Value {
    until("the server says that it waits for the database", async || {
        let response = server.get("/readyz").await;
        let waits = response.status() == StatusCode::SERVICE_UNAVAILABLE;
        let text = response.text().await.unwrap();
        waits.then(|| serde_json::from_str(&text).unwrap())
    })
    .await
}

#[tokio::test]
async fn locked_database_delays_a_run() {
    let world = World::new();
    world.fed().pipeline("short", &["echo here"]);
    let server = world.serve_with(&["--lease", "1s"]);
    let mut feed = Feed::start(&world, &server).await;
    feed.print(b"before\n").await;
    server.until_line(&feed.id, "before").await;
    let cursors = [(feed.id.clone(), 0)].into();
    let mut reader = Reader::new(server.addr(), server.addr(), Kind::One, cursors, ReaderOptions::plain(), 0);
    let reader = tokio::spawn(async move {
        let followed = reader.follow().await;
        (reader, followed)
    });

    let locked = lock(&world).await;
    let head = server.run(&feed.id).await["head"].clone();
    for number in 0..50 {
        feed.print(format!("during {number}\n").as_bytes()).await;
    }
    let began = std::time::Instant::now();
    // At first only the elapsed time shows that something is wrong; then SQLite reports it.
    let problem = until("the server names the lock", async || {
        let problem = until_outage(&server).await;
        problem["detail"].as_str().unwrap().contains("locked the database for").then_some(problem)
    })
    .await;
    assert_eq!(problem["code"], "database_unavailable", "{problem}");
    for path in ["/".to_owned(), format!("/runs/{}", feed.id)] {
        let page = server.get(&path).await.text().await.unwrap();
        assert!(
            page.contains(r#"data-testid="outage""#) && page.contains("Waiting for the database"),
            "{path}: {page}"
        );
    }
    // Requests are answered soon, and what was refused never happens.
    let params = json!({ "project": world.project() });
    assert_refused(server.post("/api/v1/runs", json!({ "pipeline": "short", "params": params })).await).await;
    assert_refused(server.post(&format!("/api/v1/runs/{}/cancel", feed.id), json!({})).await).await;
    tokio::time::sleep(LONG.saturating_sub(began.elapsed())).await;
    // Reads were answered all the time, with committed frames only.
    assert_eq!(server.run(&feed.id).await["head"], head);
    locked.close().await.unwrap();
    let created = server.start(&world, "short").await;
    server.until_status(&created, "completed").await;
    until("the server is ready", async || (server.get("/readyz").await.status() == StatusCode::OK).then_some(())).await;
    assert!(!server.get("/").await.text().await.unwrap().contains(r#"data-testid="outage""#));
    assert_eq!(
        server.get_json("/api/v1/runs").await["runs"].as_array().unwrap().len(),
        2,
        "what was refused is not there"
    );

    feed.print(b"after\n").await;
    let id = feed.id.clone();
    drop(feed);
    server.until_status(&id, "completed").await;
    let lines = server.lines(&id).await;
    assert_eq!((lines.len(), lines[0].as_str(), lines[51].as_str()), (52, "before", "after"));
    assert!((0..50).all(|number| lines[number + 1] == format!("during {number}")));
    let (reader, followed) = reader.await.unwrap();
    followed.unwrap();
    assert_eq!(reader.one().frames, History::of(&server, &id).await.frames);
}

#[tokio::test]
async fn locked_database_delays_the_start() {
    let world = World::new();
    world.pipeline("short", &["echo here"]);
    world.serve().terminate().await;
    let locked = lock(&world).await;
    let server = std::thread::scope(|scope| {
        // It prints its address only once it has its database.
        let starts = scope.spawn(|| world.serve_logged(&[], &[]));
        while !world.log().contains("as soon as its database can be opened") {
            assert!(!starts.is_finished(), "{}", world.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(!starts.is_finished());
        drop(locked);
        starts.join().unwrap()
    });
    let id = server.start(&world, "short").await;
    server.until_status(&id, "completed").await;
}

#[tokio::test]
async fn locked_database_stops_the_timeout() {
    let world = World::new();
    // More than the queues hold: the command blocks while its output is not read.
    let command = "until [ -e go ]; do sleep 0.05; done; for i in $(seq 1 64); do head -c 32000 /dev/zero | tr '\\0' x; echo; done";
    world.phase("slow", command, "timeout = \"10s\"");
    let server = world.serve();
    let id = server.start(&world, "slow").await;
    until("the phase has begun", async || (server.run(&id).await["phase"] == "phase1").then_some(())).await;
    let locked = lock(&world).await;
    std::fs::write(world.file("go"), "").unwrap();
    until_outage(&server).await;
    tokio::time::sleep(LONG).await;
    locked.close().await.unwrap();
    server.until_status(&id, "completed").await;
    assert_eq!(server.lines(&id).await.len(), 64);
}

#[tokio::test]
async fn locked_database_keeps_last_lines() {
    let world = World::new();
    // More than waits in memory, and then the end.
    world
        .pipeline("ends", &["until [ -e go ]; do sleep 0.05; done; seq 1 200000; echo the reason stands here; exit 3"]);
    let server = world.serve_with(&["--lease", "1s"]);
    let id = server.start(&world, "ends").await;
    until("the phase has begun", async || (server.run(&id).await["phase"] == "phase1").then_some(())).await;
    let locked = lock(&world).await;
    std::fs::write(world.file("go"), "").unwrap();
    until_outage(&server).await;
    tokio::time::sleep(LONG).await;
    assert_eq!(server.run(&id).await["status"], "running");
    locked.close().await.unwrap();
    let run = server.until_status(&id, "failed").await;
    assert!(run["error"].as_str().unwrap().contains("exit code 3"), "{run}");
    let lines = server.lines(&id).await;
    assert_eq!(lines.len(), 200_001);
    assert!(lines.iter().zip(1..).take(200_000).all(|(line, number)| line.parse() == Ok(number)));
    assert_eq!(lines.last().unwrap(), "the reason stands here");
    // The journal records the outage.
    let frames = server.frames(&id).await;
    assert!(frames.iter().any(|frame| frame["data"]["code"] == "database_unavailable"));
}

#[tokio::test]
async fn locked_database_refuses_decisions_for_good() {
    let world = World::new();
    world.toml("asks", "name = \"asks\"\n[[phases]]\nname = \"a\"\napproval = true\nrun = \"echo a\"\n");
    world.pipeline("short", &["echo here"]);
    let server = world.serve();
    let response = server.post("/api/v1/runs", json!({ "pipeline": "asks", "params": {} })).await;
    let id = response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    server.until_awaiting_approval(&id).await;
    let locked = lock(&world).await;
    // Also while no run writes anything, the lock is noticed.
    until_outage(&server).await;
    for call in ["approve", "reject", "cancel"] {
        assert_refused(server.post(&format!("/api/v1/runs/{id}/{call}"), json!({})).await).await;
    }
    locked.close().await.unwrap();
    let short = server.start(&world, "short").await;
    server.until_status(&short, "completed").await;
    assert!(server.run(&id).await["approval"].is_object(), "it still asks");
    assert_eq!(server.post(&format!("/api/v1/runs/{id}/approve"), json!({})).await.status(), StatusCode::ACCEPTED);
    server.until_status(&id, "completed").await;
}

#[tokio::test]
async fn locked_database_does_not_delay_the_stop() {
    let world = World::new();
    world.fed();
    let server = world.serve_with(&["--grace", "300ms"]);
    let mut feed = Feed::start(&world, &server).await;
    feed.print(b"before\n").await;
    server.until_line(&feed.id, "before").await;
    let shown = History::of(&server, &feed.id).await.frames;
    let locked = lock(&world).await;
    feed.print(b"during\n").await;
    assert_eq!(server.terminate().await, Some(0));
    until("nothing that was started is left", async || world.processes().is_empty().then_some(())).await;
    locked.close().await.unwrap();

    // The run was not handed back, so the next server recovers it; nothing that was shown is missing.
    let server = world.serve();
    server.until_status(&feed.id, "interrupted").await;
    History::of(&server, &feed.id).await.must_begin_with(&shown);
}
