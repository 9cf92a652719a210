//! Comparison of two attempts of a run.

use serde::{Deserialize, Serialize};

use crate::model::attempt::{Attempt, AttemptPhase};
use crate::model::kinds::{LogStream, PhaseState};
use crate::model::param::{ParamValue, Params};

/// Two attempts and their differences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptComparison {
    /// The attempt that the request names as `a`.
    pub a: Attempt,
    /// The attempt that the request names as `b`.
    pub b: Attempt,
    /// By name, without those that are equal.
    pub params: Vec<ParamDifference>,
    /// All phases of both attempts: those of `b` in order, then those that only `a` has.
    pub phases: Vec<PhasePair>,
}

/// A parameter that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamDifference {
    pub name: String,
    /// `None` if the attempt has no value.
    pub a: Option<ParamValue>,
    pub b: Option<ParamValue>,
}

/// The same phase in both attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhasePair {
    pub name: String,
    /// `None` if the attempt has no such phase.
    pub a: Option<AttemptPhase>,
    pub b: Option<AttemptPhase>,
    /// `None` unless the phase ran in both attempts.
    pub log: Option<LogComparison>,
}

/// How a phase's logs differ. Each stream is compared on its own: how streams interleave, and when lines are printed,
/// varies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum LogComparison {
    Same {
        /// Lines compared, in all streams.
        lines: u64,
    },
    /// The first difference.
    Differs(LogDifference),
    /// The compared lines are equal, and there are more.
    Unknown {
        /// Lines compared, in all streams.
        lines: u64,
    },
}

/// The first line that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogDifference {
    /// The line's number in its stream of the phase, from 1.
    pub line: u64,
    /// `None` if the stream ends before this line.
    pub a: Option<LogLine>,
    pub b: Option<LogLine>,
}

/// A line of a log, shortened for display.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The seq of the line's first frame.
    pub seq: u64,
    pub stream: LogStream,
    /// The text around the difference; `…` marks omissions.
    pub text: String,
}

/// The parameters that differ, by name.
pub fn diff_params(a: &Params, b: &Params) -> Vec<ParamDifference> {
    let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let pair = |name: &String| ParamDifference { name: name.clone(), a: a.get(name).cloned(), b: b.get(name).cloned() };
    names.into_iter().map(pair).filter(|pair| pair.a != pair.b).collect()
}

/// The phases of both attempts in pairs by name, their logs not compared yet.
pub fn pair_phases(a: &[AttemptPhase], b: &[AttemptPhase]) -> Vec<PhasePair> {
    let named = |phases: &[AttemptPhase], name: &str| phases.iter().find(|phase| phase.phase.name == name).cloned();
    let only_a = a.iter().filter(|phase| named(b, &phase.phase.name).is_none());
    let names = b.iter().chain(only_a).map(|phase| phase.phase.name.clone());
    names.map(|name| PhasePair { a: named(a, &name), b: named(b, &name), name, log: None }).collect()
}

impl PhasePair {
    /// The phase in both attempts if it ran in both, so that its logs can be compared.
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
    use crate::model::run::Phase;

    fn phase(name: &str, state: PhaseState, carried: bool) -> AttemptPhase {
        let phase = Phase { name: name.into(), state, exit_code: None, started_at: None, finished_at: None };
        AttemptPhase { phase, carried, first: None, last: None }
    }

    #[test]
    fn comparison_lists_only_params_that_differ() {
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
    fn comparison_pairs_phases_by_name() {
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
        let found: Vec<_> = pairs
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
        assert_eq!(found, expected);
    }
}
