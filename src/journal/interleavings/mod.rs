//! Runs commit, publish, subscribe, read and wait under many orders of their steps.
//!
//! The journal is the real one: its writer, live runs, rings, readers and broadcast groups. A model checker (shuttle)
//! replaces its locks and channels and decides which task runs next; the store is a small one in memory. A reader that
//! is never woken is a deadlock to the checker. `mutants` has wrong journals that the same checks must catch.
//!
//! Each run tries the same schedules; `SHUTTLE_RANDOM_SEED=…` draws others. A failure prints its schedule or its seed:
//! with the test's name, `RUNTRAIL_SCHEDULE=…` repeats that schedule, and `SHUTTLE_RANDOM_SEED=…` starts from that
//! seed.

#![allow(clippy::unwrap_used)]

mod broadcast;
mod mutants;
mod readers;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::Runner;
use shuttle::future::{block_on, spawn, spawn_local};
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, ReplayScheduler};

use super::run_list_feed::RunListEvent;
use super::sync::time::{Instant, timeout_at};
use super::{
    BroadcastOptions, FrameEncoding, GroupCommit, Journal, JournalBackend, ListStep, ReadOptions, ReadStep, Reader,
};
use crate::model::sse::SseParser;
use crate::model::{
    FinalStatus, FramePayload, Log, LogStream, Params, Pipeline, Run, RunId, RunListUpdate, Secrets, Status, Timestamp,
};
use crate::store::{
    AppendFrames, ClaimRun, CreateRun, DeleteRun, FinishAttempt, JournalHead, Lease, LeaseHolder, NewFrame, RunCommand,
    RunKey, RunWrite, StoreCommand, StoreError, WriteOutcome,
};
use store::Memory;

/// How many frames each write of a scene has. The last write ends the run.
const WRITES: [usize; 4] = [1, 3, 1, 2];

/// The seq of the last frame. The claim has a frame, too.
const LAST: u64 = 8;

/// Sizes so small that frames leave the memory before they are read, and that each member of a group takes a step of
/// its own.
const SMALL_READS: ReadOptions = ReadOptions { ring_bytes: 300, page_frames: 2 };
const SMALL_GROUPS: BroadcastOptions = BroadcastOptions { yield_every: 1, prune_at: 1 };

/// The default seed of the schedules.
const SEED: u64 = 1;

fn config() -> shuttle::Config {
    let mut config = shuttle::Config::new();
    config.stack_size = 1 << 18;
    config
}

/// Runs a scene under random schedules, and under schedules with few preemptions at bad moments.
fn check(scene: fn(), times: usize) {
    if let Ok(schedule) = std::env::var("RUNTRAIL_SCHEDULE") {
        Runner::new(ReplayScheduler::new_from_encoded(schedule.trim()), config()).run(scene);
        return;
    }
    Runner::new(RandomScheduler::new_from_seed(SEED, times), config()).run(scene);
    for depth in 1..=3 {
        Runner::new(PctScheduler::new_from_seed(SEED, depth, times / 3), config()).run(scene);
    }
}

fn id() -> RunId {
    "01939f1c-8f2a-7c3e-9d5b-0123456789ab".parse().unwrap()
}

/// The encoding of either kind of stream.
fn random_encoding() -> FrameEncoding {
    if thread_rng().gen_bool(0.5) { FrameEncoding::Multiplexed(id()) } else { FrameEncoding::Single }
}

fn new_run() -> CreateRun {
    let pipeline = Pipeline { name: "p".into(), title: "P".into(), ..Pipeline::default() };
    CreateRun {
        id: id(),
        pipeline: Arc::new(pipeline),
        params: Params::new(),
        secrets: Secrets::new(),
        priority: 0,
        at: Timestamp(0),
        idempotency: None,
        origin: None,
        schedule: None,
        trigger: None,
        max_pending: None,
        asked_by: None,
        audit: None,
    }
}

/// A write of frames with the same content: only their seqs differ.
fn write(command: impl Into<RunCommand>, frames: usize) -> RunWrite {
    let body = FramePayload::Log(Log { stream: LogStream::Stdout, line: "same".into(), cont: false, replaces: None });
    let frame = NewFrame { ts: Timestamp(0), phase: None, kind: body.kind().into(), data: body.data().into() };
    RunWrite { at: Timestamp(0), frames: vec![frame; frames], ..RunWrite::new(command) }
}

