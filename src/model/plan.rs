//! Which phases run: conditions on earlier phases, resuming, and retries. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::kinds::PhaseState;
use super::phase::PhaseSpec;
use super::pipeline::Pipeline;
use super::run::Phase;
use super::status::Status;

/// The longest delay before a phase's command is executed again.
const MAX_PHASE_RETRY_DELAY: Duration = Duration::from_secs(3600);

/// A condition on earlier phases (`if` in `[[phases]]`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PhaseCondition {
    /// No earlier phase without `continue_on_error` failed.
    Success,
    /// An earlier phase without `continue_on_error` failed.
    Failure,
    Always,
    /// An earlier phase ended in this state.
    Phase(String, PhaseState),
}

/// The text is not a condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no condition; it is success, failure, always, or an earlier phase and what became of it, such as lint.failed"
)]
pub struct InvalidCondition(String);

impl FromStr for PhaseCondition {
    type Err = InvalidCondition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let outcome = |word| match word {
            "completed" => Some(PhaseState::Completed),
            "failed" => Some(PhaseState::Failed),
            "skipped" => Some(PhaseState::Skipped),
            _ => None,
        };
        match (text, text.rsplit_once('.')) {
            ("success", _) => Ok(Self::Success),
            ("failure", _) => Ok(Self::Failure),
            ("always", _) => Ok(Self::Always),
            (_, Some((name, word))) if !name.is_empty() => outcome(word)
                .map(|state| Self::Phase(name.to_owned(), state))
                .ok_or_else(|| InvalidCondition(text.to_owned())),
            _ => Err(InvalidCondition(text.to_owned())),
        }
    }
}

impl TryFrom<String> for PhaseCondition {
    type Error = InvalidCondition;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for PhaseCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success => f.write_str("success"),
            Self::Failure => f.write_str("failure"),
            Self::Always => f.write_str("always"),
            Self::Phase(name, state) => write!(f, "{name}.{}", state.as_str()),
        }
    }
}

impl From<PhaseCondition> for String {
    fn from(condition: PhaseCondition) -> Self {
        condition.to_string()
    }
}

/// A phase and how it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseOutcome<'a> {
    pub spec: &'a PhaseSpec,
    /// Completed, failed or skipped.
    pub state: PhaseState,
}

/// Whether the attempt has failed: a phase without `continue_on_error` did.
pub fn has_failed(earlier: &[PhaseOutcome<'_>]) -> bool {
    earlier.iter().any(|outcome| outcome.state == PhaseState::Failed && !outcome.spec.continue_on_error)
}

/// Whether a phase runs after these. Without conditions it runs unless the attempt has failed.
pub fn should_run(spec: &PhaseSpec, earlier: &[PhaseOutcome<'_>]) -> bool {
    let failed = has_failed(earlier);
    let holds = |condition: &PhaseCondition| match condition {
        PhaseCondition::Success => !failed,
        PhaseCondition::Failure => failed,
        PhaseCondition::Always => true,
        PhaseCondition::Phase(name, state) => {
            earlier.iter().any(|outcome| outcome.spec.name == *name && outcome.state == *state)
        }
    };
    if spec.conditions.is_empty() { !failed } else { spec.conditions.iter().all(holds) }
}

/// Whether any of the remaining phases runs, if those before it are skipped.
pub fn any_should_run<'a>(rest: &'a [PhaseSpec], earlier: &[PhaseOutcome<'a>]) -> bool {
    let mut earlier = earlier.to_vec();
    rest.iter().any(|spec| {
        let runs = should_run(spec, &earlier);
        earlier.push(PhaseOutcome { spec, state: PhaseState::Skipped });
        runs
    })
}

/// The index of the phase with which a new attempt resumes: the first one that did not end well, or the number of
/// phases if all did.
///
/// - `restart_from_start` always gives 0.
/// - Phases are compared by name and position, so a changed pipeline resumes at its first changed phase at the latest.
/// - A background phase before that index is repeated, since its processes ended with the attempt.
/// - `ended` is how the attempt ended. The phase in which it was interrupted or cancelled did not end well, even with
///   `continue_on_error`.
pub fn first_unfinished(before: &[Phase], ended: Status, pipeline: &Pipeline) -> usize {
    if pipeline.restart_from_start {
        return 0;
    }
    // Skipped phases at the end were never reached; those before had a reason.
    let reached = before.iter().rposition(|phase| phase.state != PhaseState::Skipped).map_or(0, |last| last + 1);
    let cut_off = matches!(ended, Status::Interrupted | Status::Cancelled);
    let ended_well = |(at, (phase, spec)): &(usize, (&Phase, &PhaseSpec))| {
        let well = match phase.state {
            PhaseState::Completed | PhaseState::Skipped => true,
            PhaseState::Failed => spec.continue_on_error && !(cut_off && at + 1 == reached),
            PhaseState::Pending | PhaseState::Started => false,
        };
        well && phase.name == spec.name
    };
    let unfinished = before[..reached].iter().zip(&pipeline.phases).enumerate().take_while(ended_well).count();
    // Background processes ended with the attempt, so they are started again.
    let in_background = pipeline.phases.iter().take(unfinished).position(|spec| spec.background);
    in_background.unwrap_or(unfinished)
}

/// The phase that runs first in an attempt that resumes at `first`, since conditions can skip phases. `None` if none
/// runs. Only for display: the engine decides while it runs.
pub fn first_phase_to_run<'a>(before: &[Phase], first: usize, pipeline: &'a Pipeline) -> Option<&'a PhaseSpec> {
    let carried = before.iter().zip(&pipeline.phases).take(first);
    let mut earlier: Vec<_> = carried.map(|(phase, spec)| PhaseOutcome { spec, state: phase.state }).collect();
    pipeline.phases.get(first..)?.iter().find(|spec| {
        let runs = should_run(spec, &earlier);
        earlier.push(PhaseOutcome { spec, state: PhaseState::Skipped });
        runs
    })
}

