//! Renews an attempt's lease while the attempt is executed.

use std::time::Duration;

use tokio::time::Instant;

use super::attempt::Attempt;
use super::clock::later;
use super::lease_term::{LeaseTerm, Renewal};
use crate::journal::WriteError;
use crate::store::{ExtendLease, RunWrite};

/// Holds the lease of one attempt.
pub(super) struct LeaseKeeper<'a> {
    attempt: &'a Attempt,
    lease: Duration,
    term: LeaseTerm,
    claimed: Instant,
}

impl<'a> LeaseKeeper<'a> {
    /// The keeper of a lease that was granted now.
    pub(super) fn new(attempt: &'a Attempt) -> Self {
        let lease = attempt.state.options.lease;
        let term = LeaseTerm::new(lease, attempt.state.store.is_exclusive());
        Self { attempt, lease, term, claimed: Instant::now() }
    }

    /// Renews the lease until it is lost.
    pub(super) async fn run(mut self) {
        loop {
            // Another instance that changes the run asks for it: then the renewal finds out what it did.
            tokio::select! {
                () = tokio::time::sleep(self.term.renewal_interval()) => {}
                () = self.attempt.renew.notified() => {}
            }
            let requested_at = self.claimed.elapsed();
            let renewal = self.renew().await;
            if !self.term.record(renewal, requested_at, self.claimed.elapsed()) {
                return;
            }
        }
    }

    /// Renews once. The commit also says whether the run was cancelled through another server.
    async fn renew(&self) -> Renewal {
        let lease_until = later(self.attempt.state.store.now(), self.lease);
        let extend = RunWrite::new(ExtendLease { lease: self.attempt.lease, lease_until });
        let extend = self.attempt.commit(extend);
        let result = match self.term.deadline() {
            Some(by) => tokio::time::timeout_at(self.claimed + by, extend).await.ok(),
            None => Some(extend.await),
        };
        match result {
            Some(Ok(extended)) => {
                self.attempt.observe_cancel(&extended);
                Renewal::Renewed
            }
            Some(Err(WriteError::Store(error))) if error.is_retryable() => Renewal::Unavailable,
            Some(Err(WriteError::Store(_))) | None => Renewal::TimedOut,
            Some(Err(_)) => Renewal::Refused,
        }
    }
}
