//! What runs behind a live page: it does what the connection's machine says, and feeds frames to the reducer.
//!
//! Whatever comes (frames, the stream's words, a poll's answer) waits in one line and is handled in order, a few
//! milliseconds at a time, so that the page stays responsive however fast it comes. Signals change once per turn.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::{LiveRun, rows};
use crate::browser::{MAX_FRAME_WAIT_MS, NoAnswer, PageEvent, Timer, fetch_frames, is_visible, steady};
use crate::feed::rows::LoadState;
use crate::feed::{Action, Applied, Event};
use crate::model::{Cursor, Frame, Pin, RunId};
use crate::ui::alerts;
use crate::ui::connect::{Driver, Line, Said, Topic};

/// How long one turn may take, in milliseconds: half of what a screen allows, so that there is time to draw.
const TURN: u64 = 8;
/// How long one turn may take when nobody sees the page; its timers may come once a second only.
const HIDDEN_TURN: u64 = 100;
/// Where a hidden page's line is worked off without waiting for a timer.
const HIDDEN_LINE: usize = 500;
/// Frames per poll.
const LIMIT: u64 = 1000;

/// What waits in line.
enum Waiting {
    Frame(String),
    /// What the line said when it was opened for this time.
    Said(u64, Said),
    Polled {
        head: u64,
        active: bool,
        pin: Pin,
    },
    PollFailed(NoAnswer),
}

/// See the module's comment.
pub(super) struct Engine {
    pub(super) follow: LiveRun,
    pub(super) run: RunId,
    pub(super) rows: rows::Rows,
    driver: Rc<Driver>,
    line: RefCell<VecDeque<Waiting>>,
    /// What the machine asked for while the line was not empty: the cursor is not there yet.
    postponed: RefCell<Vec<Action>>,
    /// Counts when the line was opened and closed, so that late words of an earlier time are known.
    times: Cell<u64>,
    /// The last that the machine was told about the run.
    active: Cell<bool>,
    turn: RefCell<Option<Timer>>,
    replaced: Box<dyn Fn()>,
}

impl Engine {
    pub(super) fn begin(follow: LiveRun, replaced: impl Fn() + 'static) {
        let state = follow.state.get_untracked();
        let active = state.run.status.is_active();
        alerts::record(&state.run);
        let engine = Rc::new_cyclic(|weak: &Weak<Self>| {
            let line = Self::new_line(weak, follow, &state.run.id);
            let of = weak.clone();
            let act = move |action| with(&of, |engine| engine.act(action));
            Self {
                follow,
                run: state.run.id,
                rows: rows::Rows::of(follow.visible_rows.get_value()),
                driver: Rc::new(Driver::new(active, follow.connection, line, act)),
                line: RefCell::default(),
                postponed: RefCell::default(),
                times: Cell::new(0),
                active: Cell::new(active),
                turn: RefCell::default(),
                replaced: Box::new(replaced),
            }
        });
        follow.engine.set_value(Some(Rc::clone(&engine)));
        // Whatever still holds the engine (a fetch on its way) finds everything closed.
        on_cleanup(move || {
            if let Some(engine) = follow.engine.try_update_value(Option::take).flatten() {
                engine.stop();
            }
        });
        let weak = Rc::downgrade(&engine);
        let of = weak.clone();
        Driver::begin(
            move || Some(Rc::clone(&of.upgrade()?.driver)),
            move |event| with(&weak, |engine| engine.page_event(event)),
        );
        engine.load();
    }

    fn new_line(weak: &Weak<Self>, follow: LiveRun, run: &RunId) -> Line {
        let of = weak.clone();
        let hear = move |said| with(&of, |engine| engine.hear(said));
        let of = weak.clone();
        let busy = move || of.upgrade().is_some_and(|engine| !engine.line.borrow().is_empty());
        Line::new(Topic::Run(run.clone()), follow.role, move || cursor(follow).0, hear, busy)
    }

