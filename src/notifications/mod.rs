//! Notifications out: takes them from the outbox, delivers them, and journals what became of each try.
//!
//! They are put down in the transaction that ends an attempt (`store/commands/enqueue_notifications.rs`), so none is lost and none is made twice
//! whoever ended it. Here one task looks what is due, and each try is a task of its own, begun by winning it in the database, as
//! runs are: so one server makes it, and one that dies leaves it to the next. At least once: who gets one twice knows it by its
//! `webhook-id`. [`delivery`] is one try, [`request`] what is sent, [`signature`] how it is
//! signed, [`egress`] where it may go.
//!
//! Starts no runs, and knows nothing of the pages.

mod delivery;
pub mod egress;
mod request;
mod signature;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

pub use egress::Egress;

use crate::journal::Journal;
use crate::model::Timestamp;
use crate::model::kinds::DeliveryState;
use crate::model::notify::ReceiverAddress;
use crate::store::{Store, StoreError};

/// How many tries are made at once.
const TOGETHER: u32 = 32;

/// How many of them for one receiver: one that does not answer must not hold up the others.
const EACH: u32 = 4;

/// How long nothing is looked at if nothing is due and nobody rings.
const LOOK: Duration = Duration::from_secs(30);

/// How many tries have ended how, since the start.
#[derive(Debug, Default)]
pub struct Counts {
    delivered: AtomicU64,
    retrying: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    fn of(&self, state: DeliveryState) -> &AtomicU64 {
        match state {
            DeliveryState::Delivered => &self.delivered,
            DeliveryState::Retrying => &self.retrying,
            DeliveryState::Failed => &self.failed,
        }
    }

    fn count(&self, state: DeliveryState) {
        self.of(state).fetch_add(1, Ordering::Relaxed);
    }

    /// Each outcome by its word.
    pub fn all(&self) -> [(&'static str, u64); 3] {
        let read = |state| self.of(state).load(Ordering::Relaxed);
        [
            ("delivered", read(DeliveryState::Delivered)),
            ("retrying", read(DeliveryState::Retrying)),
            ("failed", read(DeliveryState::Failed)),
        ]
    }
}

/// What every try needs.
struct Shared {
    store: Store,
    journal: Journal,
    client: reqwest::Client,
    /// Where they may go.
    egress: Arc<Egress>,
    /// Where people reach the server, without a slash at the end.
    public_url: Option<String>,
    counts: Arc<Counts>,
}

/// The task that delivers notifications.
pub struct NotifyTask {
    shared: Arc<Shared>,
    stop: CancellationToken,
}

impl NotifyTask {
    /// A task that delivers until `stop` is cancelled; tries that are being made then are made again by the next server.
    ///
    /// # Errors
    /// The client cannot be made.
    pub fn new(
        store: Store,
        journal: Journal,
        public_url: Option<String>,
        egress: Egress,
        stop: CancellationToken,
    ) -> Result<Self, reqwest::Error> {
        let egress = Arc::new(egress);
        let client = request::client(&egress)?;
        let shared = Shared { store, journal, client, egress, public_url, counts: Arc::default() };
        Ok(Self { shared: Arc::new(shared), stop })
    }

    /// What became of its tries.
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.shared.counts)
    }

    /// Delivers until the stop signal comes.
    pub async fn run(self) {
        let mut bell = self.shared.journal.outbox();
        // Dropped at the end, and with it what is under way.
        let mut tries = Tries::default();
        while !self.stop.is_cancelled() {
            // Looked at before the read: what is put down after this rings again.
            bell.borrow_and_update();
            let wait = self.begin(&mut tries).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot look for notifications to deliver");
                LOOK / 30
            });
            tokio::select! {
                () = self.stop.cancelled() => {}
                // The bell lives in the journal, which this task holds.
                _ = bell.changed() => {}
                () = tries.one_ends(), if !tries.tasks.is_empty() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Begins what is due, as far as there is room. How long until there is more, if nothing happens before.
    async fn begin(&self, tries: &mut Tries) -> Result<Duration, StoreError> {
        let now = Timestamp::now();
        for delivery in self.shared.store.due_deliveries(now, EACH, TOGETHER).await? {
            let receiver = delivery.receiver.to.clone();
            if tries.tasks.len() >= TOGETHER as usize || tries.of(&receiver) >= EACH as usize {
                continue;
            }
            let made = delivery::make(Arc::clone(&self.shared), delivery);
            tries.receivers.insert(tries.tasks.spawn(made).id(), receiver);
        }
        let next = self.shared.store.next_delivery_due(now).await?;
        Ok(next.map_or(LOOK, |at| Duration::from_millis(at.since(now)).min(LOOK)))
    }
}

/// The tries that are being made.
#[derive(Default)]
struct Tries {
    tasks: JoinSet<()>,
    /// For whom each is.
    receivers: HashMap<Id, ReceiverAddress>,
}

impl Tries {
    fn of(&self, receiver: &ReceiverAddress) -> usize {
        self.receivers.values().filter(|known| *known == receiver).count()
    }

    async fn one_ends(&mut self) {
        let id = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
            None => return,
        };
        self.receivers.remove(&id);
    }
}
