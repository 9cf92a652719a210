//! The queue: concurrency groups and priorities.
//!
//! Runs of one group never run at the same time. A higher priority goes first, then the earlier request; the group's
//! policy decides about a run that arrives while the group is busy.

use serde::{Deserialize, Serialize};

use super::param::Params;
use super::placement::Shortage;
use super::run::RunId;

/// The highest priority; the lowest is its negative.
pub const MAX_PRIORITY: i32 = 100;

/// The value of [`Concurrency::per`] for one group per pipeline.
pub const PER_PIPELINE: &str = "pipeline";

/// Which runs of a pipeline must not run at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency {
    /// Runs with the same value of this parameter; [`PER_PIPELINE`] for all of them.
    pub per: String,
    #[serde(default)]
    pub when_busy: BusyPolicy,
}

/// What happens to a new run while another run of its group is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BusyPolicy {
    /// It is queued.
    #[default]
    Queue,
    /// The other runs are cancelled, and it runs when they have ended.
    CancelPrevious,
    /// It is refused.
    Refuse,
}

/// The concurrency group of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConcurrencyGroup {
    /// Equal for runs of the same group only.
    pub key: String,
    pub when_busy: BusyPolicy,
}

impl Concurrency {
    /// The group of a run of this pipeline with these parameters. Runs without a value form a group of their own.
    pub fn group(&self, pipeline: &str, params: &Params) -> ConcurrencyGroup {
        let Self { per, when_busy } = self;
        let key = match params.get(per).filter(|_| per != PER_PIPELINE) {
            // Names of pipelines and parameters contain neither `:` nor `=`, so keys are unambiguous.
            Some(value) => format!("{pipeline}:{per}={value}"),
            None => format!("{pipeline}:"),
        };
        ConcurrencyGroup { key, when_busy: *when_busy }
    }
}

/// The answer of `GET /api/v1/queue`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// How many runs this server executes at the same time.
    pub workers: usize,
    /// How many runs it executes now.
    pub busy: usize,
    /// The number of pending runs.
    pub total: u64,
    /// The first of them, in the order in which they will start.
    pub waiting: Vec<QueuedRun>,
}

/// A pending run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedRun {
    pub id: RunId,
    /// Counts from 1, among runs that are blocked by the same run, or among those that wait only for a free worker.
    pub position: u64,
    /// Higher values start first.
    pub priority: i32,
    /// The running run of its group that must end first.
    pub held_by: Option<RunId>,
    /// What is missing while no live worker can take the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<Shortage>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::param::ParamValue;
    use crate::model::pipeline::Pipeline;

    #[test]
    fn group_key_has_pipeline_and_value() {
        let of = |name: &str, per: Option<&str>, value: Option<&str>| {
            let concurrency = per.map(|per| Concurrency { per: per.into(), when_busy: BusyPolicy::Refuse });
            let pipeline = Pipeline { name: name.into(), concurrency, ..Pipeline::default() };
            let params = value.map(|value| ("project".to_owned(), ParamValue::Text(value.into())));
            pipeline.group(&params.into_iter().collect()).map(|group| group.key)
        };
        assert_eq!(of("a", None, Some("/x")), None);
        let keys = [
            of("a", Some("pipeline"), None),
            of("b", Some("pipeline"), None),
            of("a", Some("project"), Some("/x")),
            of("a", Some("project"), Some("/y")),
            of("b", Some("project"), Some("/x")),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(key.is_some() && !keys[..index].contains(key), "{key:?}");
        }
        assert_eq!(of("a", Some("pipeline"), Some("/x")), of("a", Some("pipeline"), Some("/y")));
        assert_eq!(of("a", Some("project"), None), of("a", Some("project"), None));
    }

    #[test]
    fn busy_policy_serializes_to_its_word() {
        for (policy, word) in [
            (BusyPolicy::Queue, "queue"),
            (BusyPolicy::CancelPrevious, "cancel-previous"),
            (BusyPolicy::Refuse, "refuse"),
        ] {
            assert_eq!(serde_json::to_value(policy).unwrap(), word);
        }
    }
}
