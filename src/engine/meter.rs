//! Measures what an attempt uses of its [`Limits`], and records the first limit that it reaches.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::model::Timestamp;
use crate::model::limits::{Limit, Limits};

/// What an attempt has used, as it is stored with its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// When it started or resumed, by the machine's clock.
    since: Timestamp,
    output: u64,
    frames: u64,
}

/// The counters. Pure.
#[derive(Debug)]
struct UsageCounter {
    limits: Limits,
    output: u64,
    frames: u64,
}

impl UsageCounter {
    /// Counts bytes of output. Returns how many of them are within the limit.
    fn count_output(&mut self, bytes: usize) -> usize {
        add_within(&mut self.output, bytes, self.limits.output)
    }

    /// Counts frames. Returns how many of them are within the limit.
    fn count_frames(&mut self, frames: usize) -> usize {
        add_within(&mut self.frames, frames, self.limits.frames)
    }
}

/// Adds to a count, up to its limit. Returns how much was added.
fn add_within(count: &mut u64, more: usize, most: u64) -> usize {
    let left = most.saturating_sub(*count);
    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(more);
    *count += taken as u64;
    taken
}

/// The meter of all commands of an attempt.
#[derive(Debug)]
pub struct Meter {
    limits: Limits,
    usage: Mutex<UsageCounter>,
    since: Timestamp,
    /// When the time limit is reached.
    deadline: Option<Instant>,
    /// The first limit that was reached.
    reached: OnceLock<Limit>,
    reached_signal: CancellationToken,
}

impl Meter {
    /// A meter for an attempt that starts or resumes now.
    pub fn new(limits: Limits) -> Self {
        Self::starting(limits, Usage { since: Timestamp::wall(), output: 0, frames: 0 }, 0)
    }

    /// A meter for an attempt that another server has executed until now.
    pub fn resume(limits: Limits, usage: Usage) -> Self {
        Self::starting(limits, usage, Timestamp::wall().since(usage.since))
    }

    fn starting(limits: Limits, usage: Usage, spent_ms: u64) -> Self {
        let Usage { since, output, frames } = usage;
        let left = limits.duration_ms.map(|limit| limit.saturating_sub(spent_ms));
        Self {
            limits,
            usage: Mutex::new(UsageCounter { limits, output, frames }),
            since,
            deadline: left.and_then(|left| Instant::now().checked_add(Duration::from_millis(left))),
            reached: OnceLock::new(),
            reached_signal: CancellationToken::new(),
        }
    }

    /// What the attempt has used, for [`Self::resume`].
    pub fn usage_json(&self) -> String {
        let usage = self.lock();
        let usage = Usage { since: self.since, output: usage.output, frames: usage.frames };
        serde_json::to_string(&usage).unwrap_or_default()
    }

    /// How many more bytes of output are within the limit.
    pub fn output_left(&self) -> u64 {
        let usage = self.lock();
        usage.limits.output.saturating_sub(usage.output)
    }

    /// Counts bytes that a command printed. Returns how many of them are to be journaled.
    pub fn count_output(&self, bytes: usize) -> usize {
        let taken = self.lock().count_output(bytes);
        self.check(taken == bytes, Limit::Output);
        taken
    }

    /// Counts frames. Returns how many of them are to be journaled.
    pub fn count_frames(&self, frames: usize) -> usize {
        let taken = self.lock().count_frames(frames);
        self.check(taken == frames, Limit::Frames);
        taken
    }

    /// Reports how many bytes the attempt's folders take on the disk.
    pub fn report_disk_use(&self, bytes: u64) {
        self.check(self.limits.scratch.is_none_or(|most| bytes <= most), Limit::Scratch);
    }

    /// The limit that was reached, if any.
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

    /// Says which limit the attempt has reached, and what to do about it.
    pub fn describe(&self, limit: Limit) -> String {
        let what = match limit {
            Limit::Output => format!("the attempt has printed {}, its limit", format_bytes(self.limits.output)),
            Limit::Frames => format!("the attempt has made {} frames, its limit", self.limits.frames),
            Limit::Duration => {
                let limit = Duration::from_millis(self.limits.duration_ms.unwrap_or_default());
                format!("the attempt has taken {}, its limit", humantime::format_duration(limit))
            }
            Limit::Scratch => {
                let limit = format_bytes(self.limits.scratch.unwrap_or_default());
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

    /// A poisoned lock is safe to use: the counters are valid between any two statements.
    fn lock(&self) -> std::sync::MutexGuard<'_, UsageCounter> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Formats a size in the largest unit that divides it.
fn format_bytes(size: u64) -> String {
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
    async fn meter_counts_up_to_its_limits() {
        let meter = meter(10, 3);
        assert_eq!(
            (meter.count_output(4), meter.count_output(6), meter.count_frames(3), meter.limit()),
            (4, 6, 3, None)
        );
        assert_eq!((meter.count_output(1), meter.limit()), (0, Some(Limit::Output)));
        // The first limit counts.
        assert_eq!((meter.count_frames(5), meter.limit()), (0, Some(Limit::Output)));
        assert_eq!(meter.reached().await, Limit::Output);
    }

    #[tokio::test]
    async fn meter_limits_disk_use() {
        let meter = meter(10, 3);
        meter.report_disk_use(5);
        assert_eq!(meter.limit(), None);
        meter.report_disk_use(6);
        assert_eq!(meter.reached().await, Limit::Scratch);
    }

    #[tokio::test(start_paused = true)]
    async fn meter_limits_time() {
        let (meter, begun) = (meter(10, 3), Instant::now());
        assert_eq!((meter.reached().await, meter.limit()), (Limit::Duration, Some(Limit::Duration)));
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
        assert_eq!(meter.reached().await, Limit::Duration);
    }

    #[tokio::test]
    async fn meter_resumes_where_another_server_has_left_it() {
        let first = meter(10, 3);
        assert_eq!((first.count_output(4), first.count_frames(2), first.output_left()), (4, 2, 6));
        let usage: Usage = serde_json::from_str(&first.usage_json()).unwrap();
        let second = Meter::resume(Limits { output: 10, frames: 3, ..Limits::default() }, usage);
        assert_eq!((second.output_left(), second.count_output(6), second.count_frames(2)), (6, 6, 1));
        assert_eq!(second.limit(), Some(Limit::Frames));
        let long_ago = Usage { since: Timestamp(Timestamp::wall().0 - 5000), ..usage };
        let late = Meter::resume(Limits { duration_ms: Some(5000), ..Limits::default() }, long_ago);
        assert_eq!(late.reached().await, Limit::Duration);
    }

    #[test]
    fn meter_describes_limit_value_and_remedy() {
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
            let sentence = meter.describe(limit);
            assert!(words.iter().all(|word| sentence.contains(word)) && sentence.contains("[limits]"), "{sentence}");
        }
        assert_eq!(
            (format_bytes(0), format_bytes(1000), format_bytes(1536), format_bytes(2048)),
            ("0 bytes".into(), "1000 bytes".into(), "1536 bytes".into(), "2 KiB".into())
        );
    }

    proptest! {
        #[test]
        fn usage_counter_never_exceeds_its_limit(limit in 1u64..10_000, pieces: Vec<u16>) {
            let mut usage = UsageCounter { limits: Limits { output: limit, ..Limits::default() }, output: 0, frames: 0 };
            let taken: usize = pieces.iter().map(|piece| usage.count_output((*piece).into())).sum();
            let all: u64 = pieces.iter().map(|piece| u64::from(*piece)).sum();
            prop_assert_eq!(taken as u64, all.min(limit));
        }
    }
}
