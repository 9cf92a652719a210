//! Which run a schedule starts next, given its cursor and the time.

use super::rule::Rule;
use crate::model::{MissedPolicy, Timestamp};

/// A due time that is noticed later than this was missed: the machine slept, or its clock was set forward. Schedules
/// are checked at least every 30 seconds.
pub const MAX_DELAY_MS: i64 = 2 * 60 * 1000;

/// A cursor that is further in the future was written with a wrong clock. A cursor less far ahead is kept, so that no
/// due time starts twice after a clock correction.
pub const MAX_AHEAD_MS: i64 = 24 * 60 * 60 * 1000;

/// The state of a schedule when it is checked.
#[derive(Clone, Copy, Debug)]
pub struct ScheduleCheck {
    /// The schedule cursor: the last due time that was handled.
    pub done: Timestamp,
    /// When this server began to check schedules. Earlier due times were missed.
    pub since: Timestamp,
    pub now: Timestamp,
}

/// What to do about a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing until this time; `None` means forever.
    Wait(Option<Timestamp>),
    /// Start a run for this due time, and set the cursor to it.
    Start(Timestamp),
    /// The cursor is too far in the future: set it to now.
    Rebase,
}

/// Decides what to do about a schedule. Call it again after each [`Due::Start`], with `done` at the started time.
///
/// Due times are started in order. Missed ones are dropped or, with [`MissedPolicy::Once`], replaced by a single run:
/// that of the next due time if it is due already, otherwise one for the last missed time.
pub fn due(rule: &Rule, missed: MissedPolicy, state: ScheduleCheck) -> Due {
    let ScheduleCheck { done, since, now } = state;
    if done.0.saturating_sub(now.0) > MAX_AHEAD_MS {
        return Due::Rebase;
    }
    let cutoff = Timestamp((since.0 - 1).max(now.0 - MAX_DELAY_MS).min(now.0));
    let next = rule.next(done.max(cutoff));
    if let Some(at) = next
        && at <= now
    {
        return Due::Start(at);
    }
    if missed == MissedPolicy::Once
        && let Some(first) = rule.next(done)
        && first <= cutoff
    {
        return Due::Start(rule.last(cutoff).filter(|last| *last > done).unwrap_or(first));
    }
    Due::Wait(next)
}

#[cfg(test)]
#[path = "due_tests.rs"]
mod tests;
