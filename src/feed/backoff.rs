//! How long to wait before another try: full jitter, so that many pages that lost one server do not come back at once.

/// The bounds of the waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest first wait, in milliseconds. Each further failure doubles it.
    pub base: u64,
    /// The longest wait of all, in milliseconds.
    pub cap: u64,
}

impl Backoff {
    /// A wait in milliseconds after `failures` failures in a row: `random` (0 to 1) of min(cap, base · 2^(failures - 1)),
    /// and at least `floor`, which is what the server asked for.
    pub fn wait(self, failures: u32, random: f64, floor: u64) -> u64 {
        let doubled = self.base.saturating_mul(1u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX));
        let most = doubled.min(self.cap) as f64;
        // NaN and what lies outside 0 to 1 must not become a wait of zero for everybody, or an endless one.
        let part = if random.is_finite() { random.clamp(0.0, 1.0) } else { 1.0 };
        ((most * part) as u64).max(floor)
    }
}

/// What `Retry-After` asks for, in milliseconds. A date is not read: clocks differ. At most an hour.
pub fn retry_after(header: &str) -> Option<u64> {
    let seconds: u64 = header.trim().parse().ok()?;
    Some(seconds.min(3600) * 1000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff { base: 500, cap: 8000 };

    #[test]
    fn the_longest_wait_doubles_up_to_the_cap() {
        let longest: Vec<u64> = (1..=7).map(|failures| BACKOFF.wait(failures, 1.0, 0)).collect();
        assert_eq!(longest, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
        assert_eq!(BACKOFF.wait(u32::MAX, 1.0, 0), 8000);
        assert_eq!(BACKOFF.wait(0, 1.0, 0), 500);
    }

    #[test]
    fn chance_takes_any_part_of_it() {
        assert_eq!(BACKOFF.wait(3, 0.0, 0), 0);
        assert_eq!(BACKOFF.wait(3, 0.5, 0), 1000);
        assert_eq!(BACKOFF.wait(3, f64::NAN, 0), 2000);
    }

    #[test]
    fn what_the_server_asks_for_is_the_least() {
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
        fn never_below_the_floor_nor_above_cap_and_floor(
            failures in any::<u32>(), random in any::<f64>(), floor in 0u64..100_000,
        ) {
            let wait = BACKOFF.wait(failures, random, floor);
            prop_assert!(wait >= floor);
            prop_assert!(wait <= BACKOFF.cap.max(floor));
        }
    }
}
