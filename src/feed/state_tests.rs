//! The state that frames add up to.

use super::*;
use crate::model::attempt::AttemptPhase;
use crate::model::kinds::{Approval, Failure, StatusChange};
use crate::model::{Log, LogStream, Params, Pin};

/// A pending run of two phases with an empty journal.
pub fn run() -> Run {
    let phase = |name: &str| pending(name.into());
    Run {
        id: "01939f1c-8f2a-7c3e-9d5b-0123456789ab".parse().unwrap(),
        pipeline: "nightly".into(),
        status: Status::Pending,
        phase: None,
        attempt: 1,
        params: Params::new(),
        priority: 0,
        created_at: Timestamp(0),
        queued_at: Timestamp(0),
        started_at: None,
        finished_at: None,
        head: 0,
        phases: vec![phase("lint"), phase("test")],
        error: None,
        approval: None,
        cancel: None,
        origin: None,
        waiting_for: None,
        pin: Pin::default(),
    }
}

fn frame(seq: u64, attempt: u32, phase: Option<&str>, payload: FramePayload) -> Frame {
    Frame { seq, ts: Timestamp(seq as i64 * 1000), attempt, phase: phase.map(Into::into), payload }
}

/// A log line of the first attempt.
pub fn log(seq: u64) -> Frame {
    frame(
        seq,
        1,
        Some("lint"),
        FramePayload::Log(Log { stream: LogStream::Stdout, line: "x".into(), cont: false, replaces: None }),
    )
}

fn status(seq: u64, attempt: u32, from: Status, to: Status) -> Frame {
    frame(seq, attempt, None, FramePayload::Status(StatusChange { from, to, reason: "the reason".into() }))
}

fn phase(seq: u64, attempt: u32, name: &str, state: PhaseState, exit_code: Option<i32>) -> Frame {
    let duration_ms = exit_code.map(|_| 500);
    let change = PhaseChange { name: name.into(), state, exit_code, signal: None, duration_ms, carried: false };
    frame(seq, attempt, Some(name), FramePayload::Phase(change))
}

fn progress(seq: u64, attempt: u32, done: u64) -> Frame {
    frame(seq, attempt, Some("lint"), FramePayload::Progress(Progress { done, total: None, unit: String::new() }))
}

fn state_after(frames: &[Frame]) -> RunState {
    let mut state = RunState::new(run());
    frames.iter().for_each(|frame| state.apply(frame));
    state
}

use PhaseState::{Completed, Failed, Pending, Skipped, Started};

fn first_attempt() -> Vec<Frame> {
    vec![
        status(1, 1, Status::Pending, Status::Running),
        phase(2, 1, "lint", Started, None),
        progress(3, 1, 5),
        phase(4, 1, "lint", Failed, Some(2)),
        phase(5, 1, "test", Skipped, None),
        status(6, 1, Status::Running, Status::Failed),
    ]
}

#[test]
fn state_follows_a_failing_run() {
    let state = state_after(&first_attempt());
    assert_eq!((state.run.status, state.run.head), (Status::Failed, 6));
    assert_eq!((state.run.started_at, state.run.finished_at), (Some(Timestamp(1000)), Some(Timestamp(6000))));
    assert_eq!(state.run.error.as_deref(), Some("the reason"));
    assert_eq!(state.run.phase, None);
    let lint = &state.run.phases[0];
    assert_eq!((lint.state, lint.exit_code), (Failed, Some(2)));
    assert_eq!((lint.started_at, lint.finished_at), (Some(Timestamp(2000)), Some(Timestamp(4000))));
    assert_eq!((state.run.phases[1].state, state.run.phases[1].started_at), (Skipped, None));
    assert_eq!(state.progress["lint"].done, 5);
}

#[test]
fn state_has_the_cancel_until_the_attempt_ends() {
    let request = |seq, force| {
        let kill_at = Some(Timestamp(90_000));
        frame(seq, 1, Some("lint"), FramePayload::Cancel(CancelRequest { by: "ann".into(), kill_at, force }))
    };
    let mut state = state_after(&[
        status(1, 1, Status::Pending, Status::Running),
        phase(2, 1, "lint", Started, None),
        request(3, false),
    ]);
    let cancel = state.run.cancel.clone().unwrap();
    assert_eq!((cancel.at, cancel.kill_at, cancel.force), (Timestamp(3000), Some(Timestamp(90_000)), false));
    assert!(cancel.can_be_forced());
    state.apply(&request(4, true));
    assert!(!state.run.cancel.as_ref().unwrap().can_be_forced());
    state.apply(&status(5, 1, Status::Running, Status::Cancelled));
    assert_eq!(state.run.cancel, None);
}

