//! How a page stays connected to its topic: by the stream that the leader tab shares, and by polls for what the stream
//! does not bring.
//!
//! A pure state machine. Events go in with the time, actions come out; it wants a [`ConnectionEvent::Tick`] at its
//! [`deadline`](PageConnection::deadline). Timers of hidden and sleeping pages are late, so it never counts ticks but
//! compares times.
//!
//! It does not reconnect: the leader does ([`LeaderStream`](super::tabs::LeaderStream)). While the stream is lost,
//! the page stays subscribed and polls.

use super::connection_state::{ConnectionState, FeedIntervals};
use super::event::{FeedEvent, PageEvent, PollError};
use super::polls::PollSchedule;
use super::watchdog::Watchdog;

/// What the machine handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionEvent<'a> {
    /// The page is hydrated.
    Begin,
    /// A source said something. Its frames are applied already.
    Feed(&'a FeedEvent),
    Page(PageEvent),
    /// The stream said something that is still queued.
    Heard,
    /// A frame arrived whose predecessor did not.
    GapFound,
    /// Frames, or the response to an action, say whether the run is active.
    ActiveChanged(bool),
    /// The run was deleted.
    Deleted,
    Tick,
}

/// What the page does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Subscribe after the cursor; if subscribed already, ask again.
    Subscribe,
    /// Stay subscribed, but take nothing from the stream until it is opened again.
    Suspend,
    Unsubscribe,
    /// Request the frames after the cursor. [`FeedEvent::Polled`] or [`FeedEvent::PollFailed`] must follow.
    Poll,
}

/// Where the page is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifecycle {
    /// Not hydrated.
    Idle,
    Shown,
    /// Left, or about to be replaced. It may return.
    Left,
    /// The run was deleted.
    Deleted,
}

/// The page's part of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamState {
    /// Not subscribed.
    Closed,
    /// Subscribed to a stream that does not carry the topic yet, or no longer. Asks again at `renew_at`.
    Pending { renew_at: u64, was_lost: bool },
    /// The stream carries the topic.
    Open(Watchdog),
}

/// What the page last learned about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerContact {
    /// The stream delivers, or nothing has failed yet.
    Assumed,
    /// The last poll since the stream was lost was answered.
    PollAnswered,
    /// The stream was lost or a poll has failed, and nothing was answered since.
    Lost,
}

/// A subscription that was not opened for this long is asked for again: the request or its answer was missed.
pub(crate) const OPEN_TIMEOUT_MS: u64 = 10_000;

/// See the module's comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageConnection {
    intervals: FeedIntervals,
    lifecycle: Lifecycle,
    stream: StreamState,
    polls: PollSchedule,
    contact: ServerContact,
    /// The run may write more frames.
    is_active: bool,
    /// The server has frames that the page lacks.
    is_behind: bool,
    /// Frames are missing that the open stream will not bring.
    has_gap: bool,
    /// The browser reports no network. It may be wrong about a server on this machine.
    is_offline: bool,
    is_visible: bool,
}

impl PageConnection {
    /// The connection of a page whose run is active or not. It does nothing before [`ConnectionEvent::Begin`].
    pub const fn new(intervals: FeedIntervals, is_active: bool) -> Self {
        Self {
            intervals,
            lifecycle: Lifecycle::Idle,
            stream: StreamState::Closed,
            polls: PollSchedule::new(intervals.poll_ms),
            contact: ServerContact::Assumed,
            is_active,
            is_behind: false,
            has_gap: false,
            is_offline: false,
            is_visible: true,
        }
    }

    /// What the chip shows.
    pub fn state(&self) -> ConnectionState {
        if self.is_offline && self.contact == ServerContact::Lost {
            return ConnectionState::Offline;
        }
        match self.stream {
            StreamState::Open(_) => ConnectionState::Live,
            _ if self.lifecycle == Lifecycle::Deleted || !self.needs_stream() => ConnectionState::Ended,
            _ if self.contact == ServerContact::PollAnswered => ConnectionState::Polling,
            StreamState::Closed | StreamState::Pending { was_lost: false, .. } => ConnectionState::Connecting,
            StreamState::Pending { was_lost: true, .. } => ConnectionState::Retrying,
        }
    }

