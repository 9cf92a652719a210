use std::sync::Arc;

use super::advance_schedule::AdvanceSchedule;
use super::attempt_rows::{NewAttempt, need_rows, secret_rows};
use super::pause_schedules::ALL_SCHEDULES;
use super::record_hook_delivery::RecordHookDelivery;
use super::skip_due_time::SkipDueTime;
use super::{NewAudit, NewFrame, WriteOutcome, apply_guarded, json};
use crate::model::queue::{BusyPolicy, ConcurrencyGroup};
use crate::model::trigger::SkipKind;
use crate::model::{FrameRecord, OverlapPolicy, Params, Pipeline, Run, RunId, RunOrigin, Secrets, Timestamp};
use crate::store::queries::runs;
use crate::store::statement::{Statement, statement};
use crate::store::transaction::Transaction;
use crate::store::{IDEMPOTENCY_KEY_AGE_MS, RunKey, StoreError};

/// A new pending run.
///
/// By people, programs, hooks and schedules. Refused if its concurrency group is busy and refuses runs meanwhile, or
/// its schedule's cursor is not where it was read: another server has created the run.
#[derive(Clone, Debug)]
pub struct CreateRun {
    pub id: RunId,
    /// The pipeline as its file says now.
    pub pipeline: Arc<Pipeline>,
    /// Values that fit it.
    pub params: Params,
    /// Stored apart from them, until the run ends.
    pub secrets: Secrets,
    /// Of the runs that wait for a worker, those with the largest go first.
    pub priority: i32,
    pub at: Timestamp,
    /// The caller's key and a digest of the request: the same request again is the same run.
    pub idempotency: Option<(String, Vec<u8>)>,
    /// The journal's first frame, if a schedule or a hook starts the run.
    pub origin: Option<NewFrame>,
    /// The schedule's cursor that moves with it. If it cannot move, there is no run.
    pub schedule: Option<AdvanceSchedule>,
    /// The schedule or the hook that starts the run.
    pub trigger: Option<RunTrigger>,
    /// The run is refused if this many runs are pending.
    pub max_pending: Option<u32>,
    /// Who or what starts the run.
    pub asked_by: Option<RunOrigin>,
    /// The line of the audit log, if the run is new.
    pub audit: Option<NewAudit>,
}

/// A trigger other than a person or a program.
#[derive(Clone, Debug)]
pub enum RunTrigger {
    Schedule(ScheduleSlot),
    /// A hook, whose delivery is recorded with the run.
    Hook(RecordHookDelivery),
}

/// A schedule that starts a run. The transaction that would create the run decides whether there is one.
#[derive(Clone, Debug)]
pub struct ScheduleSlot {
    /// The schedule's identity within its pipeline: name, expression and time zone.
    pub schedule: String,
    /// The name by which it is paused.
    pub name: String,
    /// The policy while another run of the schedule is active.
    pub overlap: OverlapPolicy,
    /// Whether a person requested it. Then pauses are ignored, and a pending run of the schedule is returned.
    pub by_hand: bool,
}

/// A run that was created or found.
#[derive(Clone, Debug)]
pub struct Created {
    pub key: RunKey,
    pub is_new: bool,
    /// The run as of this transaction.
    pub run: Box<Run>,
}

impl CreateRun {
    /// Creates the run, unless its idempotency key, its schedule, its group or the length of the queue decides
    /// otherwise.
    pub(super) async fn apply(&self, tx: &mut impl Transaction) -> Result<WriteOutcome, StoreError> {
        if let Some(known) = self.find_by_key(tx).await? {
            return Ok(known);
        }
        if let Some(decided) = self.decide_schedule(tx).await? {
            return Ok(decided);
        }
        if let Some(decided) = self.decide_queue(tx).await? {
            return Ok(decided);
        }
        if let Some(cursor) = &self.schedule
            && tx.execute(cursor.statement()).await? == 0
        {
            return Ok(WriteOutcome::Refused);
        }
        let Some(run) = tx.fetch_optional(self.insert().read(|row| row.get("key"))).await? else {
            return Ok(WriteOutcome::Refused);
        };
        for statement in self.rows(run) {
            tx.execute(statement).await?;
        }
        if let Some(frame) = self.first_frame() {
            tx.insert_frames(&[(run, &[frame])]).await?;
        }
        self.record_trigger(tx).await?;
        created(run, true, tx).await
    }

