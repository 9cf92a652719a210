//! How a page stays in touch with its run: stream first, poll while there is none, and say which of these it does.
//!
//! A pure machine. Events with the time they came at go in, actions come out; between events it wants to be ticked at its
//! [`deadline`](PageConnection::deadline). Timers are late in hidden and sleeping pages, so nothing counts ticks: whenever
//! anything happens, times are compared.

use super::backoff::Backoff;

/// What the server tells the page about its own rhythm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedIntervals {
    /// Milliseconds between two polls.
    pub poll_ms: u64,
    /// Milliseconds of silence after which the stream says that it is alive.
    pub heartbeat_ms: u64,
}

impl FeedIntervals {
    /// For how many milliseconds a stream that lives may be silent.
    pub fn max_silence_ms(&self) -> u64 {
        (self.heartbeat_ms * 5 / 2).max(self.heartbeat_ms + 2000)
    }
}

impl Default for FeedIntervals {
    fn default() -> Self {
        Self { poll_ms: 3000, heartbeat_ms: 15_000 }
    }
}

/// How the page is connected: the chip's `data-state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// The first stream is being opened.
    Connecting,
    /// Frames come by the stream.
    Live,
    /// The server does not answer; the page tries again.
    Retrying,
    /// The stream is away, frames come by polls.
    Polling,
    /// The run is finished and all of it is here.
    Ended,
    /// The browser has no network.
    Offline,
}

impl ConnectionState {
    /// The word in `data-state`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Retrying => "retrying",
            Self::Polling => "polling",
            Self::Ended => "ended",
            Self::Offline => "offline",
        }
    }

    /// Whether the page has what the server has, as far as it knows.
    pub const fn is_connected(self) -> bool {
        matches!(self, Self::Live | Self::Polling | Self::Ended)
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The page is ready to be live.
    Begin,
    /// The stream's first event.
    Ready {
        /// Whether the run may make more frames.
        active: bool,
        /// Whether the server has frames that the page lacks.
        behind: bool,
    },
    /// A frame or a heartbeat came by the stream.
    Heard,
    /// The stream said that the run is finished and all is delivered.
    End,
    /// The stream failed or closed.
    Lost,
    /// Another tab has a stream that carries the run: no reason to wait.
    Available,
    /// A poll was answered.
    Polled {
        /// Whether the run may make more frames.
        active: bool,
        /// Whether the server has more frames than the poll brought.
        behind: bool,
    },
    /// A poll failed.
    PollFailed {
        /// For how many milliseconds the server asked to be left alone.
        floor: u64,
    },
    /// A frame came whose predecessor is not here.
    Missing,
    /// Frames, or the answer to an action, say whether the run is active.
    Active(bool),
    /// There is no such run any more.
    Gone,
    /// The browser says that it has no network.
    Offline,
    /// The browser says that it has network again.
    Online,
    /// Nobody sees the page.
    Hidden,
    /// Somebody looks at the page (again).
    Visible,
    /// The page is left; it may be kept for a return.
    Left,
    /// The page was kept and is shown again.
    Returned,
    /// Time passed.
    Tick,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a stream after the cursor.
    OpenStream,
    /// Close the stream.
    CloseStream,
    /// Ask for the frames after the cursor; [`Event::Polled`] or [`Event::PollFailed`] must follow.
    Poll,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Closed,
    Opening { since: u64 },
    Open { since: u64, heard: u64, grace: Option<u64> },
    Waiting { until: u64 },
}

/// The waits between two tries of the stream.
const BACKOFF: Backoff = Backoff { base: 500, cap: 8000 };
/// A stream that has not said anything for so long after it was asked for is given up: something on the way holds it back.
pub(crate) const OPEN_LIMIT: u64 = 10_000;
/// A stream that lived so long was a good one: the next failure is the first.
pub(crate) const STEADY: u64 = 5000;
/// A timer that is so late says that the page slept; what came meanwhile may still wait to be handled.
pub(crate) const LATE: u64 = 1000;
/// How long a page that slept waits for what came meanwhile.
pub(crate) const GRACE: u64 = 1500;

/// See the module's comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageConnection {
    intervals: FeedIntervals,
    begun: bool,
    /// The run may make more frames.
    active: bool,
    /// The server has frames that the page lacks.
    behind: bool,
    stream: Stream,
    /// Streams lost in a row.
    failures: u32,
    poll_due: Option<u64>,
    poll_in_flight: bool,
    poll_failures: u32,
    /// The last poll since the stream was lost was answered.
    answered: bool,
    /// A gap waits to be filled by a poll, though the stream is there.
    missing: bool,
    /// The browser says that it has no network. It may be wrong about a server on this machine.
    offline: bool,
    /// The server was heard after all that was last known.
    reachable: bool,
    visible: bool,
    left: bool,
    gone: bool,
}

