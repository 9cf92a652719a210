//! The writes that interrupt an attempt. If its pipeline says so, the same transaction queues the next attempt, which
//! resumes the run.

use std::sync::Arc;

use super::outcome::AttemptOutcome;
use crate::model::kinds::PhaseChange;
use crate::model::pipeline::OnInterrupt;
use crate::model::{FinalStatus, PhaseState, Pipeline, Run, Secrets, Status, Timestamp, Transition, plan};
use crate::store::{Assignment, FinishAttempt, LeaseHolder, NewFrame, QueueAttempt, RunKey, RunWrite};

/// How many attempts in a row may resume a run without getting any further. A run that crashes its server each time is
/// not resumed forever.
const MAX_AUTOMATIC_RESUMES: u32 = 100;

/// Why a run needs recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LossCause {
    /// Where several servers share the database: its lease has expired.
    LeaseExpired,
    /// The server that executed it is gone, and this one has started since.
    ServerGone,
    /// This server executed it and could not go on.
    WorkerFailed,
}

impl LossCause {
    const fn reason(self) -> &'static str {
        match self {
            Self::LeaseExpired => "the server lost contact with this run: its lease expired",
            Self::ServerGone => "the server was stopped or killed",
            Self::WorkerFailed => "the worker failed; see the server's log",
        }
    }
}

/// A run that no worker executes.
#[derive(Clone, Copy, Debug)]
pub(super) struct LostRun {
    pub(super) run: RunKey,
    pub(super) cause: LossCause,
    /// The recovery is refused if the lease is valid at this moment.
    pub(super) before: Timestamp,
    /// When it was found.
    pub(super) now: Timestamp,
}

/// What interrupts an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InterruptCause {
    /// Its worker was lost. The run may be the reason, so such resumes are limited.
    WorkerLost,
    /// Its server shuts down in order. The run is not the reason, so such resumes are not counted.
    Shutdown,
}

/// Ends a lost attempt. A cancellation or a rejection that was requested before wins over the interruption.
pub(super) fn end_lost_attempt(lost: LostRun, assignment: &Assignment) -> RunWrite {
    let Assignment { run, answer, cancel_by, .. } = assignment;
    let (holder, write) = recovery_write(lost, run, Some(cancel_by.is_some()));
    let why = lost.cause.reason();
    let with_cause =
        |outcome: AttemptOutcome| AttemptOutcome { reason: format!("{}; {why}", outcome.reason), ..outcome };
    match (cancel_by, answer) {
        (Some(by), _) => with_cause(AttemptOutcome::cancelled(by)).finish(holder, write),
        (None, Some(answer)) if !answer.approved => {
            with_cause(AttemptOutcome::rejected(&answer.by)).finish(holder, write)
        }
        _ => interrupt(holder, write, assignment, why.to_owned(), InterruptCause::WorkerLost),
    }
}

/// Ends a lost attempt whose assignment cannot be read, so that the run cannot be resumed.
pub(super) fn end_unreadable_attempt(lost: LostRun, run: &Run, why: &str) -> RunWrite {
    let (holder, write) = recovery_write(lost, run, None);
    interrupt_write(holder, write, format!("{}; {why}", lost.cause.reason()), None)
}

fn recovery_write(lost: LostRun, run: &Run, is_cancelled: Option<bool>) -> (LeaseHolder, RunWrite) {
    let LostRun { run: key, before, now, .. } = lost;
    let holder = LeaseHolder::Expired { run: key, attempt: run.attempt, before, head: run.head, is_cancelled };
    let mut write = RunWrite::new(FinishAttempt { holder, to: FinalStatus::Interrupted, error: None, next: None });
    close_phases(&mut write, run, now);
    (holder, write)
}

/// Ends the phases of an attempt: the current one has failed, and the ones after it are skipped.
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

/// Turns a write with the ends of phases into one that interrupts the attempt, and queues the next attempt if the
/// pipeline resumes by itself. `assignment` is the state of the run before the write.
pub(super) fn interrupt(
    holder: LeaseHolder,
    write: RunWrite,
    assignment: &Assignment,
    mut reason: String,
    cause: InterruptCause,
) -> RunWrite {
    if assignment.pipeline.on_interrupt != OnInterrupt::Resume {
        return interrupt_write(holder, write, reason, None);
    }
    let ended = run_after(&write, &assignment.run);
    let from = resume_index(&ended, &assignment.pipeline);
    let resumes = consecutive_resumes(assignment, from, cause);
    if resumes > MAX_AUTOMATIC_RESUMES {
        reason += &format!("; it was resumed {MAX_AUTOMATIC_RESUMES} times in a row and will not be resumed again");
        return interrupt_write(holder, write, reason, None);
    }
    let next = next_attempt(holder.run(), &ended, &assignment.pipeline, from, resumes);
    interrupt_write(holder, write, reason, next)
}