    /// The run that the idempotency key names, if it was used before. Keys are forgotten after a while.
    async fn find_by_key(&self, tx: &mut impl Transaction) -> Result<Option<WriteOutcome>, StoreError> {
        let Some((key, digest)) = &self.idempotency else { return Ok(None) };
        tx.execute(statement!(
            "DELETE FROM idempotency_keys WHERE created_at <= $before";
            before: self.at.0 - IDEMPOTENCY_KEY_AGE_MS,
        ))
        .await?;
        Ok(match tx.fetch_optional(runs::by_idempotency_key(key, Timestamp(i64::MIN))).await? {
            None => None,
            Some(known) if known.digest != *digest => Some(WriteOutcome::KeyConflict),
            Some(known) => Some(match known.run {
                Some(run) => created(run, false, tx).await?,
                None => WriteOutcome::KeyOfDeleted,
            }),
        })
    }

    /// Applies the schedule's pause and overlap policy.
    async fn decide_schedule(&self, tx: &mut impl Transaction) -> Result<Option<WriteOutcome>, StoreError> {
        let Some(RunTrigger::Schedule(slot)) = &self.trigger else { return Ok(None) };
        let pipeline = &self.pipeline.name;
        if !slot.by_hand {
            let paused = statement!(
                "SELECT 1 FROM schedule_pauses
                 WHERE (pipeline = $pipeline AND name = $name) OR (pipeline = $all AND name = $all)";
                pipeline: pipeline,
                name: &slot.name,
                all: ALL_SCHEDULES,
            );
            if tx.fetch_optional(paused.exists()).await?.is_some() {
                return self.skip(SkipKind::Paused, tx).await.map(Some);
            }
        }
        let active = match (slot.overlap, slot.by_hand) {
            (OverlapPolicy::Queue, _) => return Ok(None),
            (OverlapPolicy::Skip, false) => statement!(
                "SELECT key FROM runs INDEXED BY runs_of_schedule
                 WHERE pipeline = $pipeline AND schedule = $schedule AND status IN ('pending', 'running') LIMIT 1";
                pipeline: pipeline,
                schedule: &slot.schedule,
            ),
            // A running one is not in the way of a person, nor of a schedule whose runs may wait behind one.
            (OverlapPolicy::Skip, true) | (OverlapPolicy::One, _) => statement!(
                "SELECT key FROM runs INDEXED BY runs_of_schedule
                 WHERE pipeline = $pipeline AND schedule = $schedule AND status IN ('pending', 'running')
                    AND status = 'pending' LIMIT 1";
                pipeline: pipeline,
                schedule: &slot.schedule,
            ),
        };
        match tx.fetch_optional(active.read(|row| row.get("key"))).await? {
            None => Ok(None),
            Some(run) if slot.by_hand => created(run, false, tx).await.map(Some),
            Some(_) => self.skip(SkipKind::Overlap, tx).await.map(Some),
        }
    }

    /// Applies the limits of the concurrency group and of the queue.
    async fn decide_queue(&self, tx: &mut impl Transaction) -> Result<Option<WriteOutcome>, StoreError> {
        if let Some(ConcurrencyGroup { key, when_busy: BusyPolicy::Refuse }) = self.pipeline.group(&self.params) {
            let busy = statement!(
                "SELECT 1 FROM runs WHERE concurrency_group = $group AND status IN ('pending', 'running')";
                group: key,
            );
            if tx.fetch_optional(busy.exists()).await?.is_some() {
                return self.skip(SkipKind::GroupBusy, tx).await.map(Some);
            }
        }
        let Some(most) = self.max_pending else { return Ok(None) };
        // Reads no more entries of the index than may wait.
        let last = statement!(
            "SELECT 1 FROM runs INDEXED BY runs_pending WHERE status = 'pending' LIMIT 1 OFFSET $others";
            others: i64::from(most) - 1,
        );
        if tx.fetch_optional(last.exists()).await?.is_none() {
            return Ok(None);
        }
        match &self.schedule {
            Some(_) => self.skip(SkipKind::QueueFull, tx).await.map(Some),
            None => Ok(Some(WriteOutcome::QueueFull)),
        }
    }

