//! One try of one delivery: won, made, and journaled.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::request::{self, Answer};
use crate::journal::WriteError;
use crate::model::kinds::{DeliveryState, Notification};
use crate::model::notify::{DeliveryOutcome, retry_delay_ms};
use crate::model::{FramePayload, Timestamp};
use crate::store::{BeginDelivery, NewFrame, OutboxDelivery, RecordDelivery, RunWrite};

/// When a try is given up for lost that nobody says anything of: its server is gone.
const LEASE: Duration = Duration::from_secs(20);

/// How long a try keeps its place after what became of it could not be written down.
const PAUSE: Duration = Duration::from_secs(10);

/// Makes the try, unless another server does.
pub(super) async fn make(shared: Arc<Shared>, delivery: OutboxDelivery) {
    match try_once(&shared, &delivery).await {
        // Another server makes it, or the run is gone.
        Ok(()) | Err(WriteError::Refused) => {}
        Err(error) => {
            // It is made again, at the latest when the try is given up for lost. Not at once: a disk stays full for a while.
            tracing::warn!(run = delivery.run.0, %error, "cannot write down what became of a notification");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn try_once(shared: &Shared, delivery: &OutboxDelivery) -> Result<(), WriteError> {
    let lease_until = after(Timestamp::now(), LEASE.as_millis());
    let &OutboxDelivery { run, key, token, attempt, .. } = delivery;
    shared.journal.write(RunWrite::new(BeginDelivery { run, delivery: key, token, lease_until })).await?;
    let answer = request::send(&shared.client, &shared.egress, delivery, shared.public_url.as_deref()).await;
    let tried = notification(delivery, &answer, random());
    let now = Timestamp::now();
    let next = tried.next_ms.map(|wait| after(now, wait.into()));
    let mut write = RunWrite::new(RecordDelivery { run, delivery: key, token: token + 1, attempt, next });
    let state = tried.state;
    write.frames.push(NewFrame::now(None, &FramePayload::Notification(tried)));
    shared.journal.write(write).await?;
    shared.counts.count(state);
    Ok(())
}

/// What the journal says of a try that was answered so.
fn notification(delivery: &OutboxDelivery, answer: &Answer, random: f64) -> Notification {
    let Answer { url, status, error, asked, hopeless } = answer;
    let tries = delivery.tries.saturating_add(1);
    let verdict = if *hopeless { DeliveryOutcome::GiveUp } else { DeliveryOutcome::from_http_status(*status) };
    let next_ms = match verdict {
        DeliveryOutcome::Retry => retry_delay_ms(tries, random, asked.unwrap_or_default()),
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
        r#try: tries,
        status: *status,
        error,
        next_ms,
    }
}

fn after(now: Timestamp, milliseconds: u128) -> Timestamp {
    Timestamp(now.0.saturating_add(i64::try_from(milliseconds).unwrap_or(i64::MAX)))
}

/// From 0 to 1. Without randomness the waits are the usual ones.
fn random() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}
