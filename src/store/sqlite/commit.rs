//! What is written: one `BEGIN IMMEDIATE` transaction for all that the journal's writer has collected.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection, Row};

use super::read::frames_after;
use super::rows;
use super::{SqliteStore, classify};
use crate::model::{Pipeline, Record, Timestamp};
use crate::store::{
    Change, Committed, Guard, JournalStore, NewRun, Op, Outcome, PhaseUpdate, Pulse, RunKey, StoreError, Write,
};

/// Rows a statement, largest first: few statements are made, so all stay prepared.
const ROWS: [usize; 3] = [128, 16, 1];

/// Where a run's journal stands.
const PULSE: &str = "SELECT status, attempt, head FROM runs WHERE key = ?";

#[async_trait]
impl JournalStore for SqliteStore {
    async fn commit(&self, ops: &[Op]) -> Result<Vec<Outcome>, StoreError> {
        let mut connection = self.write.lock().await;
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(classify)?;
        let mut outcomes = Vec::with_capacity(ops.len());
        for op in ops {
            let outcome = match op {
                Op::Create(new) => create(&mut tx, new).await,
                Op::Write(write) => change(&mut tx, write).await,
            };
            outcomes.push(outcome.map_err(classify)?);
        }
        insert(&mut tx, &outcomes).await.map_err(classify)?;
        tx.commit().await.map_err(classify)?;
        Ok(outcomes)
    }

    async fn pulse(&self, key: RunKey) -> Result<Pulse, StoreError> {
        let row = sqlx::query(PULSE).bind(key.0).fetch_one(&self.reads).await.map_err(classify)?;
        rows::pulse(&row).map_err(classify)
    }

