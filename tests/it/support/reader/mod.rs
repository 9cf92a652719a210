//! A real client of the stream that owns its reconnect loop, as the page does: it reconnects with its cursor, polls in
//! between, and abandons silent connections. It trusts nothing: each frame must be the next one.

mod connection;
mod options;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use runtrail::model::sse::{SseEvent, SseParser};
use serde_json::Value;

use super::http::{self, Answer, Version};
use super::rng::Rng;
use connection::{Connection, StreamEvent};
pub use options::{CursorStyle, ReaderOptions};

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One run: `/runs/{id}/events`.
    One,
    /// Several runs over one connection: `/events?run=…`.
    Many {
        /// And the list of runs.
        list: bool,
    },
}

/// A reader's frames of a run.
#[derive(Clone, Debug, Default)]
pub struct RunFrames {
    /// The cursor it began with.
    pub first: u64,
    /// The frames after it, as the wire has them.
    pub frames: Vec<String>,
    /// The head that the run ended with.
    pub end: Option<u64>,
}

impl RunFrames {
    pub fn cursor(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    /// Takes the frame if it is the next. One that is here already must say the same.
    fn take(&mut self, seq: u64, text: String) -> Result<(), Failure> {
        if seq == self.cursor() + 1 {
            self.frames.push(text);
            return Ok(());
        }
        let known = seq.checked_sub(self.first + 1).and_then(|index| self.frames.get(usize::try_from(index).ok()?));
        match known {
            Some(known) if *known == text => Ok(()),
            Some(known) => wrong(format!("frame {seq} was {known}, now it is {text}")),
            None => wrong(format!("frame {seq} came at cursor {}", self.cursor())),
        }
    }
}

/// Why a connection is of no more use.
#[derive(Debug)]
pub enum Failure {
    /// A connection failed, as expected here.
    Lost(String),
    /// The server did what it must never do.
    Wrong(String),
}

fn lost<T>(why: impl std::fmt::Display) -> Result<T, Failure> {
    Err(Failure::Lost(why.to_string()))
}

fn wrong<T>(what: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Wrong(what.into()))
}

/// The stream was closed in order, though its runs have not ended.
const CLOSED: &str = "closed in order";

/// See the module's comment.
pub struct Reader {
    host: SocketAddr,
    via: SocketAddr,
    kind: Kind,
    habits: ReaderOptions,
    rng: Rng,
    /// Its frames, by run.
    pub held: BTreeMap<String, RunFrames>,
    /// The cursors in its first URL.
    told: BTreeMap<String, u64>,
    kept: Vec<Connection>,
    failures: u32,
    last_loss: String,
    /// Some stream has begun.
    attached: bool,
    /// The reconnection time of the last stream that was closed in order.
    retry: Option<u64>,
}

impl Reader {
    /// A reader of the server at `host`, through `via`, with a cursor for each run.
    pub fn new(
        host: SocketAddr,
        via: SocketAddr,
        kind: Kind,
        cursors: BTreeMap<String, u64>,
        habits: ReaderOptions,
        seed: u64,
    ) -> Self {
        let held = |(run, first): (&String, &u64)| (run.clone(), RunFrames { first: *first, ..RunFrames::default() });
        Self {
            host,
            via,
            kind,
            habits,
            rng: Rng::part(seed, 0x5eed),
            held: cursors.iter().map(held).collect(),
            told: cursors,
            kept: Vec::new(),
            failures: 0,
            last_loss: String::new(),
            attached: false,
            retry: None,
        }
    }

    /// How many connections it has lost.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Its frames of its one run.
    pub fn one(&self) -> &RunFrames {
        self.held.values().next().unwrap()
    }

    /// Reads until all its runs have ended, however often it must come back.
    ///
    /// # Errors
    /// The sentence says what the server must never do.
    pub async fn follow(&mut self) -> Result<(), String> {
        while self.held.values().any(|held| held.end.is_none()) {
            match self.stream().await {
                Ok(()) => {}
                Err(Failure::Wrong(what)) => return Err(what),
                Err(Failure::Lost(why)) => {
                    self.failures += 1;
                    self.last_loss = why;
                    if self.rng.one_in(self.habits.polls) {
                        match self.poll().await {
                            Err(Failure::Wrong(what)) => return Err(format!("a poll: {what}")),
                            Ok(()) | Err(Failure::Lost(_)) => {}
                        }
                    }
                    tokio::time::sleep(Duration::from_millis(self.rng.below(10))).await;
                }
            }
        }
        self.read_kept().await
    }

