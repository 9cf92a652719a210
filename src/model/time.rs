//! Timestamps in UTC with milliseconds, written as RFC 3339: `2026-11-21T10:00:00.123Z`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

#[cfg(not(target_arch = "wasm32"))]
thread_local! {
    /// The clock of a simulation that runs on this thread.
    static SIMULATED: std::cell::Cell<Option<fn() -> Timestamp>> = const { std::cell::Cell::new(None) };
    /// The steady clock of the work that runs on this thread.
    static STEADY: std::cell::Cell<Option<SteadyClock>> = const { std::cell::Cell::new(None) };
}

/// A clock that cannot be set: it starts at a given time and advances with the machine's uptime. Each piece of work
/// has its own, so that its durations are right even if the machine's clock is set meanwhile.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    /// The machine's uptime in milliseconds, including suspends.
    uptime_ms: fn() -> i64,
    /// Added to the uptime.
    offset_ms: i64,
}

#[cfg(not(target_arch = "wasm32"))]
impl SteadyClock {
    /// A clock that shows `at` now, and advances with this uptime.
    pub fn starting_at(at: Timestamp, uptime_ms: fn() -> i64) -> Self {
        Self { uptime_ms, offset_ms: at.0.saturating_sub(uptime_ms()) }
    }

    pub fn now(&self) -> Timestamp {
        Timestamp((self.uptime_ms)().saturating_add(self.offset_ms))
    }

    /// Runs `work` on this thread with this clock as [`Timestamp::now`].
    pub fn during<T>(self, work: impl FnOnce() -> T) -> T {
        /// Restores the previous clock, even if the work panics.
        struct Restore(Option<SteadyClock>);
        impl Drop for Restore {
            fn drop(&mut self) {
                STEADY.set(self.0);
            }
        }
        let _restore = Restore(STEADY.replace(Some(self)));
        work()
    }
}

impl Timestamp {
    /// The time by the steady clock of the work on this thread ([`SteadyClock::during`]) if there is one, else by the
    /// machine's clock.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn now() -> Self {
        match (SIMULATED.get(), STEADY.get()) {
            (None, Some(clock)) => clock.now(),
            _ => Self::wall(),
        }
    }

    /// The time by the machine's clock, which people and programs can set.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn wall() -> Self {
        match SIMULATED.get() {
            None => Self(jiff::Timestamp::now().as_millisecond()),
            Some(clock) => clock(),
        }
    }

    /// Replaces this thread's clock by that of a simulation.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn simulate(clock: fn() -> Self) {
        SIMULATED.with(|simulated| simulated.set(Some(clock)));
    }

    /// Milliseconds since `earlier`; 0 if the clock was set back in between.
    pub fn since(self, earlier: Timestamp) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A value outside jiff's range (year ±9999) can only come from a corrupt row. Show the epoch rather than fail
        // the page.
        let at = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        write!(f, "{at:.3}")
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>().map(|at| Self(at.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamp_has_three_digits_and_z() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(1_795_255_200_123).to_string(), "2026-11-21T10:00:00.123Z");
    }

    #[test]
    fn timestamp_roundtrips() {
        for ms in [-62_135_596_800_000, -1, 0, 1, 999, 1_795_255_200_123] {
            assert_eq!(Timestamp(ms).to_string().parse::<Timestamp>().ok(), Some(Timestamp(ms)));
        }
    }

    #[test]
    fn steady_clock_counts_uptime_while_in_use() {
        use std::sync::atomic::{AtomicI64, Ordering};
        static UPTIME: AtomicI64 = AtomicI64::new(5000);
        let clock = SteadyClock::starting_at(Timestamp(70), || UPTIME.load(Ordering::Relaxed));
        assert_eq!(clock.during(Timestamp::now), Timestamp(70));
        UPTIME.store(5030, Ordering::Relaxed);
        let inner = SteadyClock::starting_at(Timestamp(1), || UPTIME.load(Ordering::Relaxed));
        let seen = clock.during(|| (inner.during(Timestamp::now), Timestamp::now(), Timestamp::wall()));
        assert_eq!((seen.0, seen.1), (Timestamp(1), Timestamp(100)));
        assert!(seen.2 > Timestamp(1_000_000) && Timestamp::now() >= seen.2);
        let panicked = std::panic::catch_unwind(|| clock.during(|| panic!("as work may")));
        assert!(panicked.is_err() && Timestamp::now() >= seen.2);
    }

    #[test]
    fn timestamp_since_a_later_one_is_zero() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), 0);
        assert_eq!(Timestamp(9).since(Timestamp(5)), 4);
    }
}
