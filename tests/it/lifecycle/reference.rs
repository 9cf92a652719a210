//! The reference machine: what each transaction does to a run, said once more and differently, without a database. It
//! is given the transactions in the order in which they were made, and says which were to be refused and where every
//! run stands.

use std::collections::{BTreeMap, HashSet};

use runtrail::model::queue::BusyPolicy;
use runtrail::model::{PhaseState, Status};
use runtrail::store::{
    CreateRun, Created, Lease, LeaseHolder, RunCommand, RunKey, RunWrite, StoreCommand, WriteOutcome,
};
use serde_json::Value;

/// How many attempts in a row nobody has asked for, at most.
const RESUMES: u32 = 100;

/// Who holds a running run.
#[derive(Clone, Debug, PartialEq)]
enum Held {
    /// A worker, until this moment.
    By(String, i64),
    /// Nobody: it asks a person, with the question of this seq.
    Asks(u64),
    /// Nobody: it was answered.
    Answered,
}

#[derive(Clone, Debug)]
struct Run {
    status: Status,
    attempt: u32,
    token: i64,
    held: Option<Held>,
    cancelled_by: Option<String>,
    rejected: bool,
    head: u64,
    /// How many attempts up to this one went on by themselves.
    resumed: u32,
    group: Option<String>,
    phases: Vec<(String, PhaseState)>,
}

/// All runs.
#[derive(Debug, Default)]
pub struct Machine {
    runs: BTreeMap<RunKey, Run>,
    /// The attempts that were claimed.
    claimed: HashSet<(RunKey, u32)>,
}

impl Machine {
    /// Takes the next command, and what the store says became of it.
    pub fn take(&mut self, command: &StoreCommand, outcome: &WriteOutcome) {
        match command {
            StoreCommand::CreateRun(new) => self.create(new, outcome),
            StoreCommand::Run(write) => self.write(write, outcome),
            // Nothing is deleted here: see `retention.rs`.
            StoreCommand::Purge(step) => panic!("{step:?} of runs that are there"),
            StoreCommand::RecordHookDelivery(_) | StoreCommand::Guarded(..) | StoreCommand::Probe => {}
        }
    }

    /// Where a run stands: status, attempt and head.
    pub fn stands(&self) -> impl Iterator<Item = (RunKey, Status, u32, u64)> {
        self.runs.iter().map(|(key, run)| (*key, run.status, run.attempt, run.head))
    }

    /// Runs that are not finished.
    pub fn active(&self) -> usize {
        self.runs.values().filter(|run| run.status.is_active()).count()
    }

    fn busy(&self, group: &str, at: impl Fn(Status) -> bool) -> bool {
        self.runs.values().any(|run| run.group.as_deref() == Some(group) && at(run.status))
    }

    fn create(&mut self, new: &CreateRun, outcome: &WriteOutcome) {
        let group = new.pipeline.group(&new.params);
        let refuses = group.as_ref().is_some_and(|group| group.when_busy == BusyPolicy::Refuse);
        let group = group.map(|group| group.key);
        let refused = refuses && self.busy(group.as_ref().unwrap(), Status::is_active);
        match outcome {
            WriteOutcome::Refused => assert!(refused, "a run is refused while its group is idle"),
            WriteOutcome::Created(Created { key, is_new: true, .. }) => {
                assert!(!refused, "a run is taken while its group is busy");
                let phases = new.pipeline.phases.iter().map(|spec| (spec.name.clone(), PhaseState::Pending)).collect();
                let created = Run {
                    status: Status::Pending,
                    attempt: 1,
                    token: 0,
                    held: None,
                    cancelled_by: None,
                    rejected: false,
                    head: 0,
                    resumed: 0,
                    group,
                    phases,
                };
                assert!(self.runs.insert(*key, created).is_none());
            }
            other => panic!("a new run is {other:?}"),
        }
    }

