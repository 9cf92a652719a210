//! Another program holds the database's write lock: nothing is lost, reading goes on, and a run either goes on after it or
//! ends with a reason.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use sqlx::{Connection, SqliteConnection};

use crate::support::feed::Feed;
use crate::support::history::History;
use crate::support::reader::{Habits, Kind, Reader};
use crate::support::{World, until};

/// Longer than one statement waits for a lock, so that the writer has to come back.
const LONG: Duration = Duration::from_millis(6500);

/// Takes the write lock, as a backup or a curious operator would. It is free again when this is dropped.
async fn lock(world: &World) -> SqliteConnection {
    let url = format!("sqlite://{}", world.data().join("runtrail.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
    connection
}

#[tokio::test]
async fn a_run_goes_on_after_the_database_was_locked_for_a_while() {
    let world = World::new();
    world.fed().pipeline("short", &["echo here"]);
    let server = world.serve();
    let mut feed = Feed::start(&world, &server).await;
    feed.print(b"before\n").await;
    server.until_line(&feed.id, "before").await;
    let cursors = [(feed.id.clone(), 0)].into();
    let mut reader = Reader::new(server.addr(), server.addr(), Kind::One, cursors, Habits::plain(), 0);
    let reader = tokio::spawn(async move {
        let followed = reader.follow().await;
        (reader, followed)
    });

    let locked = lock(&world).await;
    let head = server.run(&feed.id).await["head"].clone();
    for number in 0..50 {
        feed.print(format!("during {number}\n").as_bytes()).await;
    }
    let waits = async {
        let params = json!({ "project": world.project() });
        let response = server.post("/api/v1/runs", json!({ "pipeline": "short", "params": params })).await;
        assert_eq!(response.status(), StatusCode::CREATED);
        response.json::<serde_json::Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let frees = async {
        tokio::time::sleep(LONG).await;
        // Who only reads was answered all the time, and was shown nothing that is not committed.
        assert_eq!(server.run(&feed.id).await["head"], head);
        assert_eq!(server.get("/readyz").await.status(), StatusCode::OK);
        locked.close().await.unwrap();
    };
    let (created, ()) = tokio::join!(waits, frees);
    server.until_status(&created, "completed").await;

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
async fn a_lock_that_outlasts_the_lease_ends_the_command_and_the_run_says_why() {
    let world = World::new();
    world.fed();
    let server = world.serve_with(&["--lease", "5s"]);
    let mut feed = Feed::start(&world, &server).await;
    feed.print(b"before\n").await;
    server.until_line(&feed.id, "before").await;
    let id = feed.id.clone();
    let shown = History::of(&server, &id).await.frames;

    let locked = lock(&world).await;
    feed.print(b"during\n").await;
    // By now another worker may hold the run, so this one must not go on.
    let own = i32::try_from(server.pid()).unwrap();
    until("the command is ended", async || (world.processes() == [own]).then_some(())).await;
    assert_eq!(server.run(&id).await["status"], "running", "as long as nobody can write anything else");
    locked.close().await.unwrap();

    let run = server.until_status(&id, "interrupted").await;
    assert!(run["error"].as_str().unwrap().contains("lease"), "{run}");
    History::of(&server, &id).await.must_begin_with(&shown);
    let rerun = server.post(&format!("/api/v1/runs/{id}/rerun"), json!({})).await;
    assert_eq!(rerun.status(), StatusCode::ACCEPTED);
    let mut feed = Feed::attach(&world, id.clone(), 2).await;
    feed.print(b"again\n").await;
    drop(feed);
    server.until_status(&id, "completed").await;
    assert_eq!(server.lines(&id).await.last().unwrap(), "again");
    History::of(&server, &id).await.must_begin_with(&shown);
}

#[tokio::test]
async fn a_server_is_stopped_in_its_grace_time_even_if_the_database_is_locked() {
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

    // The run was not handed back, so it waits for its lease; nothing that was shown is missing.
    let server = world.serve();
    let history = History::of(&server, &feed.id).await;
    history.must_begin_with(&shown);
    assert_eq!(history.status(), "running");
}
