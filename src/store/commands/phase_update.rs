//! The state of a phase, written with the change of its run.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{NewFrame, Updated, json};
use crate::model::kinds::PhaseState;
use crate::store::RunKey;
use crate::store::statement::{Statement, statement};

/// The new state of a phase of the run's current attempt.
#[derive(Clone, Debug)]
pub struct PhaseUpdate {
    pub name: Arc<str>,
    pub state: PhaseState,
    /// The exit code of its command.
    pub exit_code: Option<i32>,
    /// Its outputs for later phases, by name.
    pub outputs: BTreeMap<String, String>,
}

impl PhaseUpdate {
    /// The update of the phase's row. All that the phase prints lies between its `first` and its `last` seq, those of
    /// the frames that say that it has begun and ended: `frames` are those of the same write.
    pub(super) fn statement(&self, run: RunKey, updated: &Updated, frames: &[NewFrame]) -> Statement<'_> {
        let is_own = |frame: &NewFrame| &*frame.kind == "phase" && frame.phase.as_deref() == Some(&*self.name);
        let seq = (updated.first_seq..).zip(frames).find(|(_, frame)| is_own(frame)).map(|(seq, _)| seq);
        let (started_at, finished_at) = match self.state {
            PhaseState::Started => (Some(updated.at), None),
            PhaseState::Completed | PhaseState::Failed => (None, Some(updated.at)),
            PhaseState::Pending | PhaseState::Skipped => (None, None),
        };
        statement!(
            "UPDATE phases SET state = $state, exit_code = $exit_code, outputs = $outputs,
                started_at = coalesce($started_at, started_at), finished_at = $finished_at,
                first = coalesce($first, first), last = $last
             WHERE run = $run AND attempt = $attempt AND name = $name";
            state: self.state.as_str(),
            exit_code: self.exit_code,
            outputs: (!self.outputs.is_empty()).then(|| json(&self.outputs)),
            started_at: started_at,
            finished_at: finished_at,
            first: started_at.and(seq),
            last: finished_at.and(seq),
            run: run,
            attempt: updated.journal.attempt,
            name: &self.name,
        )
    }
}
