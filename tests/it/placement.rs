//! Several instances over one database in one process: real engines, heartbeats and claims; only the commands are
//! simulated. What a shared database adds: folders, the files of runs, and instances that are lost.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use runtrail::approvals::{self, DecisionRequest};
use runtrail::engine::{Engine, EngineOptions};
use runtrail::instances::{self, InstanceTask};
use runtrail::journal::{GroupCommit, Journal};
use runtrail::model::workers::{InstanceRole, NewInstance, WorkerState};
use runtrail::model::{
    ApprovalRule, AuthMethod, Param, ParamInput, ParamKind, PhaseSpec, Pipeline, Problem, Role, Run, Status,
};
use runtrail::pipelines::{Catalog, Projects};
use runtrail::runs::{self, Backend};
use runtrail::store::{Durability, Interceptor, Store, StoreError};
use runtrail::testing::Actor;
use runtrail::workspaces::Workspaces;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::lifecycle::commands::Simulated;
use crate::support::until;
use crate::support::writes::{claimant, instance};

/// Short, so that heartbeats are frequent and a lost instance is soon known to be.
const LEASE: Duration = Duration::from_millis(600);

/// The database is taken for one that other servers share.
struct Shared;

impl Interceptor for Shared {
    fn intercept(
        &self,
        _name: &'static str,
        read: BoxFuture<'static, ()>,
    ) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(async move {
            read.await;
            Ok(())
        })
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// A database, and a folder for everything else.
struct Cluster {
    folder: TempDir,
    store: Store,
}

/// One instance. Lost when dropped.
struct Instance {
    backend: Backend,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.stop.cancel();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn pipelines() -> Vec<Pipeline> {
    let project = Param {
        name: "project".into(),
        title: String::new(),
        help: String::new(),
        kind: ParamKind::Path,
        required: false,
        default: None,
        choices: Vec::new(),
    };
    let phase = |name: &str| PhaseSpec { name: name.into(), run: "lines=1".into(), ..PhaseSpec::default() };
    let named = |name: &str, phases| Pipeline {
        name: name.into(),
        title: name.into(),
        params: vec![project.clone()],
        phases,
        ..Pipeline::default()
    };
    let asks = PhaseSpec { approval: ApprovalRule::Fixed(true), ..phase("b") };
    let gpu = vec!["gpu".parse().unwrap()];
    vec![
        named("plain", vec![phase("a")]),
        named("asks", vec![phase("a"), asks]),
        Pipeline { runs_on: gpu, ..named("special", vec![phase("a")]) },
    ]
}

impl Cluster {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&folder.path().join("test.db"), Durability::Normal).await.unwrap();
        Self { folder, store: store.intercepted(Arc::new(Shared)) }
    }

    /// A folder with this name, which exists.
    fn project(&self, name: &str) -> PathBuf {
        let project = self.folder.path().canonicalize().unwrap().join(name);
        std::fs::create_dir_all(&project).unwrap();
        project
    }

    async fn start(&self, name: &str, slots: u32, labels: &[&str], projects: &[&Path]) -> Instance {
        let projects: Vec<PathBuf> = projects.iter().map(|project| (*project).to_owned()).collect();
        let projects = Arc::new(Projects::open(&projects).unwrap());
        let described = Arc::new(NewInstance {
            role: InstanceRole::Serve,
            labels: labels.iter().map(|label| label.parse().unwrap()).collect(),
            projects: projects.roots().to_vec(),
            slots,
            ..instance(name)
        });
        // The data folder is named by what is before the dot, as its id is.
        let files = self.folder.path().join(name.split('.').next().unwrap_or(name));
        let stop = CancellationToken::new();
        let (journal, writer) = Journal::new(Arc::new(self.store.clone()), GroupCommit::default());
        let options = EngineOptions {
            owner: described.owner.clone(),
            claimant: claimant(&described),
            workers: slots as usize,
            lease: LEASE,
            grace: LEASE,
            projects: Arc::clone(&projects),
            scratch: files.join("scratch"),
            workspaces: Workspaces::new(files.join("workspaces")),
            program: "runtrail".into(),
            commands: Arc::new(Simulated { server: name.to_owned() }),
        };
        let (engine, engine_task) = Engine::new(self.store.clone(), journal.clone(), options, stop.clone());
        let backend = Backend {
            store: self.store.clone(),
            journal,
            engine,
            instance: described,
            catalog: Catalog::fixed(pipelines()),
            projects,
            max_queued: 1000,
            is_exposed: false,
        };
        let mut heartbeats = InstanceTask::new(backend.clone());
        let mut tasks = vec![tokio::spawn(writer.run())];
        heartbeats.register().await;
        tasks.push(tokio::spawn(engine_task.run()));
        tasks.push(tokio::spawn(heartbeats.run()));
        Instance { backend, stop, tasks }
    }
}

