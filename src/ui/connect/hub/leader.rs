//! The hub's side towards the server, where this tab leads or works alone: the one stream, what it says, who is told of it.

use std::collections::{BTreeMap, BTreeSet};

use leptos::task::spawn_local;

use super::super::driver::settings;
use super::super::line::Said;
use super::{Hub, TAB};
use crate::base;
use crate::browser::{Stream, StreamSaid, held_locks, is_visible, random, reload, steady};
use crate::feed::tabs::{GATHER, Health, Message, Open, Plan, Role};
use crate::model::{ProblemCode, RunId};

/// How many bytes of frames are told to other tabs at once, and per second. What is more they fetch, as fast as they can take
/// it: a channel has no way to say that it is too much.
pub(super) const BURST: f64 = 1_048_576.0;
const RATE: f64 = 524_288.0;

impl Hub {
    /// Sees to it that the stream carries what is wanted. `ask`: somebody waits for it.
    pub(super) fn serve(&self, ask: bool) {
        if !self.connects() {
            return;
        }
        let all = self.wants.borrow().all();
        let plan = self.upstream.borrow().plan(&all, ask, steady());
        match plan {
            Plan::Keep => {}
            Plan::Close => self.upstream.borrow_mut().close(),
            Plan::Open(wait) => self.open_in(wait),
        }
    }

    pub(super) fn open_in(&self, wait: u64) {
        // Timers of hidden tabs are held back, and others may look.
        if wait <= GATHER && !is_visible() {
            self.opening.take();
            return self.open();
        }
        let at = steady() + wait;
        if self.opening.borrow().as_ref().is_none_or(|(due, _)| at < *due) {
            let timer = self.after(wait, |hub| {
                hub.opening.take();
                hub.open();
            });
            self.opening.replace(Some((at, timer)));
        }
    }

    pub(super) fn open(&self) {
        let all = self.wants.borrow().all();
        if !self.connects() || all.is_empty() {
            return self.upstream.borrow_mut().close();
        }
        if self.upstream.borrow().plan(&all, true, steady()) == Plan::Keep {
            return;
        }
        let (number, want) = self.upstream.borrow_mut().next(all);
        let heard = self.with(move |hub, said| hub.heard(number, said));
        let me = self.me.clone();
        let busy = move || me.upgrade().is_some_and(|hub| hub.lines().iter().any(|line| (line.busy)()));
        match Stream::open(&base::path(&want.url()), heard, busy) {
            Some(stream) => {
                self.upstream.borrow_mut().open(&want, stream, steady());
                self.look();
            }
            None => self.lost(0),
        }
    }

    /// Gives a stream up that has been silent for too long, and looks again when it would be.
    pub(super) fn look(&self) {
        let now = steady();
        let health = self.upstream.borrow_mut().health(settings().silence(), now);
        match health {
            Health::Closed => drop(self.watch.take()),
            Health::Dead => self.lost(0),
            Health::Until(at) => drop(self.watch.replace(Some(self.after(at - now, Self::look)))),
        }
    }

    pub(super) fn heard(&self, number: u64, piece: Vec<StreamSaid>) {
        // Frames are told a run at a time, and before whatever came after them.
        let mut batch: BTreeMap<RunId, Vec<String>> = BTreeMap::new();
        for said in piece {
            if !self.upstream.borrow().is(number) {
                return;
            }
            match said {
                StreamSaid::Frame { run, seq, json } => {
                    self.upstream.borrow_mut().tell(&run, seq);
                    batch.entry(run).or_default().push(json);
                }
                said => {
                    self.tell(&mut batch);
                    self.take(said);
                }
            }
        }
        self.tell(&mut batch);
        if !self.upstream.borrow().is(number) {
            return;
        }
        let now = steady();
        self.upstream.borrow_mut().hear(now);
        // The server is silent about runs that are silent as long as another one speaks.
        if self.upstream.borrow().is_ready() && now >= self.beaten.get() + settings().heartbeat {
            let heads = self.upstream.borrow().carries().runs;
            self.live(heads);
        }
    }

    /// The stream lives, and these are its runs, each with its last seq.
    pub(super) fn live(&self, heads: BTreeMap<RunId, u64>) {
        self.beaten.set(steady());
        let list = self.upstream.borrow().carries_list();
        self.post(Message::Beat { heads: heads.clone(), list });
        self.beat(&heads, list);
        self.look_for_tabs();
    }

