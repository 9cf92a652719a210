//! A real client of the stream that owns its reconnect loop, as the page does: it comes back by its cursor, polls in
//! between, and gives up what says nothing for a while. It believes nothing: each frame must be the next one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use runtrail::model::sse::{SseEvent, SseParser};
use serde_json::Value;

use super::http::{self, Answer, Version};
use super::rng::Rng;

/// How a reader goes about it.
#[derive(Clone, Debug)]
pub struct Habits {
    /// Silence after which a stream is given up. Bytes that end no event are silence.
    pub watchdog: Duration,
    /// A stream's limit once this many connections were given up; then nothing is in the way any more.
    pub patience: (u32, Duration),
    pub version: Version,
    /// How the cursor is told.
    pub told: Told,
    /// Polls once in so many failures.
    pub polls: u64,
    /// How many frames a poll asks for.
    pub page: u64,
    /// How many bytes are read at once.
    pub gulp: usize,
    /// Does not close what it gives up, but reads it later.
    pub keeps: bool,
}

/// How a reconnect tells the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// `?after=`, new each time.
    Url,
    /// `Last-Event-ID`, with the URL of the first time: what `EventSource` does.
    Header,
}

impl Habits {
    /// A reader without anything odd about it.
    pub fn plain() -> Self {
        Self {
            watchdog: Duration::from_secs(20),
            patience: (0, Duration::from_secs(20)),
            version: Version::Http11,
            told: Told::Url,
            polls: 2,
            page: 1000,
            gulp: 16 * 1024,
            keeps: false,
        }
    }

    /// Some reader, patient after so many failures.
    pub fn any(rng: &mut Rng, failures: u32) -> Self {
        Self {
            watchdog: Duration::from_millis(rng.between(150, 500)),
            patience: (failures, Duration::from_secs(20)),
            version: *rng.pick(&[Version::Http11, Version::Http11, Version::Http11, Version::Http10]),
            told: *rng.pick(&[Told::Url, Told::Header]),
            polls: rng.between(1, 5),
            page: *rng.pick(&[1, 7, 100, 1000, 5000]),
            gulp: usize::try_from(1 << rng.between(7, 14)).unwrap(),
            keeps: rng.one_in(3),
        }
    }
}

/// What a stream is of.
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

/// What a reader has of a run.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// The cursor it began with.
    pub first: u64,
    /// The frames after it, as the wire has them.
    pub frames: Vec<String>,
    /// The head that the run ended with.
    pub end: Option<u64>,
}

impl Held {
    pub fn cursor(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    /// Takes the frame if it is the next. One that is here already must say the same.
    fn take(&mut self, seq: u64, text: String) -> Result<(), Fail> {
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
pub enum Fail {
    /// What happens to connections.
    Lost(String),
    /// What must never happen.
    Wrong(String),
}

fn lost<T>(why: impl std::fmt::Display) -> Result<T, Fail> {
    Err(Fail::Lost(why.to_string()))
}

fn wrong<T>(what: impl Into<String>) -> Result<T, Fail> {
    Err(Fail::Wrong(what.into()))
}

/// The stream was closed in order, though its runs have not ended.
const CLOSED: &str = "closed in order";

/// What a stream said.
#[derive(Debug)]
enum Heard {
    Frame {
        run: String,
        seq: u64,
        text: String,
    },
    End {
        run: String,
        head: u64,
    },
    /// Something that only says that the stream lives.
    Alive,
    /// The server closes and says when to come back.
    Closed,
}

/// One connection, which checks what it carries by itself: after its cursor, each frame exactly once, in order.
struct Connection {
    answer: Answer,
    parser: SseParser,
    waiting: VecDeque<SseEvent>,
    kind: Kind,
    cursors: BTreeMap<String, u64>,
    ready: bool,
    /// The runs of which the end was told.
    ended: BTreeSet<String>,
    /// The last two bytes that came.
    last: [u8; 2],
}

impl Connection {
    /// What comes next. Cancel safe.
    async fn next(&mut self) -> Result<Heard, Fail> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return self.check(event);
            }
            match self.answer.piece().await {
                Ok(Some(piece)) => {
                    for byte in &piece {
                        self.last = [self.last[1], *byte];
                    }
                    self.waiting.extend(self.parser.push(&piece));
                }
                Ok(None) if self.answer.ends_visibly() && self.last != *b"\n\n" => {
                    return wrong("closed inside an event");
                }
                Ok(None) => return Ok(Heard::Closed),
                Err(error) => return lost(error),
            }
        }
    }