    /// Attaches, and reads that stream until the server closes it in order; when to come back.
    ///
    /// # Errors
    /// It ended in another way.
    pub async fn until_closed(&mut self) -> Result<u64, String> {
        loop {
            match self.stream().await {
                Err(Failure::Lost(why)) if why == CLOSED => {
                    return self.retry.ok_or_else(|| "it does not say when to come back".into());
                }
                // Many connect at the same moment; the system may reject one.
                Err(Failure::Lost(why)) if !self.attached => {
                    self.failures += 1;
                    self.last_loss = why;
                    tokio::time::sleep(Duration::from_millis(10 + self.rng.below(50))).await;
                }
                other => return Err(format!("{other:?}")),
            }
        }
    }

    /// Reads until all its runs have ended, by polls alone.
    ///
    /// # Errors
    /// As [`Self::follow`].
    pub async fn follow_by_polls(&mut self) -> Result<(), String> {
        while self.held.values().any(|held| held.end.is_none()) {
            if let Err(Failure::Wrong(what)) = self.poll().await {
                return Err(what);
            }
            tokio::time::sleep(Duration::from_millis(self.rng.below(10))).await;
        }
        Ok(())
    }

    /// Why the last connection was lost.
    pub fn last_loss(&self) -> &str {
        &self.last_loss
    }

    fn limit(&self) -> Duration {
        let (failures, limit) = self.habits.patience;
        if self.failures < failures { self.habits.watchdog } else { limit }
    }

    fn address(&self) -> (String, Option<String>) {
        if let Kind::Many { list } = self.kind {
            let open = self.held.iter().filter(|(_, held)| held.end.is_none());
            let runs = open.map(|(run, held)| format!("run={run}:{}&", held.cursor())).collect::<String>();
            return (format!("/events?{runs}list={}", u8::from(list)), None);
        }
        let (run, held) = self.held.iter().next().unwrap();
        let cursor = held.cursor();
        match self.habits.told {
            CursorStyle::Url => (format!("/runs/{run}/events?after={cursor}"), None),
            CursorStyle::Header => {
                let header = (cursor > 0).then(|| cursor.to_string());
                (format!("/runs/{run}/events?after={}", self.told[run]), header)
            }
        }
    }

    async fn get(&self, path: &str, id: Option<&str>) -> Result<Answer, Failure> {
        let ReaderOptions { version, gulp, .. } = self.habits;
        match tokio::time::timeout(self.limit(), http::get(self.via, self.host, path, id, version, gulp)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => lost(error),
            Err(_) => lost("no answer"),
        }
    }

    /// One connection, until it ends or is lost.
    async fn stream(&mut self) -> Result<(), Failure> {
        let (path, id) = self.address();
        let mut answer = self.get(&path, id.as_deref()).await?;
        match answer.status {
            200 => {}
            204 => {
                // Finished, and this reader has all of it.
                for held in self.held.values_mut().filter(|held| held.end.is_none()) {
                    held.end = Some(held.cursor());
                }
                return match answer.piece().await {
                    Ok(None) => Ok(()),
                    _ => wrong("204 has a body"),
                };
            }
            503 => return lost("503"),
            status => return wrong(format!("{path} with Last-Event-ID {id:?} is answered with {status}")),
        }
        let parser = SseParser::new(id.as_deref().unwrap_or_default());
        let open = self.held.iter().filter(|(_, held)| held.end.is_none());
        let cursors = open.map(|(run, held)| (run.clone(), held.cursor())).collect();
        let (waiting, ended, kind) = (VecDeque::new(), BTreeSet::new(), self.kind);
        let mut connection = Connection { answer, parser, waiting, kind, cursors, ready: false, ended, last: [0; 2] };
        loop {
            let Ok(heard) = tokio::time::timeout(self.limit(), connection.next()).await else {
                if self.habits.keeps {
                    self.kept.push(connection);
                }
                return lost("silence");
            };
            match heard? {
                StreamEvent::Alive => self.attached = true,
                StreamEvent::Frame { run, seq, text } => self.held.get_mut(&run).unwrap().take(seq, text)?,
                StreamEvent::End { run, head } => {
                    self.held.get_mut(&run).unwrap().end = Some(head);
                    // The list has no end.
                    if connection.over() && self.kind == (Kind::Many { list: true }) {
                        return Ok(());
                    }
                }
                StreamEvent::Closed if connection.over() => return Ok(()),
                StreamEvent::Closed => {
                    self.retry = connection.parser.retry();
                    return lost(CLOSED);
                }
            }
        }
    }

