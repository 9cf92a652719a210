//! Draining: the engine takes no more runs, finishes those that it executes, and reports when none is left.

use std::sync::OnceLock;

use tokio_util::sync::CancellationToken;

use crate::model::Timestamp;

/// The state of draining. It begins once, and is never undone.
#[derive(Debug, Default)]
pub(super) struct Drain {
    since: OnceLock<Timestamp>,
    requested: CancellationToken,
    finished: CancellationToken,
}

impl Drain {
    pub(super) fn request(&self) {
        self.since.get_or_init(Timestamp::wall);
        self.requested.cancel();
    }

    pub(super) fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    pub(super) fn since(&self) -> Option<Timestamp> {
        self.since.get().copied()
    }

    /// Waits for the request. Cancel safe.
    pub(super) async fn requested(&self) {
        self.requested.cancelled().await;
    }

    /// No attempt is left. Only the dispatcher calls this: it is the one that starts attempts.
    pub(super) fn finish(&self) {
        self.finished.cancel();
    }

    /// Waits until no attempt is left. Cancel safe.
    pub(super) async fn finished(&self) {
        self.finished.cancelled().await;
    }
}
