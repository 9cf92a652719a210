//! Schedules that have marks and are not there any more: when their marks are forgotten. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a schedule has to be away before its mark is forgotten: its file may be being moved.
pub const SETTLED: Duration = Duration::from_secs(20);

/// A pipeline's name, and which of its schedules.
type Key = (String, String);

/// Since when schedules are away.
#[derive(Debug, Default)]
pub struct Missing(BTreeMap<Key, Instant>);

impl Missing {
    /// Of the marks whose schedules are not there: those that are forgotten now, and in how long to look again for the others.
    /// None while not `all` files could be read, since a file that is refused may have them.
    pub fn forget<T>(&mut self, marks: BTreeMap<Key, T>, all: bool, now: Instant) -> (Vec<(Key, T)>, Option<Duration>) {
        if !all {
            self.0.clear();
            return (Vec::new(), None);
        }
        self.0.retain(|key, _| marks.contains_key(key));
        let mut next: Option<Duration> = None;
        let mut gone = Vec::new();
        for (key, mark) in marks {
            let since = *self.0.entry(key.clone()).or_insert(now);
            let left = SETTLED.saturating_sub(now.duration_since(since));
            if left.is_zero() {
                gone.push((key, mark));
            } else {
                next = Some(next.map_or(left, |next| next.min(left)));
            }
        }
        (gone, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(names: &[&str]) -> BTreeMap<Key, ()> {
        names.iter().map(|name| (((*name).to_owned(), String::new()), ())).collect()
    }

    /// A look, so many seconds after the first one: who is forgotten, and when to look again.
    fn look(
        missing: &mut Missing,
        first: Instant,
        after: u64,
        names: &[&str],
        all: bool,
    ) -> (Vec<String>, Option<u64>) {
        let (gone, next) = missing.forget(marks(names), all, first + Duration::from_secs(after));
        (gone.into_iter().map(|((name, _), ())| name).collect(), next.map(|next| next.as_secs()))
    }

    #[test]
    fn what_was_away_long_enough_is_forgotten() {
        let (mut missing, first) = (Missing::default(), Instant::now());
        let mut look = |after, names: &[&str], all| look(&mut missing, first, after, names, all);
        let nobody: Vec<String> = Vec::new();
        assert_eq!(look(0, &["a"], true), (nobody.clone(), Some(20)));
        assert_eq!(look(5, &["a", "b"], true), (nobody.clone(), Some(15)));
        assert_eq!(look(20, &["a", "b"], true), (vec!["a".to_owned()], Some(5)));
        assert_eq!(look(25, &["b"], true), (vec!["b".to_owned()], None));
        assert_eq!(look(26, &[], true), (nobody, None));
    }

    #[test]
    fn what_came_back_in_between_begins_anew() {
        let (mut missing, first) = (Missing::default(), Instant::now());
        let mut look = |after, names: &[&str], all| look(&mut missing, first, after, names, all);
        assert_eq!(look(0, &["a"], true).1, Some(20));
        assert_eq!(look(10, &[], true), (Vec::new(), None));
        assert_eq!(look(19, &["a"], true), (Vec::new(), Some(20)));
        assert_eq!(look(38, &["a"], true), (Vec::new(), Some(1)));
    }

    #[test]
    fn nothing_is_forgotten_while_a_file_cannot_be_read() {
        let (mut missing, first) = (Missing::default(), Instant::now());
        let mut look = |after, names: &[&str], all| look(&mut missing, first, after, names, all);
        assert_eq!(look(0, &["a"], true), (Vec::new(), Some(20)));
        for after in [5, 30, 3600] {
            assert_eq!(look(after, &["a"], false), (Vec::new(), None));
        }
        // And the time does not count, nor the one before it.
        assert_eq!(look(3601, &["a"], true), (Vec::new(), Some(20)));
        assert_eq!(look(3621, &["a"], true).0, ["a"]);
    }
}