    /// Whether the run is as the command takes it to be.
    fn holds(run: &Run, command: &RunCommand) -> bool {
        let is_leased = |Lease { attempt, token, .. }: Lease| {
            run.status == Status::Running && run.attempt == attempt && run.token == token
        };
        match command {
            RunCommand::ExtendLease(extend) => is_leased(extend.lease),
            RunCommand::EnterPhase(enter) => is_leased(enter.lease),
            RunCommand::AppendFrames(append) => is_leased(append.lease),
            RunCommand::AdoptRun(adopt) => {
                is_leased(Lease { run: adopt.run, attempt: adopt.attempt, token: adopt.token })
            }
            RunCommand::RequestApproval(request) => is_leased(request.lease),
            RunCommand::FinishAttempt(finish) => match finish.holder {
                LeaseHolder::Worker(lease) => is_leased(lease),
                LeaseHolder::Expired { attempt, before, head, is_cancelled, .. } => {
                    run.attempt == attempt
                        && is_cancelled.is_none_or(|is_cancelled| is_cancelled == run.cancelled_by.is_some())
                        && run.head == head
                        && matches!(run.held, Some(Held::By(_, until)) if until < before.0)
                }
            },
            RunCommand::ClaimRun(claim) => run.status == Status::Pending && run.attempt == claim.attempt,
            RunCommand::CancelPending(cancel) => run.status == Status::Pending && run.attempt == cancel.attempt,
            RunCommand::RequestCancel(request) => run.status == Status::Running && run.attempt == request.attempt,
            RunCommand::QueueAttempt(queue) => run.status == queue.status && run.attempt == queue.attempt,
            RunCommand::DecideApproval(decide) => {
                let asks = Some(Held::Asks(decide.question_seq));
                run.attempt == decide.attempt && run.cancelled_by.is_none() && run.held == asks
            }
            RunCommand::ResumeRun(resume) => {
                let ends = run.cancelled_by.is_some() && matches!(run.held, Some(Held::Asks(_)));
                run.attempt == resume.attempt && (ends || run.held == Some(Held::Answered))
            }
            RunCommand::PinRun(_)
            | RunCommand::DeleteRun(_)
            | RunCommand::BeginDelivery(_)
            | RunCommand::RecordDelivery(_) => panic!("nobody asks for {command:?}"),
        }
    }

    fn write(&mut self, write: &RunWrite, outcome: &WriteOutcome) {
        let key = write.run();
        let run = &self.runs[&key];
        let is_free = match &write.command {
            RunCommand::ClaimRun(_) => {
                run.group.as_ref().is_none_or(|group| !self.busy(group, |at| at == Status::Running))
            }
            RunCommand::QueueAttempt(queue) => {
                assert!(
                    queue.resumes.is_none(),
                    "what goes on by itself does so in the transaction that interrupts it"
                );
                let group = queue.pipeline.group(&queue.params);
                let refusing = group.filter(|group| group.when_busy == BusyPolicy::Refuse);
                refusing.is_none_or(|group| !self.busy(&group.key, Status::is_active))
            }
            _ => true,
        };
        let expected = Self::holds(run, &write.command) && is_free;
        let committed = match outcome {
            WriteOutcome::Committed(committed) => committed,
            WriteOutcome::Refused => {
                assert!(!expected, "refused, and should not be: {write:?} to {run:?}");
                return;
            }
            other => panic!("a write is {other:?}"),
        };
        assert!(expected, "accepted, and should not be: {write:?} to {run:?}");
        if let RunCommand::ClaimRun(_) = write.command {
            assert!(self.claimed.insert((key, run.attempt)), "one winner for each attempt: {write:?}");
        }
        let run = self.runs.get_mut(&key).unwrap();
        let next = write.next().filter(|_| run.cancelled_by.is_none() && !run.rejected);
        let mut told = step(run, write);
        if let Some(next) = next {
            assert!(Self::holds(run, &next.command), "it goes on from where it was interrupted: {next:?} to {run:?}");
            let RunCommand::QueueAttempt(queue) = &next.command else { panic!("{next:?}") };
            let resumes = queue.resumes.expect("it goes on by itself");
            let counted = resumes == 1 || (run.resumed..=run.resumed + 1).contains(&resumes);
            assert!(counted && resumes <= RESUMES, "{resumes} times in a row, and it was {}", run.resumed);
            told.extend(step(run, next));
        }
        let journal = committed.journal;
        assert_eq!((journal.status, journal.attempt, journal.head), (run.status, run.attempt, run.head));
        assert_eq!((committed.token, &committed.cancel_by), (run.token, &run.cancelled_by));
        let frames: Vec<_> = committed.frames.iter().map(|frame| (frame.seq, frame.attempt)).collect();
        assert_eq!(frames, told, "dense, and of its attempt");
    }
}

