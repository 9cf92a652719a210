//! Alerts for a reader who is looking elsewhere: a run has finished, or waits for approval. Each is raised once, and
//! none for a state that a run already had when the page was opened.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::model::{Run, RunId, Status};

/// How many alerts are remembered as shown.
const MAX_SHOWN_ALERTS: usize = 500;

/// How many finished runs a tab tracks. A run evicted from here is treated like one that was never listed: its state
/// raises no alert.
const MAX_FINISHED_RUNS: usize = 500;

/// How many active runs a tab tracks. An evicted one is tracked again at its next event.
const MAX_ACTIVE_RUNS: usize = 5000;

/// A notification shows at most this many characters of the reason.
const MAX_REASON_CHARS: usize = 200;

/// A run has finished or waits for approval. Tabs send it to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAlert {
    pub run: RunId,
    /// The pipeline's name.
    pub pipeline: String,
    pub attempt: u32,
    pub kind: AlertKind,
    /// The error of a failed run, or the approval's question.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// With this final status.
    Finished(Status),
    /// By the frame with this seq.
    ApprovalRequested(u64),
}

impl RunAlert {
    /// The notification's title.
    pub fn headline(&self) -> String {
        let words = match self.kind {
            AlertKind::ApprovalRequested(_) => "needs approval",
            AlertKind::Finished(Status::Completed) => "completed",
            AlertKind::Finished(Status::Failed) => "failed",
            AlertKind::Finished(Status::Cancelled) => "was cancelled",
            AlertKind::Finished(Status::Interrupted | Status::Pending | Status::Running) => "was interrupted",
        };
        format!("{} {words}", self.pipeline)
    }

    /// The notification's body: one line.
    pub fn detail(&self) -> String {
        let line = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(MAX_REASON_CHARS) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None if line.is_empty() => format!("Run {}", self.run.short()),
            None => line,
        }
    }

    /// A notification replaces an earlier one with the same tag.
    pub fn tag(&self) -> String {
        format!("{}:{}", self.run, self.attempt)
    }
}

/// What was known of a run at its last event.
#[derive(Clone, Copy, Debug)]
struct RunSnapshot {
    head: u64,
    attempt: u32,
    is_finished: bool,
    approval_seq: Option<u64>,
}

impl RunSnapshot {
    fn of(run: &Run) -> Self {
        let approval_seq = run.approval.as_ref().map(|question| question.seq);
        Self { head: run.head, attempt: run.attempt, is_finished: run.status.is_finished(), approval_seq }
    }
}

/// The runs that a tab shows or has heard of, to tell new states from known ones.
#[derive(Clone, Debug, Default)]
pub struct RunTracker {
    runs: BTreeMap<RunId, RunSnapshot>,
    /// How many of `runs` are finished.
    finished: usize,
    /// The newest run ever recorded: ids sort by creation time.
    newest: Option<RunId>,
}

impl RunTracker {
    /// Records the run's state without raising an alert.
    pub fn record(&mut self, run: &Run) {
        if self.runs.get(&run.id).is_none_or(|known| run.head >= known.head) {
            let known = RunSnapshot::of(run);
            let before = self.runs.insert(run.id.clone(), known);
            self.finished -= usize::from(before.is_some_and(|before| before.is_finished));
            self.finished += usize::from(known.is_finished);
        }
        self.newest = self.newest.take().max(Some(run.id.clone()));
        self.evict();
    }

    /// Evicts the oldest finished runs and the newest active ones: an active run has further events, which record it
    /// again.
    fn evict(&mut self) {
        while self.finished > MAX_FINISHED_RUNS {
            let oldest = self.runs.iter().find(|(_, known)| known.is_finished).map(|(id, _)| id.clone());
            let Some(oldest) = oldest else { break };
            self.runs.remove(&oldest);
            self.finished -= 1;
        }
        while self.runs.len() - self.finished > MAX_ACTIVE_RUNS {
            let newest = self.runs.iter().rev().find(|(_, known)| !known.is_finished).map(|(id, _)| id.clone());
            let Some(newest) = newest else { break };
            self.runs.remove(&newest);
        }
    }

    /// Records the run's state, and returns an alert if that state is new.
    pub fn observe(&mut self, run: &Run) -> Option<RunAlert> {
        let before = match self.runs.get(&run.id) {
            // The stream, the list and polls overtake each other.
            Some(known) if run.head < known.head => return None,
            Some(known) => Some(*known),
            // An unknown run that is older than the newest known one may have had this state for long; a newer one has
            // not.
            None if self.newest.as_ref().is_some_and(|newest| run.id < *newest) => {
                self.record(run);
                return None;
            }
            None => None,
        };
        self.record(run);
        let now = RunSnapshot::of(run);
        let same_attempt = before.filter(|before| before.attempt == now.attempt);
        let (kind, text) = if now.is_finished && !same_attempt.is_some_and(|before| before.is_finished) {
            (AlertKind::Finished(run.status), run.error.clone().unwrap_or_default())
        } else {
            let question = run
                .approval
                .as_ref()
                .filter(|_| before.is_none_or(|before| before.approval_seq != now.approval_seq))?;
            (AlertKind::ApprovalRequested(question.seq), question.question.clone())
        };
        Some(RunAlert { run: run.id.clone(), pipeline: run.pipeline.clone(), attempt: run.attempt, kind, text })
    }
}

