//! What an attempt has used of what it may ([`Limits`]), and which limit it has reached.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::model::limits::{Limit, Limits};

/// What is counted. Pure.
#[derive(Debug)]
struct UsageCounter {
    limits: Limits,
    output: u64,
    frames: u64,
}

impl UsageCounter {
    /// Counts bytes of output. MountKind many of them are within the limit.
    fn print(&mut self, bytes: usize) -> usize {
        within(&mut self.output, bytes, self.limits.output)
    }

    /// Counts frames. MountKind many of them are within the limit.
    fn make(&mut self, frames: usize) -> usize {
        within(&mut self.frames, frames, self.limits.frames)
    }
}

/// Adds to a count up to its limit. MountKind many were added.
fn within(count: &mut u64, more: usize, most: u64) -> usize {
    let left = most.saturating_sub(*count);
    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(more);
    *count += taken as u64;
    taken
}

/// Counts for all commands of an attempt.
#[derive(Debug)]
pub struct Meter {
    limits: Limits,
    usage: Mutex<UsageCounter>,
    /// When its time is up.
    deadline: Option<Instant>,
    /// The limit that was reached first.
    reached: OnceLock<Limit>,
    reached_signal: CancellationToken,
}

impl Meter {
    /// A meter for an attempt that begins, or goes on, now.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            usage: Mutex::new(UsageCounter { limits, output: 0, frames: 0 }),
            deadline: limits.duration_ms.and_then(|limit| Instant::now().checked_add(Duration::from_millis(limit))),
            reached: OnceLock::new(),
            reached_signal: CancellationToken::new(),
        }
    }

    /// Counts bytes that a command printed. MountKind many of them are to be journaled.
    pub fn print(&self, bytes: usize) -> usize {
        let taken = self.usage().print(bytes);
        self.check(taken == bytes, Limit::Output);
        taken
    }

    /// Counts frames. MountKind many of them are to be journaled.
    pub fn make(&self, frames: usize) -> usize {
        let taken = self.usage().make(frames);
        self.check(taken == frames, Limit::Frames);
        taken
    }

    /// Says how much the folders of the attempt take on the disk.
    pub fn occupy(&self, bytes: u64) {
        self.check(self.limits.scratch.is_none_or(|most| bytes <= most), Limit::Scratch);
    }

    /// The limit that was reached, if one was.
    pub fn limit(&self) -> Option<Limit> {
        self.reached.get().copied()
    }

    /// Waits until a limit is reached. Cancel safe.
    pub async fn reached(&self) -> Limit {
        let time_is_up = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.reached_signal.cancelled() => {}
            () = time_is_up => self.check(false, Limit::Duration),
        }
        self.limit().unwrap_or(Limit::Duration)
    }

    /// Why the attempt is ended that has reached this limit, and what to do.
    pub fn sentence(&self, limit: Limit) -> String {
        let what = match limit {
            Limit::Output => format!("the attempt has printed {}, its limit", bytes(self.limits.output)),
            Limit::Frames => format!("the attempt has made {} frames, its limit", self.limits.frames),
            Limit::Duration => {
                let limit = Duration::from_millis(self.limits.duration_ms.unwrap_or_default());
                format!("the attempt has taken {}, its limit", humantime::format_duration(limit))
            }
            Limit::Scratch => {
                let limit = bytes(self.limits.scratch.unwrap_or_default());
                format!("the attempt's scratch folder and workspace take more than {limit}, its limit")
            }
        };
        format!("{what}. Raise `{}` in [limits] of the pipeline's file if a run needs more", limit.key())
    }

    fn check(&self, holds: bool, limit: Limit) {
        if !holds && self.reached.set(limit).is_ok() {
            self.reached_signal.cancel();
        }
    }

    /// The lock, even after a panic elsewhere: what it guards is valid between any two statements.
    fn usage(&self) -> std::sync::MutexGuard<'_, UsageCounter> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A size in the largest unit of which it is a whole number.
fn bytes(size: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.iter().find(|(shift, _)| size > 0 && size.trailing_zeros() >= *shift);
    whole.map_or_else(|| format!("{size} bytes"), |(shift, unit)| format!("{} {unit}", size >> shift))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn meter(output: u64, frames: u64) -> Meter {
        Meter::new(Limits { output, frames, duration_ms: Some(1000), scratch: Some(5), ..Limits::default() })
    }

    #[tokio::test]
    async fn exactly_what_is_allowed_is_taken() {
        let meter = meter(10, 3);
        assert_eq!((meter.print(4), meter.print(6), meter.make(3), meter.limit()), (4, 6, 3, None));
        assert_eq!((meter.print(1), meter.limit()), (0, Some(Limit::Output)));
        // The first one counts.
        assert_eq!((meter.make(5), meter.limit()), (0, Some(Limit::Output)));
        assert_eq!(meter.reached().await, Limit::Output);
    }

    #[tokio::test]
    async fn the_disk_is_a_limit() {
        let meter = meter(10, 3);
        meter.occupy(5);
        assert_eq!(meter.limit(), None);
        meter.occupy(6);
        assert_eq!(meter.reached().await, Limit::Scratch);
    }

    #[tokio::test(start_paused = true)]
    async fn time_is_up_once() {
        let (meter, begun) = (meter(10, 3), Instant::now());
        assert_eq!((meter.reached().await, meter.limit()), (Limit::Duration, Some(Limit::Duration)));
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
        assert_eq!(meter.reached().await, Limit::Duration);
    }

    #[test]
    fn the_reason_names_the_limit_its_value_and_the_remedy() {
        let meter = Meter::new(Limits {
            output: 64 << 20,
            frames: 7,
            duration_ms: Some(5_400_000),
            scratch: Some(3 << 30),
            ..Limits::default()
        });
        for (limit, words) in [
            (Limit::Output, ["64 MiB", "`output`"]),
            (Limit::Frames, ["7 frames", "`frames`"]),
            (Limit::Duration, ["1h 30m", "`duration`"]),
            (Limit::Scratch, ["3 GiB", "`scratch`"]),
        ] {
            let sentence = meter.sentence(limit);
            assert!(words.iter().all(|word| sentence.contains(word)) && sentence.contains("[limits]"), "{sentence}");
        }
        assert_eq!(
            (bytes(0), bytes(1000), bytes(1536), bytes(2048)),
            ("0 bytes".into(), "1000 bytes".into(), "1536 bytes".into(), "2 KiB".into())
        );
    }

    proptest! {
        #[test]
        fn no_more_is_taken_than_is_allowed(limit in 1u64..10_000, pieces: Vec<u16>) {
            let mut usage = UsageCounter { limits: Limits { output: limit, ..Limits::default() }, output: 0, frames: 0 };
            let taken: usize = pieces.iter().map(|piece| usage.print((*piece).into())).sum();
            let all: u64 = pieces.iter().map(|piece| u64::from(*piece)).sum();
            prop_assert_eq!(taken as u64, all.min(limit));
        }
    }
}
