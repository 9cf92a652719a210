//! Keeps a view of the run list up to date: by the list events of the stream, and by polls while the stream is lost.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::connection_driver::ConnectionDriver;
use super::subscription::Subscription;
use crate::browser::Timer;
use crate::feed::tabs::TabRole;
use crate::feed::{Action, ConnectionEvent, ConnectionState, FeedEvent, PollError, Topic};
use crate::model::{Pin, Problem};

/// A change waits this long for others before the server is asked, in milliseconds.
const GATHER_MS: u64 = 200;

/// The answer to a poll of the list: the list has no head, and never ends.
const POLLED: FeedEvent = FeedEvent::Polled { head: 0, is_active: true, pin: Pin { pinned: false, pins: 0 } };
const POLL_FAILED: FeedEvent = FeedEvent::PollFailed(PollError::Unavailable { retry_after_ms: 0 });

/// A view of runs.
pub trait ListView: 'static {
    /// What the server answers.
    type Response;

    /// Handles a list event: a run as JSON, which may be of another version of the server. Returns whether to fetch the
    /// view again.
    fn on_listed(&self, json: &str) -> bool;

    /// Requests what the view shows.
    fn fetch(&self) -> impl Future<Output = Result<Self::Response, Problem>> + 'static;

    fn show(&self, response: Self::Response);

    /// The server did not answer.
    fn on_error(&self, problem: Problem);
}

/// The connection behind a [`ListView`], until its owner is disposed of.
pub struct ListWatch<V> {
    view: V,
    driver: Rc<ConnectionDriver>,
    gathering: RefCell<Option<Timer>>,
}

impl<V: ListView> ListWatch<V> {
    /// Begins. `state` and `role` are kept up to date. The returned function fetches at once, for a view that wants
    /// something else.
    pub fn begin(view: V, state: RwSignal<ConnectionState>, role: RwSignal<TabRole>) -> impl Fn() + 'static {
        let watch = Rc::new_cyclic(|me: &Weak<Self>| {
            let deliver = callback(me, Self::deliver);
            let subscription = Subscription::new(Topic::List, role, || 0, deliver, || false);
            let driver = ConnectionDriver::new(true, state, subscription, callback(me, Self::perform));
            Self { view, driver: Rc::new(driver), gathering: RefCell::default() }
        });
        let weak = Rc::downgrade(&watch);
        let fetch = callback(&weak, |watch, ()| watch.driver.dispatch(ConnectionEvent::GapFound));
        ConnectionDriver::begin(move || Some(Rc::clone(&weak.upgrade()?.driver)), |_| {});
        let owned = StoredValue::new_local(Some(watch));
        on_cleanup(move || {
            if let Some(watch) = owned.try_update_value(Option::take).flatten() {
                watch.driver.stop();
            }
        });
        move || fetch(())
    }

    fn perform(self: &Rc<Self>, action: Action) {
        match action {
            Action::Subscribe => self.driver.subscribe(),
            Action::Poll => self.poll(),
            Action::Suspend | Action::Unsubscribe => {}
        }
    }

    fn deliver(self: &Rc<Self>, event: FeedEvent) {
        self.driver.note_activity();
        if let FeedEvent::Listed { run } = &event
            && self.view.on_listed(run)
        {
            self.poll_soon();
        }
        self.driver.dispatch(ConnectionEvent::Feed(&event));
        if let FeedEvent::Opened { .. } = event {
            // What changed before the stream carried the list.
            self.driver.dispatch(ConnectionEvent::GapFound);
        }
    }

    fn poll_soon(self: &Rc<Self>) {
        let poll = callback(&Rc::downgrade(self), |watch, ()| {
            watch.gathering.take();
            watch.driver.dispatch(ConnectionEvent::GapFound);
        });
        self.gathering.borrow_mut().get_or_insert_with(|| Timer::after(GATHER_MS, move || poll(())));
    }

    fn poll(self: &Rc<Self>) {
        let (weak, response) = (Rc::downgrade(self), self.view.fetch());
        spawn_local(async move {
            let response = response.await;
            let Some(watch) = weak.upgrade() else { return };
            let event = match response {
                Ok(response) => {
                    watch.view.show(response);
                    POLLED
                }
                Err(problem) => {
                    watch.view.on_error(problem);
                    POLL_FAILED
                }
            };
            watch.driver.dispatch(ConnectionEvent::Feed(&event));
        });
    }
}

/// A callback that does nothing once the watch is gone.
fn callback<V, T, F>(watch: &Weak<ListWatch<V>>, call: F) -> impl Fn(T) + 'static + use<V, T, F>
where
    V: 'static,
    F: Fn(&Rc<ListWatch<V>>, T) + 'static,
{
    let watch = watch.clone();
    move |value| {
        if let Some(watch) = watch.upgrade() {
            call(&watch, value);
        }
    }
}
