//! A page for the tests of the connection. It does what the machine says, and checks the rules after every event.

use super::Action::{Poll, Subscribe, Suspend, Unsubscribe};
use super::ConnectionEvent as Event;
use super::*;
use crate::model::Pin;

pub(super) const INTERVALS: FeedIntervals = FeedIntervals { poll_ms: 3000, heartbeat_ms: 15_000 };
/// The last seq of the page. Sources that are ahead of it have a head of [`AHEAD`].
const CURSOR: u64 = 5;
pub(super) const AHEAD: u64 = 9;

pub(super) const fn opened(is_active: bool, head: u64) -> FeedEvent {
    FeedEvent::Opened { after: CURSOR, head, is_active }
}

pub(super) const fn polled(is_active: bool, head: u64) -> FeedEvent {
    FeedEvent::Polled { head, is_active, pin: Pin { pinned: false, pins: 0 } }
}

pub(super) const fn unavailable(retry_after_ms: u64) -> FeedEvent {
    FeedEvent::PollFailed(PollError::Unavailable { retry_after_ms })
}

pub(super) const OPENED: FeedEvent = opened(true, CURSOR);
pub(super) const OPENED_BEHIND: FeedEvent = opened(false, AHEAD);
pub(super) const ALIVE: FeedEvent = FeedEvent::Alive { head: CURSOR };
pub(super) const GAP: FeedEvent = FeedEvent::Gap { head: AHEAD };
pub(super) const ENDED: FeedEvent = FeedEvent::Ended;
pub(super) const LOST: FeedEvent = FeedEvent::Lost;
pub(super) const ANSWER: FeedEvent = polled(true, CURSOR);
pub(super) const FINAL: FeedEvent = polled(false, CURSOR);
pub(super) const FINAL_BEHIND: FeedEvent = polled(false, AHEAD);
pub(super) const FAILED: FeedEvent = unavailable(0);

/// See the module's comment.
#[derive(Clone)]
pub(super) struct Page {
    pub(super) machine: PageConnection,
    pub(super) now: u64,
    pub(super) is_subscribed: bool,
    pub(super) is_open: bool,
    pub(super) is_polling: bool,
    has_begun: bool,
    is_away: bool,
    is_deleted: bool,
    is_visible: bool,
}

impl Page {
    pub(super) fn new(is_active: bool) -> Self {
        Self {
            machine: PageConnection::new(INTERVALS, is_active),
            now: 1_000_000,
            is_subscribed: false,
            is_open: false,
            is_polling: false,
            has_begun: false,
            is_away: false,
            is_deleted: false,
            is_visible: true,
        }
    }

    pub(super) fn begun(is_active: bool) -> Self {
        let mut page = Self::new(is_active);
        page.on(Event::Begin);
        page
    }

    pub(super) fn live() -> Self {
        let mut page = Self::begun(true);
        page.feed(&OPENED);
        assert_eq!(page.state(), ConnectionState::Live);
        page
    }

    pub(super) fn state(&self) -> ConnectionState {
        self.machine.state()
    }

    /// Notes what an event means for the page itself.
    fn note(&mut self, event: Event<'_>) {
        match event {
            Event::Begin => self.has_begun = true,
            Event::Feed(FeedEvent::Opened { .. }) if self.is_subscribed => self.is_open = true,
            Event::Feed(FeedEvent::Lost) => self.is_open = false,
            Event::Feed(FeedEvent::Polled { .. } | FeedEvent::PollFailed(PollError::Unavailable { .. })) => {
                self.is_polling = false;
            }
            Event::Feed(FeedEvent::PollFailed(PollError::RunNotFound)) | Event::Deleted => self.is_deleted = true,
            Event::Page(PageEvent::Left) => self.is_away = true,
            Event::Page(PageEvent::Returned) => {
                // A page that was left begins with its return.
                self.has_begun |= self.is_away;
                (self.is_away, self.is_visible) = (false, true);
            }
            Event::Page(PageEvent::Hidden) => self.is_visible = false,
            Event::Page(PageEvent::Visible) => self.is_visible = true,
            _ => {}
        }
    }

    /// An event comes after this time. Checks what follows from it against the rules.
    pub(super) fn after(&mut self, wait_ms: u64, event: Event<'_>) -> Vec<Action> {
        self.now += wait_ms;
        self.note(event);
        let actions = self.machine.handle(event, CURSOR, self.now, 0.5);
        for action in &actions {
            match action {
                Subscribe => {
                    assert!(!self.is_open, "subscribes to an open stream");
                    self.is_subscribed = true;
                }
                Suspend => {
                    assert!(self.is_subscribed, "suspends without a subscription");
                    self.is_open = false;
                }
                Unsubscribe => {
                    assert!(self.is_subscribed, "unsubscribes without a subscription");
                    (self.is_subscribed, self.is_open) = (false, false);
                }
                Poll => {
                    assert!(!self.is_polling, "a second poll");
                    self.is_polling = true;
                }
            }
        }
        let is_offline = self.state() == ConnectionState::Offline;
        assert_eq!(self.state() == ConnectionState::Live, self.is_open && !is_offline, "the chip is right");
        let deadline = self.machine.deadline();
        if self.is_away || self.is_deleted || !self.has_begun {
            assert!(!self.is_subscribed && deadline.is_none(), "a page that is left does nothing");
            assert!(!actions.contains(&Subscribe) && !actions.contains(&Poll));
        } else if self.is_visible || !matches!(self.state(), ConnectionState::Ended | ConnectionState::Offline) {
            assert!(self.is_polling || deadline.is_some(), "it never sleeps for ever");
        }
        actions
    }

    pub(super) fn on(&mut self, event: Event<'_>) -> Vec<Action> {
        self.after(0, event)
    }

    pub(super) fn feed(&mut self, event: &FeedEvent) -> Vec<Action> {
        self.on(Event::Feed(event))
    }

    pub(super) fn page(&mut self, event: PageEvent) -> Vec<Action> {
        self.on(Event::Page(event))
    }

    /// Lets time pass to the next deadline.
    pub(super) fn tick(&mut self) -> Vec<Action> {
        let deadline = self.machine.deadline().expect("a deadline");
        self.after(deadline.saturating_sub(self.now), Event::Tick)
    }

    /// Lets time pass until it polls.
    pub(super) fn tick_until_poll(&mut self) {
        while !self.is_polling {
            self.tick();
        }
    }
}
