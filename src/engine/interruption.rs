//! What an interruption writes: the end of the attempt, and in the same transaction the next one, if its run goes on by itself.

use std::sync::Arc;

use super::verdict::{Verdict, cancelled, rejected};
use crate::model::kinds::PhaseChange;
use crate::model::pipeline::OnInterrupt;
use crate::model::{FinalStatus, PhaseState, Pipeline, Run, Secrets, Status, Timestamp, Transition, plan};
use crate::store::{Assignment, FinishAttempt, LeaseHolder, NewFrame, QueueAttempt, RunKey, RunWrite};

/// How many attempts in a row nobody has asked for, if none comes further than the one before: a run that ends its server each time is
/// not begun for ever.
const RESUMES: u32 = 100;

/// Why a run is recovered: its worker is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Where several servers share the database, nobody has extended its lease in time.
    Lease,
    /// The server that carried it out is gone, and this one has started since.
    Server,
    /// This server carried it out and could not go on.
    Worker,
}

impl Loss {
    const fn reason(self) -> &'static str {
        match self {
            Self::Lease => "its worker went away: the lease ran out",
            Self::Server => "its worker went away: the server that held its lease was stopped or killed",
            Self::Worker => "its worker went away: it could not go on, and the server's log says why",
        }
    }
}

/// A run that nobody carries out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    /// The run.
    pub(super) run: RunKey,
    /// Why.
    pub(super) loss: Loss,
    /// Its lease ends before this moment.
    pub(super) before: Timestamp,
    /// When it was found.
    pub(super) now: Timestamp,
}

/// How a worker's attempt is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Its worker went away.
    Lapse,
    /// Its server is stopped in order. That can go on for ever, if somebody wants it.
    Stop,
}

/// Ends an attempt that nobody carries out. Whoever has asked for its end, or rejected it, gets that.
pub(super) fn lapsed(lost: Lost, assignment: &Assignment) -> RunWrite {
    let Assignment { run, answer, cancel_by, .. } = assignment;
    let (holder, write) = cut_off(lost, run, Some(cancel_by.is_some()));
    let why = lost.loss.reason();
    let late = |verdict: Verdict| Verdict { reason: format!("{}; {why}", verdict.reason), ..verdict };
    match (cancel_by, answer) {
        (Some(by), _) => late(cancelled(by)).finish(holder, write),
        (None, Some(answer)) if !answer.approved => late(rejected(&answer.by)).finish(holder, write),
        _ => interrupt(holder, write, assignment, why.to_owned(), Cut::Lapse),
    }
}

/// Ends an attempt that nobody carries out, and of which nobody can tell how it would go on, for this reason.
pub(super) fn unreadable(lost: Lost, run: &Run, why: &str) -> RunWrite {
    let (holder, write) = cut_off(lost, run, None);
    end(holder, write, format!("{}; {why}", lost.loss.reason()), None)
}

fn cut_off(lost: Lost, run: &Run, is_cancelled: Option<bool>) -> (LeaseHolder, RunWrite) {
    let Lost { run: key, before, now, .. } = lost;
    let holder = LeaseHolder::Expired { run: key, attempt: run.attempt, before, head: run.head, is_cancelled };
    let mut write = RunWrite::new(FinishAttempt { holder, to: FinalStatus::Interrupted, error: None, next: None });
    close_phases(&mut write, run, now);
    (holder, write)
}

/// Says what becomes of the phases of an attempt that ends now: the one it was in has failed, and those after it are skipped.
pub(super) fn close_phases(write: &mut RunWrite, run: &Run, now: Timestamp) {
    for phase in &run.phases {
        let (state, duration_ms) = match phase.state {
            PhaseState::Started => (PhaseState::Failed, phase.started_at.map(|at| now.since(at))),
            PhaseState::Pending => (PhaseState::Skipped, None),
            PhaseState::Completed | PhaseState::Failed | PhaseState::Skipped => continue,
        };
        write.add_phase(PhaseChange {
            name: phase.name.clone(),
            state,
            exit_code: None,
            signal: None,
            duration_ms,
            carried: false,
        });
    }
}

/// Makes a write that says how the phases end into one that ends the attempt, for this reason; and goes on with the next attempt if the
/// pipeline is of that kind. `assignment` is how the run stands before it.
pub(super) fn interrupt(
    holder: LeaseHolder,
    write: RunWrite,
    assignment: &Assignment,
    mut reason: String,
    cut: Cut,
) -> RunWrite {
    if assignment.pipeline.on_interrupt != OnInterrupt::Resume {
        return end(holder, write, reason, None);
    }
    let ended = ended(&write, &assignment.run);
    let from = goes_on_at(&ended, &assignment.pipeline);
    let resumed = in_a_row(assignment, from, cut);
    if resumed > RESUMES {
        reason += &format!("; {RESUMES} times in a row are enough, so it does not go on by itself again");
        return end(holder, write, reason, None);
    }
    let next = next(holder.run(), &ended, &assignment.pipeline, from, resumed);
    end(holder, write, reason, next)
}

fn end(holder: LeaseHolder, mut write: RunWrite, reason: String, next: Option<RunWrite>) -> RunWrite {
    write.frames.push(NewFrame::status(Transition::Finish(FinalStatus::Interrupted), reason.clone()));
    let (error, next) = (Some(reason), next.map(Box::new));
    write.command = FinishAttempt { holder, to: FinalStatus::Interrupted, error, next }.into();
    write
}

