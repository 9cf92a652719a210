//! When a lease is renewed, and when an attempt has to stop because it may have expired. Pure: times are durations
//! since the claim.
//!
//! Where several servers share the database, another server may claim a run whose lease has expired, so an attempt that
//! could not renew in time stops. Where one server has the database to itself, only a refusal ends the lease: neither
//! an outage of hours nor a suspended machine does.

use std::time::Duration;

/// The term of one claim's lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeaseTerm {
    lease: Duration,
    /// Until when the lease is known to be valid. `None` if it cannot expire.
    valid_until: Option<Duration>,
}

/// The result of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    Renewed,
    /// The database was not available this time.
    Unavailable,
    /// The claim is no longer in force.
    Refused,
    /// There was no result before the lease expired.
    TimedOut,
}

impl LeaseTerm {
    /// A lease that begins now. With an exclusive database it cannot expire.
    pub(super) fn new(lease: Duration, is_exclusive: bool) -> Self {
        Self { lease, valid_until: (!is_exclusive).then_some(lease) }
    }

    /// How long to wait between renewals.
    pub(super) fn renewal_interval(&self) -> Duration {
        self.lease / 3
    }

    /// When to give up a renewal that starts now. `None`: never.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.valid_until
    }

    /// Records the result of a renewal requested at `requested_at`. Returns whether the attempt still holds the lease.
    pub(super) fn record(&mut self, renewal: Renewal, requested_at: Duration, now: Duration) -> bool {
        match (renewal, &mut self.valid_until) {
            (Renewal::Refused, _) => false,
            (_, None) => true,
            (Renewal::Renewed, Some(until)) => {
                *until = requested_at + self.lease;
                true
            }
            (Renewal::Unavailable, Some(until)) => now < *until,
            (Renewal::TimedOut, Some(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn renewals() -> impl Strategy<Value = Vec<(Renewal, u64, u64)>> {
        let renewal = prop_oneof![
            3 => Just(Renewal::Renewed),
            2 => Just(Renewal::Unavailable),
            1 => Just(Renewal::Refused),
            1 => Just(Renewal::TimedOut),
        ];
        prop::collection::vec((renewal, 0..20_000u64, 0..20_000u64), 1..40)
    }

    proptest! {
        #[test]
        fn exclusive_lease_ends_only_by_refusal(renewals in renewals(), lease in 1..30_000u64) {
            let mut term = LeaseTerm::new(Duration::from_millis(lease), true);
            let mut now = Duration::ZERO;
            for (renewal, pause, takes) in renewals {
                let requested_at = now + Duration::from_millis(pause);
                now = requested_at + Duration::from_millis(takes);
                prop_assert_eq!(term.deadline(), None);
                prop_assert_eq!(term.record(renewal, requested_at, now), renewal != Renewal::Refused);
            }
        }

        /// A lease is valid for its duration after the last renewal was requested, not after it was confirmed.
        #[test]
        fn shared_lease_is_not_outlived(renewals in renewals(), lease in 1..30_000u64) {
            let lease = Duration::from_millis(lease);
            let mut term = LeaseTerm::new(lease, false);
            let (mut now, mut until) = (Duration::ZERO, lease);
            for (renewal, pause, takes) in renewals {
                let requested_at = now + Duration::from_millis(pause);
                now = requested_at + Duration::from_millis(takes);
                prop_assert_eq!(term.deadline(), Some(until));
                // The lease keeper reports a renewal that takes longer than the deadline as timed out.
                let renewal = if now >= until && renewal == Renewal::Renewed { Renewal::TimedOut } else { renewal };
                let is_held = term.record(renewal, requested_at, now);
                match renewal {
                    Renewal::Renewed => until = requested_at + lease,
                    Renewal::Unavailable => prop_assert_eq!(is_held, now < until),
                    Renewal::Refused | Renewal::TimedOut => prop_assert!(!is_held),
                }
                if !is_held {
                    break;
                }
                prop_assert!(now < until || requested_at + lease == until);
            }
        }
    }
}
