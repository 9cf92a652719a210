//! Two attempts side by side.

use serde::{Deserialize, Serialize};

use super::attempt::{Attempt, AttemptPhase};
use super::{LogStream, ParamValue, Params, PhaseState};

/// Two attempts of a run, and how they differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptComparison {
    /// The one.
    pub a: Attempt,
    /// The other.
    pub b: Attempt,
    /// The parameters that differ, by name.
    pub params: Vec<ParamDifference>,
    /// The phases of both: in the order of the other, then those that only the one has.
    pub phases: Vec<PhasePair>,
}

/// A parameter that two attempts do not have alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamDifference {
    /// Its name.
    pub name: String,
    /// Its value in the one; `None` if that has none.
    pub a: Option<ParamValue>,
    /// Its value in the other.
    pub b: Option<ParamValue>,
}

/// A phase in two attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhasePair {
    /// Its name.
    pub name: String,
    /// It in the one; `None` if that has no such phase.
    pub a: Option<AttemptPhase>,
    /// It in the other.
    pub b: Option<AttemptPhase>,
    /// How its logs differ; `None` if it did not run in both.
    pub log: Option<LogComparison>,
}

/// How two logs of a phase differ. Each output is compared by itself: how separate ones mix is chance, as is when lines came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum LogComparison {
    /// Not at all.
    Same {
        /// How many lines each has, of all outputs.
        lines: u64,
    },
    /// From this line on.
    Differs(LogDifference),
    /// They are the same as far as was looked, and there is more.
    Unknown {
        /// How many lines were looked at, of all outputs.
        lines: u64,
    },
}

/// The first line that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogDifference {
    /// Its number among the phase's lines of that output, from 1.
    pub line: u64,
    /// The line of the one; `None` if its output has ended there.
    pub a: Option<LogLine>,
    /// The line of the other.
    pub b: Option<LogLine>,
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The seq of the frame that it begins in.
    pub seq: u64,
    /// Which output it came from.
    pub stream: LogStream,
    /// The text around the place where it differs, with `…` where something is left out.
    pub text: String,
}

/// The parameters that differ.
pub fn diff_params(a: &Params, b: &Params) -> Vec<ParamDifference> {
    let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let pair = |name: &String| ParamDifference { name: name.clone(), a: a.get(name).cloned(), b: b.get(name).cloned() };
    names.into_iter().map(pair).filter(|pair| pair.a != pair.b).collect()
}

/// The phases side by side, their logs not looked at yet.
pub fn pair_phases(a: &[AttemptPhase], b: &[AttemptPhase]) -> Vec<PhasePair> {
    let named = |phases: &[AttemptPhase], name: &str| phases.iter().find(|phase| phase.phase.name == name).cloned();
    let only_a = a.iter().filter(|phase| named(b, &phase.phase.name).is_none());
    let names = b.iter().chain(only_a).map(|phase| phase.phase.name.clone());
    names.map(|name| PhasePair { a: named(a, &name), b: named(b, &name), name, log: None }).collect()
}

impl PhasePair {
    /// The phase in both, if it ran in both: then it has two logs to compare.
    pub fn ran_in_both(&self) -> Option<(&AttemptPhase, &AttemptPhase)> {
        let ran = |phase: &&AttemptPhase| {
            let begun = match phase.phase.state {
                PhaseState::Started | PhaseState::Completed | PhaseState::Failed => true,
                PhaseState::Pending | PhaseState::Skipped => false,
            };
            begun && !phase.carried
        };
        self.a.as_ref().filter(ran).zip(self.b.as_ref().filter(ran))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Phase;

    fn phase(name: &str, state: PhaseState, carried: bool) -> AttemptPhase {
        let phase = Phase { name: name.into(), state, exit_code: None, started_at: None, finished_at: None };
        AttemptPhase { phase, carried, first: None, last: None }
    }

    #[test]
    fn parameters_that_differ_are_told_and_no_others() {
        let text = |text: &str| ParamValue::Text(text.into());
        let a = Params::from([("same".into(), text("x")), ("gone".into(), text("g")), ("level".into(), text("1"))]);
        let b = Params::from([("same".into(), text("x")), ("new".into(), text("n")), ("level".into(), text("2"))]);
        let found: Vec<_> =
            diff_params(&a, &b).into_iter().map(|pair| (pair.name, pair.a.is_some(), pair.b.is_some())).collect();
        let expected = [("gone", true, false), ("level", true, true), ("new", false, true)];
        assert_eq!(found, expected.map(|(name, a, b)| (name.to_owned(), a, b)));
        assert_eq!(diff_params(&a, &a), []);
    }

    #[test]
    fn phases_stand_beside_their_namesakes() {
        use PhaseState::{Completed, Failed, Pending, Skipped, Started};
        let a = [
            phase("lint", Completed, false),
            phase("old", Completed, false),
            phase("test", Failed, false),
            phase("tell", Skipped, false),
        ];
        let b = [
            phase("lint", Completed, true),
            phase("test", Started, false),
            phase("new", Pending, false),
            phase("tell", Completed, false),
        ];
        let pairs = pair_phases(&a, &b);
        let told: Vec<_> = pairs
            .iter()
            .map(|pair| (pair.name.as_str(), pair.a.is_some(), pair.b.is_some(), pair.ran_in_both().is_some()))
            .collect();
        // Carried over, running, only in one, skipped in one, only in the other.
        let expected = [
            ("lint", true, true, false),
            ("test", true, true, true),
            ("new", false, true, false),
            ("tell", true, true, false),
            ("old", true, false, false),
        ];
        assert_eq!(told, expected);
    }
}
