//! What happened to runs while nobody looked: that one ended, or that it asks. Told once each, and never of what was so before the
//! page was there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::model::{Run, RunId, Status};

/// How many pieces of news are remembered as told.
const REMEMBERED: usize = 500;

/// How many finished runs a tab knows besides the newest one. Of an older one nothing is known, as of one that was never shown.
const FINISHED: usize = 500;

/// How many active runs a tab knows. One beyond is known again when it is told of next.
const ACTIVE: usize = 5000;

/// How many characters of a reason are told.
const REASON: usize = 200;

/// A run has ended, or asks a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// The run.
    pub run: RunId,
    /// Its pipeline's name.
    pub pipeline: String,
    /// The attempt.
    pub attempt: u32,
    /// Which of the two.
    pub what: What,
    /// Why it failed, or what it asks.
    pub words: String,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It ended so.
    Ended(Status),
    /// It asks, by the frame of this seq.
    Asks(u64),
}

impl News {
    /// What is said first.
    pub fn headline(&self) -> String {
        let words = match self.what {
            What::Asks(_) => "waits for you",
            What::Ended(Status::Completed) => "completed",
            What::Ended(Status::Failed) => "failed",
            What::Ended(Status::Cancelled) => "was cancelled",
            What::Ended(Status::Interrupted | Status::Pending | Status::Running) => "was interrupted",
        };
        format!("{} {words}", self.pipeline)
    }

    /// What is said below.
    pub fn detail(&self) -> String {
        let line = self.words.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(REASON) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None if line.is_empty() => format!("Run {}", self.run.short()),
            None => line,
        }
    }

    /// Of two notifications with the same one the later replaces the earlier.
    pub fn tag(&self) -> String {
        format!("{}:{}", self.run, self.attempt)
    }
}

/// Where a run stood when it was seen last.
#[derive(Clone, Copy, Debug)]
struct Known {
    head: u64,
    attempt: u32,
    finished: bool,
    asked: Option<u64>,
}

impl Known {
    fn of(run: &Run) -> Self {
        let asked = run.approval.as_ref().map(|question| question.seq);
        Self { head: run.head, attempt: run.attempt, finished: run.status.is_finished(), asked }
    }
}

/// The runs that a tab knows.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    runs: BTreeMap<RunId, Known>,
    /// How many of them are finished.
    finished: usize,
    /// The newest run there was: ids sort by time.
    newest: Option<RunId>,
}

impl Watched {
    /// It stands there, and that is no news.
    pub fn know(&mut self, run: &Run) {
        if self.runs.get(&run.id).is_none_or(|known| run.head >= known.head) {
            let known = Known::of(run);
            let before = self.runs.insert(run.id.clone(), known);
            self.finished -= usize::from(before.is_some_and(|before| before.finished));
            self.finished += usize::from(known.finished);
        }
        self.newest = self.newest.take().max(Some(run.id.clone()));
        self.shrink();
    }

    /// Forgets the oldest finished runs and the newest active ones, which are told of again when they begin.
    fn shrink(&mut self) {
        while self.finished > FINISHED {
            let oldest = self.runs.iter().find(|(_, known)| known.finished).map(|(id, _)| id.clone());
            let Some(oldest) = oldest else { break };
            self.runs.remove(&oldest);
            self.finished -= 1;
        }
        while self.runs.len() - self.finished > ACTIVE {
            let newest = self.runs.iter().rev().find(|(_, known)| !known.finished).map(|(id, _)| id.clone());
            let Some(newest) = newest else { break };
            self.runs.remove(&newest);
        }
    }

    /// It stands there now: what of it is news?
    pub fn see(&mut self, run: &Run) -> Option<News> {
        let before = match self.runs.get(&run.id) {
            // What is told by several ways may come late.
            Some(known) if run.head < known.head => return None,
            Some(known) => Some(*known),
            // Of an old one that was not shown so far nothing is known; a new one has begun since.
            None if self.newest.as_ref().is_some_and(|newest| run.id < *newest) => {
                self.know(run);
                return None;
            }
            None => None,
        };
        self.know(run);
        let now = Known::of(run);
        let same_attempt = before.filter(|before| before.attempt == now.attempt);
        let (what, words) = if now.finished && !same_attempt.is_some_and(|before| before.finished) {
            (What::Ended(run.status), run.error.clone().unwrap_or_default())
        } else {
            let question = run.approval.as_ref().filter(|_| before.is_none_or(|before| before.asked != now.asked))?;
            (What::Asks(question.seq), question.question.clone())
        };
        Some(News { run: run.id.clone(), pipeline: run.pipeline.clone(), attempt: run.attempt, what, words })
    }
}

