//! A run's state as its frames tell it, so that a page that gets nothing but frames is right.

use std::collections::BTreeMap;

use crate::model::attempt::{Attempt, AttemptMark, AttemptPhase, AttemptView};
use crate::model::kinds::{ApprovalState, CancelRequest, Outcome, PhaseChange, Progress, StatusChange};
use crate::model::review::Tally;
use crate::model::run::Cancel;
use crate::model::{Body, Frame, Phase, PhaseState, Question, Run, Status, Timestamp, plan};

/// The run as of the page's cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct RunState {
    /// The run itself.
    pub run: Run,
    /// How far the phases of the current attempt are, by name, as far as they say so.
    pub progress: BTreeMap<String, Progress>,
    /// What the current attempt has done to the code, once it says so.
    pub outcome: Option<Outcome>,
    /// How many findings and patches the current attempt has.
    pub tally: Tally,
    /// The paths of the patches of the current attempt that a person has left out.
    pub excluded: Vec<String>,
    /// How long the phases of the current attempt ran, in milliseconds, by name, as far as its frames are known.
    pub took: BTreeMap<String, u64>,
    /// The signals that ended the commands of phases of the current attempt, by the phase's name, as far as their frames are known.
    pub signals: BTreeMap<String, String>,
    /// Who or what ended the attempts that were cancelled, by the attempt's number, as far as their frames are known.
    pub cancelled_by: BTreeMap<u32, String>,
    /// The attempts before the current one, oldest first, as far as they are known.
    pub earlier: Vec<AttemptMark>,
    /// The seq of the frame that tells the begin of each phase of the current attempt, by name.
    pub starts: BTreeMap<String, u64>,
    /// When the question was asked that the run waits with, as far as its frame is known.
    pub asked_at: Option<Timestamp>,
    /// The phases of the attempt before, if the page saw it end: what is carried over of them.
    pub(super) before: Vec<Phase>,
    /// Which frame tells what is known of the current attempt. Frames are loaded in any order, and the newest counts.
    pub(super) told_by: BTreeMap<Fact, u64>,
}

/// What a frame may tell that an earlier or a later one of the same attempt tells too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fact {
    Progress(String),
    Took(String),
    Excluded,
    Outcome,
}

impl RunState {
    /// A run as the server gave it.
    pub const fn of(run: Run) -> Self {
        Self {
            run,
            progress: BTreeMap::new(),
            took: BTreeMap::new(),
            signals: BTreeMap::new(),
            cancelled_by: BTreeMap::new(),
            outcome: None,
            tally: Tally { findings: 0, patches: 0 },
            excluded: Vec::new(),
            earlier: Vec::new(),
            starts: BTreeMap::new(),
            asked_at: None,
            before: Vec::new(),
            told_by: BTreeMap::new(),
        }
    }

    /// How the run stood in one of its earlier attempts.
    pub fn of_attempt(view: AttemptView, run: &Run) -> Self {
        let AttemptView { attempt, tally, outcome, excluded } = view;
        let start = |phase: &AttemptPhase| Some((phase.phase.name.clone(), phase.first?));
        let starts = attempt.phases.iter().filter_map(start).collect();
        Self { tally, outcome, excluded, starts, ..Self::of(attempt.of_run(run)) }
    }

    /// What frames do not tell of the current attempt: its parameters, and all phases that it is to have. What became of them
    /// is told by the frames up to here; the answer may be of a later or an earlier moment.
    pub fn learn_attempt(&mut self, attempt: &Attempt) {
        if attempt.attempt != self.run.attempt {
            return;
        }
        self.run.params.clone_from(&attempt.params);
        self.run.queued_at = attempt.queued_at;
        let told = std::mem::take(&mut self.run.phases);
        let phases = attempt.phases.iter().map(|phase| {
            let told = told.iter().find(|told| told.name == phase.phase.name).cloned();
            // What was carried over has its times from an attempt that the page may not know.
            let carried = || phase.carried.then(|| phase.phase.clone());
            carried().or(told).unwrap_or_else(|| pending(phase.phase.name.clone()))
        });
        self.run.phases = phases.collect();
    }

