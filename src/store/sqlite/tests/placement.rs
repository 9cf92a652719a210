//! Heartbeats of instances, and which of them may claim a run.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::store;
use crate::model::kinds::PhaseChange;
use crate::model::placement::{Label, Need};
use crate::model::workers::{InstanceRole, NewInstance};
use crate::model::{
    FinalStatus, Param, ParamKind, ParamValue, Params, PhaseSpec, Pipeline, RunId, Secrets, Status, Timestamp,
};
use crate::store::{
    BeatInstance, ClaimRun, Claimant, CreateRun, EndInstance, FinishAttempt, ForgetInstances, GuardedCommand, Lease,
    LeaseHolder, QueueAttempt, RunKey, RunWrite, Store, StoreCommand, WriteOutcome,
};

fn label(text: &str) -> Label {
    text.parse().unwrap()
}

fn need(text: &str) -> Need {
    Need::Label(text.to_owned())
}

fn instance(id: &str) -> NewInstance {
    NewInstance {
        id: id.to_owned(),
        owner: format!("worker 1@{id}"),
        name: format!("name of {id}"),
        version: "1".to_owned(),
        role: InstanceRole::Worker,
        data_folder: format!("folder of {id}"),
        labels: vec![label("gpu")],
        projects: vec!["/srv".to_owned()],
        slots: 3,
        started_at: Timestamp(5),
    }
}

fn beat(id: &str, at: i64, offers: Option<&[Need]>) -> GuardedCommand {
    BeatInstance {
        instance: instance(id),
        at: Timestamp(at),
        lost_at: Timestamp(at + 15),
        draining_at: None,
        offers: offers.map(|offers| offers.iter().cloned().collect()),
        is_only: false,
    }
    .into()
}

fn claimant(id: &str, is_only: bool) -> Claimant {
    Claimant { instance: id.to_owned(), data_folder: format!("folder of {id}"), is_only }
}

async fn execute(store: &Store, command: impl Into<GuardedCommand>) -> WriteOutcome {
    store.commit(&[StoreCommand::Guarded(command.into(), None)]).await.unwrap().remove(0)
}

/// A pipeline with labels of its own and of its second phase.
fn pipeline(runs_on: &[&str], of_phase: &[&str]) -> Pipeline {
    let labels = |texts: &[&str]| texts.iter().map(|text| label(text)).collect();
    let phase =
        |name: &str, runs_on| PhaseSpec { name: name.into(), run: "true".into(), runs_on, ..PhaseSpec::default() };
    let project = Param {
        name: "project".into(),
        title: String::new(),
        help: String::new(),
        kind: ParamKind::Path,
        required: false,
        default: None,
        choices: Vec::new(),
    };
    Pipeline {
        name: "p".into(),
        title: "P".into(),
        runs_on: labels(runs_on),
        params: vec![project],
        phases: vec![phase("a", Vec::new()), phase("b", labels(of_phase))],
        ..Pipeline::default()
    }
}

async fn create(store: &Store, pipeline: &Pipeline, project: &str) -> RunKey {
    let project = ("project".to_owned(), ParamValue::Text(project.to_owned()));
    let new = CreateRun {
        id: RunId::generate(),
        pipeline: Arc::new(pipeline.clone()),
        params: Params::from([project]),
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
    };
    match store.commit(&[StoreCommand::CreateRun(new)]).await.unwrap().remove(0) {
        WriteOutcome::Created(created) => created.key,
        other => panic!("{other:?}"),
    }
}

async fn write(store: &Store, write: RunWrite) -> WriteOutcome {
    store.commit(&[StoreCommand::Run(write)]).await.unwrap().remove(0)
}

/// Whether this instance finds the run and wins it. Both say the same.
async fn wins(store: &Store, run: RunKey, attempt: u32, by: Claimant) -> bool {
    let is_listed = store.claimable(&by, 100).await.unwrap().contains(&(run, attempt));
    let claim = ClaimRun { run, attempt, owner: "w".into(), claimant: by, lease_until: Timestamp(i64::MAX) };
    let has_won = matches!(write(store, RunWrite::new(claim)).await, WriteOutcome::Committed(_));
    assert_eq!(has_won, is_listed, "the query and the claim agree");
    has_won
}

#[tokio::test]
async fn run_goes_to_an_instance_with_all_of_its_labels() {
    let (_folder, store) = store().await;
    execute(&store, beat("some", 10, Some(&[need("gpu")]))).await;
    execute(&store, beat("all", 10, Some(&[need("gpu"), need("big"), need("linux")]))).await;
    let run = create(&store, &pipeline(&["gpu"], &["big"]), "").await;
    for id in ["unknown", "some"] {
        for is_only in [false, true] {
            assert!(!wins(&store, run, 1, claimant(id, is_only)).await, "{id} {is_only}");
        }
    }
    assert!(wins(&store, run, 1, claimant("all", false)).await);
    let plain = create(&store, &pipeline(&[], &[]), "").await;
    assert!(wins(&store, plain, 1, claimant("unknown", false)).await, "it needs nothing");
}