impl PageConnection {
    /// A page that shows a run; nothing happens before [`Event::Begin`].
    pub const fn new(intervals: FeedIntervals, active: bool) -> Self {
        Self {
            intervals,
            begun: false,
            active,
            behind: false,
            stream: Stream::Closed,
            failures: 0,
            poll_due: None,
            poll_in_flight: false,
            poll_failures: 0,
            answered: false,
            missing: false,
            offline: false,
            reachable: true,
            visible: true,
            left: false,
            gone: false,
        }
    }

    /// What the chip says.
    pub const fn state(&self) -> ConnectionState {
        if self.offline && !self.reachable {
            return ConnectionState::Offline;
        }
        match self.stream {
            Stream::Open { .. } => ConnectionState::Live,
            _ if self.gone || !self.wanted() => ConnectionState::Ended,
            _ if self.answered => ConnectionState::Polling,
            Stream::Closed | Stream::Opening { .. } if self.failures == 0 => ConnectionState::Connecting,
            Stream::Closed | Stream::Opening { .. } | Stream::Waiting { .. } => ConnectionState::Retrying,
        }
    }

    /// When it wants to be ticked, if nothing happens before.
    pub fn deadline(&self) -> Option<u64> {
        if self.away() {
            return None;
        }
        let stream = match self.stream {
            Stream::Closed => None,
            Stream::Opening { since } => Some(since + OPEN_LIMIT),
            Stream::Open { heard, grace, .. } => Some(grace.unwrap_or(heard + self.max_silence_ms())),
            Stream::Waiting { until } => Some(until),
        };
        let poll = self.poll_due.filter(|_| !self.poll_in_flight);
        stream.into_iter().chain(poll).min()
    }

    /// Takes an event that came at `now` (milliseconds of a clock that only goes forward). `random` is from 0 to 1.
    pub fn handle(&mut self, event: Event, now: u64, random: f64) -> Vec<Action> {
        let mut actions = Vec::new();
        self.take(event, now, random, &mut actions);
        self.settle(now, random, &mut actions);
        actions
    }

    /// Whether a stream is there, on its way, or waited for.
    pub fn wants_stream(&self) -> bool {
        self.stream != Stream::Closed
    }

    const fn wanted(&self) -> bool {
        self.active || self.behind
    }

    const fn away(&self) -> bool {
        self.left || self.gone || !self.begun
    }

    const fn is_open(&self) -> bool {
        matches!(self.stream, Stream::Open { .. })
    }

    /// Silence of so long means that the stream is dead, whatever the browser thinks of it.
    fn max_silence_ms(&self) -> u64 {
        self.intervals.max_silence_ms()
    }

    fn take(&mut self, event: Event, now: u64, random: f64, actions: &mut Vec<Action>) {
        match event {
            Event::Begin => self.begun = true,
            Event::Ready { active, behind } => {
                if let Stream::Opening { .. } = self.stream {
                    self.stream = Stream::Open { since: now, heard: now, grace: None };
                    (self.active, self.behind) = (active, behind);
                    (self.answered, self.reachable) = (false, true);
                    self.poll_failures = 0;
                }
            }
            Event::Heard => {
                if let Stream::Open { heard, grace, .. } = &mut self.stream {
                    *heard = now;
                    *grace = None;
                    self.reachable = true;
                }
            }
            Event::End => {
                if let Stream::Open { .. } | Stream::Opening { .. } = self.stream {
                    actions.push(Action::CloseStream);
                    self.stream = Stream::Closed;
                    (self.active, self.behind, self.answered) = (false, false, false);
                    self.failures = 0;
                    // The end may have crossed a re-run on its way.
                    self.poll_soon(now, random);
                }
            }
            Event::Lost => self.lose(now, random, actions),
            Event::Available => {
                if let Stream::Waiting { .. } = self.stream {
                    self.stream = Stream::Waiting { until: now };
                }
            }
            Event::Polled { active, behind } => {
                self.poll_in_flight = false;
                (self.answered, self.reachable) = (true, true);
                self.poll_failures = 0;
                self.missing &= behind;
                if !self.is_open() {
                    (self.active, self.behind) = (active, behind);
                }
                self.poll_at(if behind { now } else { now + self.intervals.poll_ms });
            }
            Event::PollFailed { floor } => {
                self.poll_in_flight = false;
                self.answered = false;
                self.poll_failures = self.poll_failures.saturating_add(1);
                let poll = self.intervals.poll_ms;
                let more = Backoff { base: poll, cap: poll * 2 }.wait(self.poll_failures, random, 0);
                self.poll_due = Some(now + (poll / 2 + more).max(floor));
                if self.offline {
                    // The browser was right.
                    self.lose(now, random, actions);
                }
                self.reachable &= self.is_open();
            }
            Event::Missing => {
                self.missing = true;
                self.poll_at(now);
            }
            Event::Active(active) => self.active = active,
            Event::Gone => self.gone = true,
            Event::Offline => {
                self.offline = true;
                self.poll_at(now);
            }
            Event::Online => {
                self.offline = false;
                self.hurry(now);
            }
            Event::Hidden => self.visible = false,
            Event::Visible => {
                self.visible = true;
                if let Stream::Open { heard, .. } = self.stream
                    && now >= heard + self.max_silence_ms()
                {
                    self.lose(now, random, actions);
                }
                self.hurry(now);
            }
            Event::Left => self.left = true,
            Event::Returned => {
                (self.left, self.visible) = (false, true);
                self.failures = 0;
                self.hurry(now);
            }
            Event::Tick => {}
        }
    }

