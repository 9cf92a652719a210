//! Notifications that are to be delivered: put down in the transaction that ends an attempt or asks a person, whoever
//! does it, so that each is there once and outlives every server.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use sqlx::Row;

use super::commit::{json, run, signed};
use super::rows;
use super::{SqliteStore, classify};
use crate::model::Timestamp;
use crate::model::notify::{NotifyEvent, NotifyTarget};
use crate::store::{Change, Delivery, OutboxStore, Pulse, RunKey, StoreError, Write};

#[async_trait]
impl OutboxStore for SqliteStore {
    async fn due(&self, now: Timestamp, each: u32, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let query = sqlx::query(
            "SELECT deliveries.* FROM (
                SELECT key, row_number() OVER (
                    PARTITION BY receiver ->> '$.url', receiver ->> '$.url_env' ORDER BY due_at, key
                ) AS place
                FROM deliveries WHERE due_at <= ?
             ) AS due JOIN deliveries USING (key) WHERE place <= ? ORDER BY due_at, key LIMIT ?",
        );
        let found = query.bind(now.0).bind(each).bind(limit).fetch_all(&self.reads).await.map_err(classify)?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            Ok(Delivery {
                key: row.try_get("key")?,
                run: RunKey(row.try_get("run")?),
                attempt: row.try_get("attempt")?,
                seq: rows::count(row, "seq")?,
                position: row.try_get("position")?,
                event: row.try_get("event")?,
                receiver: rows::json(row.try_get("receiver")?, "receiver")?,
                title: row.try_get("title")?,
                snapshot: rows::json(row.try_get("snapshot")?, "snapshot")?,
                tries: row.try_get("tries")?,
                token: row.try_get("token")?,
            })
        };
        found.iter().map(read).collect::<Result<_, _>>().map_err(classify)
    }

    async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let query = sqlx::query("SELECT min(due_at) AS at FROM deliveries WHERE due_at > ?").bind(now.0);
        let row = query.fetch_one(&self.reads).await.map_err(classify)?;
        row.try_get::<Option<i64>, _>("at").map(|at| at.map(Timestamp)).map_err(classify)
    }
}

/// Puts down what this write, which was accepted and has brought the run there, is to be told of. How many there are.
pub(super) fn put(tx: &Connection, write: &Write, pulse: Pulse) -> rusqlite::Result<usize> {
    let occasion = match write.change {
        Change::Finish { to, .. } => NotifyEvent::from_final_status(to),
        Change::Withdraw => NotifyEvent::Cancelled,
        Change::Ask { .. } => NotifyEvent::Waiting,
        _ => return Ok(0),
    };
    // Nobody is asked about a run that is to be cancelled.
    let asked = tx
        .prepare_cached(
            "SELECT attempts.pipeline ->> '$.notify', attempts.pipeline ->> '$.title'
             FROM attempts JOIN runs ON runs.key = attempts.run
             WHERE attempts.run = ? AND attempts.attempt = ? AND (runs.gate IS NULL OR runs.cancel_by IS NULL)",
        )?
        .query_row(params![write.run.0, pulse.attempt], |row| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?))
        })
        .optional()?;
    let Some((Some(receivers), title)) = asked else { return Ok(0) };
    let corrupt = |error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error));
    let receivers: Vec<NotifyTarget> = serde_json::from_str(&receivers).map_err(corrupt)?;
    let told: Vec<_> = (0i64..).zip(&receivers).filter(|(_, receiver)| receiver.subscribes_to(occasion)).collect();
    if told.is_empty() {
        return Ok(0);
    }
    let snapshot = json(&run(tx, write.run)?)?;
    let mut put = tx.prepare_cached(
        "INSERT INTO deliveries (run, attempt, seq, position, event, receiver, title, snapshot, due_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for (position, receiver) in &told {
        put.execute(params![
            write.run.0,
            pulse.attempt,
            signed(pulse.head),
            position,
            occasion.event_type(),
            json(receiver)?,
            title.as_deref().unwrap_or_default(),
            snapshot,
            write.at.0
        ])?;
    }
    Ok(told.len())
}

/// A try of a delivery begins or has ended.
pub(super) fn follow(tx: &Connection, change: &Change, delivery: i64) -> rusqlite::Result<()> {
    match change {
        Change::Try { until } => tx
            .prepare_cached("UPDATE deliveries SET token = token + 1, due_at = ? WHERE key = ?")?
            .execute(params![until.0, delivery]),
        Change::Tried { next: Some(next), .. } => tx
            .prepare_cached("UPDATE deliveries SET tries = tries + 1, due_at = ? WHERE key = ?")?
            .execute(params![next.0, delivery]),
        Change::Tried { next: None, .. } => {
            tx.prepare_cached("DELETE FROM deliveries WHERE key = ?")?.execute([delivery])
        }
        _ => Ok(0),
    }
    .map(drop)
}
