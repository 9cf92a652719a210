//! The reference machine: what each transaction does to a run, said once more and differently, without a database. It
//! is given the transactions in the order in which they were made, and says which were to be refused and where every
//! run stands.

use std::collections::{BTreeMap, HashSet};

use runtrail::model::queue::BusyPolicy;
use runtrail::model::{PhaseState, Status};
use runtrail::store::{Change, Created, Guard, Lease, NewRun, Op, Outcome, RunKey, Write};
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
    /// Takes the next transaction's part, and what the store says came of it.
    pub fn take(&mut self, op: &Op, outcome: &Outcome) {
        match op {
            Op::Create(new) => self.create(new, outcome),
            Op::Write(write) => self.write(write, outcome),
            // Nothing is deleted here: see `retention.rs`.
            Op::Clear(clearing) => panic!("{clearing:?} of runs that are there"),
            #[allow(unreachable_patterns)]
            _ => {}
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

    fn create(&mut self, new: &NewRun, outcome: &Outcome) {
        let group = new.pipeline.group(&new.params);
        let refuses = group.as_ref().is_some_and(|group| group.when_busy == BusyPolicy::Refuse);
        let group = group.map(|group| group.key);
        let refused = refuses && self.busy(group.as_ref().unwrap(), Status::is_active);
        match outcome {
            Outcome::Refused => assert!(refused, "a run is refused while its group is idle"),
            Outcome::Created(Created { key, new: true, .. }) => {
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

    fn holds(run: &Run, guard: &Guard) -> bool {
        match *guard {
            Guard::Lease(Lease { attempt, token, .. }) => {
                run.status == Status::Running && run.attempt == attempt && run.token == token
            }
            Guard::Standing(status, attempt) => run.status == status && run.attempt == attempt,
            Guard::There => true,
            Guard::Lapsed { attempt, now, head, cancelled } => {
                run.attempt == attempt
                    && cancelled.is_none_or(|cancelled| cancelled == run.cancelled_by.is_some())
                    && run.head == head
                    && matches!(run.held, Some(Held::By(_, until)) if until < now.0)
            }
            Guard::Asked(attempt, seq) => {
                run.attempt == attempt && run.cancelled_by.is_none() && run.held == Some(Held::Asks(seq))
            }
            Guard::Answered(attempt) => {
                let ends = run.cancelled_by.is_some() && matches!(run.held, Some(Held::Asks(_)));
                run.attempt == attempt && (ends || run.held == Some(Held::Answered))
            }
            Guard::Delivery(..) => false,
        }
    }

    fn write(&mut self, write: &Write, outcome: &Outcome) {
        let run = &self.runs[&write.run];
        let free = match &write.change {
            Change::Claim { .. } => {
                run.group.as_ref().is_none_or(|group| !self.busy(group, |at| at == Status::Running))
            }
            Change::Queue { pipeline, params, resumed, .. } => {
                assert!(resumed.is_none(), "what goes on by itself does so in the transaction that interrupts it");
                let refusing = pipeline.group(params).filter(|group| group.when_busy == BusyPolicy::Refuse);
                refusing.is_none_or(|group| !self.busy(&group.key, Status::is_active))
            }
            _ => true,
        };
        let expected = Self::holds(run, &write.guard) && free;
        let committed = match outcome {
            Outcome::Committed(committed) => committed,
            Outcome::Refused => {
                assert!(!expected, "refused, and should not be: {write:?} to {run:?}");
                return;
            }
            other => panic!("a write is {other:?}"),
        };
        assert!(expected, "accepted, and should not be: {write:?} to {run:?}");
        if let Change::Claim { .. } = write.change {
            assert!(self.claimed.insert((write.run, run.attempt)), "one winner for each attempt: {write:?}");
        }
        let run = self.runs.get_mut(&write.run).unwrap();
        let next = match &write.change {
            Change::Finish { next: Some(next), .. } if run.cancelled_by.is_none() && !run.rejected => Some(next),
            _ => None,
        };
        let mut told = step(run, write);
        if let Some(next) = next {
            assert!(Self::holds(run, &next.guard), "it goes on from where it was interrupted: {next:?} to {run:?}");
            let Change::Queue { resumed: Some(resumed), .. } = next.change else { panic!("{next:?}") };
            let counted = resumed == 1 || (run.resumed..=run.resumed + 1).contains(&resumed);
            assert!(counted && resumed <= RESUMES, "{resumed} times in a row, and it was {}", run.resumed);
            told.extend(step(run, next));
        }
        let pulse = committed.pulse;
        assert_eq!((pulse.status, pulse.attempt, pulse.head), (run.status, run.attempt, run.head));
        assert_eq!((committed.token, &committed.cancel_by), (run.token, &run.cancelled_by));
        let frames: Vec<_> = committed.frames.iter().map(|frame| (frame.seq, frame.attempt)).collect();
        assert_eq!(frames, told, "dense, and of its attempt");
    }
}

/// One change of a run, with what becomes of phases and what the journal says of it: the seq and the attempt of each
/// frame.
fn step(run: &mut Run, write: &Write) -> Vec<(u64, u32)> {
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
fn change(run: &mut Run, write: &Write) {
    match &write.change {
        // Deliveries are none of this machine's.
        Change::None | Change::Enter { .. } | Change::Try { .. } | Change::Tried { .. } => {}
        Change::Claim { owner, until } => {
            run.status = Status::Running;
            run.token += 1;
            run.held = Some(Held::By(owner.clone(), until.0));
        }
        Change::Extend { until } => match &mut run.held {
            Some(Held::By(_, known)) => *known = until.0,
            other => panic!("a lease is extended that is {other:?}"),
        },
        Change::Ask { .. } => {
            run.token += 1;
            run.held = Some(Held::Asks(run.head + write.frames.len() as u64));
        }
        Change::Answer(answer) => {
            run.held = Some(Held::Answered);
            run.rejected = !answer.approved;
        }
        Change::Resume { owner, until } => {
            run.token += 1;
            run.held = Some(Held::By(owner.clone(), until.0));
        }
        Change::Finish { to, .. } => {
            run.status = to.status();
            run.held = None;
            run.rejected = false;
            run.cancelled_by = None;
        }
        Change::Withdraw => run.status = Status::Cancelled,
        Change::Queue { pipeline, params, from, resumed } => {
            run.status = Status::Pending;
            run.attempt += 1;
            run.resumed = resumed.unwrap_or(0);
            run.group = pipeline.group(params).map(|group| group.key);
            for phase in run.phases.iter_mut().skip(*from) {
                phase.1 = PhaseState::Pending;
            }
        }
        Change::Pin { .. } | Change::Delete { .. } => panic!("nobody asks for {:?}", write.change),
        Change::AskCancel(cancel) => {
            run.cancelled_by.get_or_insert(cancel.by.clone());
        }
    }
}

/// What the journal says of it: each change of status once and as it was, and nothing by anyone but who holds the run.
fn told(before: &Run, run: &Run, write: &Write) {
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
