//! What is written: one `BEGIN IMMEDIATE` transaction for all that the journal's writer has collected.
//!
//! By rusqlite, and everything else here by sqlx: sqlx hands each statement to a thread and waits for it, four times a
//! commit at least. On an idle machine waking a thread takes longer than what it then does, and a commit is what every
//! reader waits for. Here a whole transaction is handed over once.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params, params_from_iter};

use super::attempts::{first_of, keep};
use super::clear::clear;
use super::create::{add_attempt, create, group_columns, move_mark};
use super::fault::classify_write;
use super::outbox;
use super::pages::frames_after;
use super::triggers;
use super::{SqliteStore, access, audit, classify, detached, rows, secrets};
use crate::model::queue::{BusyPolicy, ConcurrencyGroup};
use crate::model::{FrameRecord, Run, Status, Timestamp};
use crate::store::{
    Change, Committed, Guard, JournalStore, NewFrame, Op, Outcome, PhaseUpdate, Pulse, RunKey, StoreError, Write,
};

/// About how many bytes of frames are read at a time: what a reader that does not take them may cost.
const PAGE_BYTES: usize = 1 << 20;

/// A frame.
pub(super) const INSERT_FRAME: &str =
    "INSERT INTO frames (run, seq, ts, attempt, phase, kind, data) VALUES (?, ?, ?, ?, ?, ?, ?)";

/// A row of a log was drawn anew.
const REDRAW: &str = "INSERT INTO redraws (run, row, seq) VALUES (?, ?, ?) \
     ON CONFLICT (run, row) DO UPDATE SET seq = excluded.seq";

/// The lease of a run that waits for a person does not run out.
const NEVER: i64 = i64::MAX;

/// No run of the same group is carried out. Also an index of the database (`runs_group_running`).
const GROUP_IS_FREE: &str = " AND NOT EXISTS (SELECT 1 FROM runs AS other \
     WHERE other.concurrency_group = runs.concurrency_group AND other.status = 'running')";

/// No run of the group with this key is active.
const GROUP_IS_IDLE: &str = " AND NOT EXISTS (SELECT 1 FROM runs AS other \
     WHERE other.concurrency_group = ? AND other.status IN ('pending', 'running'))";

/// Nobody has asked for the run's end, or rejected it: that counts, also if its server goes away before it comes.
const MAY_GO_ON: &str =
    "SELECT 1 FROM runs WHERE key = ? AND cancel_by IS NULL AND coalesce(json_extract(answer, '$.approved'), 1)";

/// The attempt is over: with the status, the moment and the error.
const FINISH: &str = ", status = ?, finished_at = ?, error = ?, phase = NULL, cancel_by = NULL, cancel = NULL, lease_owner = NULL, \
     lease_until = NULL, gate = NULL, asked = NULL, question = NULL, answer = NULL";

/// A run that a worker may take up again, in one attempt.
const ANSWERED_IN_ATTEMPT: &str = "gate IS NOT NULL AND (gate <> 'waiting' OR cancel_by IS NOT NULL) AND attempt = ?";

/// The latest time that a run has.
const CLOCK: &str = "SELECT clock FROM runs WHERE key = ?";

/// Where a run's journal stands.
const PULSE: &str = "SELECT status, attempt, head FROM runs WHERE key = ? AND deleted_at IS NULL";

#[async_trait]
impl JournalStore for SqliteStore {
    async fn commit(&self, ops: &[Op]) -> Result<Vec<Outcome>, StoreError> {
        let (connection, ops) = (Arc::clone(&self.write), ops.to_vec());
        let committed = tokio::task::spawn_blocking(move || {
            // A panic in here rolled its transaction back when it passed.
            let mut held = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let done = transact(&mut held, &ops).map_err(|error| classify_write(&held, error));
            drop(held);
            done.map(|(outcomes, erased)| {
                if erased {
                    secrets::cut_log(&connection);
                }
                outcomes
            })
        });
        match committed.await {
            Ok(committed) => committed,
            Err(error) => Err(StoreError::Failed(Arc::new(error))),
        }
    }

    async fn release_reserve(&self) -> bool {
        let reserve = Arc::clone(&self.reserve);
        tokio::task::spawn_blocking(move || reserve.release()).await.unwrap_or(false)
    }

    async fn restore_reserve(&self, does_activity_wait: bool) -> bool {
        let reserve = Arc::clone(&self.reserve);
        tokio::task::spawn_blocking(move || reserve.restore(does_activity_wait)).await.unwrap_or(false)
    }

