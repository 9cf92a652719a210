//! How many sends ended how, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::kinds::DeliveryState;

/// The outcomes of sends since the start of the server.
#[derive(Debug, Default)]
pub struct NotificationCounts {
    delivered: AtomicU64,
    retrying: AtomicU64,
    failed: AtomicU64,
}

impl NotificationCounts {
    fn of(&self, state: DeliveryState) -> &AtomicU64 {
        match state {
            DeliveryState::Delivered => &self.delivered,
            DeliveryState::Retrying => &self.retrying,
            DeliveryState::Failed => &self.failed,
        }
    }

    pub(super) fn count(&self, state: DeliveryState) {
        self.of(state).fetch_add(1, Ordering::Relaxed);
    }

    /// Each outcome with its label.
    pub fn all(&self) -> [(&'static str, u64); 3] {
        let read = |state| self.of(state).load(Ordering::Relaxed);
        [
            ("delivered", read(DeliveryState::Delivered)),
            ("retrying", read(DeliveryState::Retrying)),
            ("failed", read(DeliveryState::Failed)),
        ]
    }
}