fn person() -> Actor {
    let name = "a person".to_owned();
    Actor { name, role: Role::Admin, via: AuthMethod::Session, address: None, through: "a test", parent: None }
}

impl Instance {
    async fn run(&self, pipeline: &str, project: &str) -> Result<Run, Problem> {
        let input = ParamInput::from([("project".to_owned(), json!(project))]);
        runs::start(&self.backend, pipeline, input, None, None, &person()).await.map(|(run, _)| run)
    }

    async fn until_status(&self, run: &Run, status: Status) -> Run {
        until(&format!("the run is {status}"), async || {
            let now = runs::get(&self.backend, run.id.as_str()).await.unwrap();
            (now.status == status).then_some(now)
        })
        .await
    }

    /// The names of the instances that printed the run's lines, in order.
    async fn printers(&self, run: &Run) -> Vec<String> {
        let view = runs::view(&self.backend, run.id.as_str(), None).await.unwrap();
        let data = view.frames.iter().filter_map(|frame| serde_json::to_value(frame).ok());
        let lines = data.filter(|frame| frame["kind"] == "log").map(|frame| frame["data"]["line"].clone());
        lines.map(|line| line.as_str().unwrap().split(' ').next().unwrap().to_owned()).collect()
    }

    /// What the run waits for, if it waits for something.
    async fn missing(&self, run: &Run) -> Option<String> {
        let queue = runs::queue(&self.backend).await.unwrap();
        let entry = queue.waiting.into_iter().find(|entry| entry.id == run.id)?;
        entry.waiting_for.map(|shortage| shortage.message)
    }

    async fn state_of(&self, name: &str) -> Option<WorkerState> {
        let list = instances::workers(&self.backend).await.unwrap();
        list.workers.into_iter().find(|worker| worker.name == name).map(|worker| worker.state)
    }
}

/// A server without projects and slots takes a run for a folder that only a worker has; of two workers, the one with
/// the folder executes it.
#[tokio::test]
async fn run_goes_to_the_worker_with_its_project() {
    let cluster = Cluster::new().await;
    let (here, there) = (cluster.project("here"), cluster.project("there"));
    let project = cluster.project("there/project");
    let project = project.to_str().unwrap();
    let pages = cluster.start("pages", 0, &[], &[]).await;
    let _one = cluster.start("one", 2, &[], &[&here]).await;
    let refused = pages.run("plain", project).await.unwrap_err();
    assert_eq!(refused.errors[0].code, "invalid_path", "no worker has such a folder");
    let _two = cluster.start("two", 2, &[], &[&there]).await;
    let run = until("the server knows the worker's folders", async || pages.run("plain", project).await.ok()).await;
    pages.until_status(&run, Status::Completed).await;
    assert_eq!(pages.printers(&run).await, ["two"]);

    // It is not there yet.
    let later = there.join("later");
    let run = pages.run("plain", later.to_str().unwrap()).await.unwrap();
    let message = until("the run says what is missing", async || pages.missing(&run).await).await;
    assert_eq!(message, format!("no worker with folder {}", later.display()));
    std::fs::create_dir(&later).unwrap();
    pages.until_status(&run, Status::Completed).await;
    assert_eq!(pages.printers(&run).await, ["two"]);
}

