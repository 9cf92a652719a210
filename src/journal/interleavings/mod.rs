//! The join of commit, publish, attach, read and wait, under every order of steps that a checker can think of.
//!
//! The journal is the real one: its writer, tails, rings and readers. Only what they lock and wait on lets the checker
//! (shuttle) decide who goes on, and the store is a small one in memory. A reader that is never woken is a deadlock to
//! the checker. `mutants` holds wrong journals that it must catch in the same way.
//!
//! Each time the same schedules are tried; `SHUTTLE_RANDOM_SEED=…` takes others. A failure prints its schedule or its seed; with
//! the test's name, `RUNTRAIL_SCHEDULE=…` runs just that schedule again, and `SHUTTLE_RANDOM_SEED=…` begins with that seed.

#![allow(clippy::unwrap_used)]

mod crowd;
mod mutants;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::Runner;
use shuttle::future::{block_on, spawn, spawn_local};
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, ReplayScheduler};

use super::changes::News;
use super::sync::time::{Instant, timeout_at};
use super::{Form, GroupCommit, Journal, JournalBackend, ListStep, Reader, Step};
use crate::model::sse::SseParser;
use crate::model::{
    FinalStatus, FramePayload, Log, LogStream, Params, Pipeline, Run, RunId, RunListUpdate, Secrets, Status, Timestamp,
};
use crate::store::{
    AppendFrames, ClaimRun, CreateRun, DeleteRun, FinishAttempt, JournalHead, Lease, LeaseHolder, NewFrame, RunCommand,
    RunKey, RunWrite, StoreCommand, StoreError, WriteOutcome,
};
use store::Memory;

/// How many frames each write of the scenes has; the last one finishes the run.
const WRITES: [usize; 4] = [1, 3, 1, 2];

/// The seq of the last frame, after that of the claim.
const LAST: u64 = 8;

/// What the schedules are drawn from, if nothing else is asked for.
const SEED: u64 = 1;

fn config() -> shuttle::Config {
    let mut config = shuttle::Config::new();
    config.stack_size = 1 << 18;
    config
}

/// Runs the scene under random schedules, and under ones with few preemptions at the worst moments.
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

