use super::{DiskPriority, ListEvent, RunChange, Updated, WriteStamp};
use crate::model::Timestamp;
use crate::store::statement::{Statement, statement};
use crate::store::{JournalHead, RunKey};

/// A worker claims a pending run: `pending` to `running`, with a new lease.
///
/// Called by the dispatcher, for each run of the queue that it has a worker for. Refused if another worker was faster,
/// the run was cancelled or deleted, or a run of its concurrency group is running.
#[derive(Clone, Debug)]
pub struct ClaimRun {
    pub run: RunKey,
    pub attempt: u32,
    /// The server that claims it.
    pub owner: String,
    /// When the lease expires.
    pub lease_until: Timestamp,
    /// Whether the server starts no command before its supervisor is known, so that another one can take over.
    pub hands_over: bool,
}

impl RunChange for ClaimRun {
    fn run(&self) -> RunKey {
        self.run
    }

    fn update(&self, stamp: &WriteStamp) -> Statement<'_> {
        // The unique index `runs_group_running` says the same of concurrency groups.
        statement!(
            "UPDATE runs SET head = head + $frames, clock = $clock,
                status = 'running', started_at = $at,
                lease_owner = $owner, lease_until = $lease_until, lease_token = lease_token + 1, hands_over = $hands_over
             WHERE key = $run AND status = 'pending' AND attempt = $attempt AND deleted_at IS NULL
                AND NOT EXISTS (SELECT 1 FROM runs AS other
                    WHERE other.concurrency_group = runs.concurrency_group AND other.status = 'running')
             RETURNING status, attempt, head, lease_token, cancel_by";
            frames: stamp.frames,
            clock: stamp.clock,
            at: stamp.at,
            owner: &self.owner,
            lease_until: self.lease_until,
            hands_over: self.hands_over,
            run: self.run,
            attempt: self.attempt,
        )
    }

    fn follow_ups(&self, updated: &Updated) -> Vec<Statement<'_>> {
        vec![statement!(
            "UPDATE attempts SET status = 'running', started_at = $at WHERE run = $run AND attempt = $attempt";
            at: updated.at,
            run: self.run,
            attempt: self.attempt,
        )]
    }

    fn list_event(&self, _journal: &JournalHead) -> Option<ListEvent> {
        Some(ListEvent::Changed)
    }

    fn disk_priority(&self) -> DiskPriority {
        DiskPriority::New
    }

    fn is_timed(&self) -> bool {
        true
    }
}