    /// Whether nothing more is to come.
    fn over(&self) -> bool {
        self.ended.len() == self.cursors.len()
    }

    fn check(&mut self, event: SseEvent) -> Result<Heard, Fail> {
        if !self.ready {
            self.ready = true;
            return if self.is_ready(&event) { Ok(Heard::Alive) } else { wrong(format!("it begins with {event:?}")) };
        }
        if event.event == "message" {
            return self.frame(event);
        }
        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        let of = |run: &str| match self.kind {
            Kind::One => data["head"].as_u64(),
            Kind::Many { .. } => data["heads"][run].as_u64(),
        };
        let list = self.kind == Kind::Many { list: true };
        match event.event.as_str() {
            // Of one run it tells how far the journal goes, of many how far the stream has come.
            "heartbeat" if self.kind == Kind::One && of("").is_some() => Ok(Heard::Alive),
            "heartbeat" if self.cursors.iter().all(|(run, cursor)| of(run) == Some(*cursor)) => Ok(Heard::Alive),
            "end" => {
                let run = match self.kind {
                    Kind::One => self.cursors.keys().next().cloned(),
                    Kind::Many { .. } => data["run"].as_str().map(str::to_owned),
                };
                let known = run.and_then(|run| Some((self.cursors.get(&run).copied()?, run)));
                match known {
                    Some((head, run)) if data["head"] == head && self.ended.insert(run.clone()) => {
                        Ok(Heard::End { run, head })
                    }
                    _ => wrong(format!("at {:?} it says {event:?}", self.cursors)),
                }
            }
            "list" if list && data["id"].is_string() => Ok(Heard::Alive),
            "problem" if data["retryable"] == true => lost(event.data),
            _ => wrong(format!("at {:?} it says {event:?}", self.cursors)),
        }
    }

    /// Whether this is the first event that there must be.
    fn is_ready(&self, event: &SseEvent) -> bool {
        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        let head = |run: &str| match self.kind {
            Kind::One => data["head"].as_u64(),
            Kind::Many { .. } => data["runs"].as_array()?.iter().find(|known| known["run"] == run)?["head"].as_u64(),
        };
        let id = match self.kind {
            Kind::One => self.cursors.values().next().unwrap().to_string(),
            Kind::Many { .. } => String::new(),
        };
        event.event == "ready"
            && event.last_event_id == id
            && self.cursors.iter().all(|(run, cursor)| head(run).is_some_and(|head| head >= *cursor))
    }

    /// A frame: the next one of its run, and none behind the end.
    fn frame(&mut self, event: SseEvent) -> Result<Heard, Fail> {
        let (run, seq) = match self.kind {
            Kind::One => (self.cursors.keys().next().unwrap().clone(), event.last_event_id.as_str()),
            Kind::Many { .. } => match event.last_event_id.split_once(':') {
                Some((run, seq)) => (run.to_owned(), seq),
                None => return wrong(format!("a frame of no run: {event:?}")),
            },
        };
        let Some(cursor) = self.cursors.get_mut(&run) else { return wrong(format!("nobody asked for {run}")) };
        let next = *cursor + 1;
        if seq != next.to_string() || self.ended.contains(&run) {
            return wrong(format!("frame {seq} of {run} came when {next} was due"));
        }
        // As the journal has it: without the run's name.
        let named = format!("{{\"run\":\"{run}\",");
        let text = match self.kind {
            Kind::One => Some(event.data),
            Kind::Many { .. } => event.data.strip_prefix(&named).map(|rest| format!("{{{rest}")),
        };
        match text {
            Some(text) if text.starts_with(&format!("{{\"seq\":{next},")) => {
                *cursor = next;
                Ok(Heard::Frame { run, seq: next, text })
            }
            text => wrong(format!("frame {next} of {run} names another: {text:?}")),
        }
    }
}