#[test]
fn state_has_the_signal_that_ended_a_phase() {
    let begins = [status(1, 1, Status::Pending, Status::Running), phase(2, 1, "lint", Started, None)];
    let mut killed = phase(3, 1, "lint", Failed, Some(137));
    if let FramePayload::Phase(change) = &mut killed.payload {
        change.signal = Some("SIGKILL".into());
    }
    let mut state = state_after(&begins);
    state.apply(&killed);
    assert_eq!(state.signals["lint"], "SIGKILL");
    // A page that is opened later takes it from older frames, unless a newer frame says how the phase ended.
    let mut later = RunState::new(state.run.clone());
    later.backfill(&killed);
    assert_eq!(later.signals["lint"], "SIGKILL");
    state.apply(&phase(4, 1, "lint", Started, None));
    assert!(state.signals.is_empty());
}

#[test]
fn state_resets_on_a_rerun() {
    let mut frames = first_attempt();
    frames.push(status(7, 2, Status::Failed, Status::Pending));
    let state = state_after(&frames);
    assert_eq!((state.run.status, state.run.attempt), (Status::Pending, 2));
    assert_eq!((state.run.started_at, state.run.finished_at), (None, None));
    assert_eq!((state.run.created_at, state.run.queued_at), (Timestamp(0), frames[6].ts));
    assert_eq!(state.run.error, None);
    assert!(state.progress.is_empty());
    assert!(state.run.phases.iter().all(|phase| phase.state == Pending && phase.exit_code.is_none()));
    let names: Vec<_> = state.run.phases.iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(names, ["lint", "test"]);
}

#[test]
fn backfill_takes_cancels_and_durations_in_any_order() {
    let frames = [
        status(1, 1, Status::Pending, Status::Running),
        phase(2, 1, "lint", Started, None),
        phase(3, 1, "lint", Completed, Some(0)),
        phase(4, 1, "test", Started, None),
        phase(5, 1, "test", Failed, None),
        status(6, 1, Status::Running, Status::Cancelled),
    ];
    let mut state = state_after(&frames);
    let mut older = RunState::new(state.run.clone());
    frames.iter().rev().for_each(|frame| older.backfill(frame));
    for state in [&state, &older] {
        assert_eq!(state.durations_ms, BTreeMap::from([("lint".to_owned(), 500)]));
        assert_eq!(state.cancelled_by, BTreeMap::from([(1, "the reason".to_owned())]));
    }
    let cut_off = |state: &RunState| {
        let ends = frames.iter().filter_map(|frame| match &frame.payload {
            FramePayload::Phase(change) if change.state != Started => {
                Some((change.name.clone(), state.was_cut_off(change, 1)))
            }
            _ => None,
        });
        ends.collect::<Vec<_>>()
    };
    let expected = [("lint".to_owned(), false), ("test".to_owned(), true)];
    assert_eq!(cut_off(&state_after(&frames[..5])), [expected[0].clone(), ("test".to_owned(), false)], "not known yet");
    assert_eq!(cut_off(&state), expected);
    state.apply(&status(7, 2, Status::Cancelled, Status::Pending));
    assert_eq!(cut_off(&state), expected);
    assert!(state.durations_ms.is_empty() && state.cancelled_by.contains_key(&1));
}

#[test]
fn state_lists_earlier_attempts() {
    let mut frames = first_attempt();
    frames.push(status(7, 2, Status::Failed, Status::Pending));
    let mut state = state_after(&frames);
    let mark = |attempt, status| AttemptSummary { attempt, status };
    assert_eq!(state.earlier, [mark(1, Status::Failed)]);
    state.apply(&status(8, 2, Status::Pending, Status::Cancelled));
    state.apply(&status(9, 3, Status::Cancelled, Status::Pending));
    state.apply(&status(10, 3, Status::Pending, Status::Running));
    assert_eq!(state.earlier, [mark(1, Status::Failed), mark(2, Status::Cancelled)]);
}

#[test]
fn carried_phases_keep_their_times() {
    let mut frames = first_attempt();
    frames[3] = phase(4, 1, "lint", Completed, Some(0));
    frames.push(status(7, 2, Status::Failed, Status::Pending));
    let mut carried = phase(8, 2, "lint", Completed, Some(0));
    let FramePayload::Phase(change) = &mut carried.payload else { panic!() };
    change.carried = true;
    let before = state_after(&frames[..6]);
    frames.push(carried.clone());
    assert_eq!(state_after(&frames).run.phases[0], before.run.phases[0]);
    // If the attempt before is not loaded, the phase gets its duration, up to now.
    let mut state = RunState::new(Run { attempt: 2, ..run() });
    state.apply(&carried);
    assert_eq!(state.run.phases[0].finished_at, Some(Timestamp(8000)));
}

