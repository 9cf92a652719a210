//! Which shortages the log has to report: each once when it begins, and once when it is over. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Timestamp;
use crate::model::placement::Shortage;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShortageNews {
    /// Runs have begun to wait for something.
    Began { message: String, since: Timestamp, runs: usize },
    /// No run waits for it any more.
    Over { message: String },
}

/// The shortages that were reported and are not over.
#[derive(Debug, Default)]
pub struct ShortageLog {
    reported: BTreeSet<String>,
}

impl ShortageLog {
    /// Takes the shortages of all pending runs as they are now.
    pub fn update<'a>(&mut self, shortages: impl Iterator<Item = &'a Shortage>) -> Vec<ShortageNews> {
        let mut now: BTreeMap<&str, (Timestamp, usize)> = BTreeMap::new();
        for shortage in shortages {
            let (since, runs) = now.entry(&shortage.message).or_insert((shortage.since, 0));
            *since = shortage.since.min(*since);
            *runs += 1;
        }
        let over = self.reported.iter().filter(|message| !now.contains_key(message.as_str()));
        let mut news: Vec<ShortageNews> = over.map(|message| ShortageNews::Over { message: message.clone() }).collect();
        for (message, (since, runs)) in &now {
            if !self.reported.contains(*message) {
                news.push(ShortageNews::Began { message: (*message).to_owned(), since: *since, runs: *runs });
            }
        }
        self.reported = now.into_keys().map(str::to_owned).collect();
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shortage(label: &str, since: i64) -> Shortage {
        let message = format!("no worker with label {label}");
        Shortage { message, labels: vec![label.to_owned()], folders: Vec::new(), since: Timestamp(since) }
    }

    #[test]
    fn shortage_is_reported_when_it_begins_and_when_it_is_over() {
        let mut log = ShortageLog::default();
        let began = |label: &str, since, runs| ShortageNews::Began {
            message: format!("no worker with label {label}"),
            since: Timestamp(since),
            runs,
        };
        let over = |label: &str| ShortageNews::Over { message: format!("no worker with label {label}") };
        assert_eq!(log.update([].iter()), []);
        assert_eq!(log.update([shortage("gpu", 9), shortage("gpu", 7)].iter()), [began("gpu", 7, 2)]);
        assert_eq!(log.update([shortage("gpu", 9)].iter()), [], "it goes on");
        assert_eq!(log.update([shortage("arm", 5), shortage("gpu", 9)].iter()), [began("arm", 5, 1)]);
        assert_eq!(log.update([shortage("arm", 5)].iter()), [over("gpu")]);
        assert_eq!(log.update([shortage("gpu", 11)].iter()), [over("arm"), began("gpu", 11, 1)]);
        assert_eq!(log.update([].iter()), [over("gpu")]);
    }
}
