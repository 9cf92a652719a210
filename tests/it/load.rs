//! Much output, and viewers who do not keep up with it: memory stays bounded, and neither the run nor the others
//! notice.
//!
//! RUNTRAIL_LINES says how much is printed.

use std::collections::BTreeSet;
use std::time::Duration;

use runtrail::model::sse::SseParser;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::feed::{self, Feed};
use crate::support::history::History;
use crate::support::http::{self, Answer, Version};
use crate::support::proxy::{Fault, Proxy, Then};
use crate::support::reader::{Kind, Reader, ReaderOptions};
use crate::support::rng::{self, Rng};
use crate::support::{LIMIT, Server, World, open_files, until};

/// How many lines are printed if nothing else is asked for.
const LINES: u64 = 200_000;
/// Viewers that attach and read nothing.
const STALLED: usize = 40;
/// How much more memory the server may use than before, in KiB: a megabyte for each viewer, and what the run itself
/// needs.
const MORE: u64 = (STALLED as u64 + 64) * 1024;

/// The most memory that a server has held so far, in KiB.
fn most_memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn attach(server: &Server, id: &str) -> Answer {
    let path = format!("/runs/{id}/events");
    http::get(server.addr(), server.addr(), &path, None, Version::Http11, 1).await.unwrap()
}

#[tokio::test]
async fn load_of_a_flood_takes_little_memory() {
    let lines = rng::number("RUNTRAIL_LINES").unwrap_or(LINES);
    let world = World::new();
    let flood = format!(
        "while [ ! -e go ]; do sleep 0.02; done
         yes 'a line of some length, as compilers and tests print them' | head -n {lines}
         head -c 10000000 /dev/zero | tr '\\0' x; echo
         yes '' | head -n {rows}
         head -c 3000000 /dev/urandom
         yes '' | head -n {rows}; echo the end",
        // Random bytes may move the cursor up; these line ends separate them from the lines before and after.
        rows = runtrail::terminal::ROWS + 1
    );
    world.pipeline("flood", &[&flood]);
    let server = world.serve();
    let id = server.start(&world, "flood").await;
    server.until_status(&id, "running").await;
    // Half of them from the start, the others while it floods.
    let mut stalled = Vec::new();
    for _ in 0..STALLED / 2 {
        stalled.push(attach(&server, &id).await);
    }
    let before = most_memory(&server);
    std::fs::write(world.file("go"), "").unwrap();
    let mut head = 0;
    while stalled.len() < STALLED {
        let more = lines / STALLED as u64 / 4;
        head = until("it prints more", async || {
            let run = server.run(&id).await;
            let now = run["head"].as_u64().unwrap();
            // A fast server may have ended the flood before the last of them connects.
            (now > head + more || run["status"] != "running").then_some(now)
        })
        .await;
        stalled.push(attach(&server, &id).await);
    }
    let path = format!("/api/v1/runs/{id}");
    loop {
        let run = server.get_json(&path).await;
        if run["status"] != "running" {
            assert_eq!(run["status"], "completed", "{run}");
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let more = most_memory(&server) - before;
    println!(
        "{lines} lines and 13 MB more, {STALLED} viewers who read nothing: {more} KiB more than {before} KiB before"
    );
    assert!(more < MORE, "{more} KiB more than {before}");

    // All of it is there, also the log as one text: neither takes memory.
    let log = server.client.get(format!("{}{path}/log", server.url)).send().await.unwrap();
    let log = log.bytes().await.unwrap();
    assert!(log.ends_with(b"\nthe end\n"));
    let mut lines = log.split(|byte| *byte == b'\n');
    assert!(lines.any(|line| line.len() == 10_000_000 && line.iter().all(|byte| *byte == b'x')), "one line again");
    let more = most_memory(&server) - before;
    assert!(more < MORE, "{more} KiB more than {before} after the log was read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_of_slow_viewers_affects_nobody() {
    let world = World::new();
    world.fed();
    let server = world.serve();
    let mut feed = Feed::start(&world, &server).await;
    let (host, id) = (server.addr(), feed.id.clone());
    let mut slow = JoinSet::new();
    for number in 0..10 {
        let id = id.clone();
        slow.spawn(async move {
            let drip = move |_| Fault::then(number * 20, Then::Drip(Duration::from_secs(1)));
            let proxy = Proxy::start(host, drip).await;
            Reader::new(host, proxy.addr, Kind::One, [(id, 0)].into(), ReaderOptions::plain(), number).follow().await
        });
    }
    until("they are attached", async || {
        let numbers = server.get("/metrics").await.text().await.unwrap();
        numbers.lines().any(|line| line == "runtrail_streams 10").then_some(())
    })
    .await;
    let mut healthy = Reader::new(host, host, Kind::One, [(id.clone(), 0)].into(), ReaderOptions::plain(), 0);
    let print = async {
        let mut rng = Rng::new(5);
        for number in 0..3000 {
            feed.print(&feed::line(&mut rng, number)).await;
        }
        drop(feed);
    };
    let (followed, ()) = tokio::join!(healthy.follow(), print);
    followed.unwrap();
    assert_eq!(healthy.failures(), 0);
    assert_eq!(healthy.one().frames, History::of(&server, &id).await.frames);
    assert!(slow.try_join_next().is_none(), "the slow ones are at it still");
}

/// A run that prints without pause does not delay the list on the same connection.
#[tokio::test]
async fn list_stream_is_timely_beside_a_flood() {
    let world = World::new();
    world.pipeline("flood", &["exec yes 'a line that follows on itself without end'"]).pipeline("short", &["echo one"]);
    let server = world.serve();
    let flood = server.start(&world, "flood").await;
    server.until_status(&flood, "running").await;
    let path = format!("/events?run={flood}:0&list=1");
    let mut answer = http::get(server.addr(), server.addr(), &path, None, Version::Http11, 16 * 1024).await.unwrap();
    let mut waiting = BTreeSet::new();
    for _ in 0..20 {
        waiting.insert(server.start(&world, "short").await);
    }
    let mut parser = SseParser::new("");
    let told = async {
        while !waiting.is_empty() {
            let piece = answer.piece().await.unwrap().expect("the stream goes on");
            for event in parser.push(&piece).into_iter().filter(|event| event.event == "list") {
                let run: Value = serde_json::from_str(&event.data).unwrap();
                if run["status"] == "completed" {
                    waiting.remove(run["id"].as_str().unwrap());
                }
            }
        }
    };
    let told = tokio::time::timeout(LIMIT, told).await;
    assert!(told.is_ok(), "not told that these have completed: {waiting:?}");
    assert_eq!(server.run(&flood).await["status"], "running");
}

/// Readers of a restarted server reconnect together; while it is busy, the system queues their connections. One that is
/// dropped there retries after a second, then after three.
#[tokio::test]
async fn load_of_simultaneous_connections_is_bounded() {
    let most: usize = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    let crowd = most.min(600);
    open_files(crowd as u64);
    let world = World::new();
    let server = world.serve();
    // So busy that it accepts no connections.
    nix::sys::signal::kill(server.unix_pid(), nix::sys::signal::Signal::SIGSTOP).unwrap();
    let crowd = (0..crowd).map(|_| tokio::net::TcpStream::connect(server.addr()));
    let connected = tokio::time::timeout(LIMIT / 2, futures::future::join_all(crowd)).await;
    nix::sys::signal::kill(server.unix_pid(), nix::sys::signal::Signal::SIGCONT).unwrap();
    assert!(connected.expect("all are let in, none is turned away").iter().all(Result::is_ok));
    assert_eq!(server.get("/healthz").await.status(), reqwest::StatusCode::OK);
}
