//! One stream, checked as it is read.

use super::*;

/// An event of a stream.
#[derive(Debug)]
pub(super) enum StreamEvent {
    Frame {
        run: String,
        seq: u64,
        text: String,
    },
    End {
        run: String,
        head: u64,
    },
    /// A sign of life.
    Alive,
    /// The server closes and names a reconnection time.
    Closed,
}

/// One connection, which checks its own events: after its cursor, each frame exactly once, in order.
pub(super) struct Connection {
    pub(super) answer: Answer,
    pub(super) parser: SseParser,
    pub(super) waiting: VecDeque<SseEvent>,
    pub(super) kind: Kind,
    pub(super) cursors: BTreeMap<String, u64>,
    pub(super) ready: bool,
    /// The runs whose end was received.
    pub(super) ended: BTreeSet<String>,
    /// The last two bytes that came.
    pub(super) last: [u8; 2],
}

impl Connection {
    /// The next event. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<StreamEvent, Failure> {
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
                Ok(None) => return Ok(StreamEvent::Closed),
                Err(error) => return lost(error),
            }
        }
    }

    /// Whether all runs have ended.
    pub(super) fn over(&self) -> bool {
        self.ended.len() == self.cursors.len()
    }

    fn check(&mut self, event: SseEvent) -> Result<StreamEvent, Failure> {
        if !self.ready {
            self.ready = true;
            return if self.is_ready(&event) {
                Ok(StreamEvent::Alive)
            } else {
                wrong(format!("it begins with {event:?}"))
            };
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
            // For one run the head of the journal, for several the cursor of the stream.
            "heartbeat" if self.kind == Kind::One && of("").is_some() => Ok(StreamEvent::Alive),
            "heartbeat" if self.cursors.iter().all(|(run, cursor)| of(run) == Some(*cursor)) => Ok(StreamEvent::Alive),
            "end" => {
                let run = match self.kind {
                    Kind::One => self.cursors.keys().next().cloned(),
                    Kind::Many { .. } => data["run"].as_str().map(str::to_owned),
                };
                let known = run.and_then(|run| Some((self.cursors.get(&run).copied()?, run)));
                match known {
                    Some((head, run)) if data["head"] == head && self.ended.insert(run.clone()) => {
                        Ok(StreamEvent::End { run, head })
                    }
                    _ => wrong(format!("at {:?} it says {event:?}", self.cursors)),
                }
            }
            "list" if list && data["id"].is_string() => Ok(StreamEvent::Alive),
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
    fn frame(&mut self, event: SseEvent) -> Result<StreamEvent, Failure> {
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
        // The frame as in the journal: without the run's name.
        let named = format!("{{\"run\":\"{run}\",");
        let text = match self.kind {
            Kind::One => Some(event.data),
            Kind::Many { .. } => event.data.strip_prefix(&named).map(|rest| format!("{{{rest}")),
        };
        match text {
            Some(text) if text.starts_with(&format!("{{\"seq\":{next},")) => {
                *cursor = next;
                Ok(StreamEvent::Frame { run, seq: next, text })
            }
            text => wrong(format!("frame {next} of {run} names another: {text:?}")),
        }
    }
}
