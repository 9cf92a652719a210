//! How far a page's subscription is, and so which events it gets.

use super::event::FeedEvent;

/// The phase of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionPhase {
    Closed,
    /// Requested, and not carried by a stream yet, or no longer.
    Pending,
    /// A stream carries the topic.
    Open,
    /// The run ended. The page has not handled that yet.
    Ended,
}

impl SubscriptionPhase {
    /// Whether a stream should carry the topic.
    pub const fn is_requested(self) -> bool {
        matches!(self, Self::Pending | Self::Open)
    }

    /// The phase after this event, or `None` if the subscription does not get it.
    pub const fn after(self, event: &FeedEvent) -> Option<Self> {
        match (event, self) {
            (FeedEvent::Opened { .. }, Self::Pending | Self::Open) => Some(Self::Open),
            (FeedEvent::Lost, Self::Pending | Self::Open) => Some(Self::Pending),
            (FeedEvent::Ended, Self::Open) => Some(Self::Ended),
            (_, Self::Open) => Some(Self::Open),
            (_, Self::Closed | Self::Pending | Self::Ended) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SubscriptionPhase::{Closed, Ended, Open, Pending};
    use super::*;

    #[test]
    fn subscription_gets_events_only_while_it_is_open() {
        let opened = FeedEvent::Opened { after: 0, head: 0, is_active: true };
        let frames = FeedEvent::Frames { frames: vec![] };
        let cases = [
            (&opened, [None, Some(Open), Some(Open), None]),
            (&frames, [None, None, Some(Open), None]),
            (&FeedEvent::Ended, [None, None, Some(Ended), None]),
            (&FeedEvent::Lost, [None, Some(Pending), Some(Pending), None]),
        ];
        for (event, expected) in cases {
            assert_eq!([Closed, Pending, Open, Ended].map(|phase| phase.after(event)), expected, "{event:?}");
        }
    }
}
