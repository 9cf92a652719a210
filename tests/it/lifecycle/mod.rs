//! The whole life of runs, with many servers over one database, on a simulated clock: real engines, real services and
//! the real store; only the commands and the time are simulated. Servers stall for long and go on as if nothing was,
//! end in the middle, stop in order and start again, and the database is away, while people start, cancel, answer and
//! re-run.
//!
//! Each server is a runtime of its own with a clock that stands still while nobody lets it run: so a server stalls
//! exactly as one that is stopped by a signal or whose machine sleeps, in any place, and finds its timers overdue when
//! it goes on.
//!
//! Afterwards all transactions, in the order in which they were made, are given to a reference machine
//! (`reference.rs`). And when all servers are well again, every run comes to its end.

pub mod commands;
mod reference;
mod store;

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proptest::prelude::*;
use runtrail::approvals::{self, DecisionRequest};
use runtrail::engine::{Engine, EngineOptions};
use runtrail::journal::{GroupCommit, Journal, JournalBackend as _};
use runtrail::model::pipeline::OnInterrupt;
use runtrail::model::placement::Need;
use runtrail::model::queue::{BusyPolicy, Concurrency};
use runtrail::model::retry_policy::RetryPolicy;
use runtrail::model::workers::NewInstance;
use runtrail::model::{
    ApprovalRule, AuthMethod, Param, ParamInput, ParamKind, PhaseSpec, Pipeline, Problem, Role, Run, RunId, Status,
    Timestamp,
};
use runtrail::pipelines::{Catalog, Projects};
use runtrail::runs::{self, Backend, CancelMode, RerunFrom, RerunRequest};
use runtrail::store::{BeatInstance, RunCommand, StoreCommand, WriteOutcome};
use runtrail::testing::Actor;
use runtrail::workspaces::Workspaces;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::TestDatabase;
use crate::support::rng::cases;
use crate::support::writes::{claimant, instance};
use commands::Simulated;
use reference::Machine;
use store::RecordingStore;

/// How many servers there are.
const SERVERS: usize = 3;
/// How long a lease lasts, in milliseconds.
const LEASE: u64 = 3000;
/// How long commands have to end, in milliseconds.
const GRACE: u64 = 500;
/// How long one server runs before another one does, in milliseconds: a lease is much longer.
const SLICE: u64 = 100;
/// How long it may take until all runs have ended once everything is well, in milliseconds.
const PATIENCE: u64 = 10 * 60 * 1000;

/// The pipelines there are.
const PIPELINES: [&str; 9] = ["quick", "steps", "slow", "resumes", "asks", "queued", "latest", "alone", "labelled"];

/// The server with the label that `labelled` needs: the beginning of its name.
const LABELLED_SERVER: &str = "server0";