    /// What the next frame changes.
    pub fn apply(&mut self, frame: &Frame) {
        self.run.head = frame.seq;
        match &frame.body {
            Body::Status(change) => self.turn(change, frame),
            _ if frame.attempt != self.run.attempt => {}
            Body::Phase(change) => self.phase(change, frame),
            Body::Approval(asked) => {
                let waits = asked.state == ApprovalState::Waiting;
                self.run.approval = waits.then(|| Question { seq: frame.seq, question: asked.question.clone() });
                if waits && let Some(phase) = &frame.phase {
                    self.run.phase = Some(phase.to_string());
                }
                self.learn(frame);
            }
            Body::Cancel(request) => {
                let CancelRequest { by, kill_at, force } = request.clone();
                self.run.cancel = Some(Cancel { by, at: frame.ts, kill_at, force });
                // Nobody is asked any more.
                self.run.approval = None;
            }
            // Why the run failed is said of the run, at its end; commands report errors of their own.
            Body::Error(_) if frame.phase.is_some() => {}
            Body::Error(failure) => self.run.error = Some(failure.message.clone()),
            Body::Finding(_) => self.tally.findings += 1,
            Body::Patch(_) => self.tally.patches += 1,
            Body::Progress(_) | Body::Outcome(_) => self.learn(frame),
            Body::Log(_)
            | Body::Tool(_)
            | Body::ToolResult(_)
            | Body::Token(_)
            | Body::Reasoning(_)
            | Body::Output(_)
            | Body::Origin(_)
            | Body::Notification(_)
            | Body::Notice(_)
            | Body::Other(_) => {}
        }
    }

    /// What a frame tells that the run itself does not: how far a phase is, what was done. Frames may come in any order, and
    /// only those that are loaded come at all; of those that tell the same, the newest counts.
    pub fn learn(&mut self, frame: &Frame) {
        if let Body::Status(change) = &frame.body {
            self.learn_end(change, frame.attempt);
        }
        if frame.attempt != self.run.attempt {
            return;
        }
        match (&frame.body, &frame.phase) {
            (Body::Progress(progress), Some(phase)) => {
                let phase = phase.to_string();
                if self.is_newest(Fact::Progress(phase.clone()), frame.seq) {
                    self.progress.insert(phase, progress.clone());
                }
            }
            (Body::Phase(change), _) => {
                self.learn_took(change, frame.seq);
                self.learn_signal(change);
            }
            (Body::Approval(asked), _) => {
                if self.is_newest(Fact::Excluded, frame.seq) {
                    self.excluded.clone_from(&asked.exclude);
                }
                if self.run.approval.as_ref().is_some_and(|question| question.seq == frame.seq) {
                    self.asked_at = Some(frame.ts);
                }
            }
            (Body::Outcome(outcome), _) if self.is_newest(Fact::Outcome, frame.seq) => {
                self.outcome = Some(outcome.clone());
            }
            _ => {}
        }
    }

    /// Whether no newer frame has told this. If so, this one has.
    fn is_newest(&mut self, fact: Fact, seq: u64) -> bool {
        let known = self.told_by.entry(fact).or_insert(seq);
        let is_newest = seq >= *known;
        *known = seq.max(*known);
        is_newest
    }

    /// Whether this end of a phase, of that attempt, came with the end of the attempt, and not by itself.
    pub fn is_cut_off(&self, change: &PhaseChange, attempt: u32) -> bool {
        let run = &self.run;
        if attempt == run.attempt {
            let cut_off = plan::cut_off(&run.phases, run.status).and_then(|at| run.phases.get(at));
            return change.state == PhaseState::Failed && cut_off.is_some_and(|phase| phase.name == change.name);
        }
        let ended = self.earlier.iter().find(|mark| mark.attempt == attempt).map(|mark| mark.status);
        let stopped = matches!(ended, Some(Status::Cancelled | Status::Interrupted));
        stopped && change.state == PhaseState::Failed && change.exit_code.is_none() && !change.carried
    }

    /// Who or what has cancelled an attempt, no frame but this one tells.
    fn learn_end(&mut self, change: &StatusChange, attempt: u32) {
        if change.to == Status::Cancelled {
            self.cancelled_by.insert(attempt, change.reason.clone());
        }
    }

    /// The last try counts, which may not have ended.
    fn learn_took(&mut self, change: &PhaseChange, seq: u64) {
        if change.carried || !self.is_newest(Fact::Took(change.name.clone()), seq) {
            return;
        }
        match change.duration_ms {
            Some(took) => drop(self.took.insert(change.name.clone(), took)),
            None => drop(self.took.remove(&change.name)),
        }
    }

