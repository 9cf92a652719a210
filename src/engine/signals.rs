//! The signals that stop an attempt early: a cancellation, or the server's shutdown.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Tells an attempt that its run was cancelled.
#[derive(Clone, Debug, Default)]
pub(super) struct CancelSignal {
    /// Commands get SIGTERM, and SIGKILL after the grace time.
    requested: CancellationToken,
    /// Commands get SIGKILL at once.
    forced: CancellationToken,
}

impl CancelSignal {
    pub(super) fn cancel(&self, force: bool) {
        if force {
            self.forced.cancel();
        }
        self.requested.cancel();
    }
}

/// Everything that stops an attempt early.
#[derive(Clone, Debug)]
pub(super) struct StopSignals {
    cancel: CancelSignal,
    shutdown: CancellationToken,
}

impl StopSignals {
    /// The signals of a new attempt on a server that stops with `shutdown`.
    pub(super) fn new(shutdown: CancellationToken) -> Self {
        Self { cancel: CancelSignal::default(), shutdown }
    }

    pub(super) fn cancel_signal(&self) -> CancelSignal {
        self.cancel.clone()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.requested.is_cancelled()
    }

    /// Whether the run was cancelled or the server shuts down.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_cancelled() || self.shutdown.is_cancelled()
    }

    /// Waits until the run is cancelled or the server shuts down. Cancel safe.
    pub(super) async fn stopping(&self) {
        tokio::select! {
            () = self.cancel.requested.cancelled() => {}
            () = self.shutdown.cancelled() => {}
        }
    }

    /// Waits until terminated commands have to be killed: at `kill_at`, or at once if the cancellation is forced.
    /// Cancel safe.
    pub(super) async fn grace_over(&self, kill_at: Instant) {
        tokio::select! {
            () = tokio::time::sleep_until(kill_at) => {}
            () = self.cancel.forced.cancelled() => {}
        }
    }
}
