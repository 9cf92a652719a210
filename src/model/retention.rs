//! Retention of finished runs, and the size of the database.

use serde::{Deserialize, Serialize};

/// How long a pipeline's finished runs are kept. Each rule deletes on its own; pinned runs are kept and not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retention {
    /// Runs that ended this many milliseconds ago, or earlier, are deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// This many runs are kept, those that ended last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

impl Retention {
    /// Whether there is no rule.
    pub const fn is_forever(&self) -> bool {
        self.age_ms.is_none() && self.count.is_none()
    }
}

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
