//! Sends one notification: claims it, sends the request, and journals the outcome.

use std::sync::Arc;
use std::time::Duration;

use super::counts::NotificationCounts;
use super::egress::Egress;
use super::request::{self, SendReport};
use crate::journal::{Journal, WriteError};
use crate::model::kinds::{DeliveryState, Notification};
use crate::model::notify::{DeliveryOutcome, retry_delay_ms};
use crate::model::{FramePayload, Timestamp};
use crate::store::{BeginDelivery, NewFrame, OutboxDelivery, RecordDelivery, RunWrite, Store};

/// The lease of a delivery in flight. When it expires, another server may send it again.
const DELIVERY_LEASE: Duration = Duration::from_secs(20);

/// How long a send keeps its place after its outcome could not be written: a disk stays full for a while.
const WRITE_ERROR_DELAY: Duration = Duration::from_secs(10);

/// What every send uses.
pub(super) struct NotificationSender {
    pub store: Store,
    pub journal: Journal,
    pub client: reqwest::Client,
    pub egress: Arc<Egress>,
    /// The server's address for people, without a slash at the end.
    pub public_url: Option<String>,
    pub counts: Arc<NotificationCounts>,
}

/// Sends a notification, unless another server does.
pub(super) async fn send(sender: Arc<NotificationSender>, delivery: OutboxDelivery) {
    match send_once(&sender, &delivery).await {
        // Another server sends it, or the run was deleted.
        Ok(()) | Err(WriteError::Refused) => {}
        Err(error) => {
            // It is sent again when its lease expires.
            tracing::warn!(run = delivery.run.0, %error, "cannot record the outcome of a notification; it will be sent again");
            tokio::time::sleep(WRITE_ERROR_DELAY).await;
        }
    }
}

async fn send_once(sender: &NotificationSender, delivery: &OutboxDelivery) -> Result<(), WriteError> {
    let lease_until = after(Timestamp::now(), DELIVERY_LEASE.as_millis());
    let &OutboxDelivery { run, key, token, attempt, .. } = delivery;
    sender.journal.write(RunWrite::new(BeginDelivery { run, delivery: key, token, lease_until })).await?;
    let report = request::post(&sender.client, &sender.egress, delivery, sender.public_url.as_deref()).await;
    let outcome = notification(delivery, &report, random_fraction());
    let now = Timestamp::now();
    let next = outcome.next_ms.map(|wait| after(now, wait.into()));
    let mut write = RunWrite::new(RecordDelivery { run, delivery: key, token: token + 1, attempt, next });
    let state = outcome.state;
    write.frames.push(NewFrame::now(None, &FramePayload::Notification(outcome)));
    sender.journal.write(write).await?;
    sender.counts.count(state);
    Ok(())
}

/// The frame for a send with this report.
fn notification(delivery: &OutboxDelivery, report: &SendReport, random: f64) -> Notification {
    let SendReport { url, status, error, retry_after_ms, is_final } = report;
    let sends = delivery.tries.saturating_add(1);
    let verdict = if *is_final { DeliveryOutcome::GiveUp } else { DeliveryOutcome::from_http_status(*status) };
    let next_ms = match verdict {
        DeliveryOutcome::Retry => retry_delay_ms(sends, random, retry_after_ms.unwrap_or_default()),
        DeliveryOutcome::Delivered | DeliveryOutcome::GiveUp => None,
    };
    let state = match (verdict, next_ms) {
        (DeliveryOutcome::Delivered, _) => DeliveryState::Delivered,
        (_, Some(_)) => DeliveryState::Retrying,
        (_, None) => DeliveryState::Failed,
    };
    let error = (state != DeliveryState::Delivered).then(|| error.clone()).flatten();
    Notification {
        url: url.clone(),
        event: delivery.event.clone(),
        state,
        r#try: sends,
        status: *status,
        error,
        next_ms,
    }
}

fn after(now: Timestamp, milliseconds: u128) -> Timestamp {
    Timestamp(now.0.saturating_add(i64::try_from(milliseconds).unwrap_or(i64::MAX)))
}

/// From 0 to 1, to spread retries. The middle if the system has no randomness.
fn random_fraction() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}
