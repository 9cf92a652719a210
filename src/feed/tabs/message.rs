//! What tabs post on the channel between them, as text.

use serde::{Deserialize, Serialize};

use super::subscriptions::SubscriptionSet;
use crate::feed::alerts::RunAlert;
use crate::feed::event::{FeedBatch, FeedEvent};

/// A message with its sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The sending tab's id.
    pub from: String,
    /// How many messages the tab has posted, with this one. A receiver that sees a number skipped has missed something.
    pub count: u64,
    pub message: TabMessage,
}

/// What a tab says to the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TabMessage {
    /// This tab leads. The others answer with what they subscribe to now, cursors included.
    Lead,
    /// Is the leader there?
    Ask,
    /// The leader is here.
    Here,
    /// What the tab subscribes to from now on.
    Want {
        want: SubscriptionSet,
        /// Whether a subscription is not open yet: the leader answers for those that its stream carries.
        ask: bool,
    },
    /// What the leader's stream brings.
    Feed { events: FeedBatch },
    /// The leader's stream is lost, whatever it carried.
    Lost,
    /// A run that a hidden tab shows calls for the reader's attention.
    Alert { alert: RunAlert },
}

impl TabMessage {
    /// Whether only a leader posts this.
    pub const fn is_from_leader(&self) -> bool {
        !matches!(self, Self::Ask | Self::Want { .. } | Self::Alert { .. })
    }

    /// Whether the receiver may take the sender for its leader from now on, even if it followed another one.
    pub fn introduces_leader(&self) -> bool {
        match self {
            Self::Lead | Self::Here => true,
            Self::Feed { events } => events.iter().any(|(_, event)| matches!(event, FeedEvent::Opened { .. })),
            Self::Ask | Self::Want { .. } | Self::Lost | Self::Alert { .. } => false,
        }
    }
}

impl Envelope {
    /// The message as text: one line of JSON, then a line for each frame, so that frames are not escaped a second time.
    pub fn to_text(&self) -> String {
        // Serializing texts, numbers and maps with text keys does not fail.
        let mut text = serde_json::to_string(self).unwrap_or_default();
        if let TabMessage::Feed { events } = &self.message {
            for (_, event) in events {
                if let FeedEvent::Frames { frames } = event {
                    // The server's JSON has no line ends.
                    frames.iter().for_each(|frame| text.extend(["\n", frame]));
                }
            }
        }
        text
    }

    /// Reads [`Envelope::to_text`]. `None` for a message of another version of the page: such tabs poll.
    pub fn from_text(text: &str) -> Option<Self> {
        let (head, lines) = text.split_once('\n').unwrap_or((text, ""));
        let mut envelope: Self = serde_json::from_str(head).ok()?;
        if let TabMessage::Feed { events } = &mut envelope.message
            && let Some(FeedEvent::Frames { frames }) =
                events.iter_mut().map(|(_, event)| event).find(|event| matches!(event, FeedEvent::Frames { .. }))
        {
            frames.extend(lines.lines().map(str::to_owned));
        }
        Some(envelope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::alerts::AlertKind;
    use crate::feed::event::Topic;
    use crate::model::{RunId, Status};

    #[test]
    fn messages_roundtrip() {
        let run: RunId = "01939f1c-8f2a-7c3e-9d5b-0123456789ab".parse().unwrap();
        let want = SubscriptionSet { runs: [(run.clone(), 7)].into(), list: true };
        let alert = RunAlert {
            run: run.clone(),
            pipeline: "p".into(),
            attempt: 2,
            kind: AlertKind::Finished(Status::Failed),
            text: "a\nb".into(),
        };
        let topic = Topic::Run(run);
        let frames = vec![r#"{"seq":1,"data":{"line":"a\nb"}}"#.to_owned(), r#"{"seq":2}"#.to_owned()];
        let opened = FeedEvent::Opened { after: 3, head: 9, is_active: true };
        let messages = [
            TabMessage::Lead,
            TabMessage::Ask,
            TabMessage::Here,
            TabMessage::Want { want, ask: true },
            TabMessage::Lost,
            TabMessage::Alert { alert },
        ];
        let batches = [
            vec![],
            vec![(topic.clone(), opened.clone()), (Topic::List, opened)],
            vec![(topic.clone(), FeedEvent::Frames { frames })],
            vec![(topic.clone(), FeedEvent::Frames { frames: vec![] })],
            vec![(topic.clone(), FeedEvent::Gap { head: 9 })],
            vec![(topic.clone(), FeedEvent::Alive { head: 4 }), (Topic::List, FeedEvent::Alive { head: 0 })],
            vec![(topic, FeedEvent::Ended)],
            vec![(Topic::List, FeedEvent::Listed { run: "{\"id\":1}".to_owned() })],
        ];
        for message in messages.into_iter().chain(batches.map(|events| TabMessage::Feed { events })) {
            let envelope = Envelope { from: "me".to_owned(), count: 7, message };
            assert_eq!(Envelope::from_text(&envelope.to_text()), Some(envelope));
        }
    }

    #[test]
    fn foreign_messages_are_ignored() {
        for text in ["", "x", "{}", r#"{"from":"a","count":1,"message":"dance"}"#, r#"{"from":"a","message":"lead"}"#] {
            assert_eq!(Envelope::from_text(text), None, "{text}");
        }
    }
}
