//! kill -9 of one of three instances at random moments, with readers on all of them.
//!
//! RUNTRAIL_ROUNDS says how often; RUNTRAIL_SEED takes other moments.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Cluster;
use crate::support::history::History;
use crate::support::reader::{Kind, Reader, ReaderOptions};
use crate::support::rng::{self, Rng};
use crate::support::{Server, World, until};

/// How often an instance is killed if nothing else is asked for.
const ROUNDS: u64 = 6;

/// What a command prints, and its note that it has begun: one line per attempt and phase.
const COMMAND: &str = r#"echo "$RUNTRAIL_RUN_ID $RUNTRAIL_ATTEMPT $RUNTRAIL_PHASE" >> starts
    i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); sleep 0.005; done"#;

/// A reader of a run until the run has ended, or its instance is killed. Returns the run and the frames.
async fn read(
    server: std::net::SocketAddr,
    run: String,
    killed: CancellationToken,
    seed: u64,
) -> (String, Vec<String>) {
    let cursors = BTreeMap::from([(run.clone(), 0)]);
    let mut reader = Reader::new(server, server, Kind::One, cursors, ReaderOptions::plain(), seed);
    tokio::select! {
        read = reader.follow() => read.unwrap(),
        () = killed.cancelled() => {}
    }
    (run, reader.one().frames.clone())
}

/// Waits until a run has a final status, on whatever instance.
async fn end_of(server: &Server, id: &str) -> History {
    until(&format!("run {id} has ended"), async || {
        let run = server.run(id).await;
        (!["pending", "running"].contains(&run["status"].as_str().unwrap())).then_some(())
    })
    .await;
    History::of(server, id).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instance_kills_leave_every_reader_with_the_journal() {
    let seed = rng::number("RUNTRAIL_SEED").unwrap_or(1);
    let mut rng = Rng::new(seed);
    let rounds = rng::number("RUNTRAIL_ROUNDS").unwrap_or(ROUNDS);
    let world = World::new();
    world.pipeline("p", &[COMMAND, COMMAND]);
    let mut cluster = Cluster::start(world, 3, &["--lease", "2s", "--workers", "3"]);
    let mut all = Vec::new();
    for round in 0..rounds {
        let mut runs = Vec::new();
        for index in 0..4 {
            runs.push(cluster.servers[index % 3].start(&cluster.world, "p").await);
        }
        let killed = CancellationToken::new();
        let victim = usize::try_from(rng.below(3)).unwrap();
        let mut readers = JoinSet::new();
        for (index, server) in cluster.servers.iter().enumerate() {
            for run in &runs {
                let signal = if index == victim { killed.clone() } else { CancellationToken::new() };
                readers.spawn(read(server.addr(), run.clone(), signal, rng.next()));
            }
        }
        tokio::time::sleep(Duration::from_millis(rng.below(900))).await;
        cluster.servers.remove(victim).kill();
        killed.cancel();
        let again = cluster.serve(victim);
        cluster.servers.insert(victim, again);
        let mut shown: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
        while let Some(read) = readers.join_next().await {
            let (run, frames) = read.unwrap();
            shown.entry(run).or_default().push(frames);
        }
        for run in &runs {
            let history = end_of(&cluster.servers[victim], run).await;
            shown[run].iter().for_each(|frames| history.must_begin_with(frames));
            let status = history.status().to_owned();
            assert!(["completed", "interrupted"].contains(&status.as_str()), "seed {seed}, round {round}: {status}");
            // A run that was interrupted is run again, and then ends.
            if status == "interrupted" {
                let rerun = cluster.servers[victim].post(&format!("/api/v1/runs/{run}/rerun"), json!({})).await;
                assert!(rerun.status().is_success(), "{}", rerun.text().await.unwrap());
                cluster.servers[(victim + 1) % 3].until_status(run, "completed").await;
            }
            cluster.read_everywhere(run).await;
        }
        all.extend(runs);
    }
    // No phase of an attempt was started twice.
    let starts = std::fs::read_to_string(cluster.world.file("starts")).unwrap();
    let mut counts = BTreeMap::new();
    starts.lines().for_each(|start| *counts.entry(start).or_insert(0) += 1);
    counts.retain(|_, count| *count > 1);
    assert_eq!(counts, BTreeMap::new(), "seed {seed}");
    // Only the servers are left.
    let servers: Vec<_> = cluster.servers.iter().map(|server| server.unix_pid().as_raw()).collect();
    until("no command is left", async || {
        let left = cluster.world.processes().into_iter().filter(|pid| !servers.contains(pid)).count();
        (left == 0).then_some(())
    })
    .await;
    assert_eq!(all.len(), 4 * usize::try_from(rounds).unwrap());
}
