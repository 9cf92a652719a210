//! The clock is set, or the machine pauses, while runs are active: runs are not affected.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use runtrail::model::Timestamp;
use serde_json::Value;

use crate::support::feed::Feed;
use crate::support::{Server, World, until};

/// libfaketime, which scripts/setup.sh installs: it gives one program a clock that a file sets.
fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().filter_map(|folder| Some(folder.ok()?.path()));
    let mut found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).filter(|file| file.exists());
    found.next().expect("libfaketime is missing: run scripts/setup.sh test")
}

/// A server whose wall clock is set by this file. Monotonic clocks continue, as with a real clock.
fn serve_with_clock(world: &World, file: &Path, flags: &[&str]) -> Server {
    std::fs::write(file, "+0").unwrap();
    let variables = [
        ("LD_PRELOAD", faketime().into_os_string().into_string().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap().to_owned()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    world.serve_logged(&variables, flags)
}

/// Sets the clock to this offset from the real time. Other programs never see half of the file.
fn set_clock(file: &Path, offset: &str) {
    let next = file.with_extension("next");
    std::fs::write(&next, offset).unwrap();
    std::fs::rename(&next, file).unwrap();
}

fn time(value: &Value) -> i64 {
    value.as_str().unwrap().parse::<Timestamp>().unwrap().0
}

/// All times of a run only grow, those of its frames too.
async fn check_times(server: &Server, id: &str) {
    let run = server.run(id).await;
    let (created, started, finished) = (time(&run["created_at"]), time(&run["started_at"]), time(&run["finished_at"]));
    assert!(created <= started && started <= finished, "{run}");
    for phase in run["phases"].as_array().unwrap() {
        let (from, to) = (time(&phase["started_at"]), time(&phase["finished_at"]));
        assert!(started <= from && from <= to && to <= finished, "{run}");
    }
    let frames = server.frames(id).await;
    let times: Vec<i64> = frames.iter().map(|frame| time(&frame["ts"])).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(times.iter().all(|at| created <= *at), "{times:?}");
}

#[tokio::test]
async fn clock_changes_do_not_interrupt_runs() {
    let world = World::new();
    world.fed().pipeline("short", &["echo here"]);
    let clock = world.file("clock");
    let server = serve_with_clock(&world, &clock, &["--lease", "1s"]);
    let mut feed = Feed::start(&world, &server).await;
    let id = feed.id.clone();
    let began = std::time::Instant::now();
    for (number, offset) in ["+30", "+3660", "-5400", "+86400", "-864000"].into_iter().enumerate() {
        set_clock(&clock, offset);
        // The server uses the new time: a run that starts now shows it, and expired leases were checked.
        let other = server.start(&world, "short").await;
        server.until_status(&other, "completed").await;
        check_times(&server, &other).await;
        feed.print(format!("line {number}\n").as_bytes()).await;
        server.until_line(&id, &format!("line {number}")).await;
        assert_eq!(server.run(&id).await["status"], "running", "after {offset}");
    }
    drop(feed);
    let run = server.until_status(&id, "completed").await;
    let most = i64::try_from(began.elapsed().as_millis()).unwrap() + 1000;
    check_times(&server, &id).await;
    assert_eq!(server.lines(&id).await, ["line 0", "line 1", "line 2", "line 3", "line 4"]);
    let took = time(&run["finished_at"]) - time(&run["started_at"]);
    assert!((1..=most).contains(&took), "it took {took} ms, and the test not even {most}");
}

#[tokio::test]
async fn clock_set_back_gives_no_negative_times() {
    let world = World::new();
    world.fed().pipeline("short", &["echo here"]);
    let clock = world.file("clock");
    let server = serve_with_clock(&world, &clock, &["--workers", "1"]);
    set_clock(&clock, "+3600");
    let feed = Feed::start(&world, &server).await;
    let waits = server.start(&world, "short").await;
    set_clock(&clock, "-3600");
    let first = feed.id.clone();
    drop(feed);
    server.until_status(&first, "completed").await;
    server.until_status(&waits, "completed").await;
    check_times(&server, &first).await;
    check_times(&server, &waits).await;
    // An attempt starts after the one before it, whatever the clock says.
    set_clock(&clock, "-7200");
    let rerun = server.post(&format!("/api/v1/runs/{waits}/rerun"), serde_json::json!({})).await;
    assert_eq!(rerun.status(), 202);
    until("the second attempt ends", async || {
        let run = server.run(&waits).await;
        (run["attempt"] == 2 && run["status"] == "completed").then_some(())
    })
    .await;
    let frames = server.frames(&waits).await;
    assert!(frames.iter().map(|frame| time(&frame["ts"])).is_sorted(), "{frames:?}");
}

#[tokio::test]
async fn clock_pause_beyond_the_lease_does_not_interrupt() {
    let world = World::new();
    world.fed();
    let server = world.serve_with(&["--lease", "500ms"]);
    let mut feed = Feed::start(&world, &server).await;
    feed.print(b"before\n").await;
    server.until_line(&feed.id, "before").await;
    kill(server.unix_pid(), Signal::SIGSTOP).unwrap();
    feed.print(b"during\n").await;
    // The wait is the subject of this test: several leases must pass.
    tokio::time::sleep(Duration::from_secs(3)).await;
    kill(server.unix_pid(), Signal::SIGCONT).unwrap();
    feed.print(b"after\n").await;
    let id = feed.id.clone();
    server.until_line(&id, "after").await;
    drop(feed);
    server.until_status(&id, "completed").await;
    assert_eq!(server.lines(&id).await, ["before", "during", "after"]);
    check_times(&server, &id).await;
}

#[tokio::test]
async fn crash_recovery_does_not_wait_for_leases() {
    let world = World::new();
    world.fed();
    // A lease that this test does not live to see the end of.
    let server = world.serve_with(&["--lease", "1h"]);
    let feed = Feed::start(&world, &server).await;
    server.kill();
    let server = world.serve_with(&["--lease", "1h"]);
    let run = server.until_status(&feed.id, "interrupted").await;
    assert!(run["error"].as_str().unwrap().contains("was stopped or killed"), "{run}");
}