/// A worker that is lost takes nothing; the run waits since then, and starts when another one comes.
#[tokio::test]
async fn run_waits_while_its_worker_is_lost() {
    let cluster = Cluster::new().await;
    let pages = cluster.start("pages", 0, &[], &[]).await;
    let _plain = cluster.start("plain", 1, &[], &[]).await;
    let special = cluster.start("special", 1, &["gpu"], &[]).await;
    let first = pages.run("special", "").await.unwrap();
    pages.until_status(&first, Status::Completed).await;
    assert_eq!(pages.printers(&first).await, ["special"]);
    assert_eq!(pages.state_of("special").await, Some(WorkerState::Live));
    drop(special);
    until("the worker is lost", async || (pages.state_of("special").await == Some(WorkerState::Lost)).then_some(()))
        .await;
    let run = pages.run("special", "").await.unwrap();
    assert_eq!(pages.missing(&run).await.as_deref(), Some("no worker with label gpu"));
    let _again = cluster.start("another", 1, &["gpu", "big"], &[]).await;
    pages.until_status(&run, Status::Completed).await;
    assert_eq!(pages.printers(&run).await, ["another"]);
    assert_eq!(pages.missing(&run).await, None);
}

/// Of several workers, the one that is draining takes nothing new.
#[tokio::test]
async fn draining_worker_leaves_runs_to_the_others() {
    let cluster = Cluster::new().await;
    let one = cluster.start("one", 4, &[], &[]).await;
    let two = cluster.start("two", 1, &[], &[]).await;
    instances::drain(&one.backend, &person()).await.unwrap();
    one.backend.engine.drained().await;
    until("the other one knows", async || (two.state_of("one").await == Some(WorkerState::Draining)).then_some(()))
        .await;
    for _ in 0..5 {
        let run = one.run("plain", "").await.unwrap();
        one.until_status(&run, Status::Completed).await;
        assert_eq!(one.printers(&run).await, ["two"]);
    }
}

/// A run that was approved continues where its files are, whoever was asked to approve it. A rejected one is ended by
/// anybody.
#[tokio::test]
async fn approved_run_continues_on_its_worker() {
    let cluster = Cluster::new().await;
    let pages = cluster.start("pages", 0, &[], &[]).await;
    let one = cluster.start("one", 2, &[], &[]).await;
    let approved = pages.run("asks", "").await.unwrap();
    let rejected = pages.run("asks", "").await.unwrap();
    let asked = async |run: &Run| {
        until("it asks", async || runs::get(&pages.backend, run.id.as_str()).await.unwrap().approval).await.seq
    };
    let questions = [asked(&approved).await, asked(&rejected).await];
    drop(one);
    let _two = cluster.start("two", 2, &[], &[]).await;
    for (run, is_approved, seq) in [(&approved, true, questions[0]), (&rejected, false, questions[1])] {
        let request = DecisionRequest { approved: is_approved, ..DecisionRequest::default() };
        approvals::decide(&pages.backend, run.id.as_str(), Some(seq), request, &person()).await.unwrap();
    }
    pages.until_status(&rejected, Status::Cancelled).await;
    let missing = until("the approved run is known to wait", async || {
        let list = instances::workers(&pages.backend).await.unwrap();
        list.shortages.into_iter().next()
    })
    .await;
    assert_eq!((missing.message.as_str(), missing.runs), ("no worker with the files of the run", 1));
    // The same data folder again: what is after the dot is not in its id.
    let _one = cluster.start("one.2", 2, &[], &[]).await;
    pages.until_status(&approved, Status::Completed).await;
    assert_eq!(pages.printers(&approved).await, ["one", "one.2"]);
}
