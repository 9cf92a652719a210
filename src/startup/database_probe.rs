//! Probes the database while no run writes, so that `/readyz` and the pages report an outage soon after it begins.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::journal::Journal;
use crate::store::Store;

const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// Probes until `stop`. Also restores the reserve for a full disk, where it is missing.
pub async fn run(store: Store, journal: Journal, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PROBE_INTERVAL) => {}
        }
        if journal.health().outage().is_none() {
            store.restore_reserve(false).await;
        }
        // The journal's health records a failure; a closed writer means that the server is stopping.
        let _ = journal.probe().await;
    }
}
