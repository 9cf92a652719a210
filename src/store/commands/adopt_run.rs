use super::{ListEvent, RunChange, WriteStamp};
use crate::model::Timestamp;
use crate::store::statement::{Statement, statement};
use crate::store::{JournalHead, RunKey};

/// A server takes over a running run of an earlier server, with a new lease: the attempt continues.
///
/// Called by the dispatcher when it starts. Refused if the run has changed its lease since it was read, has ended, or
/// waits for a person.
#[derive(Clone, Debug)]
pub struct AdoptRun {
    pub run: RunKey,
    pub attempt: u32,
    /// The number of the earlier claim.
    pub token: i64,
    /// The server that takes it over.
    pub owner: String,
    /// When the lease expires.
    pub lease_until: Timestamp,
    /// Whether the server starts no command before its supervisor is known.
    pub hands_over: bool,
}

impl RunChange for AdoptRun {
    fn run(&self) -> RunKey {
        self.run
    }

    fn update(&self, stamp: &WriteStamp) -> Statement<'_> {
        statement!(
            "UPDATE runs SET head = head + $frames, clock = $clock, hands_over = $hands_over,
                lease_owner = $owner, lease_until = $lease_until, lease_token = lease_token + 1
             WHERE key = $run AND status = 'running' AND attempt = $attempt AND lease_token = $token AND gate IS NULL
             RETURNING status, attempt, head, lease_token, cancel_by";
            frames: stamp.frames,
            clock: stamp.clock,
            hands_over: self.hands_over,
            owner: &self.owner,
            lease_until: self.lease_until,
            run: self.run,
            attempt: self.attempt,
            token: self.token,
        )
    }

    fn list_event(&self, _journal: &JournalHead) -> Option<ListEvent> {
        Some(ListEvent::Changed)
    }
}
