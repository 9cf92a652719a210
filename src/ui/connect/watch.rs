//! Keeps what a page shows of the list of runs up to date: by the stream of changes, by polls while there is none.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::{Driver, Line, Said, Topic};
use crate::browser::Timer;
use crate::feed::tabs::Role;
use crate::feed::{Action, ConnectionState, Event};
use crate::model::Problem;

/// How long a change waits for others like it before the server is asked, in milliseconds.
const GATHER: u64 = 200;

/// Something that shows runs.
pub trait ListView: 'static {
    /// What the server answers.
    type Answer;

    /// The list tells of a run, as JSON, which may be of another version of the server. Whether to ask for what this does not say.
    fn listed(&self, json: &str) -> bool;

    /// Asks for what is to be shown.
    fn ask(&self) -> impl Future<Output = Result<Self::Answer, Problem>> + 'static;

    /// Shows it.
    fn show(&self, answer: Self::Answer);

    /// Says that the server has not answered.
    fn failed(&self, problem: Problem);
}

/// What runs behind a [`ListView`], until its owner is gone.
pub struct ListWatch<V> {
    view: V,
    driver: Rc<Driver>,
    soon: RefCell<Option<Timer>>,
}

impl<V: ListView> ListWatch<V> {
    /// Begins. `link` and `role` are kept to how the view is connected. What comes back asks at once: for who wants something else.
    pub fn begin(view: V, link: RwSignal<ConnectionState>, role: RwSignal<Role>) -> impl Fn() + 'static {
        let watch = Rc::new_cyclic(|weak: &Weak<Self>| {
            let of = weak.clone();
            let hear = move |said| with(&of, |watch| watch.hear(said));
            let line = Line::new(Topic::List, role, || 0, hear, || false);
            let of = weak.clone();
            let act = move |action| with(&of, |watch| watch.act(action));
            Self { view, driver: Rc::new(Driver::new(true, link, line, act)), soon: RefCell::default() }
        });
        let (of, asker) = (Rc::downgrade(&watch), Rc::downgrade(&watch));
        Driver::begin(move || Some(Rc::clone(&of.upgrade()?.driver)), |_| {});
        let kept = StoredValue::new_local(Some(watch));
        on_cleanup(move || {
            if let Some(watch) = kept.try_update_value(Option::take).flatten() {
                watch.driver.stop();
            }
        });
        move || with(&asker, |watch| watch.driver.dispatch(Event::Missing))
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
                self.driver.dispatch(Event::Ready { active: true, behind: false });
                // What changed before the stream began to tell.
                self.driver.dispatch(Event::Missing);
            }
            Said::Available => self.driver.dispatch(Event::Available),
            Said::Listed(json) => {
                if self.view.listed(&json) {
                    self.look_soon();
                }
                self.driver.dispatch(Event::Heard);
            }
            Said::Beat(_) => self.driver.dispatch(Event::Heard),
            Said::Lost => self.driver.dispatch(Event::Lost),
            Said::Frames(_) | Said::More(_) | Said::End => {}
        }
    }

    fn look_soon(self: &Rc<Self>) {
        let weak = Rc::downgrade(self);
        self.soon.borrow_mut().get_or_insert_with(|| {
            Timer::after(GATHER, move || {
                with(&weak, |watch| {
                    watch.soon.take();
                    watch.driver.dispatch(Event::Missing);
                });
            })
        });
    }

    /// Asks, as the machine wants it.
    fn look(self: &Rc<Self>) {
        let (weak, asked) = (Rc::downgrade(self), self.view.ask());
        spawn_local(async move {
            let answer = asked.await;
            with(&weak, |watch| match answer {
                Ok(answer) => {
                    watch.view.show(answer);
                    watch.driver.dispatch(Event::Polled { active: true, behind: false });
                }
                Err(problem) => {
                    watch.view.failed(problem);
                    watch.driver.dispatch(Event::PollFailed { floor: 0 });
                }
            });
        });
    }
}

fn with<V>(watch: &Weak<ListWatch<V>>, act: impl FnOnce(&Rc<ListWatch<V>>)) {
    if let Some(watch) = watch.upgrade() {
        act(&watch);
    }
}
