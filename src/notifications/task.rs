//! The background task of notifications: reads the outbox and sends what is due.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use super::counts::NotificationCounts;
use super::egress::Egress;
use super::request;
use super::send::{NotificationSender, send};
use crate::journal::Journal;
use crate::model::Timestamp;
use crate::model::notify::ReceiverAddress;
use crate::store::{Store, StoreError};

/// The most sends at a time.
const MAX_SENDS: u32 = 32;

/// The most sends at a time to one receiver: one that does not respond must not block the others.
const MAX_SENDS_PER_RECEIVER: u32 = 4;

/// The longest time between two reads of the outbox.
const POLL_INTERVAL: Duration = Duration::from_secs(30);

/// The pause before the next read after a database error.
const RETRY_DELAY: Duration = Duration::from_secs(1);

pub struct NotificationTask {
    sender: Arc<NotificationSender>,
    stop: CancellationToken,
}

impl NotificationTask {
    /// A task that runs until `stop` is cancelled. The next server repeats the sends that are in flight then.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn new(
        store: Store,
        journal: Journal,
        public_url: Option<String>,
        egress: Egress,
        stop: CancellationToken,
    ) -> Result<Self, reqwest::Error> {
        let egress = Arc::new(egress);
        let client = request::client(&egress)?;
        let sender = NotificationSender { store, journal, client, egress, public_url, counts: Arc::default() };
        Ok(Self { sender: Arc::new(sender), stop })
    }

    pub fn counts(&self) -> Arc<NotificationCounts> {
        Arc::clone(&self.sender.counts)
    }

    /// Sends whenever a notification is due, until the stop signal.
    pub async fn run(self) {
        let mut outbox_changes = self.sender.journal.outbox();
        // Dropping it at the end aborts the sends in flight.
        let mut sends = SendsInFlight::default();
        while !self.stop.is_cancelled() {
            // Before the read: a notification that is added during it causes another one.
            outbox_changes.borrow_and_update();
            let wait = self.send_due(&mut sends).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot read the notifications that are due; trying again in a second");
                RETRY_DELAY
            });
            tokio::select! {
                () = self.stop.cancelled() => {}
                // Never closed: the sender is part of the journal.
                _ = outbox_changes.changed() => {}
                () = sends.wait_for_one(), if !sends.tasks.is_empty() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Starts the sends that are due, within the limits. Returns the time until the next one is.
    async fn send_due(&self, sends: &mut SendsInFlight) -> Result<Duration, StoreError> {
        let now = Timestamp::now();
        for delivery in self.sender.store.due_deliveries(now, MAX_SENDS_PER_RECEIVER, MAX_SENDS).await? {
            let receiver = delivery.receiver.to.clone();
            if sends.tasks.len() >= MAX_SENDS as usize || sends.to(&receiver) >= MAX_SENDS_PER_RECEIVER as usize {
                continue;
            }
            let task = sends.tasks.spawn(send(Arc::clone(&self.sender), delivery));
            sends.receivers.insert(task.id(), receiver);
        }
        let next = self.sender.store.next_delivery_due(now).await?;
        Ok(next.map_or(POLL_INTERVAL, |at| Duration::from_millis(at.since(now)).min(POLL_INTERVAL)))
    }
}

#[derive(Default)]
struct SendsInFlight {
    tasks: JoinSet<()>,
    /// The receiver of each task.
    receivers: HashMap<Id, ReceiverAddress>,
}

impl SendsInFlight {
    /// How many go to this receiver.
    fn to(&self, receiver: &ReceiverAddress) -> usize {
        self.receivers.values().filter(|known| *known == receiver).count()
    }

    async fn wait_for_one(&mut self) {
        let id = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
            None => return,
        };
        self.receivers.remove(&id);
    }
}
