//! The clock of an attempt: steady from its claim on, whatever happens to the machine's.

use std::pin::Pin;
use std::task::{Context, Poll};

use nix::time::{ClockId, clock_gettime};

use crate::model::{SteadyClock, Timestamp};

/// The clock that counts while the machine is suspended: what a person sees of a run is how long it took by the clock on the wall. Timers
/// use the other one (`CLOCK_MONOTONIC`), which stands still meanwhile: no timeout and no lease ends because of a suspend.
#[cfg(target_os = "linux")]
const UPTIME: ClockId = ClockId::CLOCK_BOOTTIME;
#[cfg(not(target_os = "linux"))]
const UPTIME: ClockId = ClockId::CLOCK_MONOTONIC;

/// Milliseconds that the machine is up.
fn uptime_ms() -> i64 {
    // It fails for no clock that the system knows.
    clock_gettime(UPTIME).map_or(0, |time| time.tv_sec() * 1000 + time.tv_nsec() / 1_000_000)
}

/// The clock of an attempt that was claimed now, of a run whose latest time is this.
pub(super) fn of_attempt(latest: Timestamp) -> SteadyClock {
    SteadyClock::starting_at(Timestamp::wall().max(latest), uptime_ms)
}

/// Work during which it is the time of a steady clock.
pub(super) struct Timed<F> {
    clock: SteadyClock,
    work: Pin<Box<F>>,
}

impl<F: Future> Timed<F> {
    pub(super) fn new(clock: SteadyClock, work: F) -> Self {
        Self { clock, work: Box::pin(work) }
    }
}

impl<F: Future> Future for Timed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let clock = self.clock;
        clock.during(|| self.work.as_mut().poll(context))
    }
}
