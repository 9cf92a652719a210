//! How many bytes of frames the leader relays. The channel has no backpressure, so other tabs poll for what exceeds the
//! budget.

/// The most bytes that are relayed at once.
const BURST_BYTES: f64 = 1_048_576.0;
/// The bytes that are relayed in the long run.
const BYTES_PER_SECOND: f64 = 524_288.0;

/// A token bucket of bytes.
#[derive(Clone, Copy, Debug)]
pub struct RelayBudget {
    available: f64,
    updated_at: u64,
}

impl Default for RelayBudget {
    fn default() -> Self {
        Self { available: BURST_BYTES, updated_at: 0 }
    }
}

impl RelayBudget {
    /// Takes so many bytes, or none of them if that is too much for now. `now` is in milliseconds.
    pub fn take(&mut self, bytes: usize, now: u64) -> bool {
        let refill = now.saturating_sub(self.updated_at) as f64 * BYTES_PER_SECOND / 1000.0;
        self.available = (self.available + refill).min(BURST_BYTES);
        self.updated_at = now;
        let fits = bytes as f64 <= self.available;
        if fits {
            self.available -= bytes as f64;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relay_budget_refuses_a_flood_and_refills() {
        let mut budget = RelayBudget::default();
        assert!(budget.take(1_000_000, 0) && !budget.take(100_000, 0) && budget.take(40_000, 0));
        assert!(budget.take(500_000, 1000));
        assert!(!budget.take(1_100_000, 1_000_000), "more than a burst never fits");
    }
}