/// The index of the phase that ended only because the attempt was interrupted or cancelled: the last one that started,
/// if it failed without an exit code.
pub fn interrupted_phase(phases: &[Phase], ended: Status) -> Option<usize> {
    let last = phases.iter().rposition(|phase| !matches!(phase.state, PhaseState::Skipped | PhaseState::Pending))?;
    let phase = phases.get(last)?;
    let from_outside = phase.state == PhaseState::Failed && phase.exit_code.is_none();
    (from_outside && matches!(ended, Status::Interrupted | Status::Cancelled)).then_some(last)
}

/// How often and when a phase is retried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryPolicy {
    /// The number of retries.
    pub times: u32,
    /// The delay before the first retry in milliseconds. It doubles with each retry, up to an hour.
    pub delay_ms: u64,
    /// The exit codes that are retried; if empty, every failure is.
    pub on: Vec<i32>,
}

impl RetryPolicy {
    /// The delay before the next retry, after `tries` executions of which the last one ended with `exit_code` (`None`:
    /// it was stopped from outside, or did not start). `None` if there is no further retry.
    pub fn next_delay(&self, tries: u32, exit_code: Option<i32>) -> Option<Duration> {
        let worth_it = self.on.is_empty() || exit_code.is_some_and(|code| self.on.contains(&code));
        if tries > self.times || !worth_it {
            return None;
        }
        let doubled = 1u64.checked_shl(tries.saturating_sub(1)).unwrap_or(u64::MAX);
        Some(Duration::from_millis(self.delay_ms.saturating_mul(doubled)).min(MAX_PHASE_RETRY_DELAY))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(name: &str, conditions: &[&str], continue_on_error: bool) -> PhaseSpec {
        let conditions = conditions.iter().map(|text| text.parse().unwrap()).collect();
        PhaseSpec { name: name.into(), run: "true".into(), conditions, continue_on_error, ..PhaseSpec::default() }
    }

    #[test]
    fn phase_condition_roundtrips() {
        for text in ["success", "failure", "always", "lint.failed", "a-b_1.completed", "x.skipped"] {
            assert_eq!(text.parse::<PhaseCondition>().unwrap().to_string(), text);
        }
        for text in ["", "lint", "lint.", ".failed", "lint.started", "lint.pending", "Success", "lint failed"] {
            assert!(text.parse::<PhaseCondition>().unwrap_err().to_string().contains("no condition"), "{text}");
        }
    }

    /// Every combination of a condition and an earlier phase's end.
    #[test]
    fn phase_runs_if_its_condition_holds() {
        use PhaseState::{Completed, Failed, Skipped};
        let table: [(&[&str], [bool; 4]); 8] = [
            // After: completed, failed, failed with `continue_on_error`, skipped.
            (&[], [true, false, true, true]),
            (&["success"], [true, false, true, true]),
            (&["failure"], [false, true, false, false]),
            (&["always"], [true; 4]),
            (&["first.failed"], [false, true, true, false]),
            (&["first.completed"], [true, false, false, false]),
            (&["first.skipped"], [false, false, false, true]),
            (&["first.failed", "success"], [false, false, true, false]),
        ];
        for (conditions, expected) in table {
            let ends = [(Completed, false), (Failed, false), (Failed, true), (Skipped, false)];
            for ((state, may), expected) in ends.into_iter().zip(expected) {
                let first = spec("first", &[], may);
                let earlier = [PhaseOutcome { spec: &first, state }];
                let second = spec("second", conditions, false);
                assert_eq!(should_run(&second, &earlier), expected, "{conditions:?} after {state:?}, may fail: {may}");
                assert_eq!(any_should_run(std::slice::from_ref(&second), &earlier), expected);
            }
        }
        assert!(
            !should_run(&spec("x", &["later.completed"], false), &[]),
            "of a phase that is not there nothing holds"
        );
    }

    #[test]
    fn resume_starts_at_the_first_unfinished_phase() {
        use PhaseState::{Completed as C, Failed as F, Pending as P, Skipped as S};
        let specs =
            vec![spec("a", &[], false), spec("b", &[], true), spec("c", &["b.failed"], false), spec("d", &[], false)];
        let pipeline = Pipeline { phases: specs, ..Pipeline::default() };
        let phases = |states: [PhaseState; 4]| -> Vec<Phase> {
            let named = ["a", "b", "c", "d"].into_iter().zip(states);
            let phase = |(name, state): (&str, _)| Phase {
                name: name.to_owned(),
                state,
                exit_code: None,
                started_at: None,
                finished_at: None,
            };
            named.map(phase).collect()
        };
        for (states, expected) in [
            ([F, S, S, S], 0),
            ([C, C, S, F], 3),
            ([C, F, C, F], 3),
            ([C, F, F, S], 2),
            // Ended between two phases, or before the first.
            ([C, S, S, S], 1),
            ([S, S, S, S], 0),
            ([P, P, P, P], 0),
            ([C, C, S, C], 4),
        ] {
            assert_eq!(first_unfinished(&phases(states), Status::Failed, &pipeline), expected, "{states:?}");
        }
        // Interrupted in a phase with `continue_on_error`: it did not end well. Interrupted later: it did.
        for ended in [Status::Interrupted, Status::Cancelled] {
            assert_eq!(first_unfinished(&phases([C, F, S, S]), ended, &pipeline), 1);
            assert_eq!(first_unfinished(&phases([C, F, F, S]), ended, &pipeline), 2);
        }
        assert_eq!(first_unfinished(&phases([C, F, S, S]), Status::Failed, &pipeline), 2);
        let other = Pipeline { phases: vec![spec("a", &[], false), spec("x", &[], false)], ..Pipeline::default() };
        assert_eq!(first_unfinished(&phases([C, C, C, F]), Status::Failed, &other), 1);
        // Background processes have ended.
        let mut background = pipeline.clone();
        background.phases[1].background = true;
        assert_eq!(first_unfinished(&phases([C, C, S, F]), Status::Failed, &background), 1);
        assert_eq!(first_unfinished(&phases([F, S, S, S]), Status::Failed, &background), 0);
        let restarted = Pipeline { restart_from_start: true, ..pipeline };
        assert_eq!(first_unfinished(&phases([C, C, C, F]), Status::Failed, &restarted), 0);
    }

    #[test]
    fn resume_names_a_phase_that_runs() {
        use PhaseState::{Completed as C, Failed as F, Skipped as S};
        let phase = |name: &str, state| Phase {
            name: name.to_owned(),
            state,
            exit_code: None,
            started_at: None,
            finished_at: None,
        };
        let phases = vec![
            spec("build", &[], false),
            spec("tell", &["failure"], false),
            spec("deploy", &[], false),
            spec("clean", &["always"], false),
        ];
        let pipeline = Pipeline { phases, ..Pipeline::default() };
        let named = |states: [PhaseState; 4], ended| {
            let before: Vec<_> = ["build", "tell", "deploy", "clean"]
                .into_iter()
                .zip(states)
                .map(|(name, state)| phase(name, state))
                .collect();
            let first = first_unfinished(&before, ended, &pipeline);
            first_phase_to_run(&before, first, &pipeline).map(|spec| spec.name.as_str())
        };
        // Rejected before `deploy`: `tell` was skipped by its condition, and is skipped again.
        assert_eq!(named([C, S, S, S], Status::Cancelled), Some("deploy"));
        assert_eq!(named([C, S, F, C], Status::Failed), Some("deploy"));
        assert_eq!(named([C, S, C, F], Status::Failed), Some("clean"));
        assert_eq!(named([F, C, S, C], Status::Failed), Some("build"));
        // All phases ended well.
        assert_eq!(named([C, S, C, C], Status::Completed), None);
        let last = Pipeline {
            phases: vec![spec("build", &[], false), spec("tell", &["failure"], false)],
            ..Pipeline::default()
        };
        let before = [phase("build", C), phase("tell", S)];
        assert_eq!(first_phase_to_run(&before, first_unfinished(&before, Status::Completed, &last), &last), None);
    }

    #[test]
    fn interrupted_phase_did_not_end_by_itself() {
        use PhaseState::{Completed as C, Failed as F, Pending as P, Skipped as S, Started};
        let phases = |states: &[(PhaseState, Option<i32>)]| -> Vec<Phase> {
            let phase = |&(state, exit_code): &(PhaseState, _)| Phase {
                name: String::new(),
                state,
                exit_code,
                started_at: None,
                finished_at: None,
            };
            states.iter().map(phase).collect()
        };
        let cut = [(C, Some(0)), (F, None), (S, None)];
        assert_eq!(interrupted_phase(&phases(&cut), Status::Cancelled), Some(1));
        assert_eq!(interrupted_phase(&phases(&cut), Status::Interrupted), Some(1));
        assert_eq!(interrupted_phase(&phases(&cut), Status::Failed), None, "it took too long, or was killed");
        assert_eq!(
            interrupted_phase(&phases(&[(F, Some(3)), (S, None)]), Status::Cancelled),
            None,
            "it failed by itself"
        );
        assert_eq!(
            interrupted_phase(&phases(&[(F, None), (C, Some(0)), (S, None)]), Status::Cancelled),
            None,
            "and the run went on"
        );
        assert_eq!(interrupted_phase(&phases(&[(C, Some(0)), (Started, None), (P, None)]), Status::Running), None);
        assert_eq!(interrupted_phase(&[], Status::Cancelled), None);
    }

    #[test]
    fn retry_delay_doubles_until_retries_are_used_up() {
        let retries = RetryPolicy { times: 3, delay_ms: 1000, on: vec![75] };
        let waits: Vec<_> =
            (1..6).map(|tries| retries.next_delay(tries, Some(75)).map(|wait| wait.as_secs())).collect();
        assert_eq!(waits, [Some(1), Some(2), Some(4), None, None]);
        assert_eq!((retries.next_delay(1, Some(1)), retries.next_delay(1, None)), (None, None));
        let any = RetryPolicy { on: vec![], ..retries };
        assert!(any.next_delay(1, Some(1)).is_some() && any.next_delay(1, None).is_some());
        assert_eq!(RetryPolicy::default().next_delay(1, Some(1)), None);
    }

    proptest! {
        #[test]
        fn retry_delay_is_bounded_and_never_shrinks(times in 0u32..200, delay_ms in any::<u64>(), tries in 1u32..200) {
            let retries = RetryPolicy { times, delay_ms, on: vec![] };
            match (retries.next_delay(tries, None), retries.next_delay(tries + 1, None)) {
                (Some(one), Some(next)) => prop_assert!(one <= next && next <= MAX_PHASE_RETRY_DELAY),
                (None, Some(_)) => prop_assert!(false, "none, and then one"),
                _ => {}
            }
            prop_assert_eq!(retries.next_delay(tries, None).is_some(), tries <= times);
        }
    }
}