fn interrupt_write(holder: LeaseHolder, mut write: RunWrite, reason: String, next: Option<RunWrite>) -> RunWrite {
    write.frames.push(NewFrame::status(Transition::Finish(FinalStatus::Interrupted), reason.clone()));
    let (error, next) = (Some(reason), next.map(Box::new));
    write.command = FinishAttempt { holder, to: FinalStatus::Interrupted, error, next }.into();
    write
}

/// The run as this write leaves it.
fn run_after(write: &RunWrite, run: &Run) -> Run {
    let mut ended = Run { status: Status::Interrupted, ..run.clone() };
    for update in &write.phases {
        for phase in ended.phases.iter_mut().filter(|phase| phase.name == *update.name) {
            phase.state = update.state;
        }
    }
    ended
}

/// The index of the first phase that has not completed.
fn resume_index(ended: &Run, pipeline: &Pipeline) -> usize {
    // All phases may have completed, with only the final write missing.
    let last = pipeline.phases.len().saturating_sub(1);
    plan::first_unfinished(&ended.phases, ended.status, pipeline).min(last)
}

/// How many attempts in a row will have resumed the run by itself, counting the next one, which starts with the phase
/// `from`.
fn consecutive_resumes(Assignment { run, resumes, .. }: &Assignment, from: usize, cause: InterruptCause) -> u32 {
    // Phases that were carried over ended before this attempt began.
    let is_of_this_attempt = |ended| run.started_at.is_some_and(|began| ended >= began);
    let has_progress = run.phases.iter().take(from).any(|phase| phase.finished_at.is_some_and(is_of_this_attempt));
    match cause {
        _ if has_progress => 1,
        InterruptCause::Shutdown => *resumes,
        InterruptCause::WorkerLost => resumes + 1,
    }
}

/// The write that queues the next attempt.
fn next_attempt(key: RunKey, ended: &Run, pipeline: &Pipeline, from: usize, resumes: u32) -> Option<RunWrite> {
    let phase = pipeline.phases.get(from).map_or("", |spec| spec.name.as_str());
    let reason = format!("resumed automatically from phase {phase}");
    let queue = QueueAttempt {
        run: key,
        status: ended.status,
        attempt: ended.attempt,
        pipeline: Arc::new(pipeline.clone()),
        params: ended.params.clone(),
        from_phase: from,
        resumes: Some(resumes),
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

    /// A running attempt that began at 100, with two ended phases and a running one.
    fn assignment(ended: [i64; 2], resumes: u32, whole: bool) -> Assignment {
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
        Assignment { run, pipeline, answer: None, resumes, cancel_by: None }
    }

    /// The resume count of the next attempt, if there is one.
    fn counted(assignment: &Assignment, cause: InterruptCause) -> Option<u32> {
        let holder = LeaseHolder::Worker(Lease { run: RunKey(1), attempt: 3, token: 1 });
        let write = RunWrite::new(FinishAttempt { holder, to: FinalStatus::Interrupted, error: None, next: None });
        let write = interrupt(holder, write, assignment, "why".to_owned(), cause);
        write.next().map(|next| match &next.command {
            RunCommand::QueueAttempt(QueueAttempt { resumes: Some(resumes), .. }) => *resumes,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn resumes_without_progress_are_counted() {
        for (ended, whole, after_loss, after_shutdown) in [
            // Both were carried over.
            ([40, 50], false, Some(8), Some(7)),
            ([40, 150], false, Some(1), Some(1)),
            ([100, 150], false, Some(1), Some(1)),
            // With `restart_from_start`, all phases run again.
            ([140, 150], true, Some(8), Some(7)),
        ] {
            let assignment = assignment(ended, 7, whole);
            assert_eq!(counted(&assignment, InterruptCause::WorkerLost), after_loss, "{ended:?} {whole}");
            assert_eq!(counted(&assignment, InterruptCause::Shutdown), after_shutdown, "{ended:?} {whole}");
        }
        assert_eq!(
            counted(&assignment([40, 50], MAX_AUTOMATIC_RESUMES - 1, false), InterruptCause::WorkerLost),
            Some(MAX_AUTOMATIC_RESUMES)
        );
        assert_eq!(counted(&assignment([40, 50], MAX_AUTOMATIC_RESUMES, false), InterruptCause::WorkerLost), None);
        assert_eq!(counted(&assignment([40, 150], MAX_AUTOMATIC_RESUMES, false), InterruptCause::WorkerLost), Some(1));
        assert_eq!(
            counted(&assignment([40, 50], MAX_AUTOMATIC_RESUMES, false), InterruptCause::Shutdown),
            Some(MAX_AUTOMATIC_RESUMES)
        );
    }
}
