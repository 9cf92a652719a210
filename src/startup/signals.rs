//! Signals that stop or drain the server.

use tokio::signal::unix::{SignalKind, signal};

use crate::engine::Engine;

/// Waits for SIGTERM, SIGINT, or SIGHUP. SIGHUP does not count if it was ignored when the program started.
pub async fn stop_requested() {
    let hangup = async {
        match signal(SignalKind::hangup()) {
            Ok(mut hangup) => hangup.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    let interrupt = async {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = hangup, if !is_hangup_ignored() => {}
        }
    };
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt => {}
            }
        }
        // Without a handler SIGTERM ends the program at once; the next server recovers its runs.
        Err(_) => {
            interrupt.await;
        }
    }
}

/// Drains the engine at the first SIGUSR1 from now on. Later ones change nothing.
pub fn drain_on_request(engine: Engine) {
    // Without a handler the signal would end the program at once.
    match signal(SignalKind::user_defined1()) {
        Ok(mut requested) => {
            tokio::spawn(async move {
                while requested.recv().await.is_some() {
                    tracing::info!(
                        "SIGUSR1: draining; no new runs, and the end when those that are executed have finished"
                    );
                    engine.drain();
                }
            });
        }
        Err(error) => tracing::warn!(%error, "cannot handle SIGUSR1, which would drain this instance"),
    }
}

/// Whether the program was started with SIGHUP ignored, as `nohup` does: it must outlive its terminal.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // SIGHUP is signal 1, so the lowest bit of the mask.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