/// As in the stream of one run, or of many.
fn any_form() -> Form {
    if thread_rng().gen_bool(0.5) { Form::Named(id()) } else { Form::Plain }
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

/// A write of frames that all say the same: only their seq tells them apart.
fn write(command: impl Into<RunCommand>, frames: usize) -> RunWrite {
    let body = FramePayload::Log(Log { stream: LogStream::Stdout, line: "same".into(), cont: false, replaces: None });
    let frame = NewFrame { ts: Timestamp(0), phase: None, kind: body.kind().into(), data: body.data().into() };
    RunWrite { at: Timestamp(0), frames: vec![frame; frames], ..RunWrite::new(command) }
}

fn claim(run: RunKey) -> RunWrite {
    write(ClaimRun { run, attempt: 1, owner: "test".into(), lease_until: Timestamp(i64::MAX) }, 1)
}

fn completed(lease: Lease) -> FinishAttempt {
    FinishAttempt { holder: LeaseHolder::Worker(lease), to: FinalStatus::Completed, error: None, next: None }
}

/// The writes of a run that is claimed, in order.
fn writes(lease: Lease) -> impl Iterator<Item = RunWrite> {
    WRITES.into_iter().enumerate().map(move |(index, frames)| match index + 1 == WRITES.len() {
        true => write(completed(lease), frames),
        false => write(AppendFrames { lease }, frames),
    })
}

/// Deletes the run, which is completed, without telling the journal.
async fn delete(World { memory, run, .. }: &World) {
    let delete = DeleteRun { run: *run, id: id(), status: Status::Completed, attempt: 1 };
    let outcomes = memory.commit(&[StoreCommand::Run(write(delete, 0))]).await.unwrap();
    assert!(matches!(outcomes[..], [WriteOutcome::Committed(_)]));
}

/// What a reader works with.
#[derive(Clone)]
struct World {
    memory: Arc<Memory>,
    journal: Journal,
    run: RunKey,
}

impl World {
    async fn attach(&self, cursor: u64, form: Form) -> Reader {
        let pulse = self.memory.head(self.run).await.unwrap();
        self.journal.read(self.run, cursor, pulse, form).await.unwrap()
    }
}

/// What a reader was given, checked as it comes.
struct Seen {
    world: World,
    cursor: u64,
}

impl Seen {
    /// A reader that has everything up to some frame.
    fn anywhere(world: &World) -> Self {
        let cursor = thread_rng().gen_range(0..=world.memory.last_seq(world.run));
        Self { world: world.clone(), cursor }
    }

    fn add(&mut self, seq: u64) {
        assert!(seq > self.cursor, "frame {seq} was given twice");
        assert!(seq == self.cursor + 1, "frame {} is missing: {seq} was given", self.cursor + 1);
        let head = self.world.memory.last_seq(self.world.run);
        assert!(seq <= head, "frame {seq} was given before its commit");
        self.cursor = seq;
    }

    /// Takes the step; whether it was the last.
    fn take(&mut self, step: Result<Step, StoreError>) -> bool {
        match step {
            Ok(Step::Frames(pieces)) => {
                let mut parser = SseParser::new("");
                for event in pieces.iter().flat_map(|piece| parser.push(piece)) {
                    self.add(event.last_event_id.rsplit(':').next().unwrap().parse().unwrap());
                }
                false
            }
            Ok(Step::End(JournalHead { head, status, .. })) => {
                assert!(status.is_finished(), "the end of a run that is {status}");
                assert_eq!((head, self.cursor), (LAST, LAST), "the end before all was given");
                true
            }
            Err(error) => {
                assert!(error.is_retryable(), "{error}");
                false
            }
        }
    }
}

/// Reads with the real reader to the end. Goes away now and then, in the middle of a step too, and comes back.
async fn follow(world: World) {
    let mut seen = Seen::anywhere(&world);
    loop {
        let mut reader = world.attach(seen.cursor, any_form()).await;
        while thread_rng().gen_ratio(3, 4) {
            let step = match thread_rng().gen_bool(0.5) {
                true => reader.next().await,
                false => match timeout_at(Instant::now(), reader.next()).await {
                    Ok(step) => step,
                    Err(_) => continue,
                },
            };
            if seen.take(step) {
                return;
            }
            assert_eq!(reader.cursor(), seen.cursor, "the cursor stands where the frames end");
        }
    }
}

/// Reads with the real reader to the end, and never goes away.
async fn stay(world: World) {
    let mut seen = Seen::anywhere(&world);
    let mut reader = world.attach(seen.cursor, any_form()).await;
    while !seen.take(reader.next().await) {}
}

/// Watches the list until it says that the run is finished.
async fn watch(world: World) {
    let mut list = world.journal.watch_list();
    let mut run = world.memory.run(world.run).await.unwrap().unwrap();
    while !run.status.is_finished() {
        let ListStep::Runs(runs) = list.next().await.unwrap() else { panic!("a lag") };
        let Some(RunListUpdate::Changed(told)) = runs.first().map(AsRef::as_ref) else { panic!("gone") };
        assert!(told.head >= run.head, "the list goes back");
        run = Run::clone(told);
    }
}

/// However many readers of the list wait for a change, its run is read once for all of them.
#[test]
fn readers_of_the_list_share_one_read_of_each_change() {
    check(
        || {
            block_on(async {
                let world = claimed().await;
                let lists: Vec<_> = (0..4).map(|_| world.journal.watch_list()).collect();
                let before = world.memory.runs_read.load(Ordering::Relaxed);
                let readers: Vec<_> = lists
                    .into_iter()
                    .map(|mut list| {
                        spawn(async move {
                            let ListStep::Runs(runs) = list.next().await.unwrap() else { panic!("a lag") };
                            assert!(
                                matches!(*runs[0], RunListUpdate::Changed(ref run) if run.status.is_finished()),
                                "{runs:?}"
                            );
                        })
                    })
                    .collect();
                finish(&world).await;
                world.journal.changes.publish(std::iter::once(News::Changed(world.run)));
                for reader in readers {
                    reader.await.unwrap();
                }
                assert_eq!(world.memory.runs_read.load(Ordering::Relaxed) - before, 1);
            });
        },
        500,
    );
}

/// Pages read from the store in all scenes of a test.
static PAGES: AtomicUsize = AtomicUsize::new(0);

/// One run is written while readers of these kinds read it.
fn scene<R, F>(memory: Memory, readers: R)
where
    R: FnOnce(&World) -> Vec<F>,
    F: Future<Output = ()> + Send + 'static,
{
    block_on(async {
        let memory = Arc::new(memory);
        let (journal, writer) = Journal::new(Arc::clone(&memory) as _, GroupCommit::default());
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
        // The writer ends when the last handle on the journal is gone.
        drop(world);
        writer.await.unwrap();
    });
}

#[test]
fn readers_that_stay_get_every_frame_once_and_in_order() {
    check(|| scene(Memory::default(), |world| vec![stay(world.clone()), stay(world.clone())]), 3000);
    assert!(PAGES.load(Ordering::Relaxed) > 0, "some frames are forgotten before they are read");
}

#[test]
fn readers_that_come_and_go_get_every_frame_once_and_in_order() {
    check(|| scene(Memory::default(), |world| vec![follow(world.clone()), follow(world.clone())]), 1500);
}

#[test]
fn the_list_tells_of_the_last_change() {
    check(|| scene(Memory::default(), |world| vec![watch(world.clone()), watch(world.clone())]), 1500);
}

#[test]
fn a_busy_database_takes_nothing_away() {
    check(|| scene(Memory::busy(), |world| vec![follow(world.clone()), follow(world.clone())]), 1500);
}

/// A run with one frame, in a store and with no writer: whoever uses it commits and publishes by hand, in few enough
/// steps that all orders can be tried.
async fn claimed() -> World {
    let memory = Arc::new(Memory::default());
    let (journal, _) = Journal::new(Arc::clone(&memory) as _, GroupCommit::default());
    memory.commit(&[StoreCommand::CreateRun(new_run())]).await.unwrap();
    let run = RunKey(1);
    memory.commit(&[StoreCommand::Run(claim(run))]).await.unwrap();
    World { memory, journal, run }
}

/// The run's second and last frame: committed, and then told.
async fn finish(world: &World) {
    go_on(world, completed(lease(world))).await;
}

/// The lease of the run's only claim.
fn lease(world: &World) -> Lease {
    Lease { run: world.run, attempt: 1, token: 1 }
}

/// The run's second frame: committed, and then published.
async fn go_on(World { memory, journal, .. }: &World, command: impl Into<RunCommand>) {
    for outcome in memory.commit(&[StoreCommand::Run(write(command, 1))]).await.unwrap() {
        let WriteOutcome::Committed(committed) = outcome else { panic!("refused") };
        journal.tails.publish(&committed);
    }
}

async fn reads_the_last(mut reader: Reader) {
    let Step::Frames(pieces) = reader.next().await.unwrap() else { panic!("no frames") };
    let events = SseParser::new("").push(&pieces.concat());
    assert_eq!(events.iter().map(|event| event.last_event_id.as_str()).collect::<Vec<_>>(), ["2"]);
}

/// Runs the scene under every order of steps that there is.
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

/// The list changes by this while a page opens it.
fn opens_the_list_while_the_run_ends<F: Future<Output = ()> + 'static>(open: fn(World) -> F) {
    block_on(async {
        let world = claimed().await;
        let page = spawn_local(open(world.clone()));
        finish(&world).await;
        world.journal.changes.publish(std::iter::once(News::Changed(world.run)));
        page.await.unwrap();
    });
}

