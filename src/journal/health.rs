//! Whether the database accepts writes, and since when it does not.
//!
//! [`Condition`] is the rule, pure: moments are durations since any fixed one. [`Health`] is what the writer updates
//! and the rest of the program reads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::model::{Outage, OutageKind, Problem, ProblemCode, Timestamp};
use crate::store::StoreError;

/// How long writes wait before that is an outage: short locks are normal.
const OUTAGE_AFTER: Duration = Duration::from_secs(2);

/// How long a call is under way before it is considered hung.
const HUNG_AFTER: Duration = Duration::from_secs(3);

/// The state of the database, by the results of its calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Condition {
    /// What the writer waits for, and since when it has waited without a break.
    waiting: Option<(OutageKind, Duration)>,
    /// Since when a call is under way: one to a hung file system does not return.
    calling: Option<Duration>,
}

impl Condition {
    /// A call begins.
    pub(super) fn began(&mut self, now: Duration) {
        self.calling = Some(now);
    }

    /// A call failed, and may succeed later.
    pub(super) fn failed(&mut self, kind: OutageKind, now: Duration) {
        // The wait began with the call.
        let began = self.calling.take().unwrap_or(now);
        let since = self.waiting.map_or(began, |(_, since)| since);
        self.waiting = Some((kind, since));
    }

    /// A call succeeded.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// How long the writer has waited.
    pub(super) fn waited(&self, now: Duration) -> Option<(OutageKind, Duration)> {
        let hangs = self.calling.filter(|began| now.saturating_sub(*began) >= HUNG_AFTER);
        let waiting = self.waiting.or(hangs.map(|began| (OutageKind::Unavailable, began)));
        waiting.map(|(kind, since)| (kind, now.saturating_sub(since)))
    }

    /// What is wrong, and for how long. A full disk is an outage at once: it does not pass by itself.
    pub(super) fn outage(&self, now: Duration) -> Option<(OutageKind, Duration)> {
        self.waited(now).filter(|(kind, waited)| *kind == OutageKind::DiskFull || *waited >= OUTAGE_AFTER)
    }
}

/// The health of the database, shared by all parts of a server.
#[derive(Debug)]
pub struct Health {
    /// What moments are counted from.
    origin: Instant,
    /// Held for a copy.
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    condition: Condition,
    /// The error of the last failed call.
    error: Option<StoreError>,
}

impl Default for Health {
    fn default() -> Self {
        Self { origin: Instant::now(), state: Mutex::default() }
    }
}

impl Health {
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock())
    }

    /// A call begins.
    pub(super) fn began(&self) {
        let now = self.now();
        self.with(|state| state.condition.began(now));
    }

    /// A call failed, and may succeed later.
    pub(super) fn failed(&self, error: &StoreError) {
        let kind = match error {
            StoreError::Full(_) => OutageKind::DiskFull,
            StoreError::Locked(_) => OutageKind::Locked,
            _ => OutageKind::Unavailable,
        };
        let now = self.now();
        let was_known = self.with(|state| {
            let was_known = state.condition.outage(now).is_some();
            state.condition.failed(kind, now);
            state.error = Some(error.clone());
            was_known
        });
        if !was_known && let Some(outage) = self.outage() {
            tracing::warn!(%error, "{outage}");
        }
    }

    /// A call succeeded.
    pub(super) fn succeeded(&self) {
        let now = self.now();
        let ended = self.with(|state| {
            let ended = state.condition.outage(now);
            state.condition.succeeded();
            ended
        });
        if let Some((_, waited)) = ended {
            tracing::info!(seconds = waited.as_secs(), "the database takes writes again");
        }
    }

    /// What the writer waits for, and for how long it has.
    pub(crate) fn waited(&self) -> Option<(OutageKind, Duration)> {
        let now = self.now();
        self.with(|state| state.condition.waited(now))
    }

    /// Whether the writer waits for the database, even for a moment.
    pub fn is_waiting(&self) -> bool {
        self.waited().is_some()
    }

    /// Why a withdrawn write was not made.
    pub(super) fn error(&self) -> StoreError {
        let known = self.with(|state| state.error.clone().filter(|_| state.condition.waiting.is_some()));
        known.unwrap_or_else(|| StoreError::Unavailable(Arc::new(NoAnswer)))
    }

    /// What is wrong with the database now, if anything.
    pub fn outage(&self) -> Option<Outage> {
        let now = self.now();
        let (kind, waited) = self.with(|state| state.condition.outage(now))?;
        let waited_ms = i64::try_from(waited.as_millis()).unwrap_or(i64::MAX);
        Some(Outage {
            kind,
            since: Timestamp(Timestamp::wall().0.saturating_sub(waited_ms)),
            seconds: waited.as_secs(),
        })
    }
}

