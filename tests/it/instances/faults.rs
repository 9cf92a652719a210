//! Connections that the database closes, a database that crashes, and an instance that stands still: nothing is lost or
//! shown twice, and every run ends by its rule.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use tokio::task::JoinSet;

use super::Cluster;
use crate::support::database::psql;
use crate::support::history::History;
use crate::support::postgres::PrivateServer;
use crate::support::reader::{Kind, Reader, ReaderOptions};
use crate::support::rng::{self, Rng};
use crate::support::{Server, TestDatabase, World, alive, pids, until};

/// So many lines that it takes a while, each with its number.
const LINES: &str = "i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); sleep 0.005; done";

/// The numbers of the lines that a run has printed.
fn numbers(history: &History) -> Vec<u64> {
    let logs = history.frames.iter().filter(|frame| frame.contains("\"kind\":\"log\""));
    logs.filter_map(|frame| frame.split("line ").nth(1)?.split('"').next()?.parse().ok()).collect()
}

/// Readers of a run on each instance, until it has ended.
fn readers(cluster: &Cluster, id: &str) -> JoinSet<Vec<String>> {
    let mut readers = JoinSet::new();
    for (index, server) in cluster.servers.iter().enumerate() {
        let (host, id) = (server.addr(), id.to_owned());
        readers.spawn(async move {
            let cursors = BTreeMap::from([(id, 0)]);
            let mut reader = Reader::new(host, host, Kind::One, cursors, ReaderOptions::plain(), index as u64);
            reader.follow().await.unwrap();
            reader.one().frames.clone()
        });
    }
    readers
}

async fn check(cluster: &Cluster, id: &str, readers: JoinSet<Vec<String>>) {
    let lists = readers.join_all().await;
    let history = History::of(&cluster.servers[0], id).await;
    assert_eq!(history.status(), "completed");
    for list in lists {
        assert_eq!(list, history.frames, "every reader has the whole journal");
    }
    assert_eq!(numbers(&history), (0..400).collect::<Vec<_>>(), "every line once, in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instance_connections_that_are_closed_lose_and_repeat_nothing() {
    let world = World::new();
    world.pipeline("p", &[LINES]);
    let cluster = Cluster::start(world, 3, &[]);
    let mut rng = Rng::new(rng::number("RUNTRAIL_SEED").unwrap_or(1));
    let id = cluster.servers[0].start(&cluster.world, "p").await;
    let readers = readers(&cluster, &id);
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
        AND application_name LIKE 'runtrail %' ORDER BY random() LIMIT 2";
    while !["completed", "failed", "interrupted"]
        .contains(&cluster.servers[1].run(&id).await["status"].as_str().unwrap())
    {
        psql(&cluster.database.url(), end);
        tokio::time::sleep(Duration::from_millis(20 + rng.below(150))).await;
    }
    check(&cluster, &id, readers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instance_database_crash_loses_and_repeats_nothing() {
    let world = World::new();
    world.pipeline("p", &[LINES]);
    let server = PrivateServer::start();
    let cluster = Cluster::start_on(world, TestDatabase::on(server.url()), 2, &["--lease", "60s"]);
    let mut rng = Rng::new(rng::number("RUNTRAIL_SEED").unwrap_or(1));
    let id = cluster.servers[0].start(&cluster.world, "p").await;
    let readers = readers(&cluster, &id);
    for _ in 0..rng::number("RUNTRAIL_ROUNDS").unwrap_or(4) {
        tokio::time::sleep(Duration::from_millis(100 + rng.below(400))).await;
        server.crash();
        server.restart();
    }
    check(&cluster, &id, readers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instance_that_stood_still_ends_its_commands() {
    let world = World::new();
    world.pipeline("p", &["echo $$ >> pids; echo begun; exec sleep 1000"]);
    let cluster = Cluster::start(world, 2, &["--lease", "2s"]);
    let id = cluster.servers[0].start(&cluster.world, "p").await;
    cluster.servers[0].until_line(&id, "begun").await;
    let worker = cluster.worker_of(&id).await;
    let (stalled, other): (&Server, &Server) = (&cluster.servers[worker], &cluster.servers[1 - worker]);
    let commands = pids(&cluster.world.file("pids"));
    kill(stalled.unix_pid(), Signal::SIGSTOP).unwrap();
    let run = other.until_status(&id, "interrupted").await;
    assert!(run["error"].as_str().unwrap().contains("its lease expired"), "{run}");
    kill(stalled.unix_pid(), Signal::SIGCONT).unwrap();
    until("the command has died", async || (!commands.iter().any(|pid| alive(*pid))).then_some(())).await;
    assert_eq!(cluster.read_everywhere(&id).await.status(), "interrupted");
}