#[test]
fn a_page_that_opens_the_list_hears_of_the_end_in_every_order_of_steps() {
    check_all(|| opens_the_list_while_the_run_ends(watch));
}

#[test]
fn a_reader_that_waits_gets_the_last_frame_in_every_order_of_steps() {
    check_all(|| {
        block_on(async {
            let world = claimed().await;
            let reader = spawn(reads_the_last(world.attach(1, Form::Plain).await));
            finish(&world).await;
            reader.await.unwrap();
        });
    });
}

/// A reader attaches while the run's last frame is committed and told. It is given where the journal stood before.
fn attaches_while_the_run_ends<A>(attach: A)
where
    A: AsyncFnOnce(&World, JournalHead) -> Reader + 'static,
{
    block_on(async {
        let world = claimed().await;
        let looked_up = world.memory.head(world.run).await.unwrap();
        let attaching = world.clone();
        let reader = spawn_local(async move { reads_the_last(attach(&attaching, looked_up).await).await });
        finish(&world).await;
        reader.await.unwrap();
    });
}

#[test]
fn a_reader_that_attaches_gets_the_last_frame_in_every_order_of_steps() {
    check_all(|| {
        attaches_while_the_run_ends(async |world, looked_up| {
            world.journal.read(world.run, 1, looked_up, Form::Plain).await.unwrap()
        });
    });
}

/// A run is deleted while a reader has not come to its end: that ends it, wherever it is, and nobody reads the run from then on.
#[test]
fn a_reader_of_a_run_that_is_deleted_ends_in_every_order_of_steps() {
    check_all(|| {
        block_on(async {
            let world = claimed().await;
            finish(&world).await;
            let pulse = world.memory.head(world.run).await.unwrap();
            let mut late = world.attach(0, Form::Plain).await;
            let mut reader = world.attach(0, Form::Plain).await;
            let reading = spawn(async move {
                loop {
                    match reader.next().await {
                        Ok(Step::Frames(_)) => {}
                        Ok(Step::End(_)) => break,
                        Err(error) => break assert!(matches!(error, StoreError::Gone), "{error}"),
                    }
                }
            });
            delete(&world).await;
            world.journal.tails.close(world.run);
            assert!(matches!(late.next().await, Err(StoreError::Gone)), "it is told what was deleted");
            let attached = world.journal.read(world.run, 0, pulse, Form::Plain).await;
            assert!(matches!(attached.err(), Some(StoreError::Gone)));
            reading.await.unwrap();
        });
    });
}
