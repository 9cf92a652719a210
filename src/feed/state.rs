//! A run's state as its frames tell it, so that a page that gets nothing but frames is right.

use std::collections::BTreeMap;

use crate::model::attempt::{Attempt, AttemptPhase, AttemptSummary, AttemptView};
use crate::model::kinds::{ApprovalState, CancelRequest, Outcome, PhaseChange, Progress, StatusChange};
use crate::model::review::ReviewCounts;
use crate::model::run::Cancellation;
use crate::model::{ApprovalRequest, Frame, FramePayload, Phase, PhaseState, Run, Status, Timestamp, plan};

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
    pub review_counts: ReviewCounts,
    /// The paths of the patches of the current attempt that a person has left out.
    pub excluded: Vec<String>,
    /// How long the phases of the current attempt ran, in milliseconds, by name, as far as its frames are known.
    pub took: BTreeMap<String, u64>,
    /// The signals that ended the commands of phases of the current attempt, by the phase's name, as far as their frames are known.
    pub signals: BTreeMap<String, String>,
    /// Who or what ended the attempts that were cancelled, by the attempt's number, as far as their frames are known.
    pub cancelled_by: BTreeMap<u32, String>,
    /// The attempts before the current one, oldest first, as far as they are known.
    pub earlier: Vec<AttemptSummary>,
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
            review_counts: ReviewCounts { findings: 0, patches: 0 },
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
        let AttemptView { attempt, review_counts, outcome, excluded } = view;
        let start = |phase: &AttemptPhase| Some((phase.phase.name.clone(), phase.first?));
        let starts = attempt.phases.iter().filter_map(start).collect();
        Self { review_counts, outcome, excluded, starts, ..Self::of(attempt.into_run(run)) }
    }

    /// What frames do not tell of the current attempt: its parameters, and all phases that it is to have. What became of them
    /// is told by the frames up to here; the answer may be of a later or an earlier moment.
    pub fn learn_attempt(&mut self, attempt: &Attempt) {
        if attempt.attempt != self.run.attempt {
            return;
        }
        self.run.params.clone_from(&attempt.params);
        self.run.queued_at = attempt.queued_at;
        self.run.origin.clone_from(&attempt.origin);
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
        match &frame.payload {
            FramePayload::Status(change) => self.turn(change, frame),
            _ if frame.attempt != self.run.attempt => {}
            FramePayload::Phase(change) => self.phase(change, frame),
            FramePayload::Approval(asked) => {
                let waits = asked.state == ApprovalState::Waiting;
                self.run.approval = waits.then(|| ApprovalRequest { seq: frame.seq, question: asked.question.clone() });
                if waits && let Some(phase) = &frame.phase {
                    self.run.phase = Some(phase.to_string());
                }
                self.learn(frame);
            }
            FramePayload::Cancel(request) => {
                let CancelRequest { by, kill_at, force } = request.clone();
                self.run.cancel = Some(Cancellation { by, at: frame.ts, kill_at, force });
                // Nobody is asked any more.
                self.run.approval = None;
            }
            // Why the run failed is said of the run, at its end; commands report errors of their own.
            FramePayload::Error(_) if frame.phase.is_some() => {}
            FramePayload::Error(failure) => self.run.error = Some(failure.message.clone()),
            FramePayload::Finding(_) => self.review_counts.findings += 1,
            FramePayload::Patch(_) => self.review_counts.patches += 1,
            FramePayload::Progress(_) | FramePayload::Outcome(_) => self.learn(frame),
            FramePayload::Log(_)
            | FramePayload::Tool(_)
            | FramePayload::ToolResult(_)
            | FramePayload::Token(_)
            | FramePayload::Reasoning(_)
            | FramePayload::Output(_)
            | FramePayload::Origin(_)
            | FramePayload::Notification(_)
            | FramePayload::Notice(_)
            | FramePayload::Other(_) => {}
        }
    }

    /// What a frame tells that the run itself does not: how far a phase is, what was done. Frames may come in any order, and
    /// only those that are loaded come at all; of those that tell the same, the newest counts.
    pub fn learn(&mut self, frame: &Frame) {
        if let FramePayload::Status(change) = &frame.payload {
            self.learn_end(change, frame.attempt);
        }
        if frame.attempt != self.run.attempt {
            return;
        }
        match (&frame.payload, &frame.phase) {
            (FramePayload::Progress(progress), Some(phase)) => {
                let phase = phase.to_string();
                if self.is_newest(Fact::Progress(phase.clone()), frame.seq) {
                    self.progress.insert(phase, progress.clone());
                }
            }
            (FramePayload::Phase(change), _) => {
                self.learn_took(change, frame.seq);
                self.learn_signal(change);
            }
            (FramePayload::Approval(asked), _) => {
                if self.is_newest(Fact::Excluded, frame.seq) {
                    self.excluded.clone_from(&asked.exclude);
                }
                if self.run.approval.as_ref().is_some_and(|question| question.seq == frame.seq) {
                    self.asked_at = Some(frame.ts);
                }
            }
            (FramePayload::Outcome(outcome), _) if self.is_newest(Fact::Outcome, frame.seq) => {
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
            let cut_off = plan::interrupted_phase(&run.phases, run.status).and_then(|at| run.phases.get(at));
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
            self.earlier.push(AttemptSummary { attempt, status: from });
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
                self.review_counts = ReviewCounts::default();
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
#[path = "state_tests.rs"]
pub(super) mod tests;
