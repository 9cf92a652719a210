//! Keeps the list up to date without a reload: by the stream of changes, by polls while there is none.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::{Rc, Weak};

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::live::LiveRuns;
use crate::activity::{Action, Event};
use crate::browser::Timer;
use crate::calls::list_runs;
use crate::model::{Listed, Run, RunFilter, RunId, RunPage};
use crate::ui::connect::{Driver, Line, Said, Topic};
use crate::ui::news;

/// How long a change waits for others like it before the list is asked for, in milliseconds.
const GATHER: u64 = 200;
/// The most runs that one question may ask for.
const MOST: usize = 200;

/// What runs behind a live list.
pub(super) struct Engine {
    runs: LiveRuns,
    driver: Rc<Driver>,
    soon: RefCell<Option<Timer>>,
    /// Runs that were deleted while this list is shown: an answer that is on its way may still have them.
    gone: RefCell<HashSet<RunId>>,
}

impl Engine {
    pub(super) fn begin(runs: LiveRuns) {
        let engine = Rc::new_cyclic(|weak: &Weak<Self>| {
            let of = weak.clone();
            let hear = move |said| with(&of, |engine| engine.hear(said));
            let line = Line::new(Topic::List, runs.role, || 0, hear, || false);
            let of = weak.clone();
            let act = move |action| with(&of, |engine| engine.act(action));
            let driver = Rc::new(Driver::new(true, runs.link, line, act));
            Self { runs, driver, soon: RefCell::default(), gone: RefCell::default() }
        });
        runs.rows.with_untracked(|rows| rows.iter().for_each(|row| row.with_untracked(news::know)));
        runs.engine.set_value(Some(Rc::clone(&engine)));
        on_cleanup(move || {
            if let Some(engine) = runs.engine.try_update_value(Option::take).flatten() {
                engine.driver.stop();
            }
        });
        let of = Rc::downgrade(&engine);
        Driver::begin(move || Some(Rc::clone(&of.upgrade()?.driver)), |_| {});
    }

    fn act(self: &Rc<Self>, action: Action) {
        match action {
            Action::OpenStream => self.driver.open(),
            Action::Poll => self.refresh(),
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
                match serde_json::from_str(&json) {
                    Ok(Listed::Is(run)) => self.changed(*run),
                    Ok(Listed::Deleted { id, .. }) => self.deleted(id),
                    // Of another version of the server; a poll tells it.
                    Err(_) => {}
                }
                self.driver.feed(Event::Heard);
            }
            Said::Beat(_) => self.driver.feed(Event::Heard),
            Said::Lost => self.driver.feed(Event::Lost),
            Said::Frames(_) | Said::More(_) | Said::End => {}
        }
    }

    /// A run is now so. One that is shown shows it at once; whether it is to be shown, and where, the server knows.
    fn changed(self: &Rc<Self>, run: Run) {
        news::see(&run);
        let Some(rows) = self.runs.rows.try_get_untracked() else { return };
        let RunFilter { status, pipeline, q, .. } = self.runs.filter.get_value();
        let shown = rows.iter().find(|row| row.with_untracked(|row| row.id == run.id));
        match shown {
            // An answer to a question may have overtaken it.
            Some(row) if status.is_none_or(|status| status == run.status) => {
                if row.with_untracked(|row| run.is_news_to(row)) {
                    row.set(run);
                }
            }
            None if pipeline.as_ref().is_some_and(|name| !name.is_empty() && *name != run.pipeline) => {}
            None if status.is_some_and(|status| status != run.status) => {}
            // A run of long ago, below those that are shown.
            None if q.is_none()
                && self.runs.next.with_untracked(Option::is_some)
                && rows.last().is_some_and(|last| last.with_untracked(|last| run.id < last.id)) => {}
            None | Some(_) => self.refresh_soon(),
        }
    }

    fn deleted(&self, id: RunId) {
        let _ = self.runs.rows.try_maybe_update(|rows| {
            let shown = rows.len();
            rows.retain(|row| row.with_untracked(|row| row.id != id));
            (rows.len() < shown, ())
        });
        self.gone.borrow_mut().insert(id);
    }

    fn refresh_soon(self: &Rc<Self>) {
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

    /// Asks for the list, as the machine wants it.
    fn refresh(self: &Rc<Self>) {
        let Some(shown) = self.runs.rows.try_with_untracked(Vec::len) else { return };
        let limit = u32::try_from(shown.clamp(50, MOST)).ok();
        let filter = RunFilter { limit, ..self.runs.filter.get_value() };
        let weak = Rc::downgrade(self);
        spawn_local(async move {
            let answer = list_runs(filter).await;
            with(&weak, |engine| match answer {
                Ok(page) => {
                    engine.merge(page);
                    engine.driver.feed(Event::Polled { active: true, behind: false });
                }
                Err(problem) => {
                    engine.runs.problem.try_set(Some(problem));
                    engine.driver.feed(Event::PollFailed { floor: 0 });
                }
            });
        });
    }

    /// Takes the newest runs; those that are shown below them stay.
    fn merge(&self, mut page: RunPage) {
        let runs = self.runs;
        runs.problem.set(None);
        page.runs.retain(|run| !self.gone.borrow().contains(&run.id));
        let rows = runs.rows.get_untracked();
        let place = |run: &Run| rows.iter().position(|row| row.with_untracked(|row| row.id == run.id));
        let below = match page.runs.last() {
            Some(last) if page.next.is_some() => place(last).map_or(0, |place| rows.len() - place - 1),
            _ => 0,
        };
        let mut merged = Vec::with_capacity(page.runs.len() + below);
        for run in page.runs {
            news::see(&run);
            match place(&run) {
                Some(place) => {
                    let row = &rows[place];
                    // An event may have overtaken this answer.
                    if row.with_untracked(|row| run.is_news_to(row)) {
                        row.set(run);
                    }
                    merged.push(row.clone());
                }
                None => merged.push(ArcRwSignal::new(run)),
            }
        }
        merged.extend_from_slice(&rows[rows.len() - below..]);
        if below == 0 {
            runs.next.set(page.next);
        }
        let ids = |rows: &[ArcRwSignal<Run>]| {
            rows.iter().map(|row| row.with_untracked(|run| run.id.clone())).collect::<Vec<_>>()
        };
        if ids(&merged) != ids(&rows) {
            runs.rows.set(merged);
        }
    }
}

fn with(engine: &Weak<Engine>, act: impl FnOnce(&Rc<Engine>)) {
    if let Some(engine) = engine.upgrade() {
        act(&engine);
    }
}