#[tokio::test]
async fn run_goes_to_an_instance_with_its_folder() {
    let (_folder, store) = store().await;
    execute(&store, beat("one", 10, Some(&[]))).await;
    let run = create(&store, &pipeline(&[], &[]), "/srv/a").await;
    assert_eq!(store.needed_folders().await.unwrap(), ["/srv/a"]);
    assert!(!wins(&store, run, 1, claimant("one", false)).await);
    execute(&store, beat("one", 11, Some(&[Need::Folder("/srv/b".into())]))).await;
    assert!(!wins(&store, run, 1, claimant("one", false)).await);
    execute(&store, beat("one", 12, Some(&[Need::Folder("/srv/a".into())]))).await;
    execute(&store, beat("one", 13, None)).await;
    assert!(wins(&store, run, 1, claimant("one", false)).await, "a heartbeat without offers keeps them");
    assert!(store.needed_folders().await.unwrap().is_empty(), "it is claimed");
    let other = create(&store, &pipeline(&[], &[]), "/srv/gone").await;
    assert!(wins(&store, other, 1, claimant("one", true)).await, "the only instance fails it with a reason");
}

/// An attempt in a scratch folder that begins with a later phase needs the files of the one before it. In a project it
/// does not, nor if it begins with the first phase.
#[tokio::test]
async fn later_phases_run_where_the_files_are() {
    let (_folder, store) = store().await;
    let pipeline = pipeline(&[], &[]);
    for (project, from_phase, needs_files) in [("", 1, true), ("", 0, false), ("/srv/a", 1, false)] {
        for id in ["one", "two"] {
            execute(&store, beat(id, 10, Some(&[Need::Folder("/srv/a".into())]))).await;
        }
        let run = create(&store, &pipeline, project).await;
        assert!(wins(&store, run, 1, claimant("one", false)).await);
        let lease = Lease { run, attempt: 1, token: 1 };
        let holder = LeaseHolder::Worker(lease);
        let end = FinishAttempt { holder, to: FinalStatus::Failed, error: None, next: None };
        let mut end = RunWrite::new(end);
        end.add_phase(PhaseChange::skipped("a".into()));
        assert!(matches!(write(&store, end).await, WriteOutcome::Committed(_)));
        let queue = QueueAttempt {
            run,
            status: Status::Failed,
            attempt: 1,
            pipeline: Arc::new(pipeline.clone()),
            params: store.run(run).await.unwrap().unwrap().params,
            from_phase,
            resumes: None,
            secrets: Secrets::new(),
            asked_by: None,
        };
        assert!(matches!(write(&store, RunWrite::new(queue)).await, WriteOutcome::Committed(_)));
        let pending = store.pending_runs().await.unwrap();
        let found = pending.iter().any(|run| run.needs.contains(&Need::Files("folder of one".into())));
        assert_eq!(found, needs_files, "{project} {from_phase}");
        assert_eq!(wins(&store, run, 2, claimant("two", false)).await, !needs_files, "{project} {from_phase}");
        if needs_files {
            assert!(wins(&store, run, 2, claimant("one", false)).await);
        }
    }
}

#[tokio::test]
async fn instance_is_listed_until_it_is_forgotten() {
    let (_folder, store) = store().await;
    execute(&store, beat("one", 10, Some(&[need("gpu")]))).await;
    let drained = BeatInstance {
        instance: instance("one"),
        at: Timestamp(20),
        lost_at: Timestamp(35),
        draining_at: Some(Timestamp(19)),
        offers: None,
        is_only: false,
    };
    execute(&store, drained).await;
    execute(&store, beat("two", 30, Some(&[]))).await;
    let known = store.instances().await.unwrap();
    let [one, two] = known.as_slice() else { panic!("{known:?}") };
    assert_eq!((&one.instance, &two.instance), (&instance("one"), &instance("two")));
    let times = (one.seen_at, one.lost_at, one.draining_at, one.ended_at);
    assert_eq!(times, (Timestamp(20), Timestamp(35), Some(Timestamp(19)), None));
    assert_eq!(one.offers, BTreeSet::from([need("gpu")]));

    assert!(matches!(execute(&store, ForgetInstances { before: Timestamp(20) }).await, WriteOutcome::Refused));
    assert!(matches!(execute(&store, ForgetInstances { before: Timestamp(21) }).await, WriteOutcome::Done));
    let known = store.instances().await.unwrap();
    assert_eq!(known.iter().map(|known| known.instance.id.as_str()).collect::<Vec<_>>(), ["two"]);
    let run = create(&store, &pipeline(&["gpu"], &[]), "").await;
    assert!(!wins(&store, run, 1, claimant("one", false)).await, "its offers are forgotten too");

    assert!(matches!(
        execute(&store, EndInstance { id: "one".into(), at: Timestamp(40) }).await,
        WriteOutcome::Refused
    ));
    assert!(matches!(execute(&store, EndInstance { id: "two".into(), at: Timestamp(40) }).await, WriteOutcome::Done));
    assert_eq!(store.instances().await.unwrap()[0].ended_at, Some(Timestamp(40)));
    execute(&store, beat("two", 50, None)).await;
    assert_eq!(store.instances().await.unwrap()[0].ended_at, None, "it is alive after all");
}

/// Where no other program can have the database, the others have ended, whatever their rows say.
#[tokio::test]
async fn only_instance_ends_the_others() {
    let (_folder, store) = store().await;
    execute(&store, beat("before", 10, Some(&[]))).await;
    let only = BeatInstance {
        instance: instance("only"),
        at: Timestamp(20),
        lost_at: Timestamp(35),
        draining_at: None,
        offers: Some(BTreeSet::new()),
        is_only: true,
    };
    execute(&store, only).await;
    let ended: Vec<_> = store.instances().await.unwrap().into_iter().map(|known| known.ended_at).collect();
    assert_eq!(ended, [Some(Timestamp(10)), None]);
}
