//! Retention of finished runs (`[retention]` in a pipeline file).

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
