//! Who holds a supervisor, and when it gives up waiting for the next server. Pure: times are durations since its start.

use std::time::Duration;

/// How often a waiting supervisor checks that its socket can still be found.
pub const SOCKET_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The custody of a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Custody {
    /// A server is connected.
    Held,
    /// The next server may come until then.
    Waiting { until: Duration },
    /// Nobody wants the command any more.
    Abandoned,
}

/// Why a server's connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// The server has said that it does not need the command any more.
    Dismissed,
    /// The connection was closed, however the server ended.
    Closed,
}

impl Custody {
    /// The custody after the server has gone. `handover` is the time to wait for the next one; 0 for none.
    #[must_use]
    pub fn parted(self, parting: Parting, now: Duration, handover: Duration) -> Self {
        match (self, parting) {
            (Self::Abandoned, _) | (_, Parting::Dismissed) => Self::Abandoned,
            (_, Parting::Closed) if handover.is_zero() => Self::Abandoned,
            (_, Parting::Closed) => Self::Waiting { until: now.saturating_add(handover) },
        }
    }

    /// The custody after a server was accepted. `None` if it comes too late.
    #[must_use]
    pub fn adopted(self) -> Option<Self> {
        (self != Self::Abandoned).then_some(Self::Held)
    }

    /// The custody at this time. `is_reachable`: whether a server could find the socket.
    #[must_use]
    pub fn checked(self, now: Duration, is_reachable: bool) -> Self {
        match self {
            Self::Waiting { until } if now >= until || !is_reachable => Self::Abandoned,
            custody => custody,
        }
    }

    /// When to check again.
    pub fn next_check(self, now: Duration) -> Option<Duration> {
        match self {
            Self::Waiting { until } => Some(until.min(now + SOCKET_CHECK_INTERVAL)),
            Self::Held | Self::Abandoned => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn custody_waits_for_the_next_server() {
        let waiting = Custody::Held.parted(Parting::Closed, MINUTE, MINUTE);
        assert_eq!(waiting, Custody::Waiting { until: 2 * MINUTE });
        assert_eq!(waiting.next_check(MINUTE), Some(MINUTE + SOCKET_CHECK_INTERVAL));
        assert_eq!(waiting.checked(2 * MINUTE - SOCKET_CHECK_INTERVAL, true), waiting);
        assert_eq!(waiting.adopted(), Some(Custody::Held));
        assert_eq!(waiting.checked(2 * MINUTE, true), Custody::Abandoned);
        assert_eq!(waiting.checked(MINUTE, false), Custody::Abandoned);
        assert_eq!(Custody::Abandoned.adopted(), None);
    }

    #[test]
    fn custody_without_handover_ends_with_the_server() {
        assert_eq!(Custody::Held.parted(Parting::Closed, MINUTE, Duration::ZERO), Custody::Abandoned);
        assert_eq!(Custody::Held.parted(Parting::Dismissed, MINUTE, MINUTE), Custody::Abandoned);
        assert_eq!(Custody::Held.checked(MINUTE, false), Custody::Held);
    }

    proptest! {
        /// Nothing brings an abandoned command back, and no supervisor waits longer than it may.
        #[test]
        fn custody_ends(steps in prop::collection::vec((0..4u8, 0..50u64), 0..60), handover in 0..100u64) {
            let (mut custody, mut now) = (Custody::Held, Duration::ZERO);
            let (handover, mut waiting_since) = (Duration::from_secs(handover), None);
            for (step, seconds) in steps {
                now += Duration::from_secs(seconds);
                let before = custody;
                custody = match step {
                    0 => custody.parted(Parting::Closed, now, handover),
                    1 => custody.adopted().unwrap_or(custody),
                    2 => custody.checked(now, true),
                    _ if before == Custody::Held => custody,
                    _ => custody.checked(now, true),
                };
                prop_assert!(before != Custody::Abandoned || custody == Custody::Abandoned);
                match custody {
                    Custody::Waiting { .. } if step == 0 => waiting_since = Some(now),
                    Custody::Waiting { .. } => {
                        let since = waiting_since.unwrap();
                        prop_assert!(step == 1 || now < since + handover);
                    }
                    Custody::Held | Custody::Abandoned => waiting_since = None,
                }
            }
        }
    }
}