    /// The due time has no run: its schedule's cursor moves all the same, and the reason is stored.
    async fn skip(&self, kind: SkipKind, tx: &mut impl Transaction) -> Result<WriteOutcome, StoreError> {
        let Some(cursor) = &self.schedule else { return Ok(WriteOutcome::Refused) };
        let skip = SkipDueTime { cursor: cursor.clone(), kind, detail: String::new() };
        let has_moved = apply_guarded(&skip, tx).await?;
        Ok(if has_moved { WriteOutcome::Skipped(kind) } else { WriteOutcome::Refused })
    }

    /// The run's own row.
    fn insert(&self) -> Statement<'_> {
        let (group, supersedes) = group_columns(self.pipeline.group(&self.params));
        statement!(
            "INSERT INTO runs (id, pipeline, params, created_at, queued_at, priority, concurrency_group, supersedes,
                clock, schedule)
             VALUES ($id, $pipeline, $params, $at, $at, $priority, $group, $supersedes, $clock, $schedule)
             RETURNING key";
            id: &self.id,
            pipeline: &self.pipeline.name,
            params: json(&self.params),
            at: self.at,
            priority: self.priority,
            group: group,
            supersedes: supersedes,
            clock: self.clock(),
            schedule: match &self.trigger {
                Some(RunTrigger::Schedule(slot)) => Some(&slot.schedule),
                Some(RunTrigger::Hook(_)) | None => None,
            },
        )
    }

    /// Statements besides the run's own row.
    fn rows(&self, run: RunKey) -> Vec<Statement<'_>> {
        let new = NewAttempt {
            run,
            attempt: 1,
            first_seq: 1,
            pipeline: &self.pipeline,
            params: json(&self.params),
            at: self.at,
            origin: self.asked_by.as_ref(),
        };
        let mut rows = new.rows();
        rows.extend(need_rows(run, &self.pipeline, &self.params, 0).into_iter().skip(1));
        rows.extend(self.audit.as_ref().map(NewAudit::insert));
        if !self.secrets.is_empty() {
            rows.extend(secret_rows(run, &self.secrets));
        }
        if self.origin.is_some() {
            rows.push(statement!("UPDATE runs SET head = 1 WHERE key = $run"; run: run));
        }
        if let Some((key, digest)) = &self.idempotency {
            rows.push(statement!(
                "INSERT INTO idempotency_keys (key, digest, run, created_at) VALUES ($key, $digest, $run, $at)";
                key: key,
                digest: digest,
                run: run,
                at: self.at,
            ));
        }
        rows
    }

    fn clock(&self) -> Timestamp {
        self.origin.as_ref().map_or(self.at, |origin| origin.ts.max(self.at))
    }

    /// Not published: the run has no readers yet.
    fn first_frame(&self) -> Option<FrameRecord> {
        let frame = self.origin.as_ref()?;
        Some(FrameRecord {
            seq: 1,
            ts: self.clock(),
            attempt: 1,
            phase: frame.phase.clone(),
            kind: Arc::clone(&frame.kind),
            data: Arc::clone(&frame.data),
        })
    }

    /// Records the new run where its trigger is stored.
    async fn record_trigger(&self, tx: &mut impl Transaction) -> Result<(), StoreError> {
        match &self.trigger {
            None => Ok(()),
            Some(RunTrigger::Schedule(slot)) => {
                let last_run = statement!(
                    "UPDATE schedules SET last_run = $id WHERE pipeline = $pipeline AND schedule = $schedule";
                    id: &self.id,
                    pipeline: &self.pipeline.name,
                    schedule: &slot.schedule,
                );
                tx.execute(last_run).await.map(drop)
            }
            Some(RunTrigger::Hook(delivery)) => {
                RecordHookDelivery { run: Some(self.id.clone()), ..delivery.clone() }.apply(tx).await
            }
        }
    }
}

/// The run with this key, read in the transaction.
async fn created(key: RunKey, is_new: bool, tx: &mut impl Transaction) -> Result<WriteOutcome, StoreError> {
    match tx.fetch_optional(runs::by_key(key)).await? {
        Some(run) => Ok(WriteOutcome::Created(Created { key, is_new, run: Box::new(run) })),
        None => Err(StoreError::Gone),
    }
}

/// The columns `concurrency_group` and `supersedes`.
pub(super) fn group_columns(group: Option<ConcurrencyGroup>) -> (Option<String>, bool) {
    group.map_or((None, false), |ConcurrencyGroup { key, when_busy }| {
        (Some(key), when_busy == BusyPolicy::CancelPrevious)
    })
}
