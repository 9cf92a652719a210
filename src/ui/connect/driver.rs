//! Runs the connection's machine: gives it the time, the page's events and the line's words, and has done what it says.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use leptos::prelude::*;

use super::Line;
use crate::browser::{PageEvent, PageEvents, Timer, is_visible, random, root_data, steady};
use crate::feed::{Action, ConnectionState, Event, FeedIntervals, PageConnection};

/// See the module's comment. Closes everything when it is dropped.
pub struct Driver {
    machine: RefCell<PageConnection>,
    /// What the chip says.
    link: RwSignal<ConnectionState>,
    line: Line,
    /// The line was heard since the machine was told so last.
    heard: Cell<bool>,
    alarm: RefCell<Option<(u64, Timer)>>,
    page: RefCell<Option<PageEvents>>,
    act: Box<dyn Fn(Action)>,
}

impl Driver {
    /// Begins nothing yet. `act` is told to open the line ([`Driver::open`]) and to poll; the driver closes the line by itself.
    pub fn new(active: bool, link: RwSignal<ConnectionState>, line: Line, act: impl Fn(Action) + 'static) -> Self {
        Self {
            machine: RefCell::new(PageConnection::new(intervals(), active)),
            link,
            line,
            heard: Cell::new(false),
            alarm: RefCell::default(),
            page: RefCell::default(),
            act: Box::new(act),
        }
    }

    /// Begins. `of` finds the driver again as long as it is there; `also` hears the page's events after the machine.
    pub fn begin(of: impl Fn() -> Option<Rc<Self>> + Clone + 'static, also: impl Fn(PageEvent) + 'static) {
        let Some(driver) = of() else { return };
        driver.page.replace(Some(PageEvents::listen({
            let of = of.clone();
            move |event| {
                let Some(driver) = of() else { return };
                let told = match event {
                    PageEvent::Visible => Some(Event::Visible),
                    PageEvent::Hidden => Some(Event::Hidden),
                    PageEvent::Left => Some(Event::Left),
                    PageEvent::Returned => Some(Event::Returned),
                    PageEvent::Online => Some(Event::Online),
                    PageEvent::Offline => Some(Event::Offline),
                    PageEvent::Hash => None,
                };
                if let Some(told) = told {
                    driver.dispatch(told);
                }
                also(event);
            }
        })));
        if !is_visible() {
            driver.dispatch(Event::Hidden);
        }
        driver.dispatch(Event::Begin);
    }

    /// The line said something: it lives.
    pub fn hear(&self) {
        self.heard.set(true);
    }

    /// Whether the line said something that the machine was not told of yet.
    pub fn has_heard(&self) -> bool {
        self.heard.get()
    }

    /// Opens the line, as the machine has asked for.
    pub fn open(&self) {
        self.line.ask();
    }

    /// Tells the machine, and does what it says.
    pub fn dispatch(self: &Rc<Self>, event: Event) {
        if self.heard.take() && event != Event::Heard {
            self.step(Event::Heard);
        }
        self.step(event);
        let (deadline, link) = {
            let machine = self.machine.borrow();
            (machine.deadline(), machine.state())
        };
        if deadline != self.alarm.borrow().as_ref().map(|(at, _)| *at) {
            let alarm = deadline.map(|at| (at, self.alarm_at(at)));
            self.alarm.replace(alarm);
        }
        if self.link.try_get_untracked().is_some_and(|shown| shown != link) {
            self.link.try_set(link);
        }
    }

    fn alarm_at(self: &Rc<Self>, at: u64) -> Timer {
        let weak: Weak<Self> = Rc::downgrade(self);
        Timer::after(at.saturating_sub(steady()), move || {
            if let Some(driver) = weak.upgrade() {
                driver.alarm.take();
                driver.dispatch(Event::Tick);
            }
        })
    }

    fn step(&self, event: Event) {
        let actions = self.machine.borrow_mut().handle(event, steady(), random());
        let wanted = self.machine.borrow().wants_stream();
        // Never after an `OpenStream` of the same step: what was open is closed before another one is opened.
        if !wanted || actions.contains(&Action::CloseStream) {
            self.line.rest(wanted);
        }
        actions.into_iter().for_each(&self.act);
    }

    /// Closes everything.
    pub fn stop(self: &Rc<Self>) {
        self.page.take();
        self.dispatch(Event::Left);
        self.alarm.take();
    }
}

/// What the server wrote on the page's root element.
pub fn intervals() -> FeedIntervals {
    let read = |name: &str, or: u64| root_data(name).and_then(|text| text.parse().ok()).unwrap_or(or);
    let FeedIntervals { poll_ms, heartbeat_ms } = FeedIntervals::default();
    FeedIntervals {
        poll_ms: read("data-poll-ms", poll_ms).max(100),
        heartbeat_ms: read("data-heartbeat-ms", heartbeat_ms).max(100),
    }
}
