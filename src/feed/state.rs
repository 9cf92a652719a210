//! A run's state as its frames add up to it: a page that gets nothing but frames shows the right state.

use std::collections::BTreeMap;

use crate::model::attempt::{Attempt, AttemptPhase, AttemptSummary, AttemptView};
use crate::model::kinds::{ApprovalState, CancelRequest, Outcome, PhaseChange, Progress, StatusChange};
use crate::model::review::ReviewCounts;
use crate::model::run::Cancellation;
use crate::model::{ApprovalRequest, Frame, FramePayload, Phase, PhaseState, Run, Status, Timestamp, plan};

/// The run as of the page's cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct RunState {
    pub run: Run,
    /// How far the phases of the current attempt are, by name, if they report it.
    pub progress: BTreeMap<String, Progress>,
    /// What the current attempt has done to the code, once it reports it.
    pub outcome: Option<Outcome>,
    /// How many findings and patches the current attempt has.
    pub review_counts: ReviewCounts,
    /// The paths of the current attempt's patches that the approver excluded.
    pub excluded: Vec<String>,
    /// How long the phases of the current attempt ran, by name, as far as its frames are loaded.
    pub durations_ms: BTreeMap<String, u64>,
    /// The signals that ended commands of the current attempt, by the phase's name, as far as their frames are loaded.
    pub signals: BTreeMap<String, String>,
    /// Who or what cancelled attempts, by the attempt's number, as far as their frames are loaded.
    pub cancelled_by: BTreeMap<u32, String>,
    /// The known attempts before the current one, oldest first.
    pub earlier: Vec<AttemptSummary>,
    /// The seq of the frame with which each phase of the current attempt started, by name.
    pub starts: BTreeMap<String, u64>,
    /// When the approval that the run waits for was requested, if that frame is loaded.
    pub approval_requested_at: Option<Timestamp>,
    /// The phases of the attempt before, if the page saw it end. Carried-over phases keep their times from there.
    pub(super) previous_phases: Vec<Phase>,
    /// The seq of the frame behind each known fact of the current attempt. Frames are loaded in any order, and the
    /// newest counts.
    pub(super) fact_seqs: BTreeMap<FactKey, u64>,
}

/// A fact that several frames of an attempt may state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FactKey {
    Progress(String),
    Duration(String),
    Excluded,
    Outcome,
}

impl RunState {
    /// The run as the server sent it.
    pub const fn new(run: Run) -> Self {
        Self {
            run,
            progress: BTreeMap::new(),
            durations_ms: BTreeMap::new(),
            signals: BTreeMap::new(),
            cancelled_by: BTreeMap::new(),
            outcome: None,
            review_counts: ReviewCounts { findings: 0, patches: 0 },
            excluded: Vec::new(),
            earlier: Vec::new(),
            starts: BTreeMap::new(),
            approval_requested_at: None,
            previous_phases: Vec::new(),
            fact_seqs: BTreeMap::new(),
        }
    }

    /// The run's state as of the end of an earlier attempt.
    pub fn from_attempt(view: AttemptView, run: &Run) -> Self {
        let AttemptView { attempt, review_counts, outcome, excluded } = view;
        let start = |phase: &AttemptPhase| Some((phase.phase.name.clone(), phase.first?));
        let starts = attempt.phases.iter().filter_map(start).collect();
        Self { review_counts, outcome, excluded, starts, ..Self::new(attempt.into_run(run)) }
    }

    /// Adds what no frame says of the current attempt: its parameters, and the phases that it will have. The phases'
    /// states stay those of the frames: the response may be of a later or an earlier moment.
    pub fn merge_attempt(&mut self, attempt: &Attempt) {
        if attempt.attempt != self.run.attempt {
            return;
        }
        self.run.params.clone_from(&attempt.params);
        self.run.queued_at = attempt.queued_at;
        self.run.origin.clone_from(&attempt.origin);
        let known = std::mem::take(&mut self.run.phases);
        let phases = attempt.phases.iter().map(|phase| {
            let known = known.iter().find(|known| known.name == phase.phase.name).cloned();
            // A carried-over phase has its times from an attempt that may not be loaded.
            let carried = || phase.carried.then(|| phase.phase.clone());
            carried().or(known).unwrap_or_else(|| pending(phase.phase.name.clone()))
        });
        self.run.phases = phases.collect();
    }

