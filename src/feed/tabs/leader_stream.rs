//! The browser's one stream, as the leader tab keeps it: what it carries and how far, when it counts as dead, and when
//! it is opened again. This is the only machine that reconnects; pages stay subscribed and poll meanwhile.
//!
//! Pure: `S` is the open connection, dropped to close it. Times are in milliseconds of a steady clock.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::stream_signal::{StreamOutput, StreamSignal};
use super::subscriptions::SubscriptionSet;
use crate::feed::event::{FeedBatch, FeedEvent, Topic};
use crate::feed::watchdog::Watchdog;
use crate::model::backoff::Backoff;
use crate::model::sse::{SseEvent, StreamPosition};
use crate::model::{ProblemCode, RunId, Status};

/// The waits before a lost stream is opened again.
const BACKOFF: Backoff = Backoff { base_ms: 500, cap_ms: 8000 };
/// A stream that lived this long was a good one: the next failure counts as the first.
const STABLE_AFTER_MS: u64 = 5000;
/// A stream without a first event for this long is given up: something on the way holds it back.
const OPEN_TIMEOUT_MS: u64 = 10_000;
/// A new subscription waits this long for others, so that one stream is opened for all.
const GATHER_MS: u64 = 30;
/// A stream that carries more than is subscribed to is replaced after this.
const SHRINK_AFTER_MS: u64 = 500;
/// Other tabs have this long to answer with their cursors before a lost stream is opened again.
const CURSOR_WAIT_MS: u64 = 2 * GATHER_MS;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamStep {
    Wait,
    /// Ask the other tabs for their cursors: polls have moved them while the stream was lost.
    AskCursors,
    /// Open a stream for what all tabs subscribe to.
    Open,
    /// The stream was silent for too long: drop it ([`LeaderStream::lose`]).
    GiveUp,
}

/// A run that the stream carries.
#[derive(Clone, Copy, Debug)]
struct CarriedRun {
    head: u64,
    /// As of the stream's first event.
    status: Status,
}

/// See the module's comment.
#[derive(Debug)]
pub struct LeaderStream<S> {
    stream: Option<S>,
    /// Counts streams, so that late signals of a closed one are recognized.
    number: u64,
    /// The runs that were requested, without those that have ended since.
    carried: BTreeMap<RunId, CarriedRun>,
    carries_list: bool,
    /// When the first event arrived.
    ready_at: Option<u64>,
    watchdog: Watchdog,
    /// When subscriptions were told last that the stream is alive.
    alive_at: u64,
    /// The last seq delivered of each run, also by streams before this one.
    delivered: BTreeMap<RunId, u64>,
    /// When the next stream is opened, if one is planned.
    open_at: Option<u64>,
    /// The stream was lost, so the cursors of other tabs are outdated.
    needs_cursors: bool,
    /// Streams lost in a row.
    failures: u32,
    /// The backoff's end.
    reconnect_at: u64,
    /// The end of what the server asked for, which nothing shortens.
    reconnect_not_before: u64,
}

impl<S> Default for LeaderStream<S> {
    fn default() -> Self {
        Self {
            stream: None,
            number: 0,
            carried: BTreeMap::new(),
            carries_list: false,
            ready_at: None,
            watchdog: Watchdog::new(0),
            alive_at: 0,
            delivered: BTreeMap::new(),
            open_at: None,
            needs_cursors: false,
            failures: 0,
            reconnect_at: 0,
            reconnect_not_before: 0,
        }
    }
}

#[derive(Deserialize)]
struct ReadyData {
    runs: Vec<StreamPosition>,
}

#[derive(Deserialize)]
struct HeartbeatData {
    heads: BTreeMap<RunId, u64>,
}

#[derive(Deserialize)]
struct EndData {
    run: RunId,
}

#[derive(Deserialize)]
struct ProblemData {
    code: ProblemCode,
    /// Set if the problem is one run's alone: it was deleted.
    run: Option<RunId>,
}

impl<S> LeaderStream<S> {
    /// Whether the first event has arrived.
    pub const fn is_ready(&self) -> bool {
        self.ready_at.is_some()
    }

    /// What it carries, each run with the last seq delivered.
    pub fn carried(&self) -> SubscriptionSet {
        let runs = self.carried.keys().map(|run| (run.clone(), self.delivered_up_to(run))).collect();
        SubscriptionSet { runs, list: self.carries_list }
    }

    /// The last seq that was delivered of a run.
    pub fn delivered_up_to(&self, run: &RunId) -> u64 {
        self.delivered.get(run).copied().unwrap_or(0)
    }

    /// [`FeedEvent::Opened`] for those of these runs that it carries, and for the list.
    pub fn opened(&self, subscriptions: &SubscriptionSet) -> FeedBatch {
        let run = |run: &RunId| {
            let CarriedRun { head, status } = *self.carried.get(run)?;
            let after = self.delivered_up_to(run);
            let opened = FeedEvent::Opened { after, head: head.max(after), is_active: status.is_active() };
            Some((Topic::Run(run.clone()), opened))
        };
        let list = (Topic::List, FeedEvent::Opened { after: 0, head: 0, is_active: true });
        subscriptions.runs.keys().filter_map(run).chain(self.carries_list.then_some(list)).collect()
    }

