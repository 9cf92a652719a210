//! Tells other instances what this one has committed.
//!
//! After the commit and on a connection of its own: a transaction that notifies takes a lock while it commits which all
//! commits of the server share. At most one message every few milliseconds, with all that was committed until then.
//! Messages are hints: an instance that misses one reads the table `commits` (`listen.rs`).

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::store::RunKey;
use crate::store::notices::RunNotice;

/// The channel of messages. Databases of one server do not share channels.
pub const CHANNEL: &str = "runtrail_commits";

/// The least time from one message to the next.
const MESSAGE_INTERVAL: Duration = Duration::from_millis(4);

/// The longest message in bytes; PostgreSQL takes less than 8000.
const MAX_MESSAGE_BYTES: usize = 7900;

/// How long sending a message may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// The text of a message. Without notices it only says that there is something to read.
pub fn message(instance: i64, notices: &[RunNotice]) -> String {
    let whole = format!("{instance} {}", RunNotice::to_text(notices));
    if whole.len() <= MAX_MESSAGE_BYTES { whole } else { format!("{instance} ") }
}

/// The sender of a message, and its notices if it has them.
pub fn parse_message(text: &str) -> Option<(i64, Option<Vec<RunNotice>>)> {
    let (instance, notices) = text.split_once(' ')?;
    Some((instance.parse().ok()?, RunNotice::parse(notices).ok()))
}

/// Sends messages until the store is dropped.
pub async fn run(options: PgConnectOptions, instance: i64, mut committed: mpsc::UnboundedReceiver<Vec<RunNotice>>) {
    let mut connection = None;
    let mut next = Instant::now();
    while let Some(first) = committed.recv().await {
        sleep_until(next).await;
        let mut runs: BTreeMap<RunKey, RunNotice> = BTreeMap::new();
        first.into_iter().for_each(|notice| RunNotice::merge(&mut runs, notice));
        while let Ok(more) = committed.try_recv() {
            more.into_iter().for_each(|notice| RunNotice::merge(&mut runs, notice));
        }
        let notices: Vec<_> = runs.into_values().collect();
        next = Instant::now() + MESSAGE_INTERVAL;
        let sent = timeout(SEND_TIMEOUT, send(&options, &mut connection, &message(instance, &notices))).await;
        if !matches!(sent, Ok(Ok(()))) {
            // The others find the commits without it, within a second.
            connection = None;
        }
    }
}

async fn send(
    options: &PgConnectOptions,
    connection: &mut Option<PgConnection>,
    message: &str,
) -> Result<(), sqlx::Error> {
    let open = match connection {
        Some(open) => open,
        none => none.insert(PgConnection::connect_with(options).await?),
    };
    sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(message).execute(open).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_are_too_long_are_hints() {
        let notice = |run| RunNotice { run: RunKey(run), journal: None, event: Some(crate::store::ListEvent::Changed) };
        let few: Vec<_> = (0..3).map(notice).collect();
        assert_eq!(parse_message(&message(7, &few)), Some((7, Some(few))));
        let many: Vec<_> = (0..1000).map(notice).collect();
        assert_eq!(parse_message(&message(7, &many)), Some((7, None)));
        assert_eq!(parse_message("nonsense"), None);
    }
}