    pub(super) fn take(&self, said: StreamSaid) {
        match said {
            StreamSaid::Ready { runs, list } => {
                let openings: Vec<Open> = {
                    let mut upstream = self.upstream.borrow_mut();
                    upstream.begin(runs, steady());
                    upstream.openings(&upstream.carries())
                };
                self.beaten.set(steady());
                self.post(Message::Ready { runs: openings.clone(), list });
                self.ready(openings, list);
            }
            StreamSaid::Heartbeat { heads } => self.live(heads),
            StreamSaid::End(run) => self.end(run),
            StreamSaid::List(run) => {
                if self.wants.borrow().others_want_list(&self.id) {
                    self.post(Message::List { run: run.clone() });
                }
                self.list(run);
            }
            StreamSaid::Nothing => {
                let carried = self.upstream.borrow().carries();
                let openings = self.upstream.borrow().openings(&carried);
                // Who is behind learns from where to fetch what it lacks.
                self.post(Message::Ready { runs: openings.clone(), list: false });
                self.ready(openings, false);
                carried.runs.into_keys().for_each(|run| self.end(run));
                self.upstream.borrow_mut().close();
            }
            // The login has run out: the server leads a page that asks again to its form, and back.
            StreamSaid::Problem(ProblemCode::Unauthorized) => reload(),
            // A stream that has nothing more to tell closes.
            StreamSaid::Lost if self.upstream.borrow().carries().is_empty() => self.upstream.borrow_mut().close(),
            StreamSaid::Refused { not_there, floor } => {
                if not_there {
                    // A run that is gone, or a cursor of another history: a tab that lives learns it by its own poll, and one
                    // that sleeps must not keep the stream from the others. Who is there says anew what it wants.
                    self.wants.borrow_mut().keep(|tab| tab == self.id);
                    self.post(Message::Lead);
                }
                self.lost(floor);
            }
            StreamSaid::Frame { .. } => {}
            StreamSaid::Problem(_) | StreamSaid::Lost => self.lost(0),
        }
    }

    pub(super) fn end(&self, run: RunId) {
        self.upstream.borrow_mut().end(&run);
        // A tab that sleeps has not taken its wish back; one that wants more of the run asks anew.
        self.wants.borrow_mut().forget(&run);
        self.post(Message::End { run: run.clone() });
        self.ended(&run);
    }

    /// The stream is away. `floor`: for how many milliseconds the server asked to be left alone.
    pub(super) fn lost(&self, floor: u64) {
        self.upstream.borrow_mut().fail(steady(), random(), floor);
        self.watch.take();
        // Who waited for it to open asks again.
        self.opening.take();
        self.post(Message::Lost);
        self.away();
    }

    /// Tells this tab and others their frames.
    pub(super) fn tell(&self, batch: &mut BTreeMap<RunId, Vec<String>>) {
        for (run, frames) in std::mem::take(batch) {
            if self.wants.borrow().others_want(&self.id, &run) {
                self.relay(&run, &frames);
            }
            self.say(&run, Said::Frames(frames));
        }
    }

    /// Tells other tabs these frames if that is not too much for the channel; that there are more, if it is.
    pub(super) fn relay(&self, run: &RunId, frames: &[String]) {
        let run = run.clone();
        let size = frames.iter().map(String::len).sum::<usize>() as f64;
        let now = steady();
        let (left, at) = self.budget.get();
        let left = (left + now.saturating_sub(at) as f64 * RATE / 1000.0).min(BURST);
        let fits = size <= left;
        self.budget.set((if fits { left - size } else { left }, now));
        self.post(if fits {
            Message::Frames { run, frames: frames.to_vec() }
        } else {
            let head = self.upstream.borrow().told_up_to(&run);
            Message::More { run, head }
        });
    }

    /// Forgets tabs that are gone without a word. One that has just come may not have its lock yet, so it is looked twice.
    pub(super) fn look_for_tabs(&self) {
        if self.election.borrow().role() != Role::Leader {
            return;
        }
        let me = self.me.clone();
        spawn_local(async move {
            let Some(held) = held_locks().await else { return };
            let Some(hub) = me.upgrade() else { return };
            let there = |tab: &str| held.iter().any(|name| name.strip_prefix(TAB) == Some(tab));
            let missed: BTreeSet<String> =
                hub.wants.borrow().tabs().filter(|tab| !there(tab)).map(str::to_owned).collect();
            let before = hub.missed.replace(missed.clone());
            hub.wants.borrow_mut().keep(|tab| tab == hub.id || !(missed.contains(tab) && before.contains(tab)));
            hub.serve(false);
        });
    }

    pub(super) fn told_as_leader(&self, from: &str, message: Message) {
        // A hidden tab's timers are late: what it answers must be true now.
        self.look();
        match message {
            Message::Ask => self.post(Message::Here),
            Message::Want { want, ask } => {
                self.wants.borrow_mut().set(from, want.clone());
                if ask {
                    let (runs, list, ready) = {
                        let upstream = self.upstream.borrow();
                        (upstream.openings(&want), upstream.carries_list(), upstream.is_ready())
                    };
                    if ready {
                        self.post(Message::Ready { runs, list });
                    }
                }
                self.serve(ask);
            }
            Message::News { news } => self.notify(news),
            // Another one thinks that it leads: it was frozen, and is about to learn that it does not. Or this one is.
            Message::Lead
            | Message::Here
            | Message::Ready { .. }
            | Message::Frames { .. }
            | Message::More { .. }
            | Message::End { .. }
            | Message::List { .. }
            | Message::Beat { .. }
            | Message::Lost => {}
        }
    }
}
