//! What a power cut leaves of the database: its write-ahead log, ended at any byte or spoiled from there on. The real
//! server starts on it, and all that was safe at that point is there.
//!
//! kill -9 cannot show this, since the system still writes what the program had given it. SQLite syncs the log before
//! it copies any of it into the database file, so what a power cut can take is the log behind the copied part, and no
//! more.
//!
//! RUNTRAIL_CUTS says how many ends are tried, RUNTRAIL_SEED takes others.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use futures::StreamExt;
use runtrail::model::Timestamp;
use serde_json::{Value, json};
use sqlx::{Connection, Row};
use tokio_util::sync::CancellationToken;

use crate::support::history::History;
use crate::support::rng::{self, Rng};
use crate::support::{Server, World, until};

/// How many ends are tried if nothing else is asked for.
const CUTS: u64 = 16;
/// The head of the log, and of each page in it (sqlite.org/fileformat2.html, "The Write-Ahead Log").
const LOG_HEAD: u64 = 32;
const PAGE_HEAD: u64 = 24;

/// The extent of the log by its index in shared memory (sqlite.org/walformat.html).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Log {
    /// Changes each time the log restarts.
    salt: u64,
    /// The pages of all commits.
    pages: u64,
    /// The pages that may have been copied into the database file already.
    copied: u64,
    page_size: u64,
}

impl Log {
    /// `None` while the index is being changed: it has two copies of the changing part.
    fn read(index: &File) -> Option<Self> {
        let mut bytes = [0; 136];
        index.read_exact_at(&mut bytes, 0).ok()?;
        (bytes[..48] == bytes[48..96]).then(|| Self::of(&bytes))
    }

    /// The copy that is written last.
    fn of(index: &[u8]) -> Self {
        let number = |at: usize| u64::from(u32::from_ne_bytes(index[at..at + 4].try_into().unwrap()));
        let page_size = u64::from(u16::from_ne_bytes(index[14..16].try_into().unwrap()));
        let salt = number(32) << 32 | number(36);
        Self { salt, pages: number(16), copied: number(128), page_size }
    }

    /// Where a page of the log ends.
    fn end(&self, pages: u64) -> u64 {
        LOG_HEAD + pages * (PAGE_HEAD + self.page_size)
    }
}

/// What the server had shown, and the extent of the log, at one moment.
struct Safe {
    log: Log,
    heads: BTreeMap<String, u64>,
}

async fn heads(server: &Server) -> Option<BTreeMap<String, u64>> {
    let response = server.client.get(format!("{}/api/v1/runs?limit=200", server.url)).send().await.ok()?;
    let list: Value = response.json().await.ok()?;
    let runs = list["runs"].as_array()?;
    Some(runs.iter().map(|run| (run["id"].as_str().unwrap().to_owned(), run["head"].as_u64().unwrap())).collect())
}

