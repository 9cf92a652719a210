//! What is said of a database that does not take what is written.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// What the journal waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutageKind {
    /// Another program holds the database's lock.
    Locked,
    /// The database does not answer.
    Unavailable,
    /// The disk of the database is full.
    DiskFull,
}

/// An outage of the database. Runs wait and lose nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// What the journal waits for.
    pub kind: OutageKind,
    /// Since when.
    pub since: Timestamp,
    /// For how long, in seconds.
    pub seconds: u64,
}

/// What is answered to who asks whether the database takes what is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseHealth {
    /// What is wrong, if anything is.
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
