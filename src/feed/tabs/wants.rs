//! What each tab shows, and so what the one connection has to carry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::RunId;
use crate::model::sse::MAX_STREAM_RUNS;

/// Runs with a cursor each, and whether the list is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// Each run with the last seq of it.
    pub runs: BTreeMap<RunId, u64>,
    /// The list, too.
    pub list: bool,
}

impl Want {
    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && !self.list
    }

    /// Whether all that `other` wants is wanted here, whatever the cursors.
    pub fn covers(&self, other: &Self) -> bool {
        self.list >= other.list && other.runs.keys().all(|run| self.runs.contains_key(run))
    }

    /// Where this is asked for: the stream of many runs.
    pub fn url(&self) -> String {
        let mut url = String::from("/events?");
        for (run, cursor) in &self.runs {
            url.push_str(&format!("run={run}:{cursor}&"));
        }
        url.push_str(if self.list { "list=1" } else { "list=0" });
        url
    }
}

/// What all tabs want, by the tab's id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    tabs: BTreeMap<String, Want>,
}

impl Wants {
    /// What this tab wants from now on; nothing, if it is gone.
    pub fn set(&mut self, tab: &str, want: Want) {
        if want.is_empty() {
            self.tabs.remove(tab);
        } else {
            self.tabs.insert(tab.to_owned(), want);
        }
    }

    /// No tab wants this run any more.
    pub fn forget(&mut self, run: &RunId) {
        for want in self.tabs.values_mut() {
            want.runs.remove(run);
        }
        self.tabs.retain(|_, want| !want.is_empty());
    }

    /// The tabs that want something.
    pub fn tabs(&self) -> impl Iterator<Item = &str> {
        self.tabs.keys().map(String::as_str)
    }

    /// Forgets tabs that are gone.
    pub fn keep(&mut self, alive: impl Fn(&str) -> bool) {
        self.tabs.retain(|tab, _| alive(tab));
    }

    /// Whether another tab than this one wants the run.
    pub fn others_want(&self, tab: &str, run: &RunId) -> bool {
        self.tabs.iter().any(|(other, want)| other != tab && want.runs.contains_key(run))
    }

    /// Whether another tab than this one wants the list.
    pub fn others_want_list(&self, tab: &str) -> bool {
        self.tabs.iter().any(|(other, want)| other != tab && want.list)
    }

    /// What one connection has to carry. A run begins at the largest cursor that a tab has: those that are behind fetch what
    /// they lack, and none gets a frame twice.
    ///
    /// With more runs than fit, the newest ones are carried: their ids sort last.
    pub fn all(&self) -> Want {
        let mut all = Want::default();
        for want in self.tabs.values() {
            all.list |= want.list;
            for (run, &cursor) in &want.runs {
                let known = all.runs.entry(run.clone()).or_insert(cursor);
                *known = cursor.max(*known);
            }
        }
        while all.runs.len() > MAX_STREAM_RUNS {
            all.runs.pop_first();
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(n: u32) -> RunId {
        format!("01939f1c-8f2a-7c3e-9d5b-{n:012x}").parse().unwrap()
    }

    fn want(runs: &[(u32, u64)], list: bool) -> Want {
        Want { runs: runs.iter().map(|&(n, cursor)| (run(n), cursor)).collect(), list }
    }

    #[test]
    fn one_connection_carries_what_any_tab_wants_from_the_furthest_cursor() {
        let mut wants = Wants::default();
        wants.set("a", want(&[(1, 5), (2, 0)], false));
        wants.set("b", want(&[(1, 7)], true));
        assert_eq!(wants.all(), want(&[(1, 7), (2, 0)], true));
        assert!(wants.others_want("a", &run(1)) && !wants.others_want("a", &run(2)));
        assert!(wants.others_want_list("a") && !wants.others_want_list("b"));
        assert!(wants.all().covers(&want(&[(2, 9)], true)));
        wants.set("b", Want::default());
        assert_eq!(wants.all(), want(&[(1, 5), (2, 0)], false));
        assert!(!wants.all().covers(&want(&[], true)) && !wants.all().covers(&want(&[(3, 0)], false)));
        wants.forget(&run(2));
        assert_eq!(wants.all(), want(&[(1, 5)], false));
        wants.keep(|tab| tab != "a");
        assert!(wants.all().is_empty());
    }

    #[test]
    fn more_runs_than_fit_leave_out_the_oldest() {
        let mut wants = Wants::default();
        for n in 0..MAX_STREAM_RUNS as u32 + 20 {
            wants.set(&format!("tab {n}"), want(&[(n, 0)], false));
        }
        let all = wants.all();
        assert_eq!(all.runs.len(), MAX_STREAM_RUNS);
        assert!(!all.runs.contains_key(&run(19)) && all.runs.contains_key(&run(20)));
    }

    #[test]
    fn the_url_is_that_of_the_contract() {
        assert_eq!(want(&[(1, 5)], true).url(), format!("/events?run={}:5&list=1", run(1)));
        assert_eq!(want(&[], true).url(), "/events?list=1");
    }
}
