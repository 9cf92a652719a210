//! Hears what other instances have committed.
//!
//! A message is a hint that may be missing, so once a second, and after each new connection, everything is read that
//! was committed since a number. The number is the oldest transaction that was in progress at the last read: all
//! smaller ones had ended, so their rows were there. A row may be read twice, and none is missed.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPool, PgPoolOptions};
use sqlx::{Connection, Row as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::clock::ServerClock;
use super::notify::{CHANNEL, parse_message};
use crate::store::notices::{Notices, RunNotice};

/// How many notices wait for the journal. A commit is not held up by them.
pub const MAX_WAITING_NOTICES: usize = 1024;

/// How often commits are read without a message.
const READ_INTERVAL: Duration = Duration::from_secs(1);

/// How long rows of commits are kept, in milliseconds.
const KEEP_MS: i64 = 10 * 60 * 1000;

/// An instance that has read nothing for so long may have missed rows. Shorter than [`KEEP_MS`].
const MISSED_AFTER: Duration = Duration::from_secs(5 * 60);

/// How often old rows are removed.
const REMOVE_INTERVAL: Duration = Duration::from_secs(60);

/// The wait before a lost connection is opened again.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(250);

/// How long a read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The task that listens.
pub struct Listener {
    instance: i64,
    notices: mpsc::Sender<Notices>,
    /// The one connection that listens, which is opened again when it is lost.
    listens: PgPool,
    reads: PgConnectOptions,
    clock: Arc<ServerClock>,
    /// Every commit of a transaction below this number was read.
    read_up_to: i64,
    read_at: Instant,
    removed_at: Instant,
}

impl Listener {
    /// A listener for everything that is committed from now on.
    ///
    /// # Errors
    /// The database failed.
    pub async fn start(
        options: PgConnectOptions,
        instance: i64,
        notices: mpsc::Sender<Notices>,
        clock: Arc<ServerClock>,
    ) -> Result<Self, sqlx::Error> {
        let listens = PgPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options.clone());
        let mut connection = PgConnection::connect_with(&options).await?;
        let (read_up_to, _) = read_commits(&mut connection, i64::MAX, instance).await?;
        let _ = connection.close().await;
        let now = Instant::now();
        Ok(Self { instance, notices, listens, reads: options, clock, read_up_to, read_at: now, removed_at: now })
    }

    /// Listens until the store is dropped.
    pub async fn run(mut self) {
        loop {
            if let Err(error) = self.listen().await {
                tracing::debug!(%error, "the connection that listens to other instances is lost");
            }
            if self.notices.is_closed() {
                return;
            }
            sleep(RECONNECT_INTERVAL).await;
        }
    }

    /// Listens on one connection, until it is lost.
    async fn listen(&mut self) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.listens).await?;
        // A lost connection is an error here, so that what was missed is read at once.
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        let mut reads = PgConnection::connect_with(&self.reads).await?;
        let mut ticks = interval(READ_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                received = listener.try_recv() => match received? {
                    None => return Ok(()),
                    Some(message) => match parse_message(message.payload()) {
                        Some((sender, _)) if sender == self.instance => {}
                        Some((_, Some(notices))) => self.send(Notices::Runs(notices)).await,
                        Some((_, None)) | None => self.read(&mut reads).await?,
                    },
                },
                _ = ticks.tick() => self.read(&mut reads).await?,
            }
            if self.notices.is_closed() {
                return Ok(());
            }
        }
    }

    /// Reads what was committed since the last time.
    async fn read(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let reading = read_commits(connection, self.read_up_to, self.instance);
        let (read_up_to, notices) = timeout(READ_TIMEOUT, reading).await.unwrap_or_else(|_| {
            Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the database does not answer")))
        })?;
        if self.read_at.elapsed() > MISSED_AFTER {
            self.send(Notices::Lagged).await;
        } else if !notices.is_empty() {
            self.send(Notices::Runs(notices)).await;
        }
        (self.read_up_to, self.read_at) = (read_up_to, Instant::now());
        self.clock.adjust(connection).await?;
        if self.removed_at.elapsed() > REMOVE_INTERVAL {
            self.removed_at = Instant::now();
            let remove = sqlx::query(
                "DELETE FROM commits WHERE at < CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) - $1",
            );
            remove.bind(KEEP_MS).execute(connection).await?;
        }
        Ok(())
    }

    async fn send(&self, notices: Notices) {
        // The journal is closed when the instance stops.
        let _ = self.notices.send(notices).await;
    }
}

/// The changes that other instances have committed in transactions from this number on; and the number from which the
/// next read has to begin.
async fn read_commits(
    connection: &mut PgConnection,
    from: i64,
    instance: i64,
) -> Result<(i64, Vec<RunNotice>), sqlx::Error> {
    let rows = sqlx::query(
        "SELECT oldest.xid, commits.changes
         FROM (SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT) AS xid) AS oldest
         LEFT JOIN commits ON commits.xid >= $1 AND commits.instance <> $2 ORDER BY commits.xid",
    );
    let rows = rows.bind(from).bind(instance).fetch_all(connection).await?;
    let mut oldest = from;
    let mut notices = std::collections::BTreeMap::new();
    for row in rows {
        oldest = row.try_get(0)?;
        let changes: Option<String> = row.try_get(1)?;
        // Rows of a later version may say more than this one knows.
        let changes = changes.and_then(|text| RunNotice::parse(&text).ok()).unwrap_or_default();
        changes.into_iter().for_each(|notice| RunNotice::merge(&mut notices, notice));
    }
    Ok((oldest, notices.into_values().collect()))
}
