//! Follows a run: queues feed events from the stream, the channel and polls, and applies them to the journal and the
//! connection.
//!
//! Events are applied in the order in which they arrived, a few milliseconds at a time, so that the page stays
//! responsive however fast they come. Signals change once per turn.

mod publish;
mod row_requests;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;

use self::row_requests::RowRequests;
use super::live_run::{LiveRun, RunDriver};
use crate::browser::{MAX_FRAME_WAIT_MS, PageEvent, Timer, fetch_frames, is_visible, steady};
use crate::feed::rows::LoadState;
use crate::feed::{Action, Applied, ConnectionEvent, FeedEvent, PollError, Topic};
use crate::model::{Cursor, Frame, RunId};
use crate::ui::alerts;
use crate::ui::connect::{ConnectionDriver, Subscription};

/// How long a turn may take, in milliseconds: half of a screen's frame, so that there is time to draw.
const TURN_MS: u64 = 8;
/// How long a turn of a hidden page may take, in milliseconds. Its timers may fire once a second only.
const HIDDEN_TURN_MS: u64 = 100;
/// A hidden page with this many queued frames does not wait for a timer.
const MAX_HIDDEN_FRAMES: usize = 500;
/// The clock is read after this many frames.
const FRAMES_PER_CHECK: usize = 8;
/// Frames per poll.
const POLL_LIMIT: u64 = 1000;

/// See the module's comment.
pub(super) struct RunFollower {
    me: Weak<Self>,
    live: LiveRun,
    run: RunId,
    rows: Rc<RowRequests>,
    driver: Rc<ConnectionDriver>,
    queue: RefCell<VecDeque<FeedEvent>>,
    /// Actions that need the cursor as it will be when the queue is empty.
    postponed: RefCell<Vec<Action>>,
    /// What the connection was told last: whether the run is active.
    is_active: Cell<bool>,
    turn: RefCell<Option<Timer>>,
    on_replaced: Box<dyn Fn()>,
}

impl RunFollower {
    /// Begins to follow, until the owner is disposed of.
    pub(super) fn begin(live: LiveRun, on_replaced: impl Fn() + 'static) {
        let state = live.state.get_untracked();
        let is_active = state.run.status.is_active();
        alerts::record(&state.run);
        let follower = Rc::new_cyclic(|me: &Weak<Self>| {
            let run = state.run.id;
            let subscription = Self::subscription(me, live, run.clone());
            let perform = callback(me, Self::perform);
            Self {
                me: me.clone(),
                live,
                rows: RowRequests::new(live, run.clone()),
                run,
                driver: Rc::new(ConnectionDriver::new(is_active, live.connection, subscription, perform)),
                queue: RefCell::default(),
                postponed: RefCell::default(),
                is_active: Cell::new(is_active),
                turn: RefCell::default(),
                on_replaced: Box::new(on_replaced),
            }
        });
        let driver: Weak<Self> = Rc::downgrade(&follower);
        live.driver.replace(driver);
        let owned = StoredValue::new_local(Some(Rc::clone(&follower)));
        // Whatever still holds the follower, as a fetch in flight does, finds everything closed.
        on_cleanup(move || {
            if let Some(follower) = owned.try_update_value(Option::take).flatten() {
                follower.stop();
            }
        });
        let weak = Rc::downgrade(&follower);
        let on_page_event = callback(&weak, Self::on_page_event);
        ConnectionDriver::begin(move || Some(Rc::clone(&weak.upgrade()?.driver)), on_page_event);
        follower.rows.load();
    }

    fn subscription(me: &Weak<Self>, live: LiveRun, run: RunId) -> Subscription {
        let deliver = callback(me, Self::deliver);
        let me = me.clone();
        let is_busy = move || me.upgrade().is_some_and(|follower| !follower.queue.borrow().is_empty());
        Subscription::new(Topic::Run(run), live.role, move || cursor(live).0, deliver, is_busy)
    }

    fn stop(&self) {
        self.driver.stop();
        self.turn.take();
        self.queue.take();
    }

    fn on_page_event(&self, event: PageEvent) {
        if matches!(event, PageEvent::Visible | PageEvent::Hidden) && !self.queue.borrow().is_empty() {
            // A turn that waits for the next drawing would wait for as long as the page is hidden.
            self.turn.take();
            self.schedule_turn();
        }
    }

    fn deliver(&self, event: FeedEvent) {
        self.driver.note_activity();
        self.push([event]);
    }

    fn perform(&self, action: Action) {
        match action {
            Action::Suspend => self.drop_stream_events(),
            Action::Unsubscribe => {
                self.postponed.borrow_mut().retain(|&postponed| postponed != Action::Subscribe);
                self.drop_stream_events();
            }
            Action::Subscribe | Action::Poll if !self.queue.borrow().is_empty() => {
                self.postponed.borrow_mut().push(action);
            }
            Action::Subscribe => self.driver.subscribe(),
            Action::Poll => self.poll(),
        }
    }

    /// Drops what the stream said before it was closed. Its frames are good whatever became of it.
    fn drop_stream_events(&self) {
        self.queue.borrow_mut().retain(|event| event.is_from_poll() || matches!(event, FeedEvent::Frames { .. }));
    }