    /// Applies the next frame.
    pub fn apply(&mut self, frame: &Frame) {
        self.run.head = frame.seq;
        match &frame.payload {
            FramePayload::Status(change) => self.on_status(change, frame),
            _ if frame.attempt != self.run.attempt => {}
            FramePayload::Phase(change) => self.on_phase(change, frame),
            FramePayload::Approval(approval) => {
                let waits = approval.state == ApprovalState::Waiting;
                self.run.approval =
                    waits.then(|| ApprovalRequest { seq: frame.seq, question: approval.question.clone() });
                if waits && let Some(phase) = &frame.phase {
                    self.run.phase = Some(phase.to_string());
                }
                self.backfill(frame);
            }
            FramePayload::Cancel(request) => {
                let CancelRequest { by, kill_at, force } = request.clone();
                self.run.cancel = Some(Cancellation { by, at: frame.ts, kill_at, force });
                // A cancel withdraws the approval request.
                self.run.approval = None;
            }
            // Errors with a phase are the commands' own; the run's error has none.
            FramePayload::Error(_) if frame.phase.is_some() => {}
            FramePayload::Error(failure) => self.run.error = Some(failure.message.clone()),
            FramePayload::Finding(_) => self.review_counts.findings += 1,
            FramePayload::Patch(_) => self.review_counts.patches += 1,
            FramePayload::Progress(_) | FramePayload::Outcome(_) => self.backfill(frame),
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

    /// Adds what a loaded frame says beyond the run itself: progress, durations, outcome. Frames are loaded in any
    /// order, and not all of them; of those that state the same fact, the newest counts.
    pub fn backfill(&mut self, frame: &Frame) {
        if let FramePayload::Status(change) = &frame.payload {
            self.record_cancel(change, frame.attempt);
        }
        if frame.attempt != self.run.attempt {
            return;
        }
        match (&frame.payload, &frame.phase) {
            (FramePayload::Progress(progress), Some(phase)) => {
                let phase = phase.to_string();
                if self.is_newest(FactKey::Progress(phase.clone()), frame.seq) {
                    self.progress.insert(phase, progress.clone());
                }
            }
            (FramePayload::Phase(change), _) => {
                self.record_duration(change, frame.seq);
                self.record_signal(change);
            }
            (FramePayload::Approval(approval), _) => {
                if self.is_newest(FactKey::Excluded, frame.seq) {
                    self.excluded.clone_from(&approval.exclude);
                }
                if self.run.approval.as_ref().is_some_and(|question| question.seq == frame.seq) {
                    self.approval_requested_at = Some(frame.ts);
                }
            }
            (FramePayload::Outcome(outcome), _) if self.is_newest(FactKey::Outcome, frame.seq) => {
                self.outcome = Some(outcome.clone());
            }
            _ => {}
        }
    }

    /// Whether no newer frame has stated this fact. Notes this one if so.
    fn is_newest(&mut self, fact: FactKey, seq: u64) -> bool {
        let known = self.fact_seqs.entry(fact).or_insert(seq);
        let is_newest = seq >= *known;
        *known = seq.max(*known);
        is_newest
    }

    /// Whether a phase of that attempt ended only because the attempt did.
    pub fn was_cut_off(&self, change: &PhaseChange, attempt: u32) -> bool {
        let run = &self.run;
        if attempt == run.attempt {
            let cut_off = plan::interrupted_phase(&run.phases, run.status).and_then(|at| run.phases.get(at));
            return change.state == PhaseState::Failed && cut_off.is_some_and(|phase| phase.name == change.name);
        }
        let ended = self.earlier.iter().find(|mark| mark.attempt == attempt).map(|mark| mark.status);
        let stopped = matches!(ended, Some(Status::Cancelled | Status::Interrupted));
        stopped && change.state == PhaseState::Failed && change.exit_code.is_none() && !change.carried
    }

    /// Notes who cancelled an attempt: only its final status says so.
    fn record_cancel(&mut self, change: &StatusChange, attempt: u32) {
        if change.to == Status::Cancelled {
            self.cancelled_by.insert(attempt, change.reason.clone());
        }
    }

    /// Notes the duration of the phase's last retry, or that it is running.
    fn record_duration(&mut self, change: &PhaseChange, seq: u64) {
        if change.carried || !self.is_newest(FactKey::Duration(change.name.clone()), seq) {
            return;
        }
        match change.duration_ms {
            Some(took) => drop(self.durations_ms.insert(change.name.clone(), took)),
            None => drop(self.durations_ms.remove(&change.name)),
        }
    }

    /// Notes the signal, unless a newer frame says how the phase ended.
    fn record_signal(&mut self, change: &PhaseChange) {
        let is_current = |phase: &Phase| phase.name == change.name && phase.exit_code == change.exit_code;
        if let Some(signal) = &change.signal
            && self.run.phases.iter().any(is_current)
        {
            self.signals.entry(change.name.clone()).or_insert_with(|| signal.clone());
        }
    }

    fn on_status(&mut self, change: &StatusChange, frame: &Frame) {
        let &StatusChange { from, to, ref reason } = change;
        self.record_cancel(change, frame.attempt);
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
                self.previous_phases.clone_from(&run.phases);
                for phase in &mut run.phases {
                    *phase = pending(std::mem::take(&mut phase.name));
                }
                self.progress.clear();
                self.durations_ms.clear();
                self.signals.clear();
                self.outcome = None;
                self.review_counts = ReviewCounts::default();
                self.excluded.clear();
                self.starts.clear();
                self.fact_seqs.clear();
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

    fn on_phase(&mut self, change: &PhaseChange, frame: &Frame) {
        let at = frame.ts;
        let run = &mut self.run;
        let place = run.phases.iter().position(|phase| phase.name == change.name).unwrap_or_else(|| {
            run.phases.push(pending(change.name.clone()));
            run.phases.len() - 1
        });
        let Some(phase) = run.phases.get_mut(place) else { return };
        // A carried-over phase keeps its times, not those of this frame.
        if change.carried
            && let Some(before) = self.previous_phases.iter().find(|before| before.name == change.name)
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
                self.record_duration(change, frame.seq);
            }
            PhaseState::Completed | PhaseState::Failed => {
                self.signals.extend(change.signal.clone().map(|signal| (change.name.clone(), signal)));
                phase.finished_at = Some(at);
                phase.exit_code = change.exit_code;
                let took = change.duration_ms.and_then(|took| i64::try_from(took).ok());
                if let (None, Some(took)) = (phase.started_at, took) {
                    phase.started_at = Some(Timestamp(at.0.saturating_sub(took)));
                }
                self.record_duration(change, frame.seq);
            }
            PhaseState::Skipped => {}
        }
    }
}

/// A phase that has not started.
const fn pending(name: String) -> Phase {
    Phase { name, state: PhaseState::Pending, exit_code: None, started_at: None, finished_at: None }
}

#[cfg(test)]
#[path = "state_tests.rs"]
pub(super) mod tests;
