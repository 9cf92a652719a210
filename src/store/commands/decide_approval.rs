use super::{ListEvent, RunChange, WriteStamp, json};
use crate::model::ApprovalDecision;
use crate::store::statement::{Statement, statement};
use crate::store::{JournalHead, RunKey};

/// Records the decision of an approval.
///
/// Called by a person, from the page or the API. Refused if the question was answered, the run's cancellation was
/// requested, or the run has another question.
#[derive(Clone, Debug)]
pub struct DecideApproval {
    pub run: RunKey,
    pub attempt: u32,
    /// The seq of the question's frame.
    pub question_seq: u64,
    pub answer: ApprovalDecision,
}

impl RunChange for DecideApproval {
    fn run(&self) -> RunKey {
        self.run
    }

    fn update(&self, stamp: &WriteStamp) -> Statement<'_> {
        statement!(
            "UPDATE runs SET head = head + $frames, clock = $clock, gate = $gate, answer = $answer
             WHERE key = $run AND gate = 'waiting' AND cancel_by IS NULL AND attempt = $attempt AND asked = $question_seq
             RETURNING status, attempt, head, lease_token, cancel_by";
            frames: stamp.frames,
            clock: stamp.clock,
            gate: if self.answer.approved { "approved" } else { "rejected" },
            answer: json(&self.answer),
            run: self.run,
            attempt: self.attempt,
            question_seq: self.question_seq,
        )
    }

    fn list_event(&self, _journal: &JournalHead) -> Option<ListEvent> {
        Some(ListEvent::Changed)
    }

    fn wants_run_after(&self) -> bool {
        true
    }
}
