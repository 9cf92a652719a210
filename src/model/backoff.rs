//! How long to wait before a retry: exponential backoff with full jitter, so that pages that lost one server do not all
//! return at once.

/// The bounds of the waits, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest first wait. Each further failure doubles it.
    pub base_ms: u64,
    /// The longest wait of all.
    pub cap_ms: u64,
}

impl Backoff {
    /// The wait in milliseconds after `failures` failures in a row: `random` (0 to 1) of min(cap, base · 2^(failures -
    /// 1)), but at least `floor_ms`, which the server asked for.
    pub fn wait(self, failures: u32, random: f64, floor_ms: u64) -> u64 {
        let doubled = self.base_ms.saturating_mul(1u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX));
        let most = doubled.min(self.cap_ms) as f64;
        // A bad random number must not make all pages wait for no time, or for ever.
        let part = if random.is_finite() { random.clamp(0.0, 1.0) } else { 1.0 };
        ((most * part) as u64).max(floor_ms)
    }
}

/// The wait that a `Retry-After` header asks for, in milliseconds, at most an hour. Dates are ignored, since clocks
/// differ.
pub fn retry_after(header: &str) -> Option<u64> {
    let seconds: u64 = header.trim().parse().ok()?;
    Some(seconds.min(3600) * 1000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff { base_ms: 500, cap_ms: 8000 };

    #[test]
    fn backoff_doubles_up_to_the_cap() {
        let longest: Vec<u64> = (1..=7).map(|failures| BACKOFF.wait(failures, 1.0, 0)).collect();
        assert_eq!(longest, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
        assert_eq!(BACKOFF.wait(u32::MAX, 1.0, 0), 8000);
        assert_eq!(BACKOFF.wait(0, 1.0, 0), 500);
    }

    #[test]
    fn backoff_has_full_jitter() {
        assert_eq!(BACKOFF.wait(3, 0.0, 0), 0);
        assert_eq!(BACKOFF.wait(3, 0.5, 0), 1000);
        assert_eq!(BACKOFF.wait(3, f64::NAN, 0), 2000);
    }

    #[test]
    fn backoff_waits_at_least_the_floor() {
        assert_eq!(BACKOFF.wait(1, 0.1, 3000), 3000);
        assert_eq!(BACKOFF.wait(1, 1.0, 0), 500);
        assert_eq!(BACKOFF.wait(9, 1.0, 60_000), 60_000);
    }

    #[test]
    fn retry_after_is_read_in_seconds() {
        assert_eq!(retry_after("3"), Some(3000));
        assert_eq!(retry_after(" 0 "), Some(0));
        assert_eq!(retry_after("999999999"), Some(3_600_000));
        for bad in ["", "-1", "1.5", "Sat, 21 Nov 2026 10:00:00 GMT"] {
            assert_eq!(retry_after(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn backoff_stays_between_floor_and_cap(
            failures in any::<u32>(), random in any::<f64>(), floor in 0u64..100_000,
        ) {
            let wait = BACKOFF.wait(failures, random, floor);
            prop_assert!(wait >= floor);
            prop_assert!(wait <= BACKOFF.cap_ms.max(floor));
        }
    }
}