fn pipelines() -> Vec<Pipeline> {
    let phase = |name: &str, run: &str| PhaseSpec { name: name.into(), run: run.into(), ..PhaseSpec::default() };
    let group = Param {
        name: "group".into(),
        title: String::new(),
        help: String::new(),
        kind: ParamKind::String,
        required: false,
        default: None,
        choices: Vec::new(),
    };
    let all = |name: &str, phases: Vec<PhaseSpec>| Pipeline {
        name: name.into(),
        title: name.into(),
        params: vec![group.clone()],
        phases,
        ..Pipeline::default()
    };
    let grouped = |when_busy| Some(Concurrency { per: "group".into(), when_busy });
    let two = || vec![phase("a", "ms=900 lines=3"), phase("b", "ms=700 lines=2")];
    let retried = RetryPolicy { times: 2, delay_ms: 400, on: Vec::new() };
    vec![
        all("quick", vec![phase("a", "lines=5")]),
        all(
            "steps",
            vec![
                PhaseSpec { retries: retried.clone(), ..phase("a", "ms=200 tries=2") },
                PhaseSpec { continue_on_error: true, ..phase("b", "ms=300 code=3") },
                phase("c", "ms=100 code=1"),
                phase("d", "ms=100"),
            ],
        ),
        all("slow", vec![PhaseSpec { timeout_ms: Some(8000), ..phase("a", "ms=60000 lines=100 stubborn") }]),
        Pipeline {
            on_interrupt: OnInterrupt::Resume,
            ..all(
                "resumes",
                vec![
                    phase("a", "ms=1500 lines=4"),
                    PhaseSpec { retries: retried, ..phase("b", "ms=2500 lines=4 tries=2") },
                    phase("c", "ms=500"),
                ],
            )
        },
        Pipeline {
            on_interrupt: OnInterrupt::Resume,
            ..all(
                "asks",
                vec![
                    phase("a", "ms=400"),
                    PhaseSpec { approval: ApprovalRule::Fixed(true), ..phase("b", "ms=800 lines=2") },
                    PhaseSpec { approval: ApprovalRule::Fixed(true), ..phase("c", "ms=100") },
                ],
            )
        },
        Pipeline { concurrency: grouped(BusyPolicy::Queue), ..all("queued", two()) },
        Pipeline {
            concurrency: grouped(BusyPolicy::CancelPrevious),
            on_interrupt: OnInterrupt::Resume,
            ..all("latest", two())
        },
        Pipeline { concurrency: grouped(BusyPolicy::Refuse), on_interrupt: OnInterrupt::Resume, ..all("alone", two()) },
        Pipeline { runs_on: vec!["gpu".parse().unwrap()], on_interrupt: OnInterrupt::Resume, ..all("labelled", two()) },
    ]
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// Time passes, in milliseconds.
    Pass(u64),
    Start {
        pipeline: usize,
        group: bool,
        priority: i32,
    },
    Cancel(usize),
    Rerun {
        run: usize,
        failed: bool,
    },
    Answer {
        run: usize,
        approved: bool,
    },
    /// This server does nothing until it goes on.
    Stall(usize),
    GoOn(usize),
    /// This server is no more, or is started if it was not there.
    Crash(usize),
    /// This server stops in order, or is started if it was not there.
    Stop(usize),
    /// The database does not answer, or does again.
    Away(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let server = 0..SERVERS;
    let step = prop_oneof![
        10 => prop_oneof![1..400u64, 400..6000u64, 6000..20_000u64].prop_map(Step::Pass),
        8 => (0..PIPELINES.len(), any::<bool>(), -2..3i32)
            .prop_map(|(pipeline, group, priority)| Step::Start { pipeline, group, priority }),
        2 => (0..40usize).prop_map(Step::Cancel),
        2 => (0..40usize, any::<bool>()).prop_map(|(run, failed)| Step::Rerun { run, failed }),
        3 => (0..40usize, prop::bool::weighted(0.7)).prop_map(|(run, approved)| Step::Answer { run, approved }),
        3 => server.clone().prop_map(Step::Stall),
        2 => server.clone().prop_map(Step::GoOn),
        2 => server.clone().prop_map(Step::Crash),
        1 => server.prop_map(Step::Stop),
        1 => any::<bool>().prop_map(Step::Away),
    ];
    prop::collection::vec(step, 5..60)
}

thread_local! {
    /// The server that runs now: a moment of its clock, and what time of the simulation that is.
    static ORIGIN: Cell<Option<(Instant, u64)>> = const { Cell::new(None) };
}

/// The time of the simulation.
fn clock() -> Timestamp {
    let (at, time) = ORIGIN.get().expect("a server runs");
    Timestamp(i64::try_from(time + at.elapsed().as_millis() as u64).unwrap())
}

/// A server, without its HTTP.
struct Server {
    name: String,
    runtime: Runtime,
    origin: (Instant, u64),
    backend: Backend,
    stop: CancellationToken,
    engine: tokio::task::JoinHandle<()>,
    stalled: bool,
    /// The time of the simulation up to which it has run.
    time: u64,
}

impl Server {
    fn start(name: String, store: &RecordingStore, folder: &Path, time: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (recorder, store) = (Arc::new(store.clone()), store.reads());
        let (origin, backend, stop, engine) = runtime.block_on(async {
            let origin = (Instant::now(), time);
            ORIGIN.set(Some(origin));
            let (journal, writer) = Journal::new(recorder, GroupCommit::default());
            tokio::spawn(writer.run());
            let projects = Arc::new(Projects::default());
            let instance = Arc::new(instance(&name));
            let options = EngineOptions {
                owner: name.clone(),
                claimant: claimant(&instance),
                workers: 2,
                lease: Duration::from_millis(LEASE),
                grace: Duration::from_millis(GRACE),
                projects: Arc::clone(&projects),
                scratch: folder.join("scratch"),
                // Of each its own: a server takes away what it does not know.
                workspaces: Workspaces::new(folder.join(&name).join("workspaces")),
                program: "runtrail".into(),
                commands: Arc::new(Simulated { server: name.clone() }),
            };
            let stop = CancellationToken::new();
            tokio::spawn(register(journal.clone(), (*instance).clone()));
            let (engine, task) = Engine::new(store.clone(), journal.clone(), options, stop.clone());
            let backend = Backend {
                store,
                journal,
                engine,
                instance,
                catalog: Catalog::fixed(pipelines()),
                projects,
                max_queued: 1000,
                is_exposed: false,
            };
            (origin, backend, stop, tokio::spawn(task.run()))
        });
        Self { name, runtime, origin, backend, stop, engine, stalled: false, time }
    }

    fn at(&self, time: u64) -> Instant {
        self.origin.0 + Duration::from_millis(time - self.origin.1)
    }

    /// Lets it run up to this time.
    fn run(&mut self, until: u64) {
        if until > self.time {
            ORIGIN.set(Some(self.origin));
            let until_then = self.at(until);
            self.runtime.block_on(async { tokio::time::sleep_until(until_then).await });
            self.time = until;
        }
    }

    /// It has done nothing for a while, and it is this time now.
    fn wake(&mut self, time: u64) {
        self.stalled = false;
        ORIGIN.set(Some(self.origin));
        let then = self.at(time);
        self.runtime.block_on(async {
            let now = Instant::now();
            if then > now {
                tokio::time::advance(then - now).await;
            }
        });
        self.time = time;
    }

    fn ask<T>(&self, ask: impl AsyncFnOnce(&Backend) -> T) -> T {
        ORIGIN.set(Some(self.origin));
        self.runtime.block_on(ask(&self.backend))
    }
}

/// Lets runs be placed on a server by their labels, as soon as the database takes it.
async fn register(journal: Journal, instance: NewInstance) {
    let is_labelled = instance.name.starts_with(LABELLED_SERVER);
    let offers = is_labelled.then(|| Need::Label("gpu".into())).into_iter().collect();
    let (at, lost_at) = (Timestamp::wall(), Timestamp(i64::MAX));
    let beat = BeatInstance { instance, at, lost_at, draining_at: None, offers: Some(offers), is_only: false };
    while journal.execute(beat.clone(), None).await.is_err() {
        tokio::time::sleep(Duration::from_millis(SLICE)).await;
    }
}

/// Whoever asks.
fn person() -> Actor {
    let name = "a person".to_owned();
    Actor { name, role: Role::Admin, via: AuthMethod::Session, address: None, through: "a test", parent: None }
}

struct World {
    folder: tempfile::TempDir,
    store: RecordingStore,
    servers: [Option<Server>; SERVERS],
    started: usize,
    runs: Vec<RunId>,
    time: u64,
    // Dropped last.
    _database: TestDatabase,
}

impl World {
    fn new() -> Self {
        Timestamp::simulate(clock);
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::of_file(&folder.path().join("test.db"));
        let store = RecordingStore::open(&database);
        let mut world = Self {
            folder,
            _database: database,
            store,
            servers: Default::default(),
            started: 0,
            runs: Vec::new(),
            time: 1_000_000,
        };
        (0..SERVERS).for_each(|server| world.start_server(server));
        world
    }

    fn start_server(&mut self, server: usize) {
        self.started += 1;
        let name = format!("server{server}.{}", self.started);
        self.servers[server] = Some(Server::start(name, &self.store, self.folder.path(), self.time));
    }

    /// Time passes, for each server that is not stalled.
    fn pass(&mut self, ms: u64) {
        let end = self.time + ms;
        while self.time < end {
            self.time = (self.time + SLICE).min(end);
            for server in self.servers.iter_mut().flatten().filter(|server| !server.stalled) {
                server.run(self.time);
            }
        }
    }

    /// Asks a server that is well, if there is one.
    fn ask<T>(&self, ask: impl AsyncFnOnce(&Backend) -> Result<T, Problem>) -> Option<T> {
        let server = self.servers.iter().flatten().find(|server| !server.stalled)?;
        // While the database is away nobody waits for an answer.
        if self.store.away.load(Ordering::Relaxed) {
            return None;
        }
        server.ask(ask).ok()
    }

    fn show(&self, id: &RunId) -> Option<Run> {
        self.ask(async |backend| runs::get(backend, id.as_str()).await)
    }

    fn answer(&self, id: &RunId, approved: bool) {
        let Some(question) = self.show(id).and_then(|run| run.approval) else { return };
        let reply = DecisionRequest { approved, ..DecisionRequest::default() };
        self.ask(async |backend| approvals::decide(backend, id.as_str(), Some(question.seq), reply, &person()).await);
    }

    fn step(&mut self, step: &Step) {
        let run = |index: usize| self.runs.get(index % self.runs.len().max(1)).cloned();
        match *step {
            Step::Pass(ms) => self.pass(ms),
            Step::Start { pipeline, group, priority } => {
                let given: ParamInput = [("group".to_owned(), if group { "x" } else { "y" }.into())].into();
                let name = PIPELINES[pipeline];
                let started =
                    self.ask(async |backend| runs::start(backend, name, given, Some(priority), None, &person()).await);
                self.runs.extend(started.map(|(run, _)| run.id));
            }
            Step::Cancel(index) => {
                let Some(id) = run(index) else { return };
                self.ask(async |backend| {
                    runs::cancel(backend, id.as_str(), &person(), CancelMode::ForceOnSecondRequest).await
                });
            }
            Step::Rerun { run: index, failed } => {
                let Some(id) = run(index) else { return };
                let from = if failed { RerunFrom::Failed } else { RerunFrom::Start };
                self.ask(async |backend| {
                    runs::rerun(backend, id.as_str(), from, RerunRequest::default(), &person()).await
                });
            }
            Step::Answer { run: index, approved } => {
                if let Some(id) = run(index) {
                    self.answer(&id, approved);
                }
            }
            Step::Stall(server) => self.servers[server].iter_mut().for_each(|server| server.stalled = true),
            Step::GoOn(server) => {
                let time = self.time;
                self.servers[server].iter_mut().filter(|server| server.stalled).for_each(|server| server.wake(time));
            }
            Step::Crash(server) => match self.servers[server].take() {
                Some(server) => drop(server),
                None => self.start_server(server),
            },
            Step::Stop(server) => match self.servers[server].take() {
                Some(mut stopped) => {
                    if stopped.stalled {
                        stopped.wake(self.time);
                    }
                    stopped.stop.cancel();
                    let before = self.claims(&stopped.name);
                    stopped.run(self.time + GRACE + 8 * LEASE);
                    // What was asked of the database before it heard of the stop.
                    let claimed = self.claims(&stopped.name) - before;
                    assert!(claimed <= 1, "{} claims {claimed} runs although it is to stop", stopped.name);
                    let away = self.store.away.load(Ordering::Relaxed);
                    assert!(away || stopped.engine.is_finished(), "it stops within its grace time");
                }
                None => self.start_server(server),
            },
            Step::Away(away) => self.store.away.store(away, Ordering::Relaxed),
        }
    }

    /// How many runs this server has claimed or taken up, of what is not checked yet.
    fn claims(&self, server: &str) -> usize {
        let of_server = |(command, outcome): &&(StoreCommand, WriteOutcome)| match (command, outcome) {
            (StoreCommand::Run(write), WriteOutcome::Committed(_)) => match &write.command {
                RunCommand::ClaimRun(claim) => claim.owner == server,
                RunCommand::ResumeRun(resume) => resume.owner == server,
                _ => false,
            },
            _ => false,
        };
        self.store.history.blocking_lock().iter().filter(of_server).count()
    }

    /// Everything is well again, and nobody keeps a run waiting.
    fn settle(&mut self, machine: &mut Machine) {
        self.store.away.store(false, Ordering::Relaxed);
        for server in 0..SERVERS {
            match &mut self.servers[server] {
                Some(server) if server.stalled => server.wake(self.time),
                Some(_) => {}
                None => self.start_server(server),
            }
        }
        let end = self.time + PATIENCE;
        loop {
            self.check(machine);
            // To ask takes time, in which something may happen.
            if machine.active() == 0 && self.check(machine) == 0 {
                return;
            }
            assert!(self.time < end, "runs that do not end: {machine:?}");
            self.pass(1000);
            for id in self.runs.clone() {
                self.answer(&id, true);
            }
        }
    }

    /// Returns how much has happened since the last time.
    fn check(&self, machine: &mut Machine) -> usize {
        let history = std::mem::take(&mut *self.store.history.blocking_lock());
        history.iter().for_each(|(command, outcome)| machine.take(command, outcome));
        history.len()
    }
}

fn live(steps: &[Step]) {
    let (mut world, mut machine) = (World::new(), Machine::default());
    for step in steps {
        world.step(step);
        world.check(&mut machine);
    }
    world.settle(&mut machine);
    // What is in the file is what the machine says.
    let server = world.servers[0].as_ref().unwrap();
    let store = &world.store;
    let mut ended = 0;
    for (key, status, attempt, head) in machine.stands() {
        let (frames, journal) = server.ask(async |_| store.frames(key, 0, u32::MAX).await.unwrap());
        assert_eq!((journal.status, journal.attempt, journal.head), (status, attempt, head));
        assert!(frames.iter().zip(1..).all(|(frame, seq)| frame.seq == seq), "dense");
        assert!(status != Status::Pending && status != Status::Running);
        ended += 1;
    }
    assert_eq!(ended, world.runs.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(64), max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn lifecycle_ends_every_run_by_the_rules(steps in steps()) {
        live(&steps);
    }
}
