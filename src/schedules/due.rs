//! What is to be started, given how far a schedule is done and what time it is.

use super::Rule;
use crate::model::{MissedPolicy, Timestamp};

/// A due time that is noticed later than this, in milliseconds, has been missed: the machine slept, or its clock was set
/// forward. Whoever looks does so every half a minute at least.
pub const LATE: i64 = 2 * 60 * 1000;

/// A mark that is further ahead than this, in milliseconds, was made by a clock that was wrong. One that is less ahead is
/// waited for, so that no due time comes twice when a clock is put right.
pub const AHEAD: i64 = 24 * 60 * 60 * 1000;

/// What somebody sees who looks at a schedule.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Due times up to this one are done.
    pub done: Timestamp,
    /// Since when there has been somebody to look. Due times before were missed.
    pub since: Timestamp,
    /// What time it is.
    pub now: Timestamp,
}

/// What is to be done about a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing, until this moment; for ever if `None`.
    Wait(Option<Timestamp>),
    /// A run for this due time, after which all up to it are done.
    Start(Timestamp),
    /// The clock was far ahead when the schedule was looked at last. It begins from now.
    Rebase,
}

/// What is to be done about a schedule. Asked again after each [`Due::Start`], with `done` at what was started.
///
/// Each due time that comes while somebody looks is started, in order. Those that were missed are forgotten, or, with
/// [`MissedPolicy::Once`], made up for by one run: the next one, if another time is due already, else one for the last of them.
pub fn due(rule: &Rule, missed: MissedPolicy, look: Look) -> Due {
    let Look { done, since, now } = look;
    if done.0.saturating_sub(now.0) > AHEAD {
        return Due::Rebase;
    }
    let cutoff = Timestamp((since.0 - 1).max(now.0 - LATE).min(now.0));
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