/// One change of a run, with what becomes of phases and what the journal says of it: the seq and the attempt of each
/// frame.
fn step(run: &mut Run, write: &RunWrite) -> Vec<(u64, u32)> {
    let before = run.clone();
    change(run, write);
    for update in &write.phases {
        let phase = run.phases.iter_mut().find(|(name, _)| *name == *update.name).unwrap();
        let known = (phase.1, update.state);
        use PhaseState::{Completed, Failed, Pending, Skipped, Started};
        let follows = matches!(known, (Pending, Started | Skipped | Failed) | (Started, Completed | Failed));
        assert!(follows, "phase {} goes from {:?} to {:?}", phase.0, known.0, known.1);
        phase.1 = update.state;
    }
    run.head += write.frames.len() as u64;
    told(&before, run, write);
    if run.status.is_finished() && before.status.is_active() {
        let open = |(_, state): &(String, PhaseState)| matches!(state, PhaseState::Pending | PhaseState::Started);
        assert!(!run.phases.iter().any(open), "an attempt ends with all of its phases: {:?}", run.phases);
    }
    (before.head + 1..=run.head).map(|seq| (seq, run.attempt)).collect()
}

/// What a change makes of a run.
fn change(run: &mut Run, write: &RunWrite) {
    match &write.command {
        RunCommand::AppendFrames(_) | RunCommand::EnterPhase(_) => {}
        RunCommand::ClaimRun(claim) => {
            run.status = Status::Running;
            run.token += 1;
            run.held = Some(Held::By(claim.owner.clone(), claim.lease_until.0));
        }
        RunCommand::AdoptRun(adopt) => {
            run.token += 1;
            run.held = Some(Held::By(adopt.owner.clone(), adopt.lease_until.0));
        }
        RunCommand::ExtendLease(extend) => match &mut run.held {
            Some(Held::By(_, known)) => *known = extend.lease_until.0,
            other => panic!("a lease is extended that is {other:?}"),
        },
        RunCommand::RequestApproval(_) => {
            run.token += 1;
            run.held = Some(Held::Asks(run.head + write.frames.len() as u64));
        }
        RunCommand::DecideApproval(decide) => {
            run.held = Some(Held::Answered);
            run.rejected = !decide.answer.approved;
        }
        RunCommand::ResumeRun(resume) => {
            run.token += 1;
            run.held = Some(Held::By(resume.owner.clone(), resume.lease_until.0));
        }
        RunCommand::FinishAttempt(finish) => {
            run.status = finish.to.status();
            run.held = None;
            run.rejected = false;
            run.cancelled_by = None;
        }
        RunCommand::CancelPending(_) => run.status = Status::Cancelled,
        RunCommand::QueueAttempt(queue) => {
            run.status = Status::Pending;
            run.attempt += 1;
            run.resumed = queue.resumes.unwrap_or(0);
            run.group = queue.pipeline.group(&queue.params).map(|group| group.key);
            for phase in run.phases.iter_mut().skip(queue.from_phase) {
                phase.1 = PhaseState::Pending;
            }
        }
        RunCommand::RequestCancel(request) => {
            run.cancelled_by.get_or_insert(request.request.by.clone());
        }
        RunCommand::PinRun(_)
        | RunCommand::DeleteRun(_)
        | RunCommand::BeginDelivery(_)
        | RunCommand::RecordDelivery(_) => panic!("nobody asks for {:?}", write.command),
    }
}

/// What the journal says of it: each change of status once and as it was, and nothing by anyone but who holds the run.
fn told(before: &Run, run: &Run, write: &RunWrite) {
    let data = |frame: &runtrail::store::NewFrame| serde_json::from_str::<Value>(&frame.data).unwrap();
    let moves: Vec<Value> = write.frames.iter().filter(|frame| &*frame.kind == "status").map(data).collect();
    match moves.as_slice() {
        [] => assert_eq!(before.status, run.status, "a change of status is a frame"),
        [told] => {
            assert_eq!(
                (told["from"].as_str(), told["to"].as_str()),
                (Some(before.status.as_str()), Some(run.status.as_str()))
            );
        }
        more => panic!("one change, and {more:?}"),
    }
    for line in write.frames.iter().filter(|frame| &*frame.kind == "log").map(data) {
        let line = line["line"].as_str().unwrap();
        let Some(Held::By(owner, _)) = &before.held else { panic!("{line} of nobody's run") };
        assert_eq!(line.split(' ').next(), Some(owner.as_str()), "a line of a worker that is fenced off");
    }
}
