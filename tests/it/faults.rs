//! Thousands of readers of one real server, each behind a proxy that spoils its connections. Whatever happens to these,
//! each reader ends with the journal: every frame after its cursor exactly once, in order, byte for byte.
//!
//! A scenario is made from one number, its seed. The one that fails is named with the command that repeats it.
//! RUNTRAIL_SCENARIOS says how many there are, RUNTRAIL_FIRST_SEED where they begin, RUNTRAIL_SEED takes one alone.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use reqwest::StatusCode;
use serde_json::json;
use tokio::sync::{OnceCell, watch};

use crate::support::feed::{self, Feed};
use crate::support::http::Version;
use crate::support::proxy::{Fault, Proxy, Tamper, Then};
use crate::support::reader::{CursorStyle, Kind, Reader, ReaderOptions, journal};
use crate::support::rng::{self, Rng};
use crate::support::{Server, World, open_files, until};

/// How many scenarios there are if nothing else is asked for.
const SCENARIOS: u64 = 3000;
/// How many readers there are at once.
const AT_ONCE: usize = 160;
/// How many runs print all the time.
const LIVE: u64 = 6;
/// How long a scenario may take. Only reached when it fails.
const LIMIT: Duration = Duration::from_secs(90);

/// A run's journal up to some head, read when someone first needs it.
type Whole = OnceCell<Vec<String>>;

/// A server with runs that have finished and runs that are in progress.
struct Stage {
    host: SocketAddr,
    finished: Vec<String>,
    /// The run that prints now; changes all the time.
    live: Mutex<Vec<String>>,
    /// Each run's journal up to a head: what readers must end with.
    journals: Mutex<HashMap<(String, u64), Arc<Whole>>>,
    /// How many connections were lost in all.
    lost: AtomicU64,
}

impl Stage {
    fn new(server: &Server, finished: Vec<String>) -> Self {
        let (live, journals, lost) = (Mutex::default(), Mutex::default(), AtomicU64::default());
        Self { host: server.addr(), finished, live, journals, lost }
    }

    async fn journal(&self, run: &str, head: u64) -> Arc<Whole> {
        let cell = Arc::clone(self.journals.lock().unwrap().entry((run.to_owned(), head)).or_default());
        cell.get_or_init(|| journal(self.host, run, head)).await;
        cell
    }

    /// Some run; the first ones are small, and the last one is large.
    fn run(&self, rng: &mut Rng) -> String {
        let live = self.live.lock().unwrap();
        match rng.below(20) {
            0..9 if !live.is_empty() => rng.pick(&live).clone(),
            9..11 => self.finished.last().unwrap().clone(),
            _ => rng.pick(&self.finished[..self.finished.len() - 1]).clone(),
        }
    }

    /// One reader of one run or of several, from its cursors to the runs' ends.
    async fn scenario(&self, seed: u64) -> Result<(), String> {
        let mut rng = Rng::new(seed);
        let (runs, kind) = match rng.below(3) {
            0 => (rng.between(1, 4), Kind::Many { list: rng.one_in(2) }),
            _ => (1, Kind::One),
        };
        let mut cursors = BTreeMap::new();
        for _ in 0..runs {
            let run = self.run(&mut rng);
            let head = journal_head(self.host, &run).await;
            let first = match rng.below(4) {
                0 => head,
                1 => rng.below(head + 1),
                _ => 0,
            };
            cursors.insert(run, first);
        }
        let faults = rng.below(9);
        let large = cursors.contains_key(self.finished.last().unwrap());
        let proxy = Proxy::start(self.host, move |number| {
            let mut rng = Rng::part(seed, number + 1);
            if number < faults { Fault::any(&mut rng, if large { 400_000 } else { 20_000 }) } else { Fault::none() }
        });
        let proxy = proxy.await;
        let habits = ReaderOptions::any(&mut rng, u32::try_from(faults).unwrap());
        let mut reader = Reader::new(self.host, proxy.addr, kind, cursors, habits, seed);
        let followed = tokio::time::timeout(LIMIT, reader.follow()).await;
        self.lost.fetch_add(reader.failures().into(), Ordering::Relaxed);
        let Ok(followed) = followed else {
            let mut stands = String::new();
            for (run, held) in &reader.held {
                let head = journal_head(self.host, run).await;
                stands += &format!("{run} at {} (end: {:?}) of {head}; ", held.cursor(), held.end);
            }
            let (losses, last) = (reader.failures(), reader.last_loss());
            return Err(format!("no end: {stands}{losses} connections lost, the last by: {last}"));
        };
        followed?;
        for (run, held) in &reader.held {
            let journal = self.journal(run, held.end.unwrap()).await;
            same(&held.frames, &journal.get().unwrap()[usize::try_from(held.first).unwrap()..])?;
        }
        Ok(())
    }
}