/// See the module's comment.
pub struct Reader {
    host: SocketAddr,
    via: SocketAddr,
    kind: Kind,
    habits: Habits,
    rng: Rng,
    /// What it has, by run.
    pub held: BTreeMap<String, Held>,
    /// The cursors its first URL told.
    told: BTreeMap<String, u64>,
    kept: Vec<Connection>,
    failures: u32,
    last_loss: String,
    /// Some stream has begun.
    attached: bool,
    /// When to come back, as the last stream said that was closed in order.
    retry: Option<u64>,
}

impl Reader {
    /// A reader of the server at `host`, through `via`, with a cursor for each run.
    pub fn new(
        host: SocketAddr,
        via: SocketAddr,
        kind: Kind,
        cursors: BTreeMap<String, u64>,
        habits: Habits,
        seed: u64,
    ) -> Self {
        let held = |(run, first): (&String, &u64)| (run.clone(), Held { first: *first, ..Held::default() });
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

    /// What it has of its one run.
    pub fn one(&self) -> &Held {
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
                Err(Fail::Wrong(what)) => return Err(what),
                Err(Fail::Lost(why)) => {
                    self.failures += 1;
                    self.last_loss = why;
                    if self.rng.one_in(self.habits.polls) {
                        match self.poll().await {
                            Err(Fail::Wrong(what)) => return Err(format!("a poll: {what}")),
                            Ok(()) | Err(Fail::Lost(_)) => {}
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
                Err(Fail::Lost(why)) if why == CLOSED => {
                    return self.retry.ok_or_else(|| "it does not say when to come back".into());
                }
                // Many connect at the same moment; the system may turn one away.
                Err(Fail::Lost(why)) if !self.attached => {
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
            if let Err(Fail::Wrong(what)) = self.poll().await {
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
            Told::Url => (format!("/runs/{run}/events?after={cursor}"), None),
            Told::Header => {
                let header = (cursor > 0).then(|| cursor.to_string());
                (format!("/runs/{run}/events?after={}", self.told[run]), header)
            }
        }
    }

    async fn get(&self, path: &str, id: Option<&str>) -> Result<Answer, Fail> {
        let Habits { version, gulp, .. } = self.habits;
        match tokio::time::timeout(self.limit(), http::get(self.via, self.host, path, id, version, gulp)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => lost(error),
            Err(_) => lost("no answer"),
        }
    }

    /// One connection, until it ends or is lost.
    async fn stream(&mut self) -> Result<(), Fail> {
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
                Heard::Alive => self.attached = true,
                Heard::Frame { run, seq, text } => self.held.get_mut(&run).unwrap().take(seq, text)?,
                Heard::End { run, head } => {
                    self.held.get_mut(&run).unwrap().end = Some(head);
                    // The list has no end.
                    if connection.over() && self.kind == (Kind::Many { list: true }) {
                        return Ok(());
                    }
                }
                Heard::Closed if connection.over() => return Ok(()),
                Heard::Closed => {
                    self.retry = connection.parser.retry();
                    return lost(CLOSED);
                }
            }
        }
    }

    /// The frames after the cursor, a page of them.
    async fn poll(&mut self) -> Result<(), Fail> {
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
                // Without a length in its head, an answer that was cut looks whole.
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

    /// What the connections say that were given up and never closed: late, but nothing else than they should.
    async fn read_kept(&mut self) -> Result<(), String> {
        for mut connection in std::mem::take(&mut self.kept) {
            while let Ok(heard) = tokio::time::timeout(Duration::from_millis(20), connection.next()).await {
                let checked = match heard {
                    // What came after this reader had all it wanted is none of its business.
                    Ok(Heard::Frame { seq, ref run, .. }) if seq > self.held[run].cursor() => break,
                    Ok(Heard::Frame { run, seq, text }) => self.held.get_mut(&run).unwrap().take(seq, text),
                    Ok(Heard::Alive | Heard::End { .. }) => Ok(()),
                    Ok(Heard::Closed) | Err(Fail::Lost(_)) => break,
                    Err(wrong) => Err(wrong),
                };
                if let Err(Fail::Wrong(what)) = checked {
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
