//! Which runs wait for which (issue 4): concurrency groups and priorities.
//!
//! Runs of one group never run at once. Who goes first is decided by priority and then by who asked first; what the group does
//! with a run that comes while it is busy is its policy.

use serde::{Deserialize, Serialize};

use super::run::RunId;
use super::{Params, Pipeline};

/// The largest priority; the smallest is as far below zero.
pub const MAX_PRIORITY: i32 = 100;

/// What a group is made of if it is one for the whole pipeline.
pub const PER_PIPELINE: &str = "pipeline";

/// Which runs of a pipeline are not carried out at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency {
    /// Those with the same value of this parameter; [`PER_PIPELINE`] for all of them.
    pub per: String,
    /// What becomes of a run that is asked for while another one of its group is active.
    #[serde(default)]
    pub when_busy: BusyPolicy,
}

/// What becomes of a run that is asked for while another one of its group is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BusyPolicy {
    /// It waits.
    #[default]
    Queue,
    /// The others are cancelled, and it runs when they have ended.
    CancelPrevious,
    /// It is refused.
    Refuse,
}

/// The group of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConcurrencyGroup {
    /// The same text for runs of the same group, and for no others.
    pub key: String,
    /// What becomes of this run if the group is busy.
    pub when_busy: BusyPolicy,
}

impl Pipeline {
    /// The group of a run with these parameters, if the pipeline has groups. Runs that give no value are one group too.
    pub fn group(&self, params: &Params) -> Option<ConcurrencyGroup> {
        let Concurrency { per, when_busy } = self.concurrency.as_ref()?;
        let key = match params.get(per).filter(|_| per != PER_PIPELINE) {
            // A pipeline's name and a parameter's have neither sign.
            Some(value) => format!("{}:{per}={value}", self.name),
            None => format!("{}:", self.name),
        };
        Some(ConcurrencyGroup { key, when_busy: *when_busy })
    }
}

/// What is before a run that waits: the answer of `GET /api/v1/queue`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// How many runs this server carries out at once.
    pub workers: usize,
    /// How many it carries out now.
    pub busy: usize,
    /// How many runs wait.
    pub total: u64,
    /// The first of them, in the order in which they are taken.
    pub waiting: Vec<QueuedRun>,
}

/// A run that waits for a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedRun {
    /// The run.
    pub id: RunId,
    /// Its place, from 1: among those that wait for the same run, or else among those that wait for a free worker only.
    pub position: u64,
    /// Larger ones go first.
    pub priority: i32,
    /// The run of its group that has to end first, if one is carried out.
    pub held_by: Option<RunId>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::ParamValue;

    #[test]
    fn a_group_is_made_of_the_pipeline_and_a_value() {
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
    fn what_a_busy_group_does_has_a_word() {
        for (policy, word) in [
            (BusyPolicy::Queue, "queue"),
            (BusyPolicy::CancelPrevious, "cancel-previous"),
            (BusyPolicy::Refuse, "refuse"),
        ] {
            assert_eq!(serde_json::to_value(policy).unwrap(), word);
        }
    }
}