/// The run as it is interrupted by this write.
fn ended(write: &RunWrite, run: &Run) -> Run {
    let mut ended = Run { status: Status::Interrupted, ..run.clone() };
    for update in &write.phases {
        for phase in ended.phases.iter_mut().filter(|phase| phase.name == *update.name) {
            phase.state = update.state;
        }
    }
    ended
}

/// The first phase that was left unfinished.
fn goes_on_at(ended: &Run, pipeline: &Pipeline) -> usize {
    // All may have ended well, and only the last word been missing.
    let last = pipeline.phases.len().saturating_sub(1);
    plan::first_unfinished(&ended.phases, ended.status, pipeline).min(last)
}

/// How many attempts in a row nobody will have asked for, with the next one, which begins with this phase.
fn in_a_row(Assignment { run, resumes: resumed, .. }: &Assignment, from: usize, cut: Cut) -> u32 {
    // What was carried over ended before this attempt began.
    let here = |ended| run.started_at.is_some_and(|began| ended >= began);
    let came_further = run.phases.iter().take(from).any(|phase| phase.finished_at.is_some_and(here));
    match cut {
        _ if came_further => 1,
        Cut::Stop => *resumed,
        Cut::Lapse => resumed + 1,
    }
}

/// The attempt that goes on.
fn next(key: RunKey, ended: &Run, pipeline: &Pipeline, from: usize, resumed: u32) -> Option<RunWrite> {
    let phase = pipeline.phases.get(from).map_or("", |spec| spec.name.as_str());
    let reason = format!("the run goes on by itself with phase {phase}");
    let queue = QueueAttempt {
        run: key,
        status: ended.status,
        attempt: ended.attempt,
        pipeline: Arc::new(pipeline.clone()),
        params: ended.params.clone(),
        from_phase: from,
        resumes: Some(resumed),
        secrets: Secrets::new(),
        asked_by: None,
    };
    queue.write(ended, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PhaseSpec;
    use crate::store::{Lease, RunCommand};

    /// A running attempt that began at 100, with two phases that have ended and one that has not.
    fn assignment(ended: [i64; 2], resumed: u32, whole: bool) -> Assignment {
        let at = |at: i64| Timestamp(at).to_string();
        let phase = |name: &str, state: &str, ended: Option<i64>| serde_json::json!({ "name": name, "state": state, "exit_code": null, "started_at": null, "finished_at": ended.map(at) });
        let [one, two] = ended;
        let phases = [phase("a", "completed", Some(one)), phase("b", "failed", Some(two)), phase("c", "started", None)];
        let run = serde_json::json!({
            "id": "01939f1c-8f2a-7c3e-9d5b-0123456789ab", "pipeline": "p", "status": "running", "phase": "c", "attempt": 3,
            "params": {}, "created_at": at(0), "queued_at": at(90), "started_at": at(100), "finished_at": null, "head": 9,
            "phases": phases, "error": null,
        });
        let spec = |name: &str| PhaseSpec { name: name.into(), continue_on_error: true, ..PhaseSpec::default() };
        let phases = ["a", "b", "c"].map(spec).to_vec();
        let pipeline =
            Pipeline { phases, restart_from_start: whole, on_interrupt: OnInterrupt::Resume, ..Pipeline::default() };
        let run = serde_json::from_value(run).unwrap();
        Assignment { run, pipeline, answer: None, resumes: resumed, cancel_by: None }
    }

    /// What the next attempt counts, if there is one.
    fn counted(assignment: &Assignment, cut: Cut) -> Option<u32> {
        let holder = LeaseHolder::Worker(Lease { run: RunKey(1), attempt: 3, token: 1 });
        let write = RunWrite::new(FinishAttempt { holder, to: FinalStatus::Interrupted, error: None, next: None });
        let write = interrupt(holder, write, assignment, "why".to_owned(), cut);
        write.next().map(|next| match &next.command {
            RunCommand::QueueAttempt(QueueAttempt { resumes: Some(resumes), .. }) => *resumes,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn what_comes_no_further_is_counted() {
        for (ended, whole, lapse, stop) in [
            // Both were carried over.
            ([40, 50], false, Some(8), Some(7)),
            ([40, 150], false, Some(1), Some(1)),
            ([100, 150], false, Some(1), Some(1)),
            // Whatever has ended is done again.
            ([140, 150], true, Some(8), Some(7)),
        ] {
            let assignment = assignment(ended, 7, whole);
            assert_eq!(counted(&assignment, Cut::Lapse), lapse, "{ended:?} {whole}");
            assert_eq!(counted(&assignment, Cut::Stop), stop, "{ended:?} {whole}");
        }
        assert_eq!(counted(&assignment([40, 50], RESUMES - 1, false), Cut::Lapse), Some(RESUMES));
        assert_eq!(counted(&assignment([40, 50], RESUMES, false), Cut::Lapse), None);
        assert_eq!(counted(&assignment([40, 150], RESUMES, false), Cut::Lapse), Some(1));
        assert_eq!(counted(&assignment([40, 50], RESUMES, false), Cut::Stop), Some(RESUMES));
    }
}