fn claim(run: RunKey) -> RunWrite {
    write(ClaimRun { run, attempt: 1, owner: "test".into(), lease_until: Timestamp(i64::MAX), hands_over: false }, 1)
}

fn completed(lease: Lease) -> FinishAttempt {
    FinishAttempt { holder: LeaseHolder::Worker(lease), to: FinalStatus::Completed, error: None, next: None }
}

/// The writes of a claimed run, in order.
fn writes(lease: Lease) -> impl Iterator<Item = RunWrite> {
    WRITES.into_iter().enumerate().map(move |(index, frames)| match index + 1 == WRITES.len() {
        true => write(completed(lease), frames),
        false => write(AppendFrames::new(lease), frames),
    })
}

/// Deletes the run, which is completed, without publishing it.
async fn delete(World { memory, run, .. }: &World) {
    let delete = DeleteRun { run: *run, id: id(), status: Status::Completed, attempt: 1 };
    let outcomes = memory.commit(&[StoreCommand::Run(write(delete, 0))]).await.unwrap();
    assert!(matches!(outcomes[..], [WriteOutcome::Committed(_)]));
}

/// What a scene works with.
#[derive(Clone)]
struct World {
    memory: Arc<Memory>,
    journal: Journal,
    run: RunKey,
}

impl World {
    async fn subscribe(&self, cursor: u64, encoding: FrameEncoding) -> Reader {
        let head = self.memory.head(self.run).await.unwrap();
        self.journal.read(self.run, cursor, head, encoding).await.unwrap()
    }
}

/// Checks the frames that a reader returns.
struct Received {
    world: World,
    cursor: u64,
}

impl Received {
    /// A reader that has received everything up to some frame.
    fn from_random_cursor(world: &World) -> Self {
        let cursor = thread_rng().gen_range(0..=world.memory.last_seq(world.run));
        Self { world: world.clone(), cursor }
    }

    fn add(&mut self, seq: u64) {
        assert!(seq > self.cursor, "frame {seq} was returned twice");
        assert!(seq == self.cursor + 1, "frame {} is missing: {seq} was returned", self.cursor + 1);
        let head = self.world.memory.last_seq(self.world.run);
        assert!(seq <= head, "frame {seq} was returned before its commit");
        self.cursor = seq;
    }

    /// Checks a step. Returns whether it was the last.
    fn record(&mut self, step: Result<ReadStep, StoreError>) -> bool {
        match step {
            Ok(ReadStep::Frames(pieces)) => {
                let mut parser = SseParser::new("");
                for event in pieces.iter().flat_map(|piece| parser.push(piece)) {
                    self.add(event.last_event_id.rsplit(':').next().unwrap().parse().unwrap());
                }
                false
            }
            Ok(ReadStep::End(JournalHead { head, status, .. })) => {
                assert!(status.is_finished(), "the end of a run that is {status}");
                assert_eq!((head, self.cursor), (LAST, LAST), "the end before all was returned");
                true
            }
            Err(error) => {
                assert!(error.is_retryable(), "{error}");
                false
            }
        }
    }
}

/// Reads to the end with one reader.
async fn read_to_end(world: World) {
    let mut received = Received::from_random_cursor(&world);
    let mut reader = world.subscribe(received.cursor, random_encoding()).await;
    while !received.record(reader.next().await) {}
}

/// Watches the run list until the run is finished.
async fn watch_list(world: World) {
    let mut list = world.journal.watch_list();
    let mut run = world.memory.run(world.run).await.unwrap().unwrap();
    while !run.status.is_finished() {
        let ListStep::Runs(runs) = list.next().await.unwrap() else { panic!("a lag") };
        let Some(RunListUpdate::Changed(listed)) = runs.first().map(AsRef::as_ref) else { panic!("gone") };
        assert!(listed.head >= run.head, "the list goes back");
        run = Run::clone(listed);
    }
}

/// Pages read from the store in all scenes of a test.
static PAGES: AtomicUsize = AtomicUsize::new(0);

/// Writes a run while these readers read it.
fn run_scene<R, F>(memory: Memory, readers: R)
where
    R: FnOnce(&World) -> Vec<F>,
    F: Future<Output = ()> + Send + 'static,
{
    run_scene_with(memory, SMALL_READS, readers);
}