    /// Plans what is needed so that the stream carries `all`. Closes it if that is nothing.
    pub fn request(&mut self, all: &SubscriptionSet, now: u64) {
        let carried = self.carried();
        let wait_ms = match (self.stream.is_some(), all.is_empty()) {
            (true, true) => return self.close(),
            (true, false) if !carried.covers(all) => GATHER_MS,
            (true, false) if !all.covers(&carried) => SHRINK_AFTER_MS,
            (true, false) | (false, true) => return self.open_at = None,
            (false, false) => GATHER_MS.max(self.reconnect_at.saturating_sub(now)),
        };
        let at = now + wait_ms;
        self.open_at = Some(self.open_at.map_or(at, |planned| planned.min(at)));
    }

    /// When [`LeaderStream::next_step`] is due.
    pub fn deadline(&self, max_silence_ms: u64) -> Option<u64> {
        let dead_at = self.stream.is_some().then(|| self.watchdog.deadline(self.silence_limit(max_silence_ms)));
        dead_at.into_iter().chain(self.open_at).min()
    }

    /// What is due now. Browsers hold timers of hidden tabs back, so those do not gather.
    pub fn next_step(&mut self, max_silence_ms: u64, is_visible: bool, now: u64) -> StreamStep {
        let limit = self.silence_limit(max_silence_ms);
        if self.stream.is_some() && self.watchdog.is_expired(limit, now) {
            return StreamStep::GiveUp;
        }
        let gather_ms = if is_visible { 0 } else { GATHER_MS };
        if self.open_at.is_none_or(|at| now + gather_ms < at) {
            return StreamStep::Wait;
        }
        if std::mem::take(&mut self.needs_cursors) {
            self.open_at = Some(now + CURSOR_WAIT_MS);
            return StreamStep::AskCursors;
        }
        self.open_at = None;
        StreamStep::Open
    }

    const fn silence_limit(&self, max_silence_ms: u64) -> u64 {
        if self.is_ready() { max_silence_ms } else { OPEN_TIMEOUT_MS }
    }

    /// The number of the next stream, and what to request: each run after what was delivered already, if that is
    /// further.
    pub fn next_request(&mut self, mut all: SubscriptionSet) -> (u64, SubscriptionSet) {
        self.number += 1;
        for (run, cursor) in &mut all.runs {
            *cursor = self.delivered_up_to(run).max(*cursor);
        }
        (self.number, all)
    }

    /// Takes the requested stream in place of the one before.
    pub fn replace(&mut self, requested: &SubscriptionSet, stream: S, now: u64) {
        self.delivered = requested.runs.clone();
        let carried = |(run, &head): (&RunId, &u64)| (run.clone(), CarriedRun { head, status: Status::Pending });
        self.carried = requested.runs.iter().map(carried).collect();
        self.carries_list = requested.list;
        self.ready_at = None;
        self.watchdog = Watchdog::new(now);
        self.open_at = None;
        self.needs_cursors = false;
        self.stream = Some(stream);
    }

    /// Handles a signal of the stream with this number. Frames are delivered one run at a time, and before whatever
    /// came after them.
    pub fn on_signal(
        &mut self,
        number: u64,
        signal: StreamSignal,
        heartbeat_ms: u64,
        now: u64,
        random: f64,
    ) -> Vec<StreamOutput> {
        if number != self.number {
            return Vec::new();
        }
        match signal {
            StreamSignal::Events(events) => self.on_events(events, heartbeat_ms, now, random),
            StreamSignal::Complete => self.complete(),
            StreamSignal::Refused { status: 401, .. } => vec![StreamOutput::LoginExpired],
            StreamSignal::Refused { status, retry_after_ms } => {
                self.lose(retry_after_ms, now, random);
                vec![StreamOutput::Lost { is_rejected: matches!(status, 404 | 409) }]
            }
            // A stream that has nothing more to carry is closed by the server.
            StreamSignal::Closed if self.carried().is_empty() => {
                self.close();
                Vec::new()
            }
            StreamSignal::Closed => {
                self.lose(0, now, random);
                vec![StreamOutput::Lost { is_rejected: false }]
            }
        }
    }

    fn on_events(&mut self, events: Vec<SseEvent>, heartbeat_ms: u64, now: u64, random: f64) -> Vec<StreamOutput> {
        let number = self.number;
        let mut outputs = Vec::new();
        let mut frames = BTreeMap::new();
        for event in events {
            if event.event == "message" {
                self.take_frame(event, &mut frames);
                continue;
            }
            deliver_frames(&mut frames, &mut outputs);
            outputs.extend(self.on_event(event, now, random));
            if number != self.number {
                return outputs;
            }
        }
        deliver_frames(&mut frames, &mut outputs);
        self.watchdog = Watchdog::new(now);
        // The server sends no heartbeat while any run has frames, so quiet runs learn from here that the stream is
        // alive.
        if self.is_ready() && now >= self.alive_at + heartbeat_ms {
            let heads = self.carried().runs;
            outputs.push(self.alive(heads, now));
        }
        outputs
    }