    async fn frames(&self, key: RunKey, after: u64, limit: u32) -> Result<(Vec<Record>, Pulse), StoreError> {
        let mut tx = self.reads.begin().await.map_err(classify)?;
        let row = sqlx::query(PULSE).bind(key.0).fetch_one(&mut *tx).await.map_err(classify)?;
        let pulse = rows::pulse(&row).map_err(classify)?;
        let frames = frames_after(&mut tx, key.0, after, limit).await?;
        Ok((frames, pulse))
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

async fn create(tx: &mut SqliteConnection, new: &NewRun) -> Result<Outcome, sqlx::Error> {
    if let Some((key, digest)) = &new.idempotency {
        let known = sqlx::query("SELECT run, digest FROM idempotency_keys WHERE key = ?")
            .bind(key)
            .fetch_optional(&mut *tx)
            .await?;
        if let Some(row) = known {
            let same = row.try_get::<&[u8], _>("digest")? == digest;
            let run = RunKey(row.try_get("run")?);
            return Ok(if same { Outcome::Created { run, new: false } } else { Outcome::KeyConflict });
        }
    }
    let params = json(&new.params)?;
    let row = sqlx::query(
        "INSERT INTO runs (id, pipeline, params, created_at, queued_at) VALUES (?1, ?2, ?3, ?4, ?4) RETURNING key",
    )
    .bind(new.id.as_str())
    .bind(&new.pipeline.name)
    .bind(&params)
    .bind(new.at.0)
    .fetch_one(&mut *tx)
    .await?;
    let run = RunKey(row.try_get("key")?);
    add_attempt(tx, run, 1, &new.pipeline, &params, new.at).await?;
    if let Some((key, digest)) = &new.idempotency {
        sqlx::query("INSERT INTO idempotency_keys (key, digest, run, created_at) VALUES (?, ?, ?, ?)")
            .bind(key)
            .bind(digest)
            .bind(run.0)
            .bind(new.at.0)
            .execute(&mut *tx)
            .await?;
    }
    Ok(Outcome::Created { run, new: true })
}

async fn add_attempt(
    tx: &mut SqliteConnection,
    run: RunKey,
    attempt: u32,
    pipeline: &Pipeline,
    params: &str,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO attempts (run, attempt, params, pipeline, queued_at) VALUES (?, ?, ?, ?, ?)")
        .bind(run.0)
        .bind(attempt)
        .bind(params)
        .bind(json(pipeline)?)
        .bind(at.0)
        .execute(&mut *tx)
        .await?;
    for (position, phase) in (0i64..).zip(&pipeline.phases) {
        sqlx::query("INSERT INTO phases (run, attempt, position, name) VALUES (?, ?, ?, ?)")
            .bind(run.0)
            .bind(attempt)
            .bind(position)
            .bind(&phase.name)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// One statement moves the run, under its guard, and makes room for the frames: `head` is taken and given in one step.
async fn change(tx: &mut SqliteConnection, write: &Write) -> Result<Outcome, sqlx::Error> {
    use sqlx::Arguments;
    let mut arguments = SqliteArguments::default();
    let mut bind = |value: Option<String>, number: Option<i64>| match value {
        Some(text) => arguments.add(text),
        None => arguments.add(number),
    };
    let text = |text: &str| (Some(text.to_owned()), None);
    let number = |number: i64| (None, Some(number));
    let mut values = vec![number(i64::try_from(write.frames.len()).unwrap_or(i64::MAX))];
    let set = match &write.change {
        Change::None => "",
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
        Change::Finish { to, error } => {
            values.extend([text(to.as_str()), number(write.at.0), (error.clone(), None)]);
            ", status = ?, finished_at = ?, error = ?, phase = NULL, cancel_by = NULL, lease_owner = NULL, lease_until = NULL"
        }
        Change::Queue { params, .. } => {
            values.extend([text(&json(params)?), number(write.at.0)]);
            ", status = 'pending', attempt = attempt + 1, params = ?, queued_at = ?, \
              started_at = NULL, finished_at = NULL, error = NULL"
        }
        Change::AskCancel { by } => {
            values.push(text(by));
            ", cancel_by = coalesce(cancel_by, ?)"
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
            "status = ? AND attempt = ?"
        }
        Guard::Lapsed(attempt, now) => {
            values.extend([number(attempt.into()), number(now.0)]);
            "status = 'running' AND attempt = ? AND lease_until < ?"
        }
    };
    for (value, number) in values {
        bind(value, number).map_err(sqlx::Error::Encode)?;
    }
    // Safe: both parts are literals of this function.
    let statement = AssertSqlSafe(format!(
        "UPDATE runs SET head = head + ?{set} WHERE key = ? AND {guard}
         RETURNING status, attempt, head, lease_token, cancel_by"
    ));
    let Some(row) = sqlx::query_with(statement, arguments).fetch_optional(&mut *tx).await? else {
        return Ok(Outcome::Refused);
    };
    let pulse = rows::pulse(&row)?;
    if let Change::Queue { pipeline, params } = &write.change {
        add_attempt(tx, write.run, pulse.attempt, pipeline, &json(params)?, write.at).await?;
    }
    for update in &write.phases {
        update_phase(tx, write, pulse.attempt, update).await?;
    }
    let first = pulse.head + 1 - write.frames.len() as u64;
    let frames = (first..).zip(&write.frames).map(|(seq, frame)| Record {
        seq,
        ts: frame.ts,
        attempt: pulse.attempt,
        phase: frame.phase.clone(),
        kind: Arc::clone(&frame.kind),
        data: Arc::clone(&frame.data),
    });
    Ok(Outcome::Committed(Committed {
        run: write.run,
        pulse,
        token: row.try_get("lease_token")?,
        cancel_by: row.try_get("cancel_by")?,
        frames: frames.collect(),
    }))
}

async fn update_phase(
    tx: &mut SqliteConnection,
    write: &Write,
    attempt: u32,
    update: &PhaseUpdate,
) -> Result<(), sqlx::Error> {
    use crate::model::PhaseState;
    let (started, finished) = match update.state {
        PhaseState::Started => (Some(write.at.0), None),
        PhaseState::Completed | PhaseState::Failed => (None, Some(write.at.0)),
        PhaseState::Pending | PhaseState::Skipped => (None, None),
    };
    sqlx::query(
        "UPDATE phases SET state = ?, exit_code = ?, started_at = coalesce(?, started_at), finished_at = ?
         WHERE run = ? AND attempt = ? AND name = ?",
    )
    .bind(update.state.as_str())
    .bind(update.exit_code)
    .bind(started)
    .bind(finished)
    .bind(write.run.0)
    .bind(attempt)
    .bind(update.name.as_ref())
    .execute(tx)
    .await?;
    Ok(())
}

/// All frames of the transaction, many a statement: handing a statement to SQLite costs more than a row in it.
async fn insert(tx: &mut SqliteConnection, outcomes: &[Outcome]) -> Result<(), sqlx::Error> {
    let frames: Vec<(RunKey, &Record)> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Committed(committed) => Some(committed),
            _ => None,
        })
        .flat_map(|committed| committed.frames.iter().map(|frame| (committed.run, frame)))
        .collect();
    let mut rest = &frames[..];
    while !rest.is_empty() {
        let size = ROWS.into_iter().find(|&size| size <= rest.len()).unwrap_or(1);
        let (now, later) = rest.split_at(size);
        let places = vec!["(?, ?, ?, ?, ?, ?, ?)"; size].join(", ");
        let statement = format!("INSERT INTO frames (run, seq, ts, attempt, phase, kind, data) VALUES {places}");
        // Safe: question marks only.
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for (run, frame) in now {
            query = query
                .bind(run.0)
                .bind(i64::try_from(frame.seq).unwrap_or(i64::MAX))
                .bind(frame.ts.0)
                .bind(frame.attempt)
                .bind(frame.phase.as_deref())
                .bind(frame.kind.as_ref())
                .bind(frame.data.as_ref());
        }
        query.execute(&mut *tx).await?;
        rest = later;
    }
    Ok(())
}
