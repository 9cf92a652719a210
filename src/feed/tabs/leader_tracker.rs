//! Which tab a follower takes for its leader, and whether it missed one of that leader's messages.

use super::message::{Envelope, TabMessage};

/// What a follower does with a leader's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// It is the next one: handle it.
    InOrder,
    /// Messages before it were missed (a channel keeps nothing for a tab that sleeps): handle it, and ask where the
    /// topics are now.
    AfterGap,
    /// It is from a tab other than the known leader: ignore it, and ask. Either that tab was frozen and has not noticed
    /// that it lost the lock, or this one has missed a change of leaders. The leader answers.
    ForeignLeader,
}

/// The known leader's id, and the number of its last message.
#[derive(Clone, Debug, Default)]
pub struct LeaderTracker(Option<(String, u64)>);

impl LeaderTracker {
    /// Judges a message that only leaders post.
    pub fn accept(&mut self, Envelope { from, count, message }: &Envelope) -> Accept {
        let known = self.0.as_ref();
        if !message.introduces_leader() && known.is_some_and(|(leader, _)| leader != from) {
            return Accept::ForeignLeader;
        }
        // `Lead` is answered with all subscriptions anyway, so nothing before it matters.
        let is_first = known.is_none() || *message == TabMessage::Lead;
        let is_next = is_first || known.is_some_and(|(leader, last)| leader == from && *count == last + 1);
        self.0 = Some((from.clone(), *count));
        if is_next { Accept::InOrder } else { Accept::AfterGap }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::event::{FeedEvent, Topic};

    fn envelope(from: &str, count: u64, message: TabMessage) -> Envelope {
        Envelope { from: from.to_owned(), count, message }
    }

    fn opened() -> TabMessage {
        TabMessage::Feed { events: vec![(Topic::List, FeedEvent::Opened { after: 0, head: 0, is_active: true })] }
    }

    #[test]
    fn tracker_notices_missed_messages() {
        let mut tracker = LeaderTracker::default();
        let first = tracker.accept(&envelope("a", 7, TabMessage::Lost));
        assert_eq!(first, Accept::InOrder, "the first message ever");
        assert_eq!(tracker.accept(&envelope("a", 8, opened())), Accept::InOrder);
        assert_eq!(tracker.accept(&envelope("a", 10, TabMessage::Here)), Accept::AfterGap);
        assert_eq!(tracker.accept(&envelope("a", 11, TabMessage::Lost)), Accept::InOrder);
    }

    #[test]
    fn tracker_follows_a_new_leader_that_says_so() {
        let mut tracker = LeaderTracker::default();
        tracker.accept(&envelope("a", 1, TabMessage::Lead));
        assert_eq!(tracker.accept(&envelope("b", 5, TabMessage::Lead)), Accept::InOrder);
        assert_eq!(tracker.accept(&envelope("a", 2, TabMessage::Lost)), Accept::ForeignLeader, "it was frozen");
        assert_eq!(tracker.accept(&envelope("b", 6, TabMessage::Lost)), Accept::InOrder, "that changed nothing");
    }

    #[test]
    fn tracker_learns_of_a_missed_leader_by_its_answer() {
        let mut tracker = LeaderTracker::default();
        tracker.accept(&envelope("a", 1, TabMessage::Lead));
        assert_eq!(tracker.accept(&envelope("b", 6, TabMessage::Lost)), Accept::ForeignLeader);
        assert_eq!(tracker.accept(&envelope("b", 7, opened())), Accept::AfterGap);
        assert_eq!(tracker.accept(&envelope("b", 8, TabMessage::Lost)), Accept::InOrder);
    }
}
