//! What one attempt of a run may use: `[limits]` in a pipeline file.
//!
//! The usual limits are so high that no run meets them that does what it should: they keep one that does not from filling the disk.

use serde::{Deserialize, Serialize};

/// What one attempt may use. Another attempt, and one that goes on after an answer, begins to count anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// How many bytes its commands may print.
    pub output: u64,
    /// How many frames they may make: a line of the log is one, and so is each report.
    pub frames: u64,
    /// How long it may take, in milliseconds, without the time it waits for a worker or a person; as long as it likes if `None`.
    pub duration_ms: Option<u64>,
    /// How many bytes its scratch folder and its workspace may take on the disk; as many as there are if `None`.
    pub scratch: Option<u64>,
    /// How many bytes of memory all its processes may use, where the system has control groups; as many as there are if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// How many processes and threads it may have at once, where the system has control groups; as many as it likes if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { output: 2 << 30, frames: 10_000_000, duration_ms: None, scratch: None, memory: None, processes: None }
    }
}

impl Limits {
    /// Those of the built-in pipelines, and of files that extend them: a day, since their phases have no time limit of their own.
    pub fn built_in() -> Self {
        Self { duration_ms: Some(24 * 60 * 60 * 1000), ..Self::default() }
    }
}

/// One of the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::output`]
    Output,
    /// [`Limits::frames`]
    Frames,
    /// [`Limits::duration_ms`]
    Duration,
    /// [`Limits::scratch`]
    Scratch,
}

impl Limit {
    /// Its key in `[limits]`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Frames => "frames",
            Self::Duration => "duration",
            Self::Scratch => "scratch",
        }
    }

    /// The `code` of the frames that tell of it.
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
    fn a_pipeline_without_limits_has_the_usual_ones() {
        assert_eq!(serde_json::from_str::<Limits>("{}").unwrap(), Limits::default());
        let some = serde_json::from_str::<Limits>("{\"frames\": 7}").unwrap();
        assert_eq!(some, Limits { frames: 7, ..Limits::default() });
        for limit in [Limit::Output, Limit::Frames, Limit::Duration, Limit::Scratch] {
            assert_eq!(limit.code(), format!("limit_{}", limit.key()));
        }
    }
}
