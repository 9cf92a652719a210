//! Many small runs with readers that connect and disconnect: afterwards nothing of them is left in memory.

use std::time::Instant;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Events, Server, World, until};

/// How many runs are under way at once.
const WAVE: usize = 50;

/// Upper bounds of each kind of entry, however many runs there were.
const KEPT: [(&str, u64); 4] = [("tails", 512), ("crowds", 512), ("changes", 1024), ("reads", 128)];

/// How much the program may grow per finished run once its caches are full, and how much it may change by chance, in
/// bytes.
const GROWTH: u64 = 64;
const CHANCE: u64 = 6 << 20;

/// After fewer runs the database's caches are still filling, so growth means nothing yet.
const CACHES_FULL: usize = 20_000;

/// A number of `/metrics`.
async fn metric(server: &Server, name: &str) -> u64 {
    let text = server.get("/metrics").await.text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

/// Private memory of the program in bytes, without pages shared with its file or the database.
fn own_memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux says RssAnon");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

/// Runs, each with a reader that leaves early, one that stays, and one that joins late.
async fn wave(server: &Server, lasting: usize) {
    let list = Events::open(server, "/events?list=1").await;
    let one = async |index: usize| {
        // Most run no command, which does not matter here and allows very many of them.
        let pipeline = if index < lasting { "command" } else { "empty" };
        let answer = server.post("/api/v1/runs", json!({ "pipeline": pipeline })).await;
        let run: Value = answer.json().await.unwrap();
        let id = run["id"].as_str().unwrap().to_owned();
        let goes = Events::open(server, &format!("/runs/{id}/events")).await;
        let stays = Events::open(server, &format!("/events?run={id}:0")).await;
        drop(goes);
        let last = stays.all().await.pop().expect("an end");
        assert_eq!(last.event, "end");
        let late = Events::open(server, &format!("/runs/{id}/events?after=1")).await.all().await;
        assert_eq!(late.last().expect("an end").event, "end");
    };
    join_all((0..WAVE).map(one)).await;
    drop(list);
}

#[tokio::test]
async fn soak_finished_runs_leave_no_memory() {
    let runs: usize = std::env::var("RUNTRAIL_SOAK_RUNS").map_or(1000, |runs| runs.parse().expect("a number of runs"));
    let world = World::new();
    world.toml("empty", "name = \"empty\"\n[[phases]]\nname = \"a\"\nif = [\"failure\"]\nrun = 'true'\n");
    world.toml("command", "name = \"command\"\n[[phases]]\nname = \"a\"\nrun = 'true'\n");
    let server = world.serve_with(&["--workers", "16", "--durability", "normal"]);
    let (began, mut done, mut half) = (Instant::now(), 0, None);
    while done < runs {
        wave(&server, 2).await;
        done += WAVE;
        if half.is_none() && done * 2 >= runs {
            half = Some((done, own_memory(&server)));
        }
    }
    until("the streams are gone", async || (metric(&server, "runtrail_streams").await == 0).then_some(())).await;
    assert_eq!(metric(&server, "runtrail_workers_busy").await, 0);
    for (of, most) in KEPT {
        let kept = metric(&server, &format!("runtrail_memory_entries{{of=\"{of}\"}}")).await;
        println!("{of}: {kept} kept after {done} runs");
        assert!(kept <= most, "{kept} {of} are kept after {done} runs; at most {most} are to be");
    }
    let (at, before) = half.expect("there is a half");
    let (now, later) = (own_memory(&server), (done - at) as u64);
    let grown = now.saturating_sub(before);
    let took = began.elapsed();
    println!("{done} runs in {took:?}: {before} bytes after {at}, {now} at the end: {} a run", grown / later.max(1));
    if at >= CACHES_FULL {
        assert!(grown <= CHANCE + GROWTH * later, "{grown} bytes were added by {later} runs");
    }
}
