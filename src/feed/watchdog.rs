//! Detects a silent source. Timers of hidden and sleeping pages are late, so a late check first waits for what arrived
//! meanwhile.

/// A check this late comes from a page that slept: events that arrived meanwhile may still be queued.
const LATE_CHECK_MS: u64 = 1000;
/// How long a page that slept waits for queued events.
const GRACE_MS: u64 = 1500;

/// When a source was heard last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Watchdog {
    heard_at: u64,
    grace_until: Option<u64>,
}

impl Watchdog {
    pub(super) const fn new(now: u64) -> Self {
        Self { heard_at: now, grace_until: None }
    }

    /// Whether nothing was heard for `limit_ms`, whether the page slept or not.
    pub(super) const fn is_silent(&self, limit_ms: u64, now: u64) -> bool {
        now >= self.heard_at + limit_ms
    }

    /// When [`Watchdog::is_expired`] should be checked next.
    pub(super) fn deadline(&self, limit_ms: u64) -> u64 {
        self.grace_until.unwrap_or(self.heard_at + limit_ms)
    }

    /// Whether the source counts as dead. The first late check only begins the grace period.
    pub(super) fn is_expired(&mut self, limit_ms: u64, now: u64) -> bool {
        if now < self.deadline(limit_ms) {
            return false;
        }
        if self.grace_until.is_none() && now > self.heard_at + limit_ms + LATE_CHECK_MS {
            self.grace_until = Some(now + GRACE_MS);
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watchdog_expires_at_the_limit() {
        let mut watchdog = Watchdog::new(10);
        assert!(!watchdog.is_expired(500, 509) && watchdog.deadline(500) == 510);
        assert!(watchdog.is_expired(500, 510));
    }

    #[test]
    fn watchdog_gives_a_late_check_one_grace_period() {
        let mut watchdog = Watchdog::new(0);
        let hour = 3_600_000;
        assert!(watchdog.is_silent(500, hour) && !watchdog.is_expired(500, hour));
        assert_eq!(watchdog.deadline(500), hour + GRACE_MS);
        assert!(!watchdog.is_expired(500, hour + GRACE_MS - 1));
        assert!(watchdog.is_expired(500, hour + GRACE_MS + LATE_CHECK_MS));
    }
}
