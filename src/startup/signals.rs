//! Signals that stop the server.

use tokio::signal::unix::{SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopRequest {
    /// The server stops and ends its commands: SIGINT or SIGHUP.
    End,
    /// The server stops and leaves its commands to the next one: SIGTERM.
    HandOver,
    /// The same, and the server then starts again in the same process: SIGUSR2.
    Restart,
}

/// Waits for a signal that stops the server. SIGHUP does not count if it was ignored when the program started.
pub async fn stop_requested() -> StopRequest {
    tokio::select! {
        () = received(SignalKind::terminate()) => StopRequest::HandOver,
        () = received(SignalKind::interrupt()) => StopRequest::End,
        () = received(SignalKind::hangup()), if !is_hangup_ignored() => StopRequest::End,
        () = received(SignalKind::user_defined2()) => StopRequest::Restart,
    }
}

/// Without a handler the signal ends the program at once; the next server continues or recovers its runs.
async fn received(kind: SignalKind) {
    match signal(kind) {
        Ok(mut received) => drop(received.recv().await),
        Err(_) => std::future::pending().await,
    }
}

/// Whether the program was started with SIGHUP ignored, as `nohup` does: it must outlive its terminal.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // SIGHUP is signal 1, so the lowest bit of the mask.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
