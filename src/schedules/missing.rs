//! When the cursor of a removed schedule is deleted. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A cursor is deleted after its schedule has been missing for so long: the file may only be in the process of being
/// moved.
pub const GRACE_TIME: Duration = Duration::from_secs(20);

/// The name of a pipeline and the identity of its schedule.
type ScheduleKey = (String, String);

/// Since when schedules have been missing.
#[derive(Debug, Default)]
pub struct MissingSchedules(BTreeMap<ScheduleKey, Instant>);

impl MissingSchedules {
    /// Takes the cursors without a schedule. Returns those to delete now, and the time until the next check. Deletes
    /// nothing unless all files could be read, since a refused file may have the schedules.
    pub fn expired<T>(
        &mut self,
        cursors: BTreeMap<ScheduleKey, T>,
        has_read_all: bool,
        now: Instant,
    ) -> (Vec<(ScheduleKey, T)>, Option<Duration>) {
        if !has_read_all {
            self.0.clear();
            return (Vec::new(), None);
        }
        self.0.retain(|key, _| cursors.contains_key(key));
        let mut next: Option<Duration> = None;
        let mut expired = Vec::new();
        for (key, cursor) in cursors {
            let since = *self.0.entry(key.clone()).or_insert(now);
            let left = GRACE_TIME.saturating_sub(now.duration_since(since));
            if left.is_zero() {
                expired.push((key, cursor));
            } else {
                next = Some(next.map_or(left, |next| next.min(left)));
            }
        }
        (expired, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursors(names: &[&str]) -> BTreeMap<ScheduleKey, ()> {
        names.iter().map(|name| (((*name).to_owned(), String::new()), ())).collect()
    }

    /// A check so many seconds after the first one: the deleted cursors, and when to check again.
    fn check(
        missing: &mut MissingSchedules,
        first: Instant,
        after: u64,
        names: &[&str],
        has_read_all: bool,
    ) -> (Vec<String>, Option<u64>) {
        let (expired, next) = missing.expired(cursors(names), has_read_all, first + Duration::from_secs(after));
        (expired.into_iter().map(|((name, _), ())| name).collect(), next.map(|next| next.as_secs()))
    }

    #[test]
    fn cursor_expires_after_the_grace_time() {
        let (mut missing, first) = (MissingSchedules::default(), Instant::now());
        let mut check = |after, names: &[&str], all| check(&mut missing, first, after, names, all);
        let none: Vec<String> = Vec::new();
        assert_eq!(check(0, &["a"], true), (none.clone(), Some(20)));
        assert_eq!(check(5, &["a", "b"], true), (none.clone(), Some(15)));
        assert_eq!(check(20, &["a", "b"], true), (vec!["a".to_owned()], Some(5)));
        assert_eq!(check(25, &["b"], true), (vec!["b".to_owned()], None));
        assert_eq!(check(26, &[], true), (none, None));
    }

    #[test]
    fn grace_time_restarts_when_a_schedule_returns() {
        let (mut missing, first) = (MissingSchedules::default(), Instant::now());
        let mut check = |after, names: &[&str], all| check(&mut missing, first, after, names, all);
        assert_eq!(check(0, &["a"], true).1, Some(20));
        assert_eq!(check(10, &[], true), (Vec::new(), None));
        assert_eq!(check(19, &["a"], true), (Vec::new(), Some(20)));
        assert_eq!(check(38, &["a"], true), (Vec::new(), Some(1)));
    }

    #[test]
    fn no_cursor_expires_while_files_are_refused() {
        let (mut missing, first) = (MissingSchedules::default(), Instant::now());
        let mut check = |after, names: &[&str], all| check(&mut missing, first, after, names, all);
        assert_eq!(check(0, &["a"], true), (Vec::new(), Some(20)));
        for after in [5, 30, 3600] {
            assert_eq!(check(after, &["a"], false), (Vec::new(), None));
        }
        // The time before and during that does not count.
        assert_eq!(check(3601, &["a"], true), (Vec::new(), Some(20)));
        assert_eq!(check(3621, &["a"], true).0, ["a"]);
    }
}