    fn stop(self: &Rc<Self>) {
        self.driver.stop();
        self.turn.take();
        self.line.take();
    }

    fn page_event(self: &Rc<Self>, event: PageEvent) {
        if matches!(event, PageEvent::Visible | PageEvent::Hidden) && !self.line.borrow().is_empty() {
            // A turn that waits for the next drawing would wait for as long as the page is hidden.
            self.turn.take();
            self.schedule();
        }
    }

    fn hear(self: &Rc<Self>, said: Said) {
        self.driver.hear();
        match said {
            Said::Frames(frames) => self.push(frames.into_iter().map(Waiting::Frame)),
            said => self.push([Waiting::Said(self.times.get(), said)]),
        }
    }

    /// Tells the machine, and does what it says.
    pub(super) fn dispatch(&self, event: Event) {
        self.driver.dispatch(event);
    }

    fn act(self: &Rc<Self>, action: Action) {
        match action {
            Action::CloseStream => {
                self.postponed.borrow_mut().retain(|&postponed| postponed != Action::OpenStream);
                // The last words of the line as it was may still wait; they are not those of the one in force.
                self.times.set(self.times.get() + 1);
            }
            Action::OpenStream | Action::Poll if !self.line.borrow().is_empty() => {
                self.postponed.borrow_mut().push(action);
            }
            Action::OpenStream => self.open(),
            Action::Poll => self.poll(),
        }
    }

    fn cursor(&self) -> Cursor {
        cursor(self.follow)
    }

    fn open(&self) {
        self.times.set(self.times.get() + 1);
        self.driver.open();
    }

    fn poll(self: &Rc<Self>) {
        let weak = Rc::downgrade(self);
        let (run, cursor) = (self.run.clone(), self.cursor());
        spawn_local(async move {
            let answer = fetch_frames(&run, cursor, LIMIT).await;
            with(&weak, |engine| match answer {
                Ok(answer) => {
                    let (head, active, pin) = (answer.head, answer.status.is_active(), answer.pin);
                    let polled = Waiting::Polled { head, active, pin };
                    engine.push(answer.frames.into_iter().map(Waiting::Frame).chain([polled]));
                }
                Err(no_answer) => engine.push([Waiting::PollFailed(no_answer)]),
            });
        });
    }

    fn push(self: &Rc<Self>, waiting: impl IntoIterator<Item = Waiting>) {
        self.line.borrow_mut().extend(waiting);
        let long = self.line.borrow().len() >= HIDDEN_LINE;
        if long && !is_visible() {
            self.take_turn();
        } else {
            self.schedule();
        }
    }

    fn schedule(self: &Rc<Self>) {
        if self.turn.borrow().is_some() {
            return;
        }
        let weak = Rc::downgrade(self);
        let call = move || with(&weak, Self::take_turn);
        let timer = if is_visible() { Timer::next_frame_or(MAX_FRAME_WAIT_MS, call) } else { Timer::after(0, call) };
        self.turn.replace(Some(timer));
    }

