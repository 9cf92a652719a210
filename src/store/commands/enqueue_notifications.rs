//! The outbox: notifications are added in the transaction that ends an attempt or requests an approval, whoever writes
//! it, so each is there once and outlives every server.

use serde::Deserialize;

use super::json;
use crate::model::Timestamp;
use crate::model::notify::{NotifyEvent, NotifyTarget};
use crate::store::queries::runs;
use crate::store::statement::{Query, statement};
use crate::store::transaction::Transaction;
use crate::store::{JournalHead, RunKey, StoreError};

/// The parts of a pipeline that notifications need.
#[derive(Deserialize)]
struct Notified {
    #[serde(default)]
    notify: Vec<NotifyTarget>,
    #[serde(default)]
    title: String,
}

/// The pipeline of an attempt; none of a run that waits for approval and is to be cancelled: the question is void.
fn pipeline_of(run: RunKey, attempt: u32) -> Query<'static, Notified> {
    statement!(
        "SELECT attempts.pipeline AS pipeline FROM attempts JOIN runs ON runs.key = attempts.run
         WHERE attempts.run = $run AND attempts.attempt = $attempt AND (runs.gate IS NULL OR runs.cancel_by IS NULL)";
        run: run,
        attempt: attempt,
    )
    .read(|row| row.json("pipeline"))
}

/// Adds notifications for the pipeline's receivers, with the run's current state. Returns how many notifications there
/// are.
///
/// # Errors
/// The database failed, or the stored pipeline cannot be read.
pub(super) async fn enqueue_notifications(
    run: RunKey,
    journal: &JournalHead,
    occasion: NotifyEvent,
    at: Timestamp,
    tx: &mut impl Transaction,
) -> Result<usize, StoreError> {
    let Some(Notified { notify, title }) = tx.fetch_optional(pipeline_of(run, journal.attempt)).await? else {
        return Ok(0);
    };
    let receivers: Vec<_> = (0i64..).zip(&notify).filter(|(_, receiver)| receiver.subscribes_to(occasion)).collect();
    if receivers.is_empty() {
        return Ok(0);
    }
    let Some(snapshot) = tx.fetch_optional(runs::by_key(run)).await? else { return Ok(0) };
    let snapshot = json(&snapshot);
    for (position, receiver) in &receivers {
        tx.execute(statement!(
            "INSERT INTO deliveries (run, attempt, seq, position, event, receiver, title, snapshot, due_at)
             VALUES ($run, $attempt, $head, $position, $event, $receiver, $title, $snapshot, $at)";
            run: run,
            attempt: journal.attempt,
            head: journal.head,
            position: *position,
            event: occasion.event_type(),
            receiver: json(receiver),
            title: &title,
            snapshot: &snapshot,
            at: at,
        ))
        .await?;
    }
    Ok(receivers.len())
}
