//! Keeps the queue up to date: looks again whenever a run comes into it or leaves it, by polls while there is no stream.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::live::LiveQueue;
use crate::activity::{Action, Event};
use crate::browser::Timer;
use crate::calls::read_queue;
use crate::model::{Run, Status};
use crate::ui::connect::{Driver, Line, Said, Topic};

/// How long a change waits for others like it before the queue is asked for, in milliseconds.
const GATHER: u64 = 100;

/// What runs behind a live queue.
pub(super) struct Engine {
    queue: LiveQueue,
    driver: Rc<Driver>,
    soon: RefCell<Option<Timer>>,
}

impl Engine {
    pub(super) fn begin(queue: LiveQueue) {
        let engine = Rc::new_cyclic(|weak: &Weak<Self>| {
            let of = weak.clone();
            let hear = move |said| with(&of, |engine| engine.hear(said));
            let line = Line::new(Topic::List, queue.role, || 0, hear, || false);
            let of = weak.clone();
            let act = move |action| with(&of, |engine| engine.act(action));
            Self { queue, driver: Rc::new(Driver::new(true, queue.link, line, act)), soon: RefCell::default() }
        });
        queue.engine.set_value(Some(Rc::clone(&engine)));
        on_cleanup(move || {
            if let Some(engine) = queue.engine.try_update_value(Option::take).flatten() {
                engine.driver.stop();
            }
        });
        let of = Rc::downgrade(&engine);
        Driver::begin(move || Some(Rc::clone(&of.upgrade()?.driver)), |_| {});
    }

    fn act(self: &Rc<Self>, action: Action) {
        match action {
            Action::OpenStream => self.driver.open(),
            Action::Poll => self.look(),
            Action::CloseStream => {}
        }
    }

    fn hear(self: &Rc<Self>, said: Said) {
        self.driver.hear();
        match said {
            Said::Ready { .. } => {
                self.driver.feed(Event::Ready { active: true, behind: false });
                // What changed before the stream began to tell.
                self.driver.feed(Event::Missing);
            }
            Said::Available => self.driver.feed(Event::Available),
            Said::Listed(json) => {
                let changed = serde_json::from_str(&json).ok();
                if changed.is_some_and(|run: Run| run.status == Status::Pending || self.queue.knows(&run.id)) {
                    self.look_soon();
                }
                self.driver.feed(Event::Heard);
            }
            Said::Beat(_) => self.driver.feed(Event::Heard),
            Said::Lost => self.driver.feed(Event::Lost),
            Said::Frames(_) | Said::More(_) | Said::End => {}
        }
    }

    fn look_soon(self: &Rc<Self>) {
        let weak = Rc::downgrade(self);
        self.soon.borrow_mut().get_or_insert_with(|| {
            Timer::after(GATHER, move || {
                with(&weak, |engine| {
                    engine.soon.take();
                    engine.driver.feed(Event::Missing);
                });
            })
        });
    }

    /// Asks for the queue, as the machine wants it.
    fn look(self: &Rc<Self>) {
        let weak = Rc::downgrade(self);
        spawn_local(async move {
            let answer = read_queue().await;
            with(&weak, |engine| match answer {
                Ok(queue) => {
                    engine.queue.set(queue);
                    engine.driver.feed(Event::Polled { active: true, behind: false });
                }
                // The page tells of a server that is away elsewhere.
                Err(_) => engine.driver.feed(Event::PollFailed { floor: 0 }),
            });
        });
    }
}

fn with(engine: &Weak<Engine>, act: impl FnOnce(&Rc<Engine>)) {
    if let Some(engine) = engine.upgrade() {
        act(&engine);
    }
}
