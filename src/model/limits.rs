//! Limits of an attempt: `[limits]` in a pipeline file.
//!
//! The defaults are so high that no well-behaved run reaches them; they keep the others from filling the disk.

use serde::{Deserialize, Serialize};

/// The limits of one attempt. They count from zero in each attempt, and again after an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Bytes that commands may print.
    pub output: u64,
    /// Frames that commands may create: one for each log line and each report.
    pub frames: u64,
    /// Milliseconds, without the time spent waiting for a worker or an approval; `None` is unlimited.
    pub duration_ms: Option<u64>,
    /// Bytes that the scratch folder and the workspace may take on the disk; `None` is unlimited.
    pub scratch: Option<u64>,
    /// Bytes of memory of all processes, where the system has control groups; `None` is unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Processes and threads at a time, where the system has control groups; `None` is unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { output: 2 << 30, frames: 10_000_000, duration_ms: None, scratch: None, memory: None, processes: None }
    }
}

impl Limits {
    /// The limits of built-in pipelines and of those that extend them: 24 hours, since their phases have no timeout.
    pub fn built_in() -> Self {
        Self { duration_ms: Some(24 * 60 * 60 * 1000), ..Self::default() }
    }
}

/// A limit that an attempt has exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Output,
    Frames,
    Duration,
    Scratch,
}

impl Limit {
    /// The key in `[limits]`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Frames => "frames",
            Self::Duration => "duration",
            Self::Scratch => "scratch",
        }
    }

    /// The `code` of the frames that report it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Output => "limit_output",
            Self::Frames => "limit_frames",
            Self::Duration => "limit_duration",
            Self::Scratch => "limit_scratch",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_defaults_and_codes() {
        assert_eq!(serde_json::from_str::<Limits>("{}").unwrap(), Limits::default());
        let some = serde_json::from_str::<Limits>("{\"frames\": 7}").unwrap();
        assert_eq!(some, Limits { frames: 7, ..Limits::default() });
        for limit in [Limit::Output, Limit::Frames, Limit::Duration, Limit::Scratch] {
            assert_eq!(limit.code(), format!("limit_{}", limit.key()));
        }
    }
}
