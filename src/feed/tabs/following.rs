//! Whom a tab follows that does not lead itself, and whether it has missed something of what was told.

use super::{Message, Told};

/// What becomes of a leader's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It is what comes next.
    Heed,
    /// It is the leader's, but messages before it were missed: a channel keeps nothing for a tab that sleeps.
    HeedAndAsk,
    /// It is not of the leader that this tab knows: either that one was frozen and does not know yet that it leads no longer,
    /// or this tab has missed that another one leads. It is not heeded; who leads answers to a question.
    Stray,
}

/// See the module's comment: the leader, and which of its messages came last.
#[derive(Clone, Debug, Default)]
pub struct Following(Option<(String, u64)>);

impl Following {
    /// Takes note of a message that only a leader posts.
    pub fn hear(&mut self, Told { from, count, message }: &Told) -> Word {
        let introduces = matches!(message, Message::Lead | Message::Here | Message::Ready { .. });
        let before = self.0.as_ref();
        if !introduces && before.is_some_and(|(leader, _)| leader != from) {
            return Word::Stray;
        }
        // A leader that begins is asked anyway.
        let begins = before.is_none() || *message == Message::Lead;
        let next = begins || before.is_some_and(|(leader, last)| leader == from && *count == last + 1);
        self.0 = Some((from.clone(), *count));
        if next { Word::Heed } else { Word::HeedAndAsk }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(from: &str, count: u64, message: Message) -> Told {
        Told { from: from.to_owned(), count, message }
    }

    fn ready() -> Message {
        Message::Ready { runs: vec![], list: true }
    }

    #[test]
    fn counts_the_messages_of_the_leader() {
        let mut following = Following::default();
        assert_eq!(following.hear(&told("a", 7, Message::Lost)), Word::Heed, "the first that is heard at all");
        assert_eq!(following.hear(&told("a", 8, ready())), Word::Heed);
        assert_eq!(following.hear(&told("a", 10, Message::Here)), Word::HeedAndAsk);
        assert_eq!(following.hear(&told("a", 11, Message::Lost)), Word::Heed);
    }

    #[test]
    fn another_one_leads_when_it_says_so() {
        let mut following = Following::default();
        following.hear(&told("a", 1, Message::Lead));
        assert_eq!(following.hear(&told("b", 5, Message::Lead)), Word::Heed);
        assert_eq!(following.hear(&told("a", 2, Message::Lost)), Word::Stray, "it was frozen");
        assert_eq!(following.hear(&told("b", 6, Message::Lost)), Word::Heed, "and has changed nothing");
    }

    #[test]
    fn who_missed_that_another_one_leads_asks_and_learns_it() {
        let mut following = Following::default();
        following.hear(&told("a", 1, Message::Lead));
        assert_eq!(following.hear(&told("b", 6, Message::Lost)), Word::Stray);
        assert_eq!(following.hear(&told("b", 7, ready())), Word::HeedAndAsk);
        assert_eq!(following.hear(&told("b", 8, Message::Lost)), Word::Heed);
    }
}
