//! The clock of an attempt. It never jumps, even if somebody sets the machine's clock.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::model::{SteadyClock, Timestamp};

/// `CLOCK_BOOTTIME` also counts time in suspend, so the durations that people see match the wall clock. Timers use
/// `CLOCK_MONOTONIC`, which stops in suspend: no timeout and no lease ends because the machine was asleep.
#[cfg(target_os = "linux")]
const UPTIME: ClockId = ClockId::CLOCK_BOOTTIME;
#[cfg(not(target_os = "linux"))]
const UPTIME: ClockId = ClockId::CLOCK_MONOTONIC;

/// The time since the machine was started, in milliseconds. The same for all processes.
pub(super) fn uptime_ms() -> i64 {
    // It cannot fail for a clock that the system has.
    clock_gettime(UPTIME).map_or(0, |time| time.tv_sec() * 1000 + time.tv_nsec() / 1_000_000)
}

/// The clock of an attempt that is claimed now. `latest` is the latest time recorded for its run: the clock starts no
/// earlier.
pub(super) fn attempt_clock(latest: Timestamp) -> SteadyClock {
    SteadyClock::starting_at(Timestamp::wall().max(latest), uptime_ms)
}

pub(super) fn later(now: Timestamp, by: Duration) -> Timestamp {
    Timestamp(now.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}

/// A future for which `Timestamp::now` is the time of a steady clock.
pub(super) struct WithClock<F> {
    clock: SteadyClock,
    future: Pin<Box<F>>,
}

impl<F: Future> WithClock<F> {
    pub(super) fn new(clock: SteadyClock, future: F) -> Self {
        Self { clock, future: Box::pin(future) }
    }
}

impl<F: Future> Future for WithClock<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let clock = self.clock;
        clock.during(|| self.future.as_mut().poll(context))
    }
}
