//! Size and outages of the database, as the API and the pages report them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;

/// The size of the database, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseSize {
    /// With `free_bytes`.
    pub bytes: u64,
    /// The write-ahead log.
    pub wal_bytes: u64,
    /// Unused pages inside the file; new data fills them.
    pub free_bytes: u64,
}

/// The answer of `GET /api/v1/database`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseUsage {
    #[serde(flatten)]
    pub size: DatabaseSize,
    pub runs: u64,
}

/// Why the database takes no writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutageKind {
    /// Another process holds the database's lock.
    Locked,
    Unavailable,
    DiskFull,
}

/// An outage of the database. Runs wait and lose nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    pub kind: OutageKind,
    pub since: Timestamp,
    pub seconds: u64,
}

/// The answer of `GET /api/v1/database/health`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseHealth {
    pub outage: Option<Outage>,
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds;
        match self.kind {
            OutageKind::Locked => write!(
                f,
                "Another program has locked the database for {seconds} s. Runs are waiting; nothing is lost. End that program, or wait for it."
            ),
            OutageKind::Unavailable => write!(
                f,
                "The database has been unavailable for {seconds} s. Runs are waiting; nothing is lost. See the server's log."
            ),
            OutageKind::DiskFull => write!(
                f,
                "The disk of the database has been full for {seconds} s. Log lines are held back until space is freed. Free up space, or delete runs."
            ),
        }
    }
}
