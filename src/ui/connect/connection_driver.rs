//! Runs a page's connection: feeds the state machine with time, page events and feed events, and carries out its
//! actions.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use leptos::prelude::*;

use super::intervals::intervals;
use super::subscription::Subscription;
use crate::browser::{PageEvent, PageEvents, Timer, is_visible, random, steady};
use crate::feed::{Action, ConnectionEvent, ConnectionState, PageConnection};

/// See the module's comment. Dropping it closes everything.
pub struct ConnectionDriver {
    machine: RefCell<PageConnection>,
    /// What the chip shows.
    state: RwSignal<ConnectionState>,
    subscription: Subscription,
    /// The stream said something that the machine has not been told yet.
    has_new_activity: Cell<bool>,
    alarm: RefCell<Option<(u64, Timer)>>,
    page_events: RefCell<Option<PageEvents>>,
    on_action: Box<dyn Fn(Action)>,
}

impl ConnectionDriver {
    /// A driver that does nothing before [`ConnectionDriver::begin`]. The owner handles [`Action::Subscribe`] (by
    /// [`ConnectionDriver::subscribe`], when its cursor is up to date) and [`Action::Poll`]; the others are carried out
    /// already.
    pub fn new(
        is_active: bool,
        state: RwSignal<ConnectionState>,
        subscription: Subscription,
        on_action: impl Fn(Action) + 'static,
    ) -> Self {
        Self {
            machine: RefCell::new(PageConnection::new(intervals(), is_active)),
            state,
            subscription,
            has_new_activity: Cell::new(false),
            alarm: RefCell::default(),
            page_events: RefCell::default(),
            on_action: Box::new(on_action),
        }
    }

    /// Begins. `find` returns the driver as long as it exists; `on_page_event` is called after the machine has handled
    /// the event.
    pub fn begin(find: impl Fn() -> Option<Rc<Self>> + 'static, on_page_event: impl Fn(PageEvent) + 'static) {
        let Some(driver) = find() else { return };
        driver.page_events.replace(Some(PageEvents::listen(move |event| {
            let Some(driver) = find() else { return };
            driver.dispatch(ConnectionEvent::Page(event));
            on_page_event(event);
        })));
        if !is_visible() {
            driver.dispatch(ConnectionEvent::Page(PageEvent::Hidden));
        }
        driver.dispatch(ConnectionEvent::Begin);
    }

    /// Notes that the stream said something, before that is handled.
    pub fn note_activity(&self) {
        self.has_new_activity.set(true);
    }

    /// Tells the machine about noted activity, if it was not told since.
    pub fn dispatch_activity(self: &Rc<Self>) {
        if self.has_new_activity.get() {
            self.dispatch(ConnectionEvent::Heard);
        }
    }

    /// Subscribes, as the machine has asked for.
    pub fn subscribe(&self) {
        self.subscription.request();
    }

    /// Lets the machine handle an event, and carries out its actions.
    pub fn dispatch(self: &Rc<Self>, event: ConnectionEvent<'_>) {
        if self.has_new_activity.take() && event != ConnectionEvent::Heard {
            self.handle(ConnectionEvent::Heard);
        }
        self.handle(event);
        let (deadline, state) = {
            let machine = self.machine.borrow();
            (machine.deadline(), machine.state())
        };
        if deadline != self.alarm.borrow().as_ref().map(|(at, _)| *at) {
            let alarm = deadline.map(|at| (at, self.alarm_at(at)));
            self.alarm.replace(alarm);
        }
        if self.state.try_get_untracked().is_some_and(|shown| shown != state) {
            self.state.try_set(state);
        }
    }

    fn handle(&self, event: ConnectionEvent<'_>) {
        let cursor = self.subscription.cursor();
        let actions = self.machine.borrow_mut().handle(event, cursor, steady(), random());
        for action in actions {
            match action {
                Action::Suspend => self.subscription.suspend(),
                Action::Unsubscribe => self.subscription.close(),
                Action::Subscribe | Action::Poll => {}
            }
            (self.on_action)(action);
        }
    }

    fn alarm_at(self: &Rc<Self>, at: u64) -> Timer {
        let weak: Weak<Self> = Rc::downgrade(self);
        Timer::after(at.saturating_sub(steady()), move || {
            if let Some(driver) = weak.upgrade() {
                driver.alarm.take();
                driver.dispatch(ConnectionEvent::Tick);
            }
        })
    }

    /// Closes everything.
    pub fn stop(self: &Rc<Self>) {
        self.page_events.take();
        self.dispatch(ConnectionEvent::Page(PageEvent::Left));
        self.alarm.take();
    }
}
