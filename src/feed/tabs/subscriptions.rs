//! What each tab subscribes to, and so what the one stream has to carry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::feed::event::Topic;
use crate::model::RunId;
use crate::model::sse::MAX_STREAM_RUNS;

/// Runs with a cursor each, and whether the list: what one tab, or the stream, is subscribed to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionSet {
    /// Each run with the last seq that the subscriber has.
    pub runs: BTreeMap<RunId, u64>,
    pub list: bool,
}

impl SubscriptionSet {
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && !self.list
    }

    pub fn contains(&self, topic: &Topic) -> bool {
        match topic {
            Topic::Run(run) => self.runs.contains_key(run),
            Topic::List => self.list,
        }
    }

    /// Adds a topic. `cursor` is that of a run.
    pub fn insert(&mut self, topic: &Topic, cursor: u64) {
        match topic {
            Topic::Run(run) => drop(self.runs.insert(run.clone(), cursor)),
            Topic::List => self.list = true,
        }
    }

    /// Whether it has all topics of `other`, whatever the cursors.
    pub fn covers(&self, other: &Self) -> bool {
        self.list >= other.list && other.runs.keys().all(|run| self.runs.contains_key(run))
    }

    /// The path and query of its stream.
    pub fn url(&self) -> String {
        let mut url = String::from("/events?");
        for (run, cursor) in &self.runs {
            url.push_str(&format!("run={run}:{cursor}&"));
        }
        url.push_str(if self.list { "list=1" } else { "list=0" });
        url
    }
}

/// The subscriptions of all tabs, by the tab's id. Followers keep them too, so that the next leader has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TabSubscriptions {
    tabs: BTreeMap<String, SubscriptionSet>,
}

impl TabSubscriptions {
    /// Replaces what the tab subscribes to.
    pub fn set(&mut self, tab: &str, subscriptions: SubscriptionSet) {
        if subscriptions.is_empty() {
            self.tabs.remove(tab);
        } else {
            self.tabs.insert(tab.to_owned(), subscriptions);
        }
    }

    /// Ends every tab's subscription to a run.
    pub fn remove_run(&mut self, run: &RunId) {
        for subscriptions in self.tabs.values_mut() {
            subscriptions.runs.remove(run);
        }
        self.tabs.retain(|_, subscriptions| !subscriptions.is_empty());
    }

    /// The tabs that subscribe to something.
    pub fn tabs(&self) -> impl Iterator<Item = &str> {
        self.tabs.keys().map(String::as_str)
    }

    /// Removes all tabs but those for which this is true.
    pub fn retain_tabs(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.tabs.retain(|tab, _| is_kept(tab));
    }

    /// Whether a tab other than this one subscribes to the topic.
    pub fn others_contain(&self, tab: &str, topic: &Topic) -> bool {
        self.tabs.iter().any(|(other, subscriptions)| other != tab && subscriptions.contains(topic))
    }

    /// What the stream has to carry. A run begins at the largest cursor of any tab: tabs that are behind poll for the
    /// rest, and none gets a frame twice.
    ///
    /// Of more runs than a stream carries, the newest are taken: their ids sort last.
    pub fn union(&self) -> SubscriptionSet {
        let mut union = SubscriptionSet::default();
        for subscriptions in self.tabs.values() {
            union.list |= subscriptions.list;
            for (run, &cursor) in &subscriptions.runs {
                let largest = union.runs.entry(run.clone()).or_insert(cursor);
                *largest = cursor.max(*largest);
            }
        }
        while union.runs.len() > MAX_STREAM_RUNS {
            union.runs.pop_first();
        }
        union
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(n: u32) -> RunId {
        format!("01939f1c-8f2a-7c3e-9d5b-{n:012x}").parse().unwrap()
    }

    fn set(runs: &[(u32, u64)], list: bool) -> SubscriptionSet {
        SubscriptionSet { runs: runs.iter().map(|&(n, cursor)| (run(n), cursor)).collect(), list }
    }

    #[test]
    fn union_takes_every_topic_from_the_largest_cursor() {
        let mut tabs = TabSubscriptions::default();
        tabs.set("a", set(&[(1, 5), (2, 0)], false));
        tabs.set("b", set(&[(1, 7)], true));
        assert_eq!(tabs.union(), set(&[(1, 7), (2, 0)], true));
        let topic = |n| Topic::Run(run(n));
        assert!(tabs.others_contain("a", &topic(1)) && !tabs.others_contain("a", &topic(2)));
        assert!(tabs.others_contain("a", &Topic::List) && !tabs.others_contain("b", &Topic::List));
        assert!(tabs.union().covers(&set(&[(2, 9)], true)));
        tabs.set("b", SubscriptionSet::default());
        assert_eq!(tabs.union(), set(&[(1, 5), (2, 0)], false));
        assert!(!tabs.union().covers(&set(&[], true)) && !tabs.union().covers(&set(&[(3, 0)], false)));
        tabs.remove_run(&run(2));
        assert_eq!(tabs.union(), set(&[(1, 5)], false));
        tabs.retain_tabs(|tab| tab != "a");
        assert!(tabs.union().is_empty());
    }

    #[test]
    fn union_drops_the_oldest_runs_beyond_the_limit() {
        let mut tabs = TabSubscriptions::default();
        for n in 0..MAX_STREAM_RUNS as u32 + 20 {
            tabs.set(&format!("tab {n}"), set(&[(n, 0)], false));
        }
        let union = tabs.union();
        assert_eq!(union.runs.len(), MAX_STREAM_RUNS);
        assert!(!union.runs.contains_key(&run(19)) && union.runs.contains_key(&run(20)));
    }

    #[test]
    fn subscription_url_follows_the_contract() {
        assert_eq!(set(&[(1, 5)], true).url(), format!("/events?run={}:5&list=1", run(1)));
        assert_eq!(set(&[], true).url(), "/events?list=1");
    }
}