    /// The frames after the cursor, a page of them.
    async fn poll(&mut self) -> Result<(), Failure> {
        let (limit, page) = (self.limit(), self.habits.page);
        let open = self.held.iter().filter(|(_, held)| held.end.is_none());
        for run in open.map(|(run, _)| run.clone()).collect::<Vec<_>>() {
            let cursor = self.held[&run].cursor();
            let answer = self.get(&format!("/api/v1/runs/{run}/frames?after={cursor}&limit={page}"), None).await?;
            match answer.status {
                200 => {}
                503 => return lost("503"),
                status => return wrong(format!("answered with {status} at cursor {cursor}")),
            }
            let text = match tokio::time::timeout(limit, answer.text()).await {
                Ok(Ok(text)) => text,
                Ok(Err(error)) => return lost(error),
                Err(_) => return lost("half a poll"),
            };
            let Some(Page { frames, head, active }) = Page::read(&text) else {
                // Without a length in its header section, a truncated response looks complete.
                return if self.habits.version == Version::Http10 { lost("half a poll") } else { wrong(text) };
            };
            if (frames.len() as u64) < page.min(head - cursor) {
                return wrong(format!("{} frames after {cursor}, though the head is {head}", frames.len()));
            }
            let held = self.held.get_mut(&run).unwrap();
            for (seq, frame) in (cursor + 1..).zip(frames) {
                if !frame.starts_with(&format!("{{\"seq\":{seq},")) {
                    return wrong(format!("frame {seq} was due, not {frame}"));
                }
                held.take(seq, frame)?;
            }
            if !active && held.cursor() == head {
                held.end = Some(head);
            }
        }
        Ok(())
    }

    /// Events of abandoned connections that were never closed: late, but as they should be.
    async fn read_kept(&mut self) -> Result<(), String> {
        for mut connection in std::mem::take(&mut self.kept) {
            while let Ok(heard) = tokio::time::timeout(Duration::from_millis(20), connection.next()).await {
                let checked = match heard {
                    // Events after everything that this reader wanted are ignored.
                    Ok(StreamEvent::Frame { seq, ref run, .. }) if seq > self.held[run].cursor() => break,
                    Ok(StreamEvent::Frame { run, seq, text }) => self.held.get_mut(&run).unwrap().take(seq, text),
                    Ok(StreamEvent::Alive | StreamEvent::End { .. }) => Ok(()),
                    Ok(StreamEvent::Closed) | Err(Failure::Lost(_)) => break,
                    Err(wrong) => Err(wrong),
                };
                if let Err(Failure::Wrong(what)) = checked {
                    return Err(format!("late: {what}"));
                }
            }
        }
        Ok(())
    }
}

/// The answer to a poll, its frames as the text they came as.
pub struct Page {
    pub frames: Vec<String>,
    pub head: u64,
    pub active: bool,
}

impl Page {
    /// Reads an answer; `None` if it is none.
    pub fn read(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix("{\"frames\":[")?;
        let mut frames = Vec::new();
        while rest.starts_with('{') {
            let mut json = serde_json::Deserializer::from_str(rest).into_iter::<serde::de::IgnoredAny>();
            json.next()?.ok()?;
            let (frame, behind) = rest.split_at(json.byte_offset());
            frames.push(frame.to_owned());
            rest = behind.strip_prefix(',').unwrap_or(behind);
        }
        let about: Value = serde_json::from_str(&format!("{{{}", rest.strip_prefix("],")?)).ok()?;
        Some(Self { frames, head: about["head"].as_u64()?, active: about["active"].as_bool()? })
    }
}

/// The whole journal of a run up to `head`, by polls, as text.
pub async fn journal(host: SocketAddr, run: &str, head: u64) -> Vec<String> {
    let mut frames = Vec::new();
    while (frames.len() as u64) < head {
        let path = format!("/api/v1/runs/{run}/frames?after={}&limit=5000", frames.len());
        let answer = http::get(host, host, &path, None, Version::Http11, 16 * 1024).await.unwrap();
        let page = Page::read(&answer.text().await.unwrap()).unwrap();
        assert!(!page.frames.is_empty(), "the journal of {run} ends at {} though its head is {head}", frames.len());
        frames.extend(page.frames);
    }
    frames.truncate(usize::try_from(head).unwrap());
    for (frame, seq) in frames.iter().zip(1u64..) {
        assert!(frame.starts_with(&format!("{{\"seq\":{seq},")), "the journal is dense: {frame}");
    }
    frames
}
