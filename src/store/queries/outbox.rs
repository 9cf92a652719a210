//! Notifications that are to be sent.

use crate::model::notify::NotifyTarget;
use crate::model::{Run, Timestamp};
use crate::store::RunKey;
use crate::store::statement::{Query, statement};

/// A notification in the outbox.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxDelivery {
    pub key: i64,
    pub run: RunKey,
    /// The attempt that it is about.
    pub attempt: u32,
    /// The head of the run's journal with what it is about.
    pub seq: u64,
    /// Which of the pipeline's receivers it is for.
    pub position: u32,
    /// `run.finished` or `run.waiting`.
    pub event: String,
    pub receiver: NotifyTarget,
    /// The pipeline's title.
    pub title: String,
    /// The run as it was then.
    pub snapshot: Run,
    /// How often it was sent, or could not be.
    pub tries: u32,
    /// How often sending it has begun.
    pub token: i64,
}

/// Up to `limit` deliveries that are due, the longest waiting first: up to `per_receiver` for one address, so that many
/// for one that does not answer leave room for the others'.
pub fn due(now: Timestamp, per_receiver: u32, limit: u32) -> Query<'static, OutboxDelivery> {
    statement!(
        "SELECT deliveries.* FROM (
            SELECT key, row_number() OVER (
                PARTITION BY receiver ->> 'url', receiver ->> 'url_env' ORDER BY due_at, key
            ) AS place
            FROM deliveries WHERE due_at <= $now
         ) AS due JOIN deliveries USING (key) WHERE place <= $per_receiver ORDER BY due_at, key LIMIT $limit";
        now: now,
        per_receiver: per_receiver,
        limit: limit,
    )
    .read(|row| {
        Ok(OutboxDelivery {
            key: row.get("key")?,
            run: row.get("run")?,
            attempt: row.get("attempt")?,
            seq: row.get("seq")?,
            position: row.get("position")?,
            event: row.get("event")?,
            receiver: row.json("receiver")?,
            title: row.get("title")?,
            snapshot: row.json("snapshot")?,
            tries: row.get("tries")?,
            token: row.get("token")?,
        })
    })
}

/// When the next one is due of those that are not.
pub fn next_due(now: Timestamp) -> Query<'static, Option<Timestamp>> {
    statement!("SELECT min(due_at) AS at FROM deliveries WHERE due_at > $now"; now: now).read(|row| row.get("at"))
}
