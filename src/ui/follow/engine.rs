//! What runs behind a live page: it does what the connection's machine says, and feeds frames to the reducer.
//!
//! Whatever comes (frames, the stream's words, a poll's answer) waits in one line and is handled in order, a few
//! milliseconds at a time, so that the page stays responsive however fast it comes. Signals change once per turn.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::{BOUND, Follow, MOST, past};
use crate::activity::{Action, Applied, Connection, Event, Settings};
use crate::browser::{
    NoAnswer, PageEvent, PageEvents, Said, Stream, Timer, fetch_frames, is_visible, random, reload, root_data, steady,
};
use crate::model::{Code, Cursor, Frame, RunId};

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
    /// What the stream of this number said.
    Said(u64, Said),
    Polled {
        head: u64,
        active: bool,
    },
    PollFailed(NoAnswer),
}

/// See the module's comment.
pub(super) struct Engine {
    pub(super) follow: Follow,
    pub(super) run: RunId,
    pub(super) past: past::Past,
    machine: RefCell<Connection>,
    line: RefCell<VecDeque<Waiting>>,
    /// What the machine asked for while the line was not empty: the cursor is not there yet.
    postponed: RefCell<Vec<Action>>,
    stream: RefCell<Option<Stream>>,
    /// Counts streams, so that late words of a closed one are known.
    streams: Cell<u64>,
    /// The stream was heard since the machine was told so last.
    heard: Cell<bool>,
    /// The last that the machine was told about the run.
    active: Cell<bool>,
    alarm: RefCell<Option<(u64, Timer)>>,
    turn: RefCell<Option<Timer>>,
    page: RefCell<Option<PageEvents>>,
    replaced: Box<dyn Fn()>,
}

impl Engine {
    pub(super) fn begin(follow: Follow, replaced: impl Fn() + 'static) {
        let state = follow.state.get_untracked();
        let active = state.run.status.is_active();
        let engine = Rc::new(Self {
            follow,
            run: state.run.id,
            past: past::Past::default(),
            machine: RefCell::new(Connection::new(settings(), active)),
            line: RefCell::default(),
            postponed: RefCell::default(),
            stream: RefCell::default(),
            streams: Cell::new(0),
            heard: Cell::new(false),
            active: Cell::new(active),
            alarm: RefCell::default(),
            turn: RefCell::default(),
            page: RefCell::default(),
            replaced: Box::new(replaced),
        });
        follow.engine.set_value(Some(Rc::clone(&engine)));
        let weak = Rc::downgrade(&engine);
        engine.page.replace(Some(PageEvents::listen(move |event| with(&weak, |engine| engine.page_event(event)))));
        // Whatever still holds the engine (a fetch on its way) finds everything closed.
        on_cleanup(move || {
            if let Some(engine) = follow.engine.try_update_value(Option::take).flatten() {
                engine.stop();
            }
        });
        if !is_visible() {
            engine.feed(Event::Hidden);
        }
        engine.feed(Event::Begin);
        past::fill(&engine);
    }

    fn stop(self: &Rc<Self>) {
        self.page.take();
        self.feed(Event::Left);
        self.turn.take();
        self.alarm.take();
        self.line.take();
    }

    fn page_event(self: &Rc<Self>, event: PageEvent) {
        match event {
            PageEvent::Visible => self.feed(Event::Visible),
            PageEvent::Hidden => self.feed(Event::Hidden),
            PageEvent::Left => self.feed(Event::Left),
            PageEvent::Returned => self.feed(Event::Returned),
            PageEvent::Online => self.feed(Event::Online),
            PageEvent::Offline => self.feed(Event::Offline),
            PageEvent::Hash => {}
        }
        if matches!(event, PageEvent::Visible | PageEvent::Hidden) && !self.line.borrow().is_empty() {
            // A turn that waits for the next drawing would wait for as long as the page is hidden.
            self.turn.take();
            self.schedule();
        }
    }

    /// Tells the machine, and does what it says.
    pub(super) fn feed(self: &Rc<Self>, event: Event) {
        if self.heard.take() && event != Event::Heard {
            self.step(Event::Heard, steady());
        }
        self.step(event, steady());
        let deadline = self.machine.borrow().deadline();
        if deadline != self.alarm.borrow().as_ref().map(|(at, _)| *at) {
            let weak = Rc::downgrade(self);
            let alarm = deadline.map(|at| {
                let wait = at.saturating_sub(steady());
                let ring = move || {
                    with(&weak, |engine| {
                        engine.alarm.take();
                        engine.feed(Event::Tick);
                    });
                };
                (at, Timer::after(wait, ring))
            });
            self.alarm.replace(alarm);
        }
        let link = self.machine.borrow().link();
        if self.follow.link.try_get_untracked().is_some_and(|shown| shown != link) {
            self.follow.link.try_set(link);
        }
    }

    fn step(self: &Rc<Self>, event: Event, at: u64) {
        let actions = self.machine.borrow_mut().handle(event, at, random());
        for action in actions {
            match action {
                Action::CloseStream => {
                    self.postponed.borrow_mut().retain(|&postponed| postponed != Action::OpenStream);
                    self.stream.take();
                    // Its last words may still come; they are not those of the stream in force.
                    self.streams.set(self.streams.get() + 1);
                }
                Action::OpenStream | Action::Poll if !self.line.borrow().is_empty() => {
                    self.postponed.borrow_mut().push(action);
                }
                Action::OpenStream => self.open(),
                Action::Poll => self.poll(),
            }
        }
    }