    async fn pulse(&self, key: RunKey) -> Result<Pulse, StoreError> {
        let row = sqlx::query(PULSE).bind(key.0).fetch_optional(&self.reads).await.map_err(classify)?;
        rows::pulse(&row.ok_or(StoreError::Gone)?).map_err(classify)
    }

    async fn frames(&self, key: RunKey, after: u64, limit: u32) -> Result<(Vec<FrameRecord>, Pulse), StoreError> {
        let reads = self.reads.clone();
        detached(async move {
            let mut tx = reads.begin().await.map_err(classify)?;
            let row = sqlx::query(PULSE).bind(key.0).fetch_optional(&mut *tx).await.map_err(classify)?;
            let pulse = rows::pulse(&row.ok_or(StoreError::Gone)?).map_err(classify)?;
            let frames = frames_after(&mut tx, key.0, after, limit, PAGE_BYTES).await?;
            Ok((frames, pulse))
        })
        .await
    }
}

/// What became of each, and whether secrets were removed.
fn transact(connection: &mut Connection, ops: &[Op]) -> rusqlite::Result<(Vec<Outcome>, bool)> {
    // Dropped before its end, it is rolled back.
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let outcomes = ops.iter().map(|op| match op {
        Op::Create(new) => create(&tx, new),
        Op::Write(write) => change(&tx, write),
        Op::Clear(clearing) => clear(&tx, *clearing),
        Op::Probe => Ok(Outcome::Nothing),
        Op::Mark(mark) => Ok(if move_mark(&tx, mark)? { Outcome::Marked } else { Outcome::Refused }),
        Op::Trigger(op, note) => {
            let done = triggers::carry_out(&tx, op)?;
            if let (Outcome::Triggered, Some(note)) = (&done, note) {
                audit::add(&tx, note)?;
            }
            Ok(done)
        }
        Op::Access(op, note) => access::carry_out(&tx, op, note.as_ref()),
    });
    let outcomes = outcomes.collect::<Result<Vec<_>, _>>()?;
    insert(&tx, &outcomes)?;
    let erased = secrets::erased(&tx, ops, &outcomes)?;
    tx.commit()?;
    Ok((outcomes, erased))
}

/// A number that SQLite keeps as a signed one.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// The run as this transaction leaves it: what somebody is told of it, whatever becomes of it until they are.
pub(super) fn run(tx: &Connection, key: RunKey) -> rusqlite::Result<Run> {
    tx.prepare_cached(&format!("SELECT {} FROM runs WHERE key = ?", rows::RUN))?
        .query_row([key.0], |row| rows::run(row))
}