/// The runs with an alert since the tab was last visible.
#[derive(Clone, Debug, Default)]
pub struct UnseenRuns(BTreeSet<RunId>);

impl UnseenRuns {
    pub fn add(&mut self, alert: &RunAlert) {
        self.0.insert(alert.run.clone());
    }

    /// The tab is visible.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// The page title with the number of unseen runs before it.
pub fn title_with_count(count: usize, title: &str) -> String {
    if count == 0 { title.to_owned() } else { format!("({count}) {title}") }
}

/// The alerts that were shown already: several tabs report the same one.
#[derive(Clone, Debug, Default)]
pub struct ShownAlerts(VecDeque<(RunId, u32, AlertKind)>);

impl ShownAlerts {
    /// Marks the alert as shown, and returns whether it was not before.
    pub fn is_first(&mut self, alert: &RunAlert) -> bool {
        let key = (alert.run.clone(), alert.attempt, alert.kind);
        if self.0.contains(&key) {
            return false;
        }
        self.0.push_back(key);
        if self.0.len() > MAX_SHOWN_ALERTS {
            self.0.pop_front();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::feed::state::tests as of_state;
    use crate::model::ApprovalRequest;

    fn id(n: u32) -> RunId {
        format!("01939f1c-8f2a-7c3e-9d5b-{n:012x}").parse().unwrap()
    }

    fn run(n: u32, head: u64, attempt: u32, status: Status) -> Run {
        Run { id: id(n), head, attempt, status, ..of_state::run() }
    }

    fn awaiting_approval(n: u32, head: u64, seq: u64) -> Run {
        let question = ApprovalRequest { seq, question: "Deploy?".into() };
        Run { approval: Some(question), ..run(n, head, 1, Status::Running) }
    }

    fn kind_of(alert: Option<RunAlert>) -> Option<AlertKind> {
        alert.map(|alert| alert.kind)
    }

    use Status::{Cancelled, Completed, Failed, Pending, Running};

    #[test]
    fn alerts_report_a_finish_once() {
        let mut tracker = RunTracker::default();
        tracker.record(&run(1, 3, 1, Running));
        assert_eq!(tracker.observe(&run(1, 4, 1, Running)), None);
        assert_eq!(kind_of(tracker.observe(&run(1, 9, 1, Failed))), Some(AlertKind::Finished(Failed)));
        assert_eq!(tracker.observe(&run(1, 9, 1, Failed)), None);
        assert_eq!(tracker.observe(&run(1, 10, 1, Failed)), None, "a frame behind the end");
        assert_eq!(tracker.observe(&run(1, 8, 1, Running)), None, "late");
        assert_eq!(tracker.observe(&run(1, 10, 1, Failed)), None, "what was late has changed nothing");
        assert_eq!(tracker.observe(&run(1, 11, 2, Pending)), None);
        assert_eq!(kind_of(tracker.observe(&run(1, 20, 2, Completed))), Some(AlertKind::Finished(Completed)));
        assert_eq!(
            kind_of(tracker.observe(&run(1, 30, 3, Cancelled))),
            Some(AlertKind::Finished(Cancelled)),
            "the re-run went unseen"
        );
    }

    #[test]
    fn alerts_skip_states_older_than_the_page() {
        let mut tracker = RunTracker::default();
        tracker.record(&run(5, 9, 1, Failed));
        tracker.record(&awaiting_approval(6, 4, 4));
        assert_eq!(tracker.observe(&run(5, 9, 1, Failed)), None);
        assert_eq!(tracker.observe(&awaiting_approval(6, 5, 4)), None);
        assert_eq!(tracker.observe(&run(3, 9, 1, Failed)), None, "an old run that was not shown");
        assert_eq!(
            kind_of(tracker.observe(&run(7, 9, 1, Failed))),
            Some(AlertKind::Finished(Failed)),
            "began and ended since"
        );
    }

    #[test]
    fn tracker_holds_a_bounded_number_of_runs() {
        let mut tracker = RunTracker::default();
        let all = 4 * MAX_FINISHED_RUNS as u32;
        for n in 0..all {
            tracker.observe(&run(n, 2, 1, Running));
            assert_eq!(kind_of(tracker.observe(&run(n, 9, 1, Failed))), Some(AlertKind::Finished(Failed)));
        }
        assert_eq!(tracker.runs.len(), MAX_FINISHED_RUNS);
        // An evicted run raises no alert for its old state, but for a re-run.
        assert_eq!(tracker.observe(&run(1, 9, 1, Failed)), None);
        assert_eq!(tracker.observe(&run(2, 11, 2, Running)), None);
        assert_eq!(kind_of(tracker.observe(&run(2, 20, 2, Completed))), Some(AlertKind::Finished(Completed)));
        assert_eq!(tracker.observe(&run(all - 1, 9, 1, Failed)), None);
        for n in 0..MAX_ACTIVE_RUNS as u32 + 10 {
            tracker.record(&run(all + n, 1, 1, Pending));
        }
        assert_eq!(tracker.runs.len(), MAX_FINISHED_RUNS + MAX_ACTIVE_RUNS);
        let last = all + MAX_ACTIVE_RUNS as u32 + 9;
        assert_eq!(tracker.observe(&run(last, 2, 1, Running)), None);
        assert_eq!(kind_of(tracker.observe(&run(last, 3, 1, Failed))), Some(AlertKind::Finished(Failed)));
    }

    #[test]
    fn alerts_report_each_approval_request() {
        let mut tracker = RunTracker::default();
        tracker.record(&run(1, 3, 1, Running));
        assert_eq!(kind_of(tracker.observe(&awaiting_approval(1, 4, 4))), Some(AlertKind::ApprovalRequested(4)));
        assert_eq!(tracker.observe(&awaiting_approval(1, 5, 4)), None);
        assert_eq!(tracker.observe(&run(1, 6, 1, Running)), None, "it was answered");
        assert_eq!(kind_of(tracker.observe(&awaiting_approval(1, 8, 8))), Some(AlertKind::ApprovalRequested(8)));
        assert_eq!(kind_of(tracker.observe(&run(1, 9, 1, Cancelled))), Some(AlertKind::Finished(Cancelled)));
    }

    #[test]
    fn alert_texts_fit_a_notification() {
        let alert = |run: &Run| {
            let mut tracker = RunTracker::default();
            tracker.observe(run).unwrap()
        };
        let failed = alert(&Run { error: Some("phase test\nfailed".into()), ..run(1, 9, 2, Failed) });
        assert_eq!((failed.headline().as_str(), failed.detail().as_str()), ("nightly failed", "phase test failed"));
        assert_eq!(failed.tag(), format!("{}:2", id(1)));
        let asked = alert(&awaiting_approval(1, 4, 4));
        assert_eq!((asked.headline().as_str(), asked.detail().as_str()), ("nightly needs approval", "Deploy?"));
        let well = alert(&run(1, 9, 1, Completed));
        assert_eq!((well.headline().as_str(), well.detail().as_str()), ("nightly completed", "Run 00000001"));
        let long = alert(&Run { error: Some("é".repeat(900)), ..run(1, 9, 1, Failed) });
        assert_eq!(long.detail().chars().count(), MAX_REASON_CHARS + 1);
    }

    #[test]
    fn title_counts_unseen_runs() {
        let (mut tracker, mut unseen) = (RunTracker::default(), UnseenRuns::default());
        for seen in [awaiting_approval(1, 4, 4), run(1, 9, 1, Failed), run(2, 9, 1, Completed)] {
            unseen.add(&tracker.observe(&seen).unwrap());
        }
        assert_eq!(title_with_count(unseen.count(), "Failed · Nightly"), "(2) Failed · Nightly");
        unseen.clear();
        assert_eq!(title_with_count(unseen.count(), "Failed · Nightly"), "Failed · Nightly");
    }

    #[test]
    fn shown_alerts_drop_repeats_of_other_tabs() {
        let alert = |n, head, attempt| RunTracker::default().observe(&run(n, head, attempt, Failed)).unwrap();
        let mut shown = ShownAlerts::default();
        assert!(shown.is_first(&alert(1, 9, 1)) && !shown.is_first(&alert(1, 12, 1)));
        assert!(shown.is_first(&alert(1, 30, 2)) && shown.is_first(&alert(2, 9, 1)));
        for n in 0..2 * MAX_SHOWN_ALERTS as u32 {
            shown.is_first(&alert(10 + n, 9, 1));
        }
        assert_eq!(shown.0.len(), MAX_SHOWN_ALERTS);
    }

    proptest! {
        /// However events repeat and overtake each other, each finish raises one alert, in order.
        #[test]
        fn tracker_alerts_each_finish_exactly_once(order in prop::collection::vec(0usize..9, 0..60)) {
            let mut tracker = RunTracker::default();
            tracker.record(&run(1, 1, 1, Running));
            let stages: Vec<Run> = (0..9)
                .map(|n: u64| {
                    let attempt = n as u32 / 3 + 1;
                    run(1, n + 2, attempt, [Running, Failed, Failed][n as usize % 3])
                })
                .collect();
            let mut ended = Vec::new();
            let mut furthest = 0;
            for at in order {
                if let Some(alert) = tracker.observe(&stages[at]) {
                    ended.push(alert.attempt);
                }
                furthest = furthest.max(at);
            }
            prop_assert!(ended.windows(2).all(|two| two[0] < two[1]), "{:?}", ended);
            if furthest % 3 > 0 {
                prop_assert_eq!(ended.last(), Some(&(furthest as u32 / 3 + 1)));
            }
        }
    }
}