async fn journal_head(host: SocketAddr, run: &str) -> u64 {
    use crate::support::{http, reader::Page};
    let path = format!("/api/v1/runs/{run}/frames?limit=1");
    let answer = http::get(host, host, &path, None, Version::Http11, 4096).await.unwrap();
    Page::read(&answer.text().await.unwrap()).unwrap().head
}

/// Whether a reader's list is the journal's.
fn same(list: &[String], journal: &[String]) -> Result<(), String> {
    if let Some((has, is)) = list.iter().zip(journal).find(|(has, is)| has != is) {
        return Err(format!("it has {has}\nwhere the journal has {is}"));
    }
    if list.len() != journal.len() {
        return Err(format!("it has {} frames of {}", list.len(), journal.len()));
    }
    Ok(())
}

/// A run that printed `lines` and has completed.
async fn finished(world: &World, server: &Server, lines: Vec<Vec<u8>>) -> String {
    let mut feed = Feed::start(world, server).await;
    for line in lines {
        feed.print(&line).await;
    }
    let id = feed.id.clone();
    drop(feed);
    server.until_status(&id, "completed").await;
    id
}

/// Starts runs one after another and feeds them, until they are not needed any more.
async fn keep_live(world: &World, server: &Server, stage: &Stage, seed: u64, mut stop: watch::Receiver<bool>) {
    let mut rng = Rng::new(seed);
    let mut feed = Feed::start(world, server).await;
    loop {
        let id = feed.id.clone();
        stage.live.lock().unwrap().push(id.clone());
        for number in 0..rng.between(5, 60) {
            let mut bytes = Vec::new();
            for _ in 0..=rng.spread(8) {
                bytes.extend(feed::line(&mut rng, number));
            }
            // In two halves, at any byte.
            let (one, other) = bytes.split_at(usize::try_from(rng.below(bytes.len() as u64)).unwrap());
            feed.print(one).await;
            tokio::time::sleep(Duration::from_millis(rng.spread(30))).await;
            feed.print(other).await;
        }
        drop(feed);
        server.until_status(&id, "completed").await;
        // Some resume as another attempt, while readers of the first one are still attached.
        let again = rng.one_in(3);
        if !again {
            stage.live.lock().unwrap().retain(|live| *live != id);
        }
        if *stop.borrow_and_update() {
            return;
        }
        feed = if again {
            let rerun = server.post(&format!("/api/v1/runs/{id}/rerun"), json!({})).await;
            assert_eq!(rerun.status(), StatusCode::ACCEPTED);
            let attempt = u32::try_from(server.run(&id).await["attempt"].as_u64().unwrap()).unwrap();
            stage.live.lock().unwrap().retain(|live| *live != id);
            Feed::attach(world, id, attempt).await
        } else {
            Feed::start(world, server).await
        };
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_leave_every_reader_with_the_journal() {
    // Each reader's connection, both of its proxy's, and some that were given up and are not closed.
    open_files(8 * AT_ONCE as u64);
    let world = World::new();
    world.fed();
    let server = world.serve_with(&["--heartbeat", "100ms", "--workers", "16"]);
    let mut rng = Rng::new(7);
    let mut runs = Vec::new();
    for lines in [0, 20, 60, 150, 400] {
        let mut lines: Vec<_> = (0..lines).map(|number| feed::line(&mut rng, number)).collect();
        if lines.len() == 400 {
            for size in [65_535, 65_536, 70_000, 200_000] {
                lines.insert(lines.len() / 2, feed::long_line(size));
            }
        }
        runs.push(finished(&world, &server, lines).await);
    }
    let stage = Arc::new(Stage::new(&server, runs));
    let (stop, stopped) = watch::channel(false);
    let live = futures::future::join_all(
        (0..LIVE).map(|number| keep_live(&world, &server, &stage, rng::Rng::part(7, number).next(), stopped.clone())),
    );

    let one = rng::number("RUNTRAIL_SEED");
    let count = rng::number("RUNTRAIL_SCENARIOS").unwrap_or(if one.is_some() { 50 } else { SCENARIOS });
    let first = rng::number("RUNTRAIL_FIRST_SEED").unwrap_or(0);
    let began = Instant::now();
    let scenarios = async {
        let seeds = futures::stream::iter((first..first + count).map(|seed| one.unwrap_or(seed)));
        let scenarios = seeds.map(|seed| {
            let stage = Arc::clone(&stage);
            async move { (seed, tokio::spawn(async move { stage.scenario(seed).await }).await.unwrap()) }
        });
        let mut ended = scenarios.buffer_unordered(AT_ONCE);
        while let Some((seed, result)) = ended.next().await {
            if let Err(what) = result {
                panic!(
                    "the scenario of seed {seed} failed: {what}\nTo repeat it: \
                     RUNTRAIL_SEED={seed} cargo nextest run --features ssr -E 'test(faults_leave_every_reader)'"
                );
            }
        }
        stop.send_replace(true);
    };
    tokio::join!(scenarios, live);
    let lost = stage.lost.load(Ordering::Relaxed);
    println!("{count} scenarios, {lost} connections lost, {:.1} s", began.elapsed().as_secs_f64());

    // Nothing of all these clients stays behind.
    until("no stream is open any more", async || {
        let numbers = server.get("/metrics").await.text().await.unwrap();
        numbers.lines().any(|line| line == "runtrail_streams 0").then_some(())
    })
    .await;
}

/// The checker detects an event that is missing, repeated, early or altered.
#[tokio::test]
async fn faults_checker_detects_tampered_streams() {
    let world = World::new();
    world.fed();
    let server = world.serve();
    let run = finished(&world, &server, (0..10).map(|number| format!("line {number}\n").into()).collect()).await;
    let stage = Stage::new(&server, vec![run.clone()]);
    let head = journal_head(stage.host, &run).await;
    let read = async |fault: Fault, kind: Kind| {
        let proxy = Proxy::start(stage.host, move |_| fault.clone()).await;
        let habits = ReaderOptions { version: Version::Http10, told: CursorStyle::Header, ..ReaderOptions::plain() };
        let cursors = BTreeMap::from([(run.clone(), 0)]);
        let mut reader = Reader::new(stage.host, proxy.addr, kind, cursors, habits, 0);
        reader.follow().await?;
        same(&reader.one().frames, stage.journal(&run, head).await.get().unwrap())
    };
    for kind in [Kind::One, Kind::Many { list: false }] {
        assert_eq!(read(Fault::none(), kind).await, Ok(()));
        // The first event of an answer is `ready`, at 0, and the last is `end`.
        for event in 1..=usize::try_from(head).unwrap() {
            for tamper in [Tamper::Drop(event), Tamper::Repeat(event), Tamper::Swap(event), Tamper::Flip(event)] {
                let found = read(Fault { tamper: Some(tamper), ..Fault::none() }, kind).await;
                assert!(found.is_err(), "{tamper:?} of {kind:?} went unnoticed");
            }
        }
    }
}

/// After a cut at any byte of a response, orderly or by a reset, the next connection continues after the last whole
/// frame.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_stream_cut_at_any_byte_resumes() {
    let world = World::new();
    world.fed();
    let server = world.serve();
    let run = finished(&world, &server, vec!["größer 🦀\r\n".into(), "same\nsame\n".into()]).await;
    let stage = Stage::new(&server, vec![run.clone()]);
    let head = journal_head(stage.host, &run).await;
    let journal = stage.journal(&run, head).await;
    let whole = server.get(&format!("/runs/{run}/events")).await.text().await.unwrap();
    // The answer's head is longer than nothing and shorter than this.
    let cuts = futures::stream::iter(0..whole.len() as u64 + 400).map(async |byte| {
        let then = if byte % 2 == 0 { Then::Close } else { Then::Reset };
        let plan = move |number| if number == 0 { Fault::then(byte, then) } else { Fault::none() };
        let proxy = Proxy::start(stage.host, plan).await;
        let cursors = BTreeMap::from([(run.clone(), 0)]);
        let habits = ReaderOptions { polls: 1000, ..ReaderOptions::plain() };
        let mut reader = Reader::new(stage.host, proxy.addr, Kind::One, cursors, habits, byte);
        let followed = reader.follow().await;
        followed.and_then(|()| same(&reader.one().frames, journal.get().unwrap())).map_err(|what| (byte, what))
    });
    let results: Vec<_> = cuts.buffer_unordered(32).collect().await;
    assert_eq!(results.into_iter().find_map(Result::err), None, "the byte of the cut, and what was wrong");
}
