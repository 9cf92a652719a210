//! `runtrail drain`: lets a server finish its runs and end.

use clap::Args;

use super::{CallError, ConnectArgs, ServerClient};
use crate::model::workers::DrainStatus;

/// Let a running server finish what it executes, take no more runs, and end.
///
/// A worker has no API: send it SIGUSR1, which does the same.
#[derive(Args, Clone, Debug)]
pub struct DrainArgs {
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Has the server drain. Does not wait for its end.
///
/// # Errors
/// [`CallError`].
pub async fn drain(args: &DrainArgs) -> Result<String, CallError> {
    let status: DrainStatus = ServerClient::new(&args.connect)?.post("/api/v1/drain", &serde_json::json!({})).await?;
    Ok(describe(status.busy))
}

fn describe(busy: u32) -> String {
    match busy {
        0 => "The server is draining: it executes nothing and ends now.".to_owned(),
        1 => "The server is draining: it ends when 1 run has finished.".to_owned(),
        busy => format!("The server is draining: it ends when {busy} runs have finished."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drain_result_counts_runs() {
        for (busy, part) in [(0, "ends now"), (1, "1 run has"), (2, "2 runs have")] {
            assert!(describe(busy).contains(part), "{}", describe(busy));
        }
    }
}