    /// Only of a phase whose last end was told by no newer frame.
    fn learn_signal(&mut self, change: &PhaseChange) {
        let is_current = |phase: &Phase| phase.name == change.name && phase.exit_code == change.exit_code;
        if let Some(signal) = &change.signal
            && self.run.phases.iter().any(is_current)
        {
            self.signals.entry(change.name.clone()).or_insert_with(|| signal.clone());
        }
    }

    fn turn(&mut self, change: &StatusChange, frame: &Frame) {
        let &StatusChange { from, to, ref reason } = change;
        self.learn_end(change, frame.attempt);
        let run = &mut self.run;
        if let Some(attempt) = frame.attempt.checked_sub(1).filter(|&attempt| attempt == run.attempt) {
            self.earlier.push(AttemptMark { attempt, status: from });
        }
        run.status = to;
        run.attempt = frame.attempt;
        run.cancel = None;
        match to {
            Status::Pending => {
                run.queued_at = frame.ts;
                run.started_at = None;
                run.finished_at = None;
                run.error = None;
                run.phase = None;
                self.before.clone_from(&run.phases);
                for phase in &mut run.phases {
                    *phase = pending(std::mem::take(&mut phase.name));
                }
                self.progress.clear();
                self.took.clear();
                self.signals.clear();
                self.outcome = None;
                self.tally = Tally::default();
                self.excluded.clear();
                self.starts.clear();
                self.told_by.clear();
            }
            Status::Running => run.started_at = Some(frame.ts),
            Status::Completed | Status::Cancelled | Status::Failed | Status::Interrupted => {
                run.finished_at = Some(frame.ts);
                run.phase = None;
                run.approval = None;
                if to == Status::Completed {
                    run.error = None;
                }
                if matches!(to, Status::Failed | Status::Interrupted) && run.error.is_none() {
                    run.error = Some(reason.clone());
                }
            }
        }
    }

    fn phase(&mut self, change: &PhaseChange, frame: &Frame) {
        let at = frame.ts;
        let run = &mut self.run;
        let place = run.phases.iter().position(|phase| phase.name == change.name).unwrap_or_else(|| {
            run.phases.push(pending(change.name.clone()));
            run.phases.len() - 1
        });
        let Some(phase) = run.phases.get_mut(place) else { return };
        // Its times are those that it had, and not those of the frame that says so.
        if change.carried
            && let Some(before) = self.before.iter().find(|before| before.name == change.name)
        {
            phase.clone_from(before);
            return;
        }
        phase.state = change.state;
        match change.state {
            PhaseState::Pending => {}
            PhaseState::Started => {
                self.signals.remove(&change.name);
                self.starts.entry(change.name.clone()).or_insert(frame.seq);
                phase.started_at = Some(at);
                phase.finished_at = None;
                phase.exit_code = None;
                run.phase = Some(change.name.clone());
                self.learn_took(change, frame.seq);
            }
            PhaseState::Completed | PhaseState::Failed => {
                self.signals.extend(change.signal.clone().map(|signal| (change.name.clone(), signal)));
                phase.finished_at = Some(at);
                phase.exit_code = change.exit_code;
                let took = change.duration_ms.and_then(|took| i64::try_from(took).ok());
                if let (None, Some(took)) = (phase.started_at, took) {
                    phase.started_at = Some(Timestamp(at.0.saturating_sub(took)));
                }
                self.learn_took(change, frame.seq);
            }
            PhaseState::Skipped => {}
        }
    }
}

/// A phase that has not begun.
const fn pending(name: String) -> Phase {
    Phase { name, state: PhaseState::Pending, exit_code: None, started_at: None, finished_at: None }
}

