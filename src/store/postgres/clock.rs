//! The server's clock, which leases count by: the clocks of instances may differ by hours.
//!
//! Its distance from a clock of this machine that nobody sets is measured at the start and once a second, so that
//! reading it asks nobody.

use std::sync::atomic::{AtomicI64, Ordering};

use sqlx::postgres::PgConnection;
use sqlx::{Row as _, query};
use tokio::time::Instant;

use crate::model::Timestamp;

/// An estimate of the server's clock.
pub struct ServerClock {
    started: Instant,
    /// The server's time in milliseconds when this machine's was `started`.
    base_ms: AtomicI64,
}

impl ServerClock {
    /// The clock of a server that shows `at` now.
    fn starting_at(at: Timestamp) -> Self {
        Self { started: Instant::now(), base_ms: AtomicI64::new(at.0) }
    }

    /// Asks the server for its time.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn ask(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        Ok(Self::starting_at(server_time(connection).await?))
    }

    /// Asks again.
    ///
    /// # Errors
    /// The server does not answer; the clock goes on.
    pub async fn adjust(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let now = server_time(connection).await?;
        self.base_ms.store(now.0 - self.elapsed_ms(), Ordering::Relaxed);
        Ok(())
    }

    /// The server's time, never later than it is.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.base_ms.load(Ordering::Relaxed) + self.elapsed_ms())
    }

    fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

async fn server_time(connection: &mut PgConnection) -> Result<Timestamp, sqlx::Error> {
    let ask = query("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)");
    ask.fetch_one(connection).await?.try_get(0).map(Timestamp)
}