    /// Works the line off for as long as a turn may take, then shows what has changed.
    fn take_turn(self: &Rc<Self>) {
        self.turn.take();
        let end = steady() + if is_visible() { TURN } else { HIDDEN_TURN };
        let mut taken = 0u32;
        let mut missing = false;
        loop {
            let Some(next) = self.line.borrow_mut().pop_front() else { break };
            match next {
                Waiting::Frame(json) => missing |= self.take_frame(&json),
                Waiting::Said(number, said) => self.take_said(number, said),
                Waiting::Polled { head, active, pin } => {
                    self.active.set(active);
                    self.follow.merge_pin(pin);
                    self.server_answered();
                    self.dispatch(Event::Polled { active, behind: head > self.cursor().0 });
                }
                Waiting::PollFailed(NoAnswer::Failed { floor }) => self.dispatch(Event::PollFailed { floor }),
                Waiting::PollFailed(NoAnswer::Gone) => self.follow.on_deleted(),
                Waiting::PollFailed(NoAnswer::Ahead) => {
                    self.dispatch(Event::Left);
                    (self.replaced)();
                    return;
                }
            }
            taken += 1;
            if taken.is_multiple_of(8) && steady() >= end {
                break;
            }
        }
        if missing {
            self.dispatch(Event::Missing);
        } else if self.driver.has_heard() {
            self.dispatch(Event::Heard);
        }
        self.show();
        if !self.line.borrow().is_empty() {
            self.schedule();
            return;
        }
        let active = self.follow.state.try_with_untracked(|state| state.run.status.is_active()).unwrap_or(false);
        // An end that the server has not said is not the last word: what comes next may be the attempt that goes on by itself.
        if active || !self.active.get() {
            self.follow.state.try_with_untracked(|state| alerts::observe(&state.run));
        }
        if active != self.active.replace(active) {
            self.dispatch(Event::Active(active));
        }
        for action in self.postponed.take() {
            match action {
                Action::OpenStream => self.open(),
                Action::Poll => self.poll(),
                Action::CloseStream => {}
            }
        }
    }

    /// Whether frames before this one are missing.
    fn take_frame(&self, json: &str) -> bool {
        match serde_json::from_str::<Frame>(json) {
            Ok(frame) => {
                let applied = self.follow.journal.try_update_value(|journal| journal.apply(frame));
                matches!(applied, Some(Applied::Gap(_)))
            }
            // No frame of ours. If it should have been one, the next frame shows the gap.
            Err(error) => {
                leptos::logging::warn!("not a frame: {error}");
                false
            }
        }
    }

    fn take_said(self: &Rc<Self>, time: u64, said: Said) {
        if time != self.times.get() {
            return;
        }
        match said {
            Said::Ready { after, head, active } => {
                self.active.set(active);
                self.server_answered();
                self.dispatch(Event::Ready { active, behind: head > self.cursor().0 });
                self.request_gap(after);
            }
            Said::Available => self.dispatch(Event::Available),
            // The frames before them have been handled.
            Said::More(head) | Said::Beat(head) => self.request_gap(head),
            Said::End => {
                self.active.set(false);
                self.dispatch(Event::End);
            }
            Said::Lost => self.dispatch(Event::Lost),
            Said::Frames(_) | Said::Listed(_) => {}
        }
    }

    fn server_answered(self: &Rc<Self>) {
        self.follow.responses.try_update(|answered| *answered += 1);
        if self.follow.load_state.try_get_untracked() == Some(LoadState::Failed) {
            self.retry_loads();
        }
    }

    /// The line goes on after this seq: what lies before it is to be fetched.
    fn request_gap(&self, after: u64) {
        if after > self.cursor().0 {
            self.dispatch(Event::Missing);
        }
    }

    /// Lets the views know what the journal has now.
    pub(super) fn show(&self) {
        let follow = self.follow;
        let changed = follow.journal.try_update_value(|journal| {
            journal.trim(&self.rows.kept());
            let stats = journal.stats();
            let revision = journal.windows().revision();
            let is_new = revision != self.rows.revision.replace(revision);
            let known = follow.stats.try_get_untracked();
            let state = follow.state.try_with_untracked(|state| state != journal.state()).unwrap_or(false);
            let changed = is_new || known != Some(stats);
            changed.then_some((stats, state.then(|| journal.state().clone())))
        });
        let Some((stats, state)) = changed.flatten() else { return };
        if let Some(state) = state {
            follow.state.try_set(state);
        }
        if follow.stats.try_get_untracked() != Some(stats) {
            follow.stats.try_set(stats);
        }
        follow.version.try_update(|version| *version += 1);
    }
}

fn cursor(follow: LiveRun) -> Cursor {
    follow.journal.try_with_value(|journal| journal.cursor()).unwrap_or_default()
}

fn with(engine: &Weak<Engine>, act: impl FnOnce(&Rc<Engine>)) {
    if let Some(engine) = engine.upgrade() {
        act(&engine);
    }
}