#[cfg(test)]
pub(super) mod tests {
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
            pin: Pin::default(),
        }
    }

    fn frame(seq: u64, attempt: u32, phase: Option<&str>, body: Body) -> Frame {
        Frame { seq, ts: Timestamp(seq as i64 * 1000), attempt, phase: phase.map(Into::into), body }
    }

    /// A line of the first attempt.
    pub fn log(seq: u64) -> Frame {
        frame(
            seq,
            1,
            Some("lint"),
            Body::Log(Log { stream: LogStream::Stdout, line: "x".into(), cont: false, replaces: None }),
        )
    }

    fn status(seq: u64, attempt: u32, from: Status, to: Status) -> Frame {
        frame(seq, attempt, None, Body::Status(StatusChange { from, to, reason: "the reason".into() }))
    }

    fn phase(seq: u64, attempt: u32, name: &str, state: PhaseState, exit_code: Option<i32>) -> Frame {
        let duration_ms = exit_code.map(|_| 500);
        let change = PhaseChange { name: name.into(), state, exit_code, signal: None, duration_ms, carried: false };
        frame(seq, attempt, Some(name), Body::Phase(change))
    }

    fn progress(seq: u64, attempt: u32, done: u64) -> Frame {
        frame(seq, attempt, Some("lint"), Body::Progress(Progress { done, total: None, unit: String::new() }))
    }

    fn fed(frames: &[Frame]) -> RunState {
        let mut state = RunState::of(run());
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
    fn a_run_that_fails_is_told_by_its_frames() {
        let state = fed(&first_attempt());
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
    fn a_cancel_is_shown_until_the_attempt_ends() {
        let request = |seq, force| {
            let kill_at = Some(Timestamp(90_000));
            frame(seq, 1, Some("lint"), Body::Cancel(CancelRequest { by: "ann".into(), kill_at, force }))
        };
        let mut state = fed(&[
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
    fn a_phase_says_which_signal_ended_it() {
        let begins = [status(1, 1, Status::Pending, Status::Running), phase(2, 1, "lint", Started, None)];
        let mut killed = phase(3, 1, "lint", Failed, Some(137));
        if let Body::Phase(change) = &mut killed.body {
            change.signal = Some("SIGKILL".into());
        }
        let mut state = fed(&begins);
        state.apply(&killed);
        assert_eq!(state.signals["lint"], "SIGKILL");
        // A page that begins later learns it from older frames, unless a newer end is known.
        let mut later = RunState::of(state.run.clone());
        later.learn(&killed);
        assert_eq!(later.signals["lint"], "SIGKILL");
        state.apply(&phase(4, 1, "lint", Started, None));
        assert!(state.signals.is_empty());
    }

    #[test]
    fn a_rerun_starts_from_a_clean_sheet() {
        let mut frames = first_attempt();
        frames.push(status(7, 2, Status::Failed, Status::Pending));
        let state = fed(&frames);
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
    fn frames_in_any_order_tell_who_cancelled_an_attempt_and_how_long_its_phases_ran() {
        let frames = [
            status(1, 1, Status::Pending, Status::Running),
            phase(2, 1, "lint", Started, None),
            phase(3, 1, "lint", Completed, Some(0)),
            phase(4, 1, "test", Started, None),
            phase(5, 1, "test", Failed, None),
            status(6, 1, Status::Running, Status::Cancelled),
        ];
        let mut state = fed(&frames);
        let mut older = RunState::of(state.run.clone());
        frames.iter().rev().for_each(|frame| older.learn(frame));
        for state in [&state, &older] {
            assert_eq!(state.took, BTreeMap::from([("lint".to_owned(), 500)]));
            assert_eq!(state.cancelled_by, BTreeMap::from([(1, "the reason".to_owned())]));
        }
        let cut_off = |state: &RunState| {
            let ends = frames.iter().filter_map(|frame| match &frame.body {
                Body::Phase(change) if change.state != Started => {
                    Some((change.name.clone(), state.is_cut_off(change, 1)))
                }
                _ => None,
            });
            ends.collect::<Vec<_>>()
        };
        let expected = [("lint".to_owned(), false), ("test".to_owned(), true)];
        assert_eq!(
            cut_off(&fed(&frames[..5])),
            [expected[0].clone(), ("test".to_owned(), false)],
            "that is not known yet"
        );
        assert_eq!(cut_off(&state), expected);
        state.apply(&status(7, 2, Status::Cancelled, Status::Pending));
        assert_eq!(cut_off(&state), expected);
        assert!(state.took.is_empty() && state.cancelled_by.contains_key(&1));
    }

    #[test]
    fn each_rerun_leaves_its_mark() {
        let mut frames = first_attempt();
        frames.push(status(7, 2, Status::Failed, Status::Pending));
        let mut state = fed(&frames);
        let mark = |attempt, status| AttemptMark { attempt, status };
        assert_eq!(state.earlier, [mark(1, Status::Failed)]);
        state.apply(&status(8, 2, Status::Pending, Status::Cancelled));
        state.apply(&status(9, 3, Status::Cancelled, Status::Pending));
        state.apply(&status(10, 3, Status::Pending, Status::Running));
        assert_eq!(state.earlier, [mark(1, Status::Failed), mark(2, Status::Cancelled)]);
    }

    #[test]
    fn what_is_carried_over_keeps_its_times() {
        let mut frames = first_attempt();
        frames[3] = phase(4, 1, "lint", Completed, Some(0));
        frames.push(status(7, 2, Status::Failed, Status::Pending));
        let mut carried = phase(8, 2, "lint", Completed, Some(0));
        let Body::Phase(change) = &mut carried.body else { panic!() };
        change.carried = true;
        let before = fed(&frames[..6]);
        frames.push(carried.clone());
        assert_eq!(fed(&frames).run.phases[0], before.run.phases[0]);
        // Nothing is known of the attempt before: then it took as long, up to now.
        let mut state = RunState::of(Run { attempt: 2, ..run() });
        state.apply(&carried);
        assert_eq!(state.run.phases[0].finished_at, Some(Timestamp(8000)));
    }

    #[test]
    fn an_attempt_may_have_other_phases_and_parameters_than_the_one_before() {
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
        };
        let mut frames = first_attempt();
        frames.push(status(7, 2, Status::Failed, Status::Pending));
        frames.push(phase(8, 2, "build", Started, None));
        let mut state = fed(&frames);
        state.learn_attempt(&Attempt { attempt: 3, ..attempt.clone() });
        assert_eq!(state, fed(&frames), "an answer about another attempt changes nothing");
        state.learn_attempt(&attempt);
        assert_eq!(state.run.params, params);
        let told: Vec<_> = state.run.phases.iter().map(|phase| (phase.name.as_str(), phase.state)).collect();
        assert_eq!(told, [("lint", Completed), ("build", Started), ("deploy", Pending)]);
        // Here the frames were first.
        assert_eq!(state.run.phases[0].started_at, Some(Timestamp(5)));
        assert_eq!(state.run.phases[1].started_at, Some(Timestamp(8000)));
    }

    #[test]
    fn what_is_late_of_an_earlier_attempt_changes_nothing() {
        let mut frames = first_attempt();
        frames.push(status(7, 2, Status::Failed, Status::Pending));
        let mut state = fed(&frames);
        let before = state.clone();
        state.apply(&phase(8, 1, "lint", Completed, Some(0)));
        state.learn(&progress(3, 1, 5));
        assert_eq!((state.run.phases, state.progress), (before.run.phases, before.progress));
    }

    #[test]
    fn the_running_phase_has_its_name_and_its_end_its_start() {
        let state = fed(&[
            status(1, 1, Status::Pending, Status::Running),
            phase(2, 1, "lint", Completed, Some(0)),
            phase(3, 1, "surprise", Started, None),
        ]);
        assert_eq!(state.run.phases[0].started_at, Some(Timestamp(1500)));
        assert_eq!(state.run.phase.as_deref(), Some("surprise"));
        assert_eq!(state.run.phases[2].state, Started);
    }

    #[test]
    fn an_error_says_more_than_the_status() {
        let failure = Failure { code: "spawn".into(), message: "no such folder".into(), retryable: false };
        let state = fed(&[
            status(1, 1, Status::Pending, Status::Running),
            frame(2, 1, None, Body::Error(failure)),
            status(3, 1, Status::Running, Status::Failed),
        ]);
        assert_eq!(state.run.error.as_deref(), Some("no such folder"));
    }

    #[test]
    fn a_run_asks_until_it_is_answered_or_ends() {
        let asked = |seq, state| {
            let question = "Deploy?".to_owned();
            frame(seq, 1, Some("test"), Body::Approval(Approval { question, state, by: None, exclude: Vec::new() }))
        };
        let waiting = [status(1, 1, Status::Pending, Status::Running), asked(2, ApprovalState::Waiting)];
        let mut state = fed(&waiting);
        assert_eq!(state.run.approval, Some(Question { seq: 2, question: "Deploy?".into() }));
        assert_eq!((state.run.status, state.run.phase.as_deref()), (Status::Running, Some("test")));
        state.apply(&asked(3, ApprovalState::Approved));
        assert_eq!(state.run.approval, None);
        let mut state = fed(&waiting);
        state.apply(&status(3, 1, Status::Running, Status::Cancelled));
        assert_eq!(state.run.approval, None);
    }

    #[test]
    fn newer_progress_wins_over_older() {
        let mut state = fed(&[progress(9, 1, 9)]);
        state.learn(&progress(4, 1, 4));
        assert_eq!(state.progress["lint"].done, 9);
        let mut state = fed(&[]);
        state.learn(&progress(4, 1, 4));
        state.learn(&progress(3, 1, 3));
        assert_eq!(state.progress["lint"].done, 4);
    }
}