    fn settle(&mut self, now: u64, random: f64, actions: &mut Vec<Action>) {
        if self.away() {
            if let Stream::Open { .. } | Stream::Opening { .. } = self.stream {
                actions.push(Action::CloseStream);
            }
            self.stream = Stream::Closed;
            self.poll_due = None;
            return;
        }
        match self.stream {
            Stream::Opening { since } if now >= since + OPEN_LIMIT => self.lose(now, random, actions),
            Stream::Open { since, heard, grace } if now >= heard + self.max_silence_ms() => match grace {
                None if now > heard + self.max_silence_ms() + LATE => {
                    self.stream = Stream::Open { since, heard, grace: Some(now + GRACE) };
                }
                Some(until) if now < until => {}
                None | Some(_) => self.lose(now, random, actions),
            },
            Stream::Closed | Stream::Opening { .. } | Stream::Open { .. } | Stream::Waiting { .. } => {}
        }
        match self.stream {
            Stream::Waiting { .. } if !self.wanted() => self.stream = Stream::Closed,
            Stream::Waiting { until } if now >= until => self.open(now, actions),
            Stream::Closed if self.wanted() => self.open(now, actions),
            Stream::Closed | Stream::Opening { .. } | Stream::Open { .. } | Stream::Waiting { .. } => {}
        }
        self.settle_polls(now, actions);
    }

    fn settle_polls(&mut self, now: u64, actions: &mut Vec<Action>) {
        let needed = match self.stream {
            // By the stream alone, but for what it cannot bring.
            Stream::Open { .. } => self.missing || self.offline,
            // A finished run may be run again from elsewhere; who does not look need not know.
            Stream::Closed => self.visible,
            Stream::Opening { .. } | Stream::Waiting { .. } => true,
        };
        if !needed && self.poll_due.is_some_and(|due| due > now) {
            self.poll_due = None;
        }
        if needed && self.poll_due.is_none() && !self.is_open() {
            self.poll_due = Some(now + self.intervals.poll_ms);
        }
        if !self.poll_in_flight && self.poll_due.is_some_and(|due| due <= now) {
            self.poll_due = None;
            self.poll_in_flight = true;
            actions.push(Action::Poll);
        }
    }

    fn open(&mut self, now: u64, actions: &mut Vec<Action>) {
        self.stream = Stream::Opening { since: now };
        actions.push(Action::OpenStream);
    }

    fn lose(&mut self, now: u64, random: f64, actions: &mut Vec<Action>) {
        match self.stream {
            Stream::Closed | Stream::Waiting { .. } => return,
            Stream::Opening { .. } => {}
            Stream::Open { since, .. } => {
                if now >= since + STEADY {
                    self.failures = 0;
                }
                (self.answered, self.reachable) = (false, false);
                self.poll_soon(now, random);
            }
        }
        actions.push(Action::CloseStream);
        self.failures = self.failures.saturating_add(1);
        self.stream = if self.wanted() {
            Stream::Waiting { until: now + BACKOFF.wait(self.failures, random, 0) }
        } else {
            // The server closes, or answers 204, when there is nothing more to come.
            self.failures = 0;
            Stream::Closed
        };
    }

    /// Somebody looks, or the network is back: no reason to wait any longer.
    fn hurry(&mut self, now: u64) {
        if let Stream::Waiting { .. } = self.stream {
            self.stream = Stream::Waiting { until: now };
        }
        if !self.is_open() {
            self.poll_at(now);
        }
    }

    /// At once, but not all pages in the same instant.
    fn poll_soon(&mut self, now: u64, random: f64) {
        let most = self.intervals.poll_ms.min(1000);
        self.poll_at(now + Backoff { base: most, cap: most }.wait(1, random, 0));
    }

    fn poll_at(&mut self, at: u64) {
        self.poll_due = Some(self.poll_due.map_or(at, |due| due.min(at)));
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