/// One statement moves the run, under its guard, and makes room for the frames: `head` is taken and given in one step.
fn change(tx: &Connection, write: &Write) -> rusqlite::Result<Outcome> {
    let known = tx.prepare_cached(CLOCK)?.query_row([write.run.0], |row| row.get(0)).optional()?;
    let (steady, clock) = write.not_before(Timestamp(known.unwrap_or(0)));
    let write: &Write = &steady;
    let next = match &write.change {
        Change::Finish { next: Some(next), .. } if tx.prepare_cached(MAY_GO_ON)?.exists([write.run.0])? => Some(next),
        _ => None,
    };
    let text = |text: &str| Value::Text(text.to_owned());
    let number = Value::Integer;
    let mut values = vec![number(signed(write.frames.len() as u64)), number(clock.0)];
    let set = match &write.change {
        Change::None | Change::Try { .. } | Change::Tried { .. } => "",
        Change::Claim { owner, until } => {
            values.extend([number(write.at.0), text(owner), number(until.0)]);
            ", status = 'running', started_at = ?, lease_owner = ?, lease_until = ?, lease_token = lease_token + 1"
        }
        Change::Extend { until } => {
            values.push(number(until.0));
            ", lease_until = ?"
        }
        Change::Enter { phase } => {
            values.push(text(phase));
            ", phase = ?"
        }
        Change::Ask { phase, question } => {
            values.extend([text(phase), number(NEVER), number(signed(write.frames.len() as u64)), text(question)]);
            ", phase = ?, lease_owner = NULL, lease_until = ?, lease_token = lease_token + 1, \
              gate = 'waiting', asked = head + ?, question = ?, answer = NULL"
        }
        Change::Answer(answer) => {
            let gate = if answer.approved { "approved" } else { "rejected" };
            values.extend([text(gate), text(&json(answer)?)]);
            ", gate = ?, answer = ?"
        }
        Change::Resume { owner, until } => {
            values.extend([text(owner), number(until.0)]);
            ", lease_owner = ?, lease_until = ?, lease_token = lease_token + 1, \
              gate = NULL, asked = NULL, question = NULL"
        }
        Change::Finish { to, error, .. } => {
            values.extend([text(to.status().as_str()), number(write.at.0), error.clone().into()]);
            FINISH
        }
        Change::Withdraw => {
            values.extend([text(Status::Cancelled.as_str()), number(write.at.0), Value::Null]);
            FINISH
        }
        Change::Queue { pipeline, params, resumed, .. } => {
            let (group, supersedes) = group_columns(pipeline.group(params));
            values.extend([text(&json(params)?), group.into(), number(i64::from(supersedes))]);
            // A run that goes on by itself keeps its place: what was asked for since comes after it.
            values.extend([resumed.is_some().into(), number(write.at.0), number(resumed.unwrap_or(0).into())]);
            ", status = 'pending', attempt = attempt + 1, params = ?, concurrency_group = ?, supersedes = ?, \
              queued_at = iif(?, queued_at, ?), \
              started_at = NULL, finished_at = NULL, error = NULL, resumes = ?"
        }
        Change::AskCancel(cancel) => {
            values.extend([text(&cancel.by), text(&json(cancel)?)]);
            ", cancel_by = coalesce(cancel_by, ?), cancel = ?"
        }
        Change::Pin { pinned } => {
            values.extend([number((*pinned).into()), number((*pinned).into())]);
            ", pins = pins + (pinned <> ?), pinned = ?"
        }
        Change::Delete { .. } => {
            values.push(number(write.at.0));
            ", deleted_at = ?"
        }
    };
    values.push(number(write.run.0));
    let guard = match write.guard {
        Guard::Lease(lease) => {
            values.extend([number(lease.attempt.into()), number(lease.token)]);
            "status = 'running' AND attempt = ? AND lease_token = ?"
        }
        Guard::Standing(status, attempt) => {
            values.extend([text(status.as_str()), number(attempt.into())]);
            "status = ? AND attempt = ? AND deleted_at IS NULL"
        }
        Guard::There => "deleted_at IS NULL",
        Guard::Lapsed { attempt, now, head, cancelled } => {
            values.extend([
                number(attempt.into()),
                number(now.0),
                number(signed(head)),
                cancelled.map(i64::from).into(),
            ]);
            "status = 'running' AND attempt = ? AND lease_until < ? AND head = ? AND coalesce((cancel_by IS NOT NULL) = ?, 1)"
        }
        Guard::Asked(attempt, seq) => {
            values.extend([number(attempt.into()), number(signed(seq))]);
            "gate = 'waiting' AND cancel_by IS NULL AND attempt = ? AND asked = ?"
        }
        Guard::Answered(attempt) => {
            values.push(number(attempt.into()));
            ANSWERED_IN_ATTEMPT
        }
        Guard::Delivery(delivery, token) => {
            values.extend([number(delivery), number(token)]);
            "deleted_at IS NULL AND EXISTS (SELECT 1 FROM deliveries WHERE run = runs.key AND deliveries.key = ? AND token = ?)"
        }
    };
    // Where the change leads from, whatever the guard says; and what other runs have to do with it.
    let mut also = String::new();
    match &write.change {
        Change::Claim { .. } => also.extend([" AND status = 'pending'", GROUP_IS_FREE]),
        Change::Withdraw => also.push_str(" AND status = 'pending'"),
        Change::Finish { .. } => also.push_str(" AND status = 'running'"),
        Change::Queue { pipeline, params, resumed, .. } => {
            also.push_str(" AND status NOT IN ('pending', 'running')");
            // What goes on by itself never gave its place up.
            if let Some(ConcurrencyGroup { key, when_busy: BusyPolicy::Refuse }) =
                pipeline.group(params).filter(|_| resumed.is_none())
            {
                also.push_str(GROUP_IS_IDLE);
                values.push(text(&key));
            }
        }
        Change::Delete { .. } => also.push_str(" AND status NOT IN ('pending', 'running') AND pinned = 0"),
        _ => {}
    }
    let statement = format!(
        "UPDATE runs SET head = head + ?, clock = ?{set} WHERE key = ? AND {guard}{also}
         RETURNING status, attempt, head, lease_token, cancel_by"
    );
    let moved = tx
        .prepare_cached(&statement)?
        .query_row(params_from_iter(values), |row| Ok((rows::pulse(row)?, row.get(3)?, row.get(4)?)))
        .optional()?;
    let Some((pulse, token, cancel_by)) = moved else { return Ok(Outcome::Refused) };
    if let Change::Delete { .. } = write.change {
        // Nobody is told of what is not there any more.
        tx.prepare_cached("DELETE FROM deliveries WHERE run = ?")?.execute([write.run.0])?;
    }
    let first = first_of(write, &pulse);
    keep(tx, write, pulse.attempt)?;
    if let Change::Queue { pipeline, params, from, resumed } = &write.change {
        if resumed.is_none() {
            secrets::put(tx, write.run, &write.secrets)?;
        }
        let origin = write.asked_by.as_ref();
        add_attempt(tx, write.run, (pulse.attempt, first), pipeline, &json(params)?, write.at, origin)?;
        tx.prepare_cached(
            "UPDATE phases SET (carried, state, exit_code, started_at, finished_at, outputs) = (
                SELECT 1, state, exit_code, started_at, finished_at, outputs FROM phases AS earlier
                WHERE earlier.run = phases.run AND earlier.attempt = phases.attempt - 1
                    AND earlier.position = phases.position)
             WHERE run = ? AND attempt = ? AND position < ?",
        )?
        .execute(params![write.run.0, pulse.attempt, signed(*from as u64)])?;
    }
    if let Guard::Delivery(delivery, _) = write.guard {
        outbox::follow(tx, &write.change, delivery)?;
    }
    for update in &write.phases {
        update_phase(tx, write, &pulse, update)?;
    }
    let next = next.map(|next| change(tx, next)).transpose()?;
    let next = next.and_then(|next| if let Outcome::Committed(next) = next { Some(next) } else { None });
    // A run that goes on by itself needs its secrets.
    if next.is_none() && matches!(write.change, Change::Finish { .. } | Change::Withdraw) {
        secrets::erase(tx, write.run)?;
    }
    // A run that goes on by itself has not come to its end.
    let deliveries = if next.is_none() { outbox::put(tx, write, pulse)? } else { 0 };
    let attempt = match write.change {
        Change::Tried { attempt, .. } => attempt,
        _ => pulse.attempt,
    };
    if let Some(line) = &write.audit {
        audit::add(tx, line)?;
    }
    let left = write.change.is_asked().then(|| run(tx, write.run).map(Box::new)).transpose()?;
    let mut frames = write.records(first, attempt);
    let (pulse, clock) = next.map_or((pulse, clock), |next| {
        frames.extend(next.frames);
        (next.pulse, next.clock)
    });
    Ok(Outcome::Committed(Committed { run: write.run, pulse, token, cancel_by, deliveries, clock, frames, left }))
}