    /// Its id names the run and the seq.
    fn take_frame(&mut self, event: SseEvent, frames: &mut BTreeMap<RunId, Vec<String>>) {
        let Some((run, seq)) = event.last_event_id.rsplit_once(':') else { return };
        let (Ok(run), Ok(seq)) = (run.parse::<RunId>(), seq.parse::<u64>()) else { return };
        if let Some(delivered) = self.delivered.get_mut(&run) {
            *delivered = seq;
        }
        frames.entry(run).or_default().push(event.data);
    }

    /// Handles an event other than a frame. Those that this version does not know are ignored.
    fn on_event(&mut self, event: SseEvent, now: u64, random: f64) -> Option<StreamOutput> {
        let data = &event.data;
        match event.event.as_str() {
            "ready" => {
                let ReadyData { runs } = serde_json::from_str(data).ok()?;
                Some(self.on_ready(runs, now))
            }
            "heartbeat" => {
                let HeartbeatData { heads } = serde_json::from_str(data).ok()?;
                Some(self.alive(heads, now))
            }
            "end" => {
                let EndData { run } = serde_json::from_str(data).ok()?;
                Some(self.end(run))
            }
            "list" => Some(StreamOutput::Deliver(vec![(Topic::List, FeedEvent::Listed { run: event.data })])),
            "problem" => match serde_json::from_str(data).ok()? {
                // The run's page polls once more and learns why.
                ProblemData { run: Some(run), .. } => Some(self.end(run)),
                ProblemData { run: None, code: ProblemCode::Unauthorized } => Some(StreamOutput::LoginExpired),
                ProblemData { run: None, .. } => {
                    self.lose(0, now, random);
                    Some(StreamOutput::Lost { is_rejected: false })
                }
            },
            _ => None,
        }
    }

    fn on_ready(&mut self, runs: Vec<StreamPosition>, now: u64) -> StreamOutput {
        self.ready_at = Some(now);
        self.alive_at = now;
        for StreamPosition { run, head, status, .. } in runs {
            if let Some(carried) = self.carried.get_mut(&run) {
                *carried = CarriedRun { head, status };
            }
        }
        StreamOutput::Deliver(self.opened(&self.carried()))
    }

    fn alive(&mut self, heads: BTreeMap<RunId, u64>, now: u64) -> StreamOutput {
        self.alive_at = now;
        let runs = heads.into_iter().map(|(run, head)| (Topic::Run(run), FeedEvent::Alive { head }));
        let list = self.carries_list.then_some((Topic::List, FeedEvent::Alive { head: 0 }));
        StreamOutput::Deliver(runs.chain(list).collect())
    }

    fn end(&mut self, run: RunId) -> StreamOutput {
        self.carried.remove(&run);
        StreamOutput::Deliver(vec![(Topic::Run(run), FeedEvent::Ended)])
    }

    /// Everything was delivered before. Subscriptions that are behind learn how far to poll before they end.
    fn complete(&mut self) -> Vec<StreamOutput> {
        self.carries_list = false;
        let carried = self.carried();
        let mut outputs = vec![StreamOutput::Deliver(self.opened(&carried))];
        outputs.extend(carried.runs.into_keys().map(|run| self.end(run)));
        self.close();
        outputs
    }

    /// Closes the stream. It is opened again only if a tab subscribes.
    pub fn close(&mut self) {
        self.number += 1;
        self.stream = None;
        self.ready_at = None;
        self.carried.clear();
        self.carries_list = false;
        self.open_at = None;
    }

    /// Drops a stream that failed, and begins the wait before the next one. `random` is from 0 to 1.
    pub fn lose(&mut self, retry_after_ms: u64, now: u64, random: f64) {
        match self.ready_at {
            // The server may have refused a cursor that is not of its history: then the pages' own cursors count.
            None => self.delivered.clear(),
            Some(ready_at) if now >= ready_at + STABLE_AFTER_MS => self.failures = 0,
            Some(_) => {}
        }
        self.close();
        self.needs_cursors = true;
        self.failures = self.failures.saturating_add(1);
        self.reconnect_not_before = now + retry_after_ms;
        self.reconnect_at = now + BACKOFF.wait(self.failures, random, retry_after_ms);
    }

    /// A tab is visible again, or has network again: ends the backoff, but not the wait that the server asked for.
    pub const fn hurry(&mut self) {
        self.reconnect_at = self.reconnect_not_before;
    }
}

/// Moves the collected frames into outputs, one for each run.
fn deliver_frames(frames: &mut BTreeMap<RunId, Vec<String>>, outputs: &mut Vec<StreamOutput>) {
    let batches = std::mem::take(frames).into_iter();
    outputs.extend(
        batches.map(|(run, frames)| StreamOutput::Deliver(vec![(Topic::Run(run), FeedEvent::Frames { frames })])),
    );
}

#[cfg(test)]
#[path = "leader_stream_tests.rs"]
mod tests;
