use std::time::Duration;

use super::{ListEvent, NewFrame, RunChange, RunWrite, WriteStamp, json};
use crate::model::kinds::CancelRequest;
use crate::model::run::Cancellation;
use crate::model::{FramePayload, Run, Timestamp};
use crate::store::statement::{Statement, statement};
use crate::store::{JournalHead, RunKey};

/// The cancellation of a running run is requested. Its worker ends it; whoever requested it first is named then.
///
/// Called by a person, or by the dispatcher where a later run of its concurrency group takes its place. Refused if the
/// run has finished or another attempt has begun.
#[derive(Clone, Debug)]
pub struct RequestCancel {
    pub run: RunKey,
    pub attempt: u32,
    pub request: Cancellation,
}

impl RequestCancel {
    /// The write that requests this run's cancellation: its processes are killed after `grace`, or, with `force`,
    /// without SIGTERM.
    pub fn write(key: RunKey, run: &Run, by: String, grace: Duration, force: bool) -> RunWrite {
        let at = Timestamp::now();
        let kill_at = Timestamp(at.0.saturating_add(i64::try_from(grace.as_millis()).unwrap_or(i64::MAX)));
        // Nothing runs while a person is asked.
        let kill_at = run.approval.is_none().then_some(kill_at);
        let frame = FramePayload::Cancel(CancelRequest { by: by.clone(), kill_at, force });
        let frame = NewFrame { ts: at, ..NewFrame::now(run.phase.as_deref().map(Into::into), &frame) };
        let request = Cancellation { by, at, kill_at, force };
        let mut write = RunWrite::new(Self { run: key, attempt: run.attempt, request });
        write.frames.push(frame);
        write
    }
}

impl RunChange for RequestCancel {
    fn run(&self) -> RunKey {
        self.run
    }

    fn update(&self, stamp: &WriteStamp) -> Statement<'_> {
        statement!(
            "UPDATE runs SET head = head + $frames, clock = $clock,
                cancel_by = coalesce(cancel_by, $by), cancel = $request
             WHERE key = $run AND status = 'running' AND attempt = $attempt AND deleted_at IS NULL
             RETURNING status, attempt, head, lease_token, cancel_by";
            frames: stamp.frames,
            clock: stamp.clock,
            by: &self.request.by,
            request: json(&self.request),
            run: self.run,
            attempt: self.attempt,
        )
    }

    fn list_event(&self, _journal: &JournalHead) -> Option<ListEvent> {
        Some(ListEvent::Changed)
    }

    fn wants_run_after(&self) -> bool {
        true
    }
}