fn update_phase(tx: &Connection, write: &Write, pulse: &Pulse, update: &PhaseUpdate) -> rusqlite::Result<()> {
    use crate::model::PhaseState;
    let (started, finished) = match update.state {
        PhaseState::Started => (Some(write.at.0), None),
        PhaseState::Completed | PhaseState::Failed => (None, Some(write.at.0)),
        PhaseState::Pending | PhaseState::Skipped => (None, None),
    };
    // All that the phase prints lies between the frames that tell its begin and its end.
    let told = |frame: &NewFrame| &*frame.kind == "phase" && frame.phase.as_deref() == Some(&*update.name);
    let seq = (first_of(write, pulse)..).zip(&write.frames).find(|(_, frame)| told(frame)).map(|(seq, _)| signed(seq));
    let (begins, ends) = (started.and(seq), finished.and(seq));
    tx.prepare_cached(
        "UPDATE phases SET state = ?, exit_code = ?, outputs = ?, started_at = coalesce(?, started_at), finished_at = ?,
            first = coalesce(?, first), last = ?
         WHERE run = ? AND attempt = ? AND name = ?",
    )?
    .execute(params![
        update.state.as_str(),
        update.exit_code,
        if update.outputs.is_empty() { None } else { Some(json(&update.outputs)?) },
        started,
        finished,
        begins,
        ends,
        write.run.0,
        pulse.attempt,
        update.name.as_ref()
    ])?;
    Ok(())
}

/// All frames of the transaction.
fn insert(tx: &Connection, outcomes: &[Outcome]) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached(INSERT_FRAME)?;
    let mut redraw = tx.prepare_cached(REDRAW)?;
    for outcome in outcomes {
        let Outcome::Committed(committed) = outcome else { continue };
        for frame in &committed.frames {
            insert.execute(params![
                committed.run.0,
                signed(frame.seq),
                frame.ts.0,
                frame.attempt,
                frame.phase.as_deref(),
                frame.kind.as_ref(),
                frame.data.as_ref()
            ])?;
            if let Some(row) = frame.replaces() {
                redraw.execute(params![committed.run.0, signed(row), signed(frame.seq)])?;
            }
        }
    }
    Ok(())
}
