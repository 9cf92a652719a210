//! Runs the election of the leader tab: requests, steals and releases the browser's lock as the state machine says.

use std::cell::RefCell;
use std::rc::Rc;

use leptos::task::spawn_local;

use crate::browser::{Lock, LockEvent, Timer, steady};
use crate::feed::tabs::{Election, ElectionAction, ElectionEvent, TabRole};

/// The lock that the leader holds.
const LEADER_LOCK: &str = "runtrail-leader";

/// See the module's comment.
pub(super) struct ElectionDriver {
    election: RefCell<Election>,
    lock: RefCell<Option<Lock>>,
    alarm: RefCell<Option<Timer>>,
    /// Called for events of the lock and the clock. Must call [`ElectionDriver::handle`].
    on_event: Rc<dyn Fn(ElectionEvent)>,
}

impl ElectionDriver {
    pub(super) fn new(on_event: impl Fn(ElectionEvent) + 'static) -> Self {
        Self {
            election: RefCell::default(),
            lock: RefCell::default(),
            alarm: RefCell::default(),
            on_event: Rc::new(on_event),
        }
    }

    pub(super) fn role(&self) -> TabRole {
        self.election.borrow().role()
    }

    /// Whether this tab holds a stream, for all tabs or for itself.
    pub(super) fn has_stream(&self) -> bool {
        self.election.borrow().has_stream()
    }

    /// Lets the state machine handle an event. Returns what the caller has to do, before it calls
    /// [`ElectionDriver::set_alarm`].
    pub(super) fn handle(&self, event: ElectionEvent) -> Vec<ElectionAction> {
        self.election.borrow_mut().handle(event, steady())
    }

    /// Has the state machine ticked at its deadline.
    pub(super) fn set_alarm(&self) {
        let alarm = self.election.borrow().deadline().map(|at| {
            let on_event = Rc::clone(&self.on_event);
            Timer::after(at.saturating_sub(steady()), move || on_event(ElectionEvent::Tick))
        });
        self.alarm.replace(alarm);
    }

    pub(super) fn take_lock(&self, steals: bool) {
        // An earlier request must be cancelled first, or it would be granted some day.
        self.lock.take();
        let on_event = Rc::clone(&self.on_event);
        let lock = Lock::request(LEADER_LOCK, steals, move |event| {
            on_event(match event {
                LockEvent::Granted => ElectionEvent::Granted,
                LockEvent::Stolen => ElectionEvent::Stolen,
                LockEvent::Unavailable => ElectionEvent::Unavailable,
            });
        });
        if lock.is_none() {
            let on_event = Rc::clone(&self.on_event);
            spawn_local(async move { on_event(ElectionEvent::Unavailable) });
        }
        self.lock.replace(lock);
    }

    pub(super) fn release_lock(&self) {
        self.lock.take();
    }
}
