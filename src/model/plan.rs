//! Which phases run: conditions on earlier phases, and resuming. Pure.

use super::kinds::PhaseState;
use super::phase::PhaseSpec;
use super::phase_condition::PhaseCondition;
use super::pipeline::Pipeline;
use super::run::Phase;
use super::status::Status;

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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn spec(name: &str, conditions: &[&str], continue_on_error: bool) -> PhaseSpec {
        let conditions = conditions.iter().map(|text| text.parse().unwrap()).collect();
        PhaseSpec { name: name.into(), run: "true".into(), conditions, continue_on_error, ..PhaseSpec::default() }
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
}
