//! What an interruption writes: the end of the attempt, and in the same transaction the next one, if its run goes on by itself.

use std::sync::Arc;

use crate::model::kinds::PhaseChange;
use crate::model::pipeline::OnInterrupt;
use crate::model::{End, PhaseState, Run, Status, Timestamp, Transition, plan};
use crate::store::{Assignment, Change, Guard, NewFrame, RunKey, Write};

/// How many attempts in a row nobody has asked for: a run that ends its server each time is not begun for ever.
const RESUMES: u32 = 10;

/// Ends a lapsed attempt: the phase it was in, the phases it did not reach, the status.
pub(super) fn lapsed(key: RunKey, attempt: u32, assignment: &Assignment, now: Timestamp) -> Write {
    let run = &assignment.run;
    let mut write = Write::new(key, Guard::Lapsed(attempt, now, run.head), Change::None);
    for phase in &run.phases {
        let (state, duration_ms) = match phase.state {
            PhaseState::Started => (PhaseState::Failed, phase.started_at.map(|at| now.since(at))),
            PhaseState::Pending => (PhaseState::Skipped, None),
            PhaseState::Completed | PhaseState::Failed | PhaseState::Skipped => continue,
        };
        write.add_phase(PhaseChange { name: phase.name.clone(), state, exit_code: None, duration_ms, carried: false });
    }
    interrupt(write, assignment, "its worker went away: the lease ran out".to_owned())
}

/// Makes a write that says how the phases end into one that ends the attempt, for this reason; and goes on with the next attempt if the
/// pipeline is of that kind. `assignment` is how the run stands before it.
pub(super) fn interrupt(mut write: Write, assignment: &Assignment, mut reason: String) -> Write {
    let resumes = assignment.pipeline.on_interrupt == OnInterrupt::Resume;
    if resumes && assignment.resumed >= RESUMES {
        reason += &format!("; {RESUMES} times in a row are enough, so it does not go on by itself again");
    }
    write.frames.push(NewFrame::status(Transition::Finish(End::Interrupted), reason.clone()));
    let next = if resumes && assignment.resumed < RESUMES { next(&write, assignment) } else { None };
    write.change = Change::Finish { to: End::Interrupted, error: Some(reason), next: next.map(Box::new) };
    write
}

/// The attempt that goes on with the first phase that this write leaves unfinished.
fn next(write: &Write, Assignment { run, pipeline, .. }: &Assignment) -> Option<Write> {
    let mut ended = Run { status: Status::Interrupted, ..run.clone() };
    for update in &write.phases {
        for phase in ended.phases.iter_mut().filter(|phase| phase.name == *update.name) {
            phase.state = update.state;
        }
    }
    // All may have ended well, and only the last word been missing.
    let last = pipeline.phases.len().saturating_sub(1);
    let from = plan::first_unfinished(&ended.phases, ended.status, pipeline).min(last);
    let phase = pipeline.phases.get(from).map_or("", |spec| spec.name.as_str());
    let reason = format!("the run goes on by itself with phase {phase}");
    let params = ended.params.clone();
    Write::queue(write.run, &ended, Arc::new(pipeline.clone()), params, from, true, reason)
}