    fn cursor(&self) -> Cursor {
        self.follow.journal.try_with_value(|journal| journal.cursor()).unwrap_or_default()
    }

    fn open(self: &Rc<Self>) {
        let number = self.streams.get() + 1;
        self.streams.set(number);
        let url = format!("/runs/{}/events?after={}", self.run, self.cursor().0);
        let weak = Rc::downgrade(self);
        let hear = move |said| {
            with(&weak, |engine| {
                if engine.streams.get() == number {
                    engine.heard.set(true);
                }
                engine.push(match said {
                    Said::Frame(json) => Waiting::Frame(json),
                    said => Waiting::Said(number, said),
                });
            });
        };
        let weak = Rc::downgrade(self);
        let busy = move || weak.upgrade().is_some_and(|engine| !engine.line.borrow().is_empty());
        let stream = Stream::open(&url, hear, busy);
        if stream.is_none() {
            self.push(Waiting::Said(number, Said::Lost));
        }
        self.stream.replace(stream);
    }

    fn poll(self: &Rc<Self>) {
        let weak = Rc::downgrade(self);
        let (run, cursor) = (self.run.clone(), self.cursor());
        spawn_local(async move {
            let answer = fetch_frames(&run, cursor, LIMIT).await;
            with(&weak, |engine| match answer {
                Ok(answer) => {
                    let polled = Waiting::Polled { head: answer.head, active: answer.status.is_active() };
                    engine.line.borrow_mut().extend(answer.frames.into_iter().map(Waiting::Frame));
                    engine.push(polled);
                }
                Err(no_answer) => engine.push(Waiting::PollFailed(no_answer)),
            });
        });
    }

    fn push(self: &Rc<Self>, waiting: Waiting) {
        self.line.borrow_mut().push_back(waiting);
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
        let timer = if is_visible() { Timer::next_frame(call) } else { Timer::after(0, call) };
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
                Waiting::Polled { head, active } => {
                    self.active.set(active);
                    self.feed(Event::Polled { active, behind: head > self.cursor().0 });
                }
                Waiting::PollFailed(NoAnswer::Failed { floor }) => self.feed(Event::PollFailed { floor }),
                Waiting::PollFailed(NoAnswer::Gone) => self.feed(Event::Gone),
                Waiting::PollFailed(NoAnswer::Ahead) => {
                    self.feed(Event::Left);
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
            self.feed(Event::Missing);
        } else if self.heard.get() {
            self.feed(Event::Heard);
        }
        self.show();
        if !self.line.borrow().is_empty() {
            self.schedule();
            return;
        }
        let active = self.follow.state.try_with_untracked(|state| state.run.status.is_active()).unwrap_or(false);
        if active != self.active.replace(active) {
            self.feed(Event::Active(active));
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

    fn take_said(self: &Rc<Self>, number: u64, said: Said) {
        if number != self.streams.get() {
            return;
        }
        match said {
            Said::Ready { head, status } => {
                self.active.set(status.is_active());
                let behind = head > self.cursor().0;
                self.feed(Event::Ready { active: status.is_active(), behind });
            }
            Said::End => {
                self.active.set(false);
                self.feed(Event::End);
            }
            Said::Problem(Code::RunNotFound) => self.feed(Event::Gone),
            // The login has run out: the server leads a page that asks again to its form, and back.
            Said::Problem(Code::Unauthorized) => reload(),
            Said::Problem(_) | Said::Lost => self.feed(Event::Lost),
            Said::Heartbeat | Said::Frame(_) => {}
        }
    }

    /// Lets the views know what the journal has now.
    pub(super) fn show(&self) {
        let follow = self.follow;
        let changed = follow.journal.try_update_value(|journal| {
            // The reader may look at old frames: they stay for as long as there is room.
            let most = if self.past.reading() { MOST } else { BOUND };
            if journal.held().len() > most + most / 10 {
                journal.keep_newest(most);
            }
            let numbers = journal.numbers();
            let known = follow.numbers.try_get_untracked();
            let state = follow.state.try_with_untracked(|state| state != journal.state()).unwrap_or(false);
            (known != Some(numbers)).then_some((numbers, state.then(|| journal.state().clone())))
        });
        let Some((numbers, state)) = changed.flatten() else { return };
        if let Some(state) = state {
            follow.state.try_set(state);
        }
        follow.numbers.try_set(numbers);
        follow.version.try_update(|version| *version += 1);
    }
}

fn with(engine: &Weak<Engine>, act: impl FnOnce(&Rc<Engine>)) {
    if let Some(engine) = engine.upgrade() {
        act(&engine);
    }
}

/// What the server wrote on the page's root element.
fn settings() -> Settings {
    let read = |name: &str, or: u64| root_data(name).and_then(|text| text.parse().ok()).unwrap_or(or);
    let Settings { poll, heartbeat } = Settings::default();
    Settings { poll: read("data-poll-ms", poll).max(100), heartbeat: read("data-heartbeat-ms", heartbeat).max(100) }
}