    /// When it wants a tick, if nothing happens before.
    pub fn deadline(&self) -> Option<u64> {
        if self.lifecycle != Lifecycle::Shown {
            return None;
        }
        let stream = match self.stream {
            StreamState::Closed => None,
            StreamState::Pending { renew_at, .. } => Some(renew_at),
            StreamState::Open(watchdog) => Some(watchdog.deadline(self.intervals.max_silence_ms())),
        };
        stream.into_iter().chain(self.polls.deadline()).min()
    }

    /// Handles an event. `cursor` is the last seq on the page, `now` is in milliseconds of a steady clock, `random`
    /// from 0 to 1.
    pub fn handle(&mut self, event: ConnectionEvent<'_>, cursor: u64, now: u64, random: f64) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            ConnectionEvent::Begin if self.lifecycle == Lifecycle::Idle => self.lifecycle = Lifecycle::Shown,
            ConnectionEvent::Begin | ConnectionEvent::Tick => {}
            ConnectionEvent::Feed(event) => self.on_feed(event, cursor, now, random, &mut actions),
            ConnectionEvent::Page(event) => self.on_page(event, now, random, &mut actions),
            ConnectionEvent::Heard => self.on_activity(now),
            ConnectionEvent::GapFound => self.request_gap(now),
            ConnectionEvent::ActiveChanged(is_active) => self.is_active = is_active,
            ConnectionEvent::Deleted => self.lifecycle = Lifecycle::Deleted,
        }
        self.settle(now, random, &mut actions);
        actions
    }

    const fn needs_stream(&self) -> bool {
        self.is_active || self.is_behind
    }

    const fn is_open(&self) -> bool {
        matches!(self.stream, StreamState::Open(_))
    }

    fn on_feed(&mut self, event: &FeedEvent, cursor: u64, now: u64, random: f64, actions: &mut Vec<Action>) {
        if event.is_from_poll() {
            return self.on_poll(event, cursor, now, random, actions);
        }
        if self.stream == StreamState::Closed {
            return;
        }
        match *event {
            FeedEvent::Opened { after, head, is_active } => {
                if let StreamState::Pending { .. } = self.stream {
                    self.stream = StreamState::Open(Watchdog::new(now));
                    (self.is_active, self.is_behind) = (is_active, head > cursor);
                    self.contact = ServerContact::Assumed;
                    self.polls.clear_failures();
                }
                if after > cursor {
                    self.request_gap(now);
                }
            }
            FeedEvent::Gap { head } | FeedEvent::Alive { head } => {
                self.on_activity(now);
                if head > cursor {
                    self.request_gap(now);
                }
            }
            FeedEvent::Frames { .. } | FeedEvent::Listed { .. } => self.on_activity(now),
            FeedEvent::Ended => {
                actions.push(Action::Unsubscribe);
                self.stream = StreamState::Closed;
                (self.is_active, self.is_behind) = (false, false);
                if self.contact == ServerContact::PollAnswered {
                    self.contact = ServerContact::Assumed;
                }
                // A re-run may have begun since: a poll finds it.
                self.polls.schedule_soon(now, random);
            }
            // Its subscription is pending already, so this needs no action.
            FeedEvent::Lost => self.await_stream(now + OPEN_TIMEOUT_MS, now, random),
            FeedEvent::Polled { .. } | FeedEvent::PollFailed(_) => {}
        }
    }

    fn on_poll(&mut self, event: &FeedEvent, cursor: u64, now: u64, random: f64, actions: &mut Vec<Action>) {
        match *event {
            FeedEvent::Polled { head, is_active, .. } => {
                let is_behind = head > cursor;
                self.contact = ServerContact::PollAnswered;
                self.has_gap &= is_behind;
                if !self.is_open() {
                    (self.is_active, self.is_behind) = (is_active, is_behind);
                }
                self.polls.on_answer(is_behind, now);
            }
            FeedEvent::PollFailed(PollError::Unavailable { retry_after_ms }) => {
                self.polls.on_failure(retry_after_ms, now, random);
                if self.is_offline && self.is_open() {
                    // The browser was right.
                    actions.push(Action::Suspend);
                    self.await_stream(now + OPEN_TIMEOUT_MS, now, random);
                }
                self.contact = if self.is_open() { ServerContact::Assumed } else { ServerContact::Lost };
            }
            FeedEvent::PollFailed(PollError::RunNotFound) => self.lifecycle = Lifecycle::Deleted,
            // The page is about to be replaced by one with the server's history.
            FeedEvent::PollFailed(PollError::CursorAhead) => self.lifecycle = Lifecycle::Left,
            _ => {}
        }
    }

    fn on_page(&mut self, event: PageEvent, now: u64, random: f64, actions: &mut Vec<Action>) {
        match event {
            PageEvent::Visible => {
                self.is_visible = true;
                if let StreamState::Open(watchdog) = self.stream
                    && watchdog.is_silent(self.intervals.max_silence_ms(), now)
                {
                    self.drop_silent_stream(now, random, actions);
                }
                self.hurry(now);
            }
            PageEvent::Hidden => self.is_visible = false,
            PageEvent::Left if self.lifecycle != Lifecycle::Deleted => self.lifecycle = Lifecycle::Left,
            PageEvent::Returned => {
                if self.lifecycle == Lifecycle::Left {
                    self.lifecycle = Lifecycle::Shown;
                }
                self.is_visible = true;
                self.hurry(now);
            }
            PageEvent::Online => {
                self.is_offline = false;
                self.hurry(now);
            }
            PageEvent::Offline => {
                self.is_offline = true;
                self.polls.schedule(now);
            }
            PageEvent::Left | PageEvent::Hash => {}
        }
    }

    const fn on_activity(&mut self, now: u64) {
        if let StreamState::Open(watchdog) = &mut self.stream {
            *watchdog = Watchdog::new(now);
        }
    }

    fn request_gap(&mut self, now: u64) {
        self.has_gap = true;
        self.polls.schedule(now);
    }

    /// The stream may be dead: asks whether it still carries the topic.
    fn drop_silent_stream(&mut self, now: u64, random: f64, actions: &mut Vec<Action>) {
        actions.push(Action::Suspend);
        self.await_stream(now, now, random);
    }

    /// The stream brings nothing until it is opened again. The page stays subscribed, polls, and asks again at
    /// `renew_at`.
    fn await_stream(&mut self, renew_at: u64, now: u64, random: f64) {
        if self.is_open() {
            self.contact = ServerContact::Lost;
            self.polls.schedule_soon(now, random);
        }
        self.stream = StreamState::Pending { renew_at, was_lost: true };
    }

    /// The page is visible again, or has network again: waits no longer.
    fn hurry(&mut self, now: u64) {
        if let StreamState::Pending { renew_at, was_lost: true } = &mut self.stream {
            *renew_at = now;
        }
        if !self.is_open() {
            self.polls.schedule(now);
        }
    }

    fn settle(&mut self, now: u64, random: f64, actions: &mut Vec<Action>) {
        if self.lifecycle != Lifecycle::Shown {
            self.unsubscribe(actions);
            self.polls.cancel();
            return;
        }
        if let StreamState::Open(watchdog) = &mut self.stream
            && watchdog.is_expired(self.intervals.max_silence_ms(), now)
        {
            self.drop_silent_stream(now, random, actions);
        }
        match self.stream {
            StreamState::Closed if self.needs_stream() => self.subscribe(false, now, actions),
            StreamState::Pending { .. } if !self.needs_stream() => self.unsubscribe(actions),
            StreamState::Pending { renew_at, .. } if now >= renew_at => self.subscribe(true, now, actions),
            StreamState::Closed | StreamState::Pending { .. } | StreamState::Open(_) => {}
        }
        let needs_polls = match self.stream {
            StreamState::Open(_) => self.has_gap || self.is_offline,
            // A final run may be re-run from elsewhere. A hidden page need not know.
            StreamState::Closed => self.is_visible,
            StreamState::Pending { .. } => true,
        };
        if self.polls.start_due(needs_polls, self.is_open(), now) {
            actions.push(Action::Poll);
        }
    }

    fn subscribe(&mut self, was_lost: bool, now: u64, actions: &mut Vec<Action>) {
        self.stream = StreamState::Pending { renew_at: now + OPEN_TIMEOUT_MS, was_lost };
        actions.push(Action::Subscribe);
    }

    fn unsubscribe(&mut self, actions: &mut Vec<Action>) {
        if self.stream != StreamState::Closed {
            self.stream = StreamState::Closed;
            actions.push(Action::Unsubscribe);
        }
    }
}

#[cfg(test)]
#[path = "connection_test_page.rs"]
mod test_page;

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "connection_properties.rs"]
mod properties;