/// Records what is shown and the extent of the log, until the server is dead.
async fn sample(server: &Server, data: &Path, samples: &Mutex<Vec<Safe>>) -> File {
    // Open until the end: closing it would release this process's locks on it (fcntl(2)), see `hold_back`.
    let index = File::open(data.join("runtrail.db-shm")).unwrap();
    // In this order: what is shown is in the log by then.
    while let Some(heads) = heads(server).await {
        if let Some(log) = Log::read(&index) {
            samples.lock().unwrap().push(Safe { log, heads });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    index
}

/// How the end of a log is spoiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoiled {
    Cut,
    Zeroes,
    Garbage,
    OneBit,
}

/// Copies a database with its log and the log's index.
fn copy_database(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for file in ["runtrail.db", "runtrail.db-wal", "runtrail.db-shm"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

/// Copies a database whose log is good up to byte `end`.
fn copy(from: &Path, to: &Path, end: u64, how: Spoiled, rng: &mut Rng) {
    std::fs::create_dir(to).unwrap();
    std::fs::copy(from.join("runtrail.db"), to.join("runtrail.db")).unwrap();
    let mut log = std::fs::read(from.join("runtrail.db-wal")).unwrap();
    let end = usize::try_from(end).unwrap();
    match how {
        Spoiled::Cut => log.truncate(end),
        Spoiled::Zeroes => log[end..].fill(0),
        Spoiled::Garbage => log[end..].iter_mut().for_each(|byte| *byte = rng.next() as u8),
        Spoiled::OneBit => {
            if let Some(byte) = log.get_mut(end) {
                *byte ^= 1 << rng.below(8);
            }
        }
    }
    std::fs::write(to.join("runtrail.db-wal"), log).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn torn_log_loses_only_its_end() {
    torn(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn torn_log_after_a_checkpoint_loses_only_its_end() {
    torn(true).await;
}

/// Kills a server and starts others on its log with any end. With `copied`, a part of the log was copied into the
/// database file before.
async fn torn(copied: bool) {
    let world = World::new();
    world.pipeline("print", &["i=0; while :; do echo line $i; echo same; i=$((i+1)); sleep 0.003; done"]);
    world.pipeline("short", &["echo one", "echo two"]);
    let seed = rng::number("RUNTRAIL_SEED").unwrap_or(1);
    let mut rng = Rng::new(seed);

    let server = world.serve_with(&["--workers", "5", "--lease", "5s"]);
    let mut prints = Vec::new();
    for _ in 0..3 {
        prints.push(server.start(&world, "print").await);
    }
    let (samples, killed) = (Mutex::new(Vec::new()), CancellationToken::new());
    let data = world.data();
    let work = async {
        let params = json!({ "project": world.project() });
        let body = json!({ "pipeline": "short", "params": params });
        let start = || server.client.post(format!("{}/api/v1/runs", server.url)).json(&body).send();
        while !killed.is_cancelled() && start().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let kill = async {
        // Not before there is something to lose; the moment after that is the chance.
        until("there is a journal", async || {
            let heads = heads(&server).await?;
            prints.iter().all(|run| heads[run] > 50).then_some(())
        })
        .await;
        let held = if copied { Some(hold_back(&data).await) } else { None };
        tokio::time::sleep(Duration::from_millis(rng.below(1200))).await;
        nix::sys::signal::kill(server.unix_pid(), nix::sys::signal::Signal::SIGKILL).unwrap();
        killed.cancel();
        held
    };
    let ((), held, index) = tokio::join!(work, kill, sample(&server, &data, &samples));
    server.kill();
    until("nothing that was started is left", async || world.processes().is_empty().then_some(())).await;

    let folder = tempfile::tempdir().unwrap();
    let place = |name: u64| folder.path().join(name.to_string());
    let base = folder.path().join("base");
    copy_database(&data, &base);
    // Not earlier: the last process to close a database checkpoints its log.
    drop((held, index));
    // As it is, also in the middle of a change.
    let log = Log::of(&std::fs::read(base.join("runtrail.db-shm")).unwrap());
    let samples = samples.into_inner().unwrap();
    assert!(!copied || log.copied > 0, "{log:?}");

    // The whole log: every other copy must be a prefix of it.
    copy(&base, &place(0), log.end(log.pages), Spoiled::Cut, &mut rng);
    let whole = histories(&world, place(0), None).await;
    for safe in &samples {
        for (run, head) in &safe.heads {
            assert!(whole[run].frames.len() as u64 >= *head, "{run}: what was shown before the kill is there");
        }
    }

    let cuts = rng::number("RUNTRAIL_CUTS").unwrap_or(CUTS);
    let mut checks = Vec::new();
    for cut in 1..=cuts {
        let (from, to) = (log.end(log.copied), log.end(log.pages));
        // At the very ends, between two pages, and anywhere.
        let end = match cut {
            1 => from,
            2 => to - 1,
            _ if rng.one_in(3) => log.end(rng.between(log.copied, log.pages)),
            _ => rng.between(from, to),
        };
        let how = *rng.pick(&[Spoiled::Cut, Spoiled::Cut, Spoiled::Zeroes, Spoiled::Garbage, Spoiled::OneBit]);
        copy(&base, &place(cut), end, how, &mut rng);
        let pages = (end - LOG_HEAD) / (PAGE_HEAD + log.page_size);
        let safe = samples.iter().rev().find(|safe| safe.log.salt != log.salt || safe.log.pages <= pages);
        checks.push((cut, format!("{how:?} at byte {end} of {to}, seed {seed}"), safe));
    }
    let checks = futures::stream::iter(checks).map(|(cut, what, safe)| check(&world, &whole, place(cut), what, safe));
    checks.buffer_unordered(4).collect::<Vec<()>>().await;
    println!("{cuts} torn logs of {} pages ({} copied), {} moments known", log.pages, log.copied, samples.len());
}

/// Starts a server on a spoiled copy: it has every frame that was safe, and none that the whole log does not have.
async fn check(world: &World, whole: &BTreeMap<String, History>, folder: PathBuf, what: String, safe: Option<&Safe>) {
    let before = Timestamp::now().to_string();
    let found = histories(world, folder, Some(&what)).await;
    for (run, head) in safe.iter().flat_map(|safe| &safe.heads) {
        let has = found.get(run).map_or(0, |found| original(found, &whole[run]));
        assert!(found.contains_key(run) && has >= *head, "{what}: {run} has {has} of {head} frames that were safe");
    }
    for (run, found) in &found {
        let has = usize::try_from(original(found, &whole[run])).unwrap();
        for new in &found.frames[has..] {
            let frame: Value = serde_json::from_str(new).unwrap();
            assert!(frame["ts"].as_str().unwrap() >= before.as_str(), "{what}: {run} never had {new}");
        }
    }
}

/// Makes SQLite copy the log, as it does by itself when the log is long, and continue with the same log, as it does
/// while a reader uses an older snapshot.
async fn hold_back(data: &Path) -> sqlx::SqliteConnection {
    let url = format!("sqlite://{}", data.join("runtrail.db").display());
    let mut reader = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("BEGIN").execute(&mut reader).await.unwrap();
    sqlx::query("SELECT count(*) FROM frames").fetch_one(&mut reader).await.unwrap();
    let mut database = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    reader
}

/// The number of frames that a run kept from before the cut.
fn original(found: &History, whole: &History) -> u64 {
    found.frames.iter().zip(&whole.frames).take_while(|(found, whole)| found == whole).count() as u64
}

/// Serves a copy until every run is recovered, and returns the histories. With `what`, checks the file itself as well.
async fn histories(world: &World, data: PathBuf, what: Option<&str>) -> BTreeMap<String, History> {
    let server = world.serve_on(&data, &["--lease", "300ms", "--workers", "1"]);
    let own = format!("worker {}@", server.pid());
    let mut found = BTreeMap::new();
    for run in heads(&server).await.unwrap().into_keys() {
        let what = format!("{run} is recovered");
        let recovered = until(&what, async || {
            let history = History::of(&server, &run).await;
            let waits = history.status() == "running" && !history.claimed_by.as_ref().unwrap().starts_with(&own);
            (!waits).then_some(history)
        });
        let history = recovered.await;
        found.insert(run, history);
    }
    server.kill();
    if what.is_some() {
        let url = format!("sqlite://{}", data.join("runtrail.db").display());
        let mut database = sqlx::SqliteConnection::connect(&url).await.unwrap();
        let check = sqlx::query("PRAGMA integrity_check").fetch_one(&mut database).await.unwrap();
        assert_eq!(check.get::<String, _>(0), "ok", "{what:?}");
    }
    found
}