#[test]
fn merge_attempt_takes_phases_and_parameters() {
    let now = |name: &str, state, carried| AttemptPhase {
        phase: Phase { state, started_at: Some(Timestamp(5)), ..pending(name.into()) },
        carried,
        first: None,
        last: None,
    };
    let params = Params::from([("word".to_owned(), crate::model::ParamValue::Text("new".into()))]);
    let attempt = Attempt {
        attempt: 2,
        status: Status::Completed,
        phase: None,
        params: params.clone(),
        queued_at: Timestamp(0),
        started_at: None,
        finished_at: None,
        error: None,
        first: 7,
        last: 20,
        phases: vec![now("lint", Completed, true), now("build", Completed, false), now("deploy", Completed, false)],
        origin: None,
    };
    let mut frames = first_attempt();
    frames.push(status(7, 2, Status::Failed, Status::Pending));
    frames.push(phase(8, 2, "build", Started, None));
    let mut state = state_after(&frames);
    state.merge_attempt(&Attempt { attempt: 3, ..attempt.clone() });
    assert_eq!(state, state_after(&frames), "a response about another attempt changes nothing");
    state.merge_attempt(&attempt);
    assert_eq!(state.run.params, params);
    let phases: Vec<_> = state.run.phases.iter().map(|phase| (phase.name.as_str(), phase.state)).collect();
    assert_eq!(phases, [("lint", Completed), ("build", Started), ("deploy", Pending)]);
    // Where frames came first, their times stay.
    assert_eq!(state.run.phases[0].started_at, Some(Timestamp(5)));
    assert_eq!(state.run.phases[1].started_at, Some(Timestamp(8000)));
}

#[test]
fn state_ignores_late_frames_of_an_earlier_attempt() {
    let mut frames = first_attempt();
    frames.push(status(7, 2, Status::Failed, Status::Pending));
    let mut state = state_after(&frames);
    let before = state.clone();
    state.apply(&phase(8, 1, "lint", Completed, Some(0)));
    state.backfill(&progress(3, 1, 5));
    assert_eq!((state.run.phases, state.progress), (before.run.phases, before.progress));
}

#[test]
fn state_names_the_running_phase_and_infers_its_start() {
    let state = state_after(&[
        status(1, 1, Status::Pending, Status::Running),
        phase(2, 1, "lint", Completed, Some(0)),
        phase(3, 1, "surprise", Started, None),
    ]);
    assert_eq!(state.run.phases[0].started_at, Some(Timestamp(1500)));
    assert_eq!(state.run.phase.as_deref(), Some("surprise"));
    assert_eq!(state.run.phases[2].state, Started);
}

#[test]
fn state_prefers_the_error_to_the_status_reason() {
    let failure = Failure { code: "spawn".into(), message: "no such folder".into(), retryable: false };
    let state = state_after(&[
        status(1, 1, Status::Pending, Status::Running),
        frame(2, 1, None, FramePayload::Error(failure)),
        status(3, 1, Status::Running, Status::Failed),
    ]);
    assert_eq!(state.run.error.as_deref(), Some("no such folder"));
}

#[test]
fn state_has_the_approval_until_it_is_decided() {
    let asked = |seq, state| {
        let question = "Deploy?".to_owned();
        frame(
            seq,
            1,
            Some("test"),
            FramePayload::Approval(Approval { question, state, by: None, exclude: Vec::new(), note: None }),
        )
    };
    let waiting = [status(1, 1, Status::Pending, Status::Running), asked(2, ApprovalState::Waiting)];
    let mut state = state_after(&waiting);
    assert_eq!(state.run.approval, Some(ApprovalRequest { seq: 2, question: "Deploy?".into() }));
    assert_eq!((state.run.status, state.run.phase.as_deref()), (Status::Running, Some("test")));
    state.apply(&asked(3, ApprovalState::Approved));
    assert_eq!(state.run.approval, None);
    let mut state = state_after(&waiting);
    state.apply(&status(3, 1, Status::Running, Status::Cancelled));
    assert_eq!(state.run.approval, None);
}

#[test]
fn backfill_keeps_the_newest_progress() {
    let mut state = state_after(&[progress(9, 1, 9)]);
    state.backfill(&progress(4, 1, 4));
    assert_eq!(state.progress["lint"].done, 9);
    let mut state = state_after(&[]);
    state.backfill(&progress(4, 1, 4));
    state.backfill(&progress(3, 1, 3));
    assert_eq!(state.progress["lint"].done, 4);
}
