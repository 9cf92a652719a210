use super::{ListEvent, RunChange, WriteStamp};
use crate::model::Timestamp;
use crate::store::statement::{Statement, statement};
use crate::store::{JournalHead, RunKey};

/// A worker takes a run up again that a person was asked about, with a new lease: to go on, or to end it.
///
/// Called by the dispatcher, for runs that were answered or whose cancellation was requested. Refused if another worker
/// was faster.
#[derive(Clone, Debug)]
pub struct ResumeRun {
    pub run: RunKey,
    pub attempt: u32,
    /// The server that resumes it.
    pub owner: String,
    /// When the lease expires.
    pub lease_until: Timestamp,
    /// Whether the server starts no command before its supervisor is known, so that another one can take over.
    pub hands_over: bool,
}

impl RunChange for ResumeRun {
    fn run(&self) -> RunKey {
        self.run
    }

    fn update(&self, stamp: &WriteStamp) -> Statement<'_> {
        statement!(
            "UPDATE runs SET head = head + $frames, clock = $clock,
                lease_owner = $owner, lease_until = $lease_until, lease_token = lease_token + 1, hands_over = $hands_over,
                gate = NULL, asked = NULL, question = NULL
             WHERE key = $run AND gate IS NOT NULL AND (gate <> 'waiting' OR cancel_by IS NOT NULL) AND attempt = $attempt
             RETURNING status, attempt, head, lease_token, cancel_by";
            frames: stamp.frames,
            clock: stamp.clock,
            owner: &self.owner,
            lease_until: self.lease_until,
            hands_over: self.hands_over,
            run: self.run,
            attempt: self.attempt,
        )
    }

    fn list_event(&self, _journal: &JournalHead) -> Option<ListEvent> {
        Some(ListEvent::Changed)
    }
}
