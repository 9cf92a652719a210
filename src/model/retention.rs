//! How long finished runs are kept, and how large the database is meanwhile.

use serde::{Deserialize, Serialize};

/// What is kept of a pipeline's finished runs. What is not said lets nothing go; of two rules each lets go by itself. Pinned runs stay, and
/// are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retention {
    /// Runs that ended so many milliseconds ago, or longer, go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// So many runs stay, those that ended last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

impl Retention {
    /// Whether it keeps everything.
    pub const fn is_forever(&self) -> bool {
        self.age_ms.is_none() && self.count.is_none()
    }
}

/// How large the database is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseSize {
    /// Bytes of the database, `free_bytes` among them.
    pub bytes: u64,
    /// Bytes of the write-ahead log beside it.
    pub wal_bytes: u64,
    /// Bytes inside that hold nothing: what comes next fills them.
    pub free_bytes: u64,
}

/// What is answered to who asks for the database's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseUsage {
    /// Its size.
    #[serde(flatten)]
    pub size: DatabaseSize,
    /// How many runs it has.
    pub runs: u64,
}