/// The same with other sizes.
fn run_scene_with<R, F>(memory: Memory, options: ReadOptions, readers: R)
where
    R: FnOnce(&World) -> Vec<F>,
    F: Future<Output = ()> + Send + 'static,
{
    block_on(async {
        let memory = Arc::new(memory);
        let (journal, writer) = Journal::with_read_options(Arc::clone(&memory) as _, GroupCommit::default(), options);
        let writer = spawn(writer.run());
        let run = journal.create(new_run()).await.unwrap().key;
        let world = World { memory, journal, run };
        let readers: Vec<_> = readers(&world).into_iter().map(spawn).collect();
        let token = world.journal.write(claim(run)).await.unwrap().token;
        for write in writes(Lease { run, attempt: 1, token }) {
            world.journal.write(write).await.unwrap();
        }
        for reader in readers {
            reader.await.unwrap();
        }
        PAGES.fetch_add(world.memory.pages.load(Ordering::Relaxed), Ordering::Relaxed);
        // The writer ends when the last journal handle is dropped.
        drop(world);
        writer.await.unwrap();
    });
}

/// A run with one frame and no writer. Scenes commit and publish by hand, in few enough steps to try all orders.
async fn claimed_run() -> World {
    let memory = Arc::new(Memory::default());
    let (journal, _) = Journal::with_read_options(Arc::clone(&memory) as _, GroupCommit::default(), SMALL_READS);
    memory.commit(&[StoreCommand::CreateRun(new_run())]).await.unwrap();
    let run = RunKey(1);
    memory.commit(&[StoreCommand::Run(claim(run))]).await.unwrap();
    World { memory, journal, run }
}

/// The lease of the run's only claim.
fn lease(world: &World) -> Lease {
    Lease { run: world.run, attempt: 1, token: 1 }
}

/// Commits and publishes the second and last frame.
async fn finish_run(world: &World) {
    commit_and_publish(world, completed(lease(world))).await;
}

/// Commits and publishes the second frame.
async fn commit_and_publish(World { memory, journal, .. }: &World, command: impl Into<RunCommand>) {
    for outcome in memory.commit(&[StoreCommand::Run(write(command, 1))]).await.unwrap() {
        let WriteOutcome::Committed(committed) = outcome else { panic!("refused") };
        journal.live_runs.publish(&committed);
    }
}

async fn expect_last_frame(mut reader: Reader) {
    let ReadStep::Frames(pieces) = reader.next().await.unwrap() else { panic!("no frames") };
    let events = SseParser::new("").push(&pieces.concat());
    assert_eq!(events.iter().map(|event| event.last_event_id.as_str()).collect::<Vec<_>>(), ["2"]);
}

/// Runs a scene under every order of its steps.
fn check_all(scene: fn()) {
    const MANY: usize = 200_000;
    let orders = Arc::new(AtomicUsize::new(0));
    let counted = {
        let orders = Arc::clone(&orders);
        move || {
            orders.fetch_add(1, Ordering::Relaxed);
            scene();
        }
    };
    Runner::new(DfsScheduler::new(Some(MANY), false), config()).run(counted);
    let orders = orders.load(Ordering::Relaxed);
    eprintln!("{orders} orders");
    assert!(orders < MANY, "there are more orders than were tried");
}

/// The run ends while `open` opens the list.
fn open_list_while_run_ends<F: Future<Output = ()> + 'static>(open: fn(World) -> F) {
    block_on(async {
        let world = claimed_run().await;
        let page = spawn_local(open(world.clone()));
        finish_run(&world).await;
        world.journal.list_feed.publish(std::iter::once(RunListEvent::Changed(world.run)));
        page.await.unwrap();
    });
}

/// A reader subscribes while the run's last frame is committed and published. It is given the head of a moment before.
fn subscribe_while_run_ends<A>(attach: A)
where
    A: AsyncFnOnce(&World, JournalHead) -> Reader + 'static,
{
    block_on(async {
        let world = claimed_run().await;
        let looked_up = world.memory.head(world.run).await.unwrap();
        let attaching = world.clone();
        let reader = spawn_local(async move { expect_last_frame(attach(&attaching, looked_up).await).await });
        finish_run(&world).await;
        reader.await.unwrap();
    });
}