/// The runs of which there is news that nobody has seen.
#[derive(Clone, Debug, Default)]
pub struct Unseen(BTreeSet<RunId>);

impl Unseen {
    /// There is news.
    pub fn add(&mut self, news: &News) {
        self.0.insert(news.run.clone());
    }

    /// Somebody looks.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// How many runs.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// A page's title with that number before it.
pub fn with_count(count: usize, title: &str) -> String {
    if count == 0 { title.to_owned() } else { format!("({count}) {title}") }
}

/// What was told to the browser: several tabs may know the same.
#[derive(Clone, Debug, Default)]
pub struct Told(VecDeque<(RunId, u32, What)>);

impl Told {
    /// Whether it was not told yet; from now on it was.
    pub fn is_first(&mut self, news: &News) -> bool {
        let key = (news.run.clone(), news.attempt, news.what);
        if self.0.contains(&key) {
            return false;
        }
        self.0.push_back(key);
        if self.0.len() > REMEMBERED {
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

    fn asks(n: u32, head: u64, seq: u64) -> Run {
        let question = ApprovalRequest { seq, question: "Deploy?".into() };
        Run { approval: Some(question), ..run(n, head, 1, Status::Running) }
    }

    fn what(news: Option<News>) -> Option<What> {
        news.map(|news| news.what)
    }

    use Status::{Cancelled, Completed, Failed, Pending, Running};

    #[test]
    fn an_end_is_news_once() {
        let mut watched = Watched::default();
        watched.know(&run(1, 3, 1, Running));
        assert_eq!(watched.see(&run(1, 4, 1, Running)), None);
        assert_eq!(what(watched.see(&run(1, 9, 1, Failed))), Some(What::Ended(Failed)));
        assert_eq!(watched.see(&run(1, 9, 1, Failed)), None);
        assert_eq!(watched.see(&run(1, 10, 1, Failed)), None, "a frame behind the end");
        assert_eq!(watched.see(&run(1, 8, 1, Running)), None, "late");
        assert_eq!(watched.see(&run(1, 10, 1, Failed)), None, "what was late has changed nothing");
        assert_eq!(watched.see(&run(1, 11, 2, Pending)), None);
        assert_eq!(what(watched.see(&run(1, 20, 2, Completed))), Some(What::Ended(Completed)));
        assert_eq!(
            what(watched.see(&run(1, 30, 3, Cancelled))),
            Some(What::Ended(Cancelled)),
            "the re-run went unseen"
        );
    }

    #[test]
    fn what_was_so_when_the_page_came_is_no_news() {
        let mut watched = Watched::default();
        watched.know(&run(5, 9, 1, Failed));
        watched.know(&asks(6, 4, 4));
        assert_eq!(watched.see(&run(5, 9, 1, Failed)), None);
        assert_eq!(watched.see(&asks(6, 5, 4)), None);
        assert_eq!(watched.see(&run(3, 9, 1, Failed)), None, "an old run that was not shown");
        assert_eq!(what(watched.see(&run(7, 9, 1, Failed))), Some(What::Ended(Failed)), "began and ended since");
    }

    #[test]
    fn a_tab_left_open_knows_a_bounded_number_of_runs() {
        let mut watched = Watched::default();
        let all = 4 * FINISHED as u32;
        for n in 0..all {
            watched.see(&run(n, 2, 1, Running));
            assert_eq!(what(watched.see(&run(n, 9, 1, Failed))), Some(What::Ended(Failed)));
        }
        assert_eq!(watched.runs.len(), FINISHED);
        // What is forgotten is no news when it is told again, and a re-run of it is.
        assert_eq!(watched.see(&run(1, 9, 1, Failed)), None);
        assert_eq!(watched.see(&run(2, 11, 2, Running)), None);
        assert_eq!(what(watched.see(&run(2, 20, 2, Completed))), Some(What::Ended(Completed)));
        assert_eq!(watched.see(&run(all - 1, 9, 1, Failed)), None);
        for n in 0..ACTIVE as u32 + 10 {
            watched.know(&run(all + n, 1, 1, Pending));
        }
        assert_eq!(watched.runs.len(), FINISHED + ACTIVE);
        let last = all + ACTIVE as u32 + 9;
        assert_eq!(watched.see(&run(last, 2, 1, Running)), None);
        assert_eq!(what(watched.see(&run(last, 3, 1, Failed))), Some(What::Ended(Failed)));
    }

    #[test]
    fn each_question_is_news() {
        let mut watched = Watched::default();
        watched.know(&run(1, 3, 1, Running));
        assert_eq!(what(watched.see(&asks(1, 4, 4))), Some(What::Asks(4)));
        assert_eq!(watched.see(&asks(1, 5, 4)), None);
        assert_eq!(watched.see(&run(1, 6, 1, Running)), None, "it was answered");
        assert_eq!(what(watched.see(&asks(1, 8, 8))), Some(What::Asks(8)));
        assert_eq!(what(watched.see(&run(1, 9, 1, Cancelled))), Some(What::Ended(Cancelled)));
    }

    #[test]
    fn the_words_fit() {
        let news = |run: &Run| {
            let mut watched = Watched::default();
            watched.see(run).unwrap()
        };
        let failed = news(&Run { error: Some("phase test\nfailed".into()), ..run(1, 9, 2, Failed) });
        assert_eq!((failed.headline().as_str(), failed.detail().as_str()), ("nightly failed", "phase test failed"));
        assert_eq!(failed.tag(), format!("{}:2", id(1)));
        let asked = news(&asks(1, 4, 4));
        assert_eq!((asked.headline().as_str(), asked.detail().as_str()), ("nightly waits for you", "Deploy?"));
        let well = news(&run(1, 9, 1, Completed));
        assert_eq!((well.headline().as_str(), well.detail().as_str()), ("nightly completed", "Run 00000001"));
        let long = news(&Run { error: Some("é".repeat(900)), ..run(1, 9, 1, Failed) });
        assert_eq!(long.detail().chars().count(), REASON + 1);
    }

    #[test]
    fn the_title_counts_runs() {
        let (mut watched, mut unseen) = (Watched::default(), Unseen::default());
        for seen in [asks(1, 4, 4), run(1, 9, 1, Failed), run(2, 9, 1, Completed)] {
            unseen.add(&watched.see(&seen).unwrap());
        }
        assert_eq!(with_count(unseen.count(), "Failed · Nightly"), "(2) Failed · Nightly");
        unseen.clear();
        assert_eq!(with_count(unseen.count(), "Failed · Nightly"), "Failed · Nightly");
    }

    #[test]
    fn what_several_tabs_know_is_told_once() {
        let news = |n, head, attempt| Watched::default().see(&run(n, head, attempt, Failed)).unwrap();
        let mut told = Told::default();
        assert!(told.is_first(&news(1, 9, 1)) && !told.is_first(&news(1, 12, 1)));
        assert!(told.is_first(&news(1, 30, 2)) && told.is_first(&news(2, 9, 1)));
        for n in 0..2 * REMEMBERED as u32 {
            told.is_first(&news(10 + n, 9, 1));
        }
        assert_eq!(told.0.len(), REMEMBERED);
    }

    proptest! {
        /// However what is told is repeated and comes late, each end is news once, in order.
        #[test]
        fn every_end_is_news_exactly_once(order in prop::collection::vec(0usize..9, 0..60)) {
            let mut watched = Watched::default();
            watched.know(&run(1, 1, 1, Running));
            let stages: Vec<Run> = (0..9)
                .map(|n: u64| {
                    let attempt = n as u32 / 3 + 1;
                    run(1, n + 2, attempt, [Running, Failed, Failed][n as usize % 3])
                })
                .collect();
            let mut ended = Vec::new();
            let mut furthest = 0;
            for at in order {
                if let Some(news) = watched.see(&stages[at]) {
                    ended.push(news.attempt);
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
