use std::sync::Arc;

use super::attempt_rows::{NewAttempt, need_rows, secret_rows};
use super::create_run::group_columns;
use super::{DiskPriority, ListEvent, NewFrame, RunChange, RunWrite, Updated, WriteStamp, json};
use crate::model::kinds::PhaseChange;
use crate::model::queue::{BusyPolicy, ConcurrencyGroup};
use crate::model::{FramePayload, Params, Pipeline, Run, RunOrigin, Secrets, Status, Transition};
use crate::store::statement::{Statement, statement};
use crate::store::{JournalHead, RunKey};

/// A finished run gets another attempt: the end of the one before to `pending`.
///
/// Called by a person's re-run, or by the engine in the transaction that interrupts a run which resumes automatically.
/// Refused if the run has changed since it was read, was deleted, or, of a re-run, if its concurrency group is busy and
/// refuses runs meanwhile.
#[derive(Clone, Debug)]
pub struct QueueAttempt {
    pub run: RunKey,
    /// The status and the attempt of the run as it is.
    pub status: Status,
    pub attempt: u32,
    /// The pipeline as its file says now.
    pub pipeline: Arc<Pipeline>,
    /// Values that fit it.
    pub params: Params,
    /// The index of the first phase, from 0. Results of earlier phases are carried over.
    pub from_phase: usize,
    /// `None` if a person asked for it. Else how many attempts in a row, with this one, were resumed automatically.
    pub resumes: Option<u32>,
    /// The secrets of a re-run. An automatic resume has those of the attempt before.
    pub secrets: Secrets,
    /// Who asked for it. `None`: who asked for the attempt before.
    pub asked_by: Option<RunOrigin>,
}

impl QueueAttempt {
    /// The write of a new attempt of the run `run`: its first frames say why there is one, and which phases are carried
    /// over.
    pub fn write(self, run: &Run, reason: String) -> Option<RunWrite> {
        let (end, from_phase) = (run.status.final_status()?, self.from_phase);
        let mut write = RunWrite::new(self);
        write.frames.push(NewFrame::status(Transition::Queue(end), reason));
        for phase in run.phases.iter().take(from_phase) {
            let took = phase.started_at.zip(phase.finished_at).map(|(from, to)| to.since(from));
            let change = PhaseChange {
                name: phase.name.clone(),
                state: phase.state,
                exit_code: phase.exit_code,
                signal: None,
                duration_ms: took,
                carried: true,
            };
            let name = Some(phase.name.as_str().into());
            // A frame only: its row is carried over by a statement.
            write.frames.push(NewFrame::now(name, &FramePayload::Phase(change)));
        }
        Some(write)
    }

    /// The group that must be idle for it. An automatic resume never gave the group up.
    fn refusing_group(&self) -> Option<String> {
        match self.pipeline.group(&self.params) {
            Some(ConcurrencyGroup { key, when_busy: BusyPolicy::Refuse }) if self.resumes.is_none() => Some(key),
            _ => None,
        }
    }
}

impl RunChange for QueueAttempt {
    fn run(&self) -> RunKey {
        self.run
    }

    fn update(&self, stamp: &WriteStamp) -> Statement<'_> {
        let (group, supersedes) = group_columns(self.pipeline.group(&self.params));
        statement!(
            "UPDATE runs SET head = head + $frames, clock = $clock,
                status = 'pending', attempt = attempt + 1, params = $params,
                concurrency_group = $group, supersedes = $supersedes,
                queued_at = coalesce($queued_at, queued_at), resumes = $resumes,
                started_at = NULL, finished_at = NULL, error = NULL
             WHERE key = $run AND status = $status AND attempt = $attempt AND deleted_at IS NULL
                AND status NOT IN ('pending', 'running')
                AND NOT EXISTS (SELECT 1 FROM runs AS other
                    WHERE other.concurrency_group = $refusing_group AND other.status IN ('pending', 'running'))
             RETURNING status, attempt, head, lease_token, cancel_by";
            frames: stamp.frames,
            clock: stamp.clock,
            params: json(&self.params),
            group: group,
            supersedes: supersedes,
            // An automatic resume keeps its place in the queue, ahead of runs queued later.
            queued_at: self.resumes.is_none().then_some(stamp.at),
            resumes: self.resumes.unwrap_or(0),
            run: self.run,
            status: self.status,
            attempt: self.attempt,
            refusing_group: self.refusing_group(),
        )
    }

    fn follow_ups(&self, updated: &Updated) -> Vec<Statement<'_>> {
        let mut statements = Vec::new();
        if self.resumes.is_none() {
            statements.extend(secret_rows(self.run, &self.secrets));
        }
        let new = NewAttempt {
            run: self.run,
            attempt: updated.journal.attempt,
            first_seq: updated.first_seq,
            pipeline: &self.pipeline,
            params: json(&self.params),
            at: updated.at,
            origin: self.asked_by.as_ref(),
        };
        statements.extend(new.rows());
        statements.extend(need_rows(self.run, &self.pipeline, &self.params, self.from_phase));
        statements.push(statement!(
            "UPDATE phases SET (carried, state, exit_code, started_at, finished_at, outputs) = (
                SELECT 1, state, exit_code, started_at, finished_at, outputs FROM phases AS earlier
                WHERE earlier.run = phases.run AND earlier.attempt = phases.attempt - 1
                    AND earlier.position = phases.position)
             WHERE run = $run AND attempt = $attempt AND position < $from_phase";
            run: self.run,
            attempt: updated.journal.attempt,
            from_phase: self.from_phase,
        ));
        statements
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

    fn wants_run_after(&self) -> bool {
        self.resumes.is_none()
    }
}