/// The database did not answer in time, and no call has failed yet.
#[derive(Debug, thiserror::Error)]
#[error("it did not answer in time")]
struct NoAnswer;

impl From<&Outage> for Problem {
    fn from(outage: &Outage) -> Self {
        let code = match outage.kind {
            OutageKind::DiskFull => ProblemCode::DiskFull,
            OutageKind::Locked | OutageKind::Unavailable => ProblemCode::DatabaseUnavailable,
        };
        Self::new(code, outage.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Call {
        Begins,
        Fails(OutageKind),
        Succeeds,
    }

    fn calls() -> impl Strategy<Value = Vec<(Call, u64)>> {
        let kind = prop_oneof![Just(OutageKind::Locked), Just(OutageKind::Unavailable), Just(OutageKind::DiskFull)];
        let call = prop_oneof![3 => kind.prop_map(Call::Fails), 1 => Just(Call::Succeeds), 3 => Just(Call::Begins)];
        prop::collection::vec((call, 0..5000u64), 1..60)
    }

    proptest! {
        /// An outage is what has failed since the last success: of the last failure's kind, at once if the disk is full
        /// and after a while of everything else; and a success ends it.
        #[test]
        fn outage_is_what_failed_since_the_last_success(calls in calls(), later in 0..5000u64) {
            let mut condition = Condition::default();
            let mut now = Duration::from_secs(1);
            let mut expected: Option<(OutageKind, Duration)> = None;
            let mut began = None;
            for (call, pause) in calls {
                now += Duration::from_millis(pause);
                match call {
                    Call::Begins => {
                        condition.began(now);
                        began = Some(now);
                    }
                    Call::Fails(kind) => {
                        condition.failed(kind, now);
                        let since = began.take().unwrap_or(now);
                        expected = Some((kind, expected.map_or(since, |(_, since)| since)));
                    }
                    Call::Succeeds => {
                        condition.succeeded();
                        (expected, began) = (None, None);
                    }
                }
                let then = now + Duration::from_millis(later);
                let hangs = began.filter(|began| then - *began >= HUNG_AFTER).map(|began| (OutageKind::Unavailable, began));
                let told = expected.or(hangs).map(|(kind, since)| (kind, then - since));
                prop_assert_eq!(condition.waited(then), told);
                let outage = told.filter(|(kind, waited)| *kind == OutageKind::DiskFull || *waited >= OUTAGE_AFTER);
                prop_assert_eq!(condition.outage(then), outage);
            }
        }
    }

    #[test]
    fn call_that_hangs_and_then_fails_is_one_outage() {
        let (mut condition, second) = (Condition::default(), Duration::from_secs);
        condition.began(second(10));
        assert_eq!(condition.outage(second(14)), Some((OutageKind::Unavailable, second(4))));
        condition.failed(OutageKind::Locked, second(15));
        assert_eq!(condition.outage(second(15)), Some((OutageKind::Locked, second(5))), "and never over in between");
    }

    #[test]
    fn outage_names_what_is_wrong_and_since_when() {
        let health = Health::default();
        assert_eq!(health.outage(), None);
        assert!(matches!(health.error(), StoreError::Unavailable(_)));
        health.failed(&StoreError::Full(Arc::new(NoAnswer)));
        let outage = health.outage().unwrap();
        assert_eq!(outage.kind, OutageKind::DiskFull);
        let problem = Problem::from(&outage);
        assert_eq!((problem.status, problem.retryable), (507, true));
        assert!(matches!(health.error(), StoreError::Full(_)));
        health.succeeded();
        assert_eq!(health.outage(), None);
        assert!(matches!(health.error(), StoreError::Unavailable(_)), "what is over is no reason any more");
        health.failed(&StoreError::Locked(Arc::new(NoAnswer)));
        assert_eq!(health.outage(), None, "a short lock is no outage");
    }
}
