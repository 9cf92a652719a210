//! What tabs tell each other over the browser's channel, as text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Want;
use crate::feed::alerts::RunAlert;
use crate::model::{RunId, Status};

/// A message, and who sent it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The tab's id.
    pub from: String,
    /// How many messages this tab has posted, with this one: who hears a later one next has missed something.
    pub count: u64,
    /// What it says.
    pub message: Message,
}

/// A run of the leader's stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The run.
    pub run: RunId,
    /// The next frame that comes is the one after this.
    pub after: u64,
    /// The last seq there is, as far as known.
    pub head: u64,
    /// Where the run stands, as far as known.
    pub status: Status,
}

/// What a tab says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// I lead from now on; say what you want.
    Lead,
    /// Is the leader there?
    Ask,
    /// The leader is here.
    Here,
    /// This is what I show from now on.
    Want {
        /// Which runs, and whether the list.
        want: Want,
        /// Something of it is not live yet.
        ask: bool,
    },
    /// The stream carries these.
    Ready {
        /// The runs.
        runs: Vec<Open>,
        /// Whether it tells of the list.
        list: bool,
    },
    /// The next frames of a run, as JSON. In the text they follow the message, a line each: they are not written twice.
    Frames {
        /// The run.
        run: RunId,
        /// The frames.
        #[serde(skip)]
        frames: Vec<String>,
    },
    /// A run has more frames than are told this way: fetch them.
    More {
        /// The run.
        run: RunId,
        /// The last seq there is.
        head: u64,
    },
    /// A run is finished and all of it was told.
    End {
        /// The run.
        run: RunId,
    },
    /// A run of the list, as JSON.
    List {
        /// The run as in the API.
        run: String,
    },
    /// The stream lives.
    Beat {
        /// The last seq of each run that it carries.
        heads: BTreeMap<RunId, u64>,
        /// Whether it tells of the list.
        list: bool,
    },
    /// Something happened to a run that this tab shows, and nobody looks at it.
    News {
        /// What.
        news: RunAlert,
    },
    /// The stream is away.
    Lost,
}

impl Message {
    /// Whether only a leader says this.
    pub const fn leads(&self) -> bool {
        !matches!(self, Self::Ask | Self::Want { .. } | Self::News { .. })
    }
}

impl Told {
    /// The message as text.
    pub fn write(&self) -> String {
        // Maps with text keys, numbers and texts: never refused.
        let mut text = serde_json::to_string(self).unwrap_or_default();
        if let Message::Frames { frames, .. } = &self.message {
            for frame in frames {
                // JSON as the server writes it holds no line ends.
                text.push('\n');
                text.push_str(frame);
            }
        }
        text
    }

    /// Reads [`Told::write`]'s text. `None` for that of another version of the page.
    pub fn read(text: &str) -> Option<Self> {
        let (head, rest) = text.split_once('\n').unwrap_or((text, ""));
        let mut told: Self = serde_json::from_str(head).ok()?;
        if let Message::Frames { frames, .. } = &mut told.message {
            frames.extend(rest.lines().map(str::to_owned));
        }
        Some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::alerts::AlertKind;

    #[test]
    fn what_is_written_reads_back() {
        let run: RunId = "01939f1c-8f2a-7c3e-9d5b-0123456789ab".parse().unwrap();
        let want = Want { runs: [(run.clone(), 7)].into(), list: true };
        let open = Open { run: run.clone(), after: 3, head: 9, status: Status::Running };
        let news = RunAlert {
            run: run.clone(),
            pipeline: "p".into(),
            attempt: 2,
            kind: AlertKind::Finished(Status::Failed),
            text: "a\nb".into(),
        };
        let frames = vec![r#"{"seq":1,"data":{"line":"a\nb"}}"#.to_owned(), r#"{"seq":2}"#.to_owned()];
        for message in [
            Message::Lead,
            Message::Ask,
            Message::Here,
            Message::Want { want, ask: true },
            Message::Ready { runs: vec![open], list: false },
            Message::Frames { run: run.clone(), frames },
            Message::Frames { run: run.clone(), frames: vec![] },
            Message::More { run: run.clone(), head: 9 },
            Message::Beat { heads: [(run.clone(), 4)].into(), list: true },
            Message::End { run },
            Message::List { run: "{\"id\":1}".to_owned() },
            Message::News { news },
            Message::Lost,
        ] {
            let told = Told { from: "me".to_owned(), count: 7, message };
            assert_eq!(Told::read(&told.write()), Some(told));
        }
    }

    #[test]
    fn what_is_none_of_ours_is_left_alone() {
        for text in ["", "x", "{}", r#"{"from":"a","count":1,"message":"dance"}"#, r#"{"from":"a","message":"lead"}"#] {
            assert_eq!(Told::read(text), None, "{text}");
        }
    }
}