    fn poll(&self) {
        let (me, run, cursor) = (self.me.clone(), self.run.clone(), cursor(self.live));
        spawn_local(async move {
            let response = fetch_frames(&run, cursor, POLL_LIMIT).await;
            let Some(follower) = me.upgrade() else { return };
            match response {
                Ok(page) => follower.push(page.into_events()),
                Err(error) => follower.push([FeedEvent::PollFailed(error)]),
            }
        });
    }

    fn push(&self, events: impl IntoIterator<Item = FeedEvent>) {
        self.queue.borrow_mut().extend(events);
        let frames: usize = self.queue.borrow().iter().map(FeedEvent::frame_count).sum();
        if frames >= MAX_HIDDEN_FRAMES && !is_visible() {
            self.take_turn();
        } else {
            self.schedule_turn();
        }
    }

    fn schedule_turn(&self) {
        if self.turn.borrow().is_some() {
            return;
        }
        let take_turn = callback(&self.me, |follower, ()| follower.take_turn());
        let call = move || take_turn(());
        let timer = if is_visible() { Timer::next_frame_or(MAX_FRAME_WAIT_MS, call) } else { Timer::after(0, call) };
        self.turn.replace(Some(timer));
    }

    /// Applies queued events for as long as a turn may take, then shows what has changed.
    fn take_turn(&self) {
        self.turn.take();
        let end = steady() + if is_visible() { TURN_MS } else { HIDDEN_TURN_MS };
        let mut has_gap = false;
        loop {
            let next = self.queue.borrow_mut().pop_front();
            let Some(event) = next else { break };
            match event {
                FeedEvent::Frames { frames } => has_gap |= self.apply_frames(frames),
                FeedEvent::PollFailed(PollError::CursorAhead) => {
                    self.driver.dispatch(ConnectionEvent::Feed(&event));
                    (self.on_replaced)();
                    return;
                }
                event => self.apply(&event),
            }
            if steady() >= end {
                break;
            }
        }
        if has_gap {
            self.driver.dispatch(ConnectionEvent::GapFound);
        } else {
            self.driver.dispatch_activity();
        }
        self.rows.publish();
        if self.queue.borrow().is_empty() {
            self.on_queue_empty();
        } else {
            self.schedule_turn();
        }
    }

    /// Applies some of these frames, and queues the others again. Returns whether frames before them are missing.
    fn apply_frames(&self, mut frames: Vec<String>) -> bool {
        let rest = frames.split_off(frames.len().min(FRAMES_PER_CHECK));
        if !rest.is_empty() {
            self.queue.borrow_mut().push_front(FeedEvent::Frames { frames: rest });
        }
        let mut has_gap = false;
        for json in frames {
            match serde_json::from_str::<Frame>(&json) {
                Ok(frame) => {
                    let applied = self.live.journal.try_update_value(|journal| journal.apply(frame));
                    has_gap |= matches!(applied, Some(Applied::Gap(_)));
                }
                // If this should have been a frame, the next one shows the gap.
                Err(error) => leptos::logging::warn!("the stream sent {json:?}, which is not a frame: {error}"),
            }
        }
        has_gap
    }

    fn apply(&self, event: &FeedEvent) {
        match *event {
            FeedEvent::Opened { is_active, .. } => {
                self.is_active.set(is_active);
                self.on_response();
            }
            FeedEvent::Polled { is_active, pin, .. } => {
                self.is_active.set(is_active);
                self.live.merge_pin(pin);
                self.on_response();
            }
            FeedEvent::Ended => self.is_active.set(false),
            FeedEvent::PollFailed(PollError::RunNotFound) => return self.live.on_deleted(),
            _ => {}
        }
        self.driver.dispatch(ConnectionEvent::Feed(event));
    }

    /// The server answered.
    fn on_response(&self) {
        self.live.responses.try_update(|responses| *responses += 1);
        if self.live.load_state.try_get_untracked() == Some(LoadState::Failed) {
            self.rows.retry();
        }
    }

    /// All events are applied, so the cursor is up to date.
    fn on_queue_empty(&self) {
        let is_active = self.live.state.try_with_untracked(|state| state.run.status.is_active()).unwrap_or(false);
        // A final status in a frame raises no alert until the server confirms it: the next frame may be an automatic
        // resume.
        if is_active || !self.is_active.get() {
            self.live.state.try_with_untracked(|state| alerts::observe(&state.run));
        }
        if is_active != self.is_active.replace(is_active) {
            self.driver.dispatch(ConnectionEvent::ActiveChanged(is_active));
        }
        for action in self.postponed.take() {
            self.perform(action);
        }
    }
}

impl RunDriver for RunFollower {
    fn dispatch(&self, event: ConnectionEvent<'_>) {
        self.driver.dispatch(event);
    }

    fn on_rows_changed(&self) {
        self.rows.on_rows_changed();
    }

    fn retry_loads(&self) {
        self.rows.retry();
    }

    fn fetch_full_frame(&self, seq: u64, frame: RwSignal<Option<Arc<Frame>>>) {
        self.rows.fetch_full_frame(seq, frame);
    }
}

fn cursor(live: LiveRun) -> Cursor {
    live.journal.try_with_value(|journal| journal.cursor()).unwrap_or_default()
}

/// A callback that does nothing once the follower is gone.
fn callback<T, F>(follower: &Weak<RunFollower>, call: F) -> impl Fn(T) + 'static + use<T, F>
where
    F: Fn(&RunFollower, T) + 'static,
{
    let follower = follower.clone();
    move |value| {
        if let Some(follower) = follower.upgrade() {
            call(&follower, value);
        }
    }
}
