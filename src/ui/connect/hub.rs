//! The tab's hub: its lines on one side, the browser's one connection on the other, be it this tab's or another's.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::{Rc, Weak};

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::driver::settings;
use super::line::{Said, State, Topic};
use super::upstream::Upstream;
use crate::activity::tabs::{Act, Election, Happening, Message, Open, Role, Told, Want, Wants};
use crate::browser::{
    Channel, Lock, LockNews, PageEvent, PageEvents, Stream, StreamSaid, Timer, has_locks, held_locks, is_visible, key,
    random, reload, steady,
};
use crate::model::{Code, RunId};

/// The lock that the leader holds.
const LEADER: &str = "runtrail-leader";
/// With a tab's id: the lock by which the others know that the tab is there.
const TAB: &str = "runtrail-tab-";
/// The channel between tabs.
const CHANNEL: &str = "runtrail";
/// How long a change of what is wanted waits for others like it, in milliseconds.
const GATHER: u64 = 30;
/// How long a stream goes on that carries more than is wanted, in milliseconds.
const SHRINK: u64 = 500;
/// A timer that is so late says that the tab slept; what came meanwhile may still wait to be handled.
const LATE: u64 = 1000;
/// How many bytes of frames are told to other tabs at once, and per second. What is more they fetch, as fast as they can take
/// it: a channel has no way to say that it is too much.
const BURST: f64 = 1_048_576.0;
const RATE: f64 = 524_288.0;

/// See the module's comment. There is one a tab.
pub struct Hub {
    me: Weak<Self>,
    id: String,
    lines: RefCell<Vec<Rc<State>>>,
    election: RefCell<Election>,
    wants: RefCell<Wants>,
    upstream: RefCell<Upstream>,
    /// How many messages this tab has posted.
    posted: Cell<u64>,
    /// The leader heard last, and which of its messages that was.
    heard: RefCell<Option<(String, u64)>>,
    /// Bytes that may be told, and when that was so.
    budget: Cell<(f64, u64)>,
    /// Tabs that were not there when it was looked last.
    missed: RefCell<BTreeSet<String>>,
    lock: RefCell<Option<Lock>>,
    presence: RefCell<Option<Lock>>,
    channel: RefCell<Option<Channel>>,
    alarm: RefCell<Option<Timer>>,
    /// When the lines were told last that the stream lives.
    beaten: Cell<u64>,
    /// Who said last that it leads.
    leader: RefCell<Option<String>>,
    opening: RefCell<Option<(u64, Timer)>>,
    watch: RefCell<Option<Timer>>,
    page: RefCell<Option<PageEvents>>,
}

thread_local! {
    static HUB: RefCell<Option<Rc<Hub>>> = const { RefCell::new(None) };
}

impl Hub {
    /// The tab's hub, which begins to take part when it is first asked for.
    pub fn of_tab() -> Rc<Self> {
        if let Some(hub) = HUB.with_borrow(Clone::clone) {
            return hub;
        }
        let hub = Rc::new_cyclic(|me| Self {
            me: me.clone(),
            id: key(),
            lines: RefCell::default(),
            election: RefCell::default(),
            wants: RefCell::default(),
            upstream: RefCell::default(),
            posted: Cell::new(0),
            heard: RefCell::default(),
            budget: Cell::new((BURST, 0)),
            missed: RefCell::default(),
            lock: RefCell::default(),
            presence: RefCell::default(),
            channel: RefCell::default(),
            alarm: RefCell::default(),
            beaten: Cell::new(0),
            leader: RefCell::default(),
            opening: RefCell::default(),
            watch: RefCell::default(),
            page: RefCell::default(),
        });
        HUB.set(Some(Rc::clone(&hub)));
        hub.page.replace(Some(PageEvents::listen(hub.with(|hub, event| hub.page_event(event)))));
        if !is_visible() {
            hub.happen(Happening::Hidden);
        }
        hub.begin();
        hub
    }

    /// A call for later that does nothing once the hub is gone.
    fn with<T>(&self, act: impl Fn(&Self, T) + 'static) -> impl Fn(T) + 'static {
        let me = self.me.clone();
        move |with| {
            if let Some(hub) = me.upgrade() {
                act(&hub, with);
            }
        }
    }

    fn after(&self, wait: u64, act: impl Fn(&Self) + 'static) -> Timer {
        let call = self.with(move |hub, ()| act(hub));
        Timer::after(wait, move || call(()))
    }

    fn begin(&self) {
        if has_locks() {
            self.channel.replace(Channel::open(CHANNEL, self.with(|hub, text: String| hub.told(&text))));
            self.presence.replace(Lock::request(&format!("{TAB}{}", self.id), false, |_| {}));
        }
        let shared = self.channel.borrow().is_some();
        self.happen(Happening::Begin { shared });
    }

    fn page_event(&self, event: PageEvent) {
        match event {
            PageEvent::Visible | PageEvent::Online => {
                self.happen(Happening::Visible);
                self.upstream.borrow_mut().hurry(steady());
                self.look();
                self.serve(false);
                self.catch_up();
            }
            PageEvent::Hidden => self.happen(Happening::Hidden),
            PageEvent::Left => {
                self.post(Message::Want { want: Want::default(), ask: false });
                self.happen(Happening::Left);
            }
            PageEvent::Returned => self.begin(),
            PageEvent::Offline | PageEvent::Hash => {}
        }
    }

    // Who leads.

    fn happen(&self, happening: Happening) {
        let acts = self.election.borrow_mut().handle(happening, steady());
        for act in acts {
            self.act(act);
        }
        let deadline = self.election.borrow().deadline();
        let alarm = |at: u64| self.after(at.saturating_sub(steady()), |hub| hub.happen(Happening::Tick));
        self.alarm.replace(deadline.map(alarm));
        let role = self.election.borrow().role();
        for line in self.lines() {
            if line.role.try_get_untracked().is_some_and(|shown| shown != role) {
                line.role.try_set(role);
            }
        }
    }

    /// A channel keeps nothing for a tab that sleeps. One that follows, and may have missed something, asks where its runs
    /// stand now.
    fn catch_up(&self) {
        if !self.connects() && self.lines().iter().any(|line| line.open.get()) {
            self.changed(true);
        }
    }

    fn act(&self, act: Act) {
        match act {
            Act::Request => self.take_lock(false),
            Act::Steal => self.take_lock(true),
            Act::Release => {
                self.lock.take();
                self.presence.take();
                self.channel.take();
            }
            Act::Lead => {
                if self.election.borrow().role() == Role::Solo {
                    // It has no lock, so it must not answer for others.
                    self.channel.take();
                }
                self.post(Message::Lead);
                self.serve(true);
            }
            Act::Yield => {
                self.upstream.borrow_mut().close();
                self.opening.take();
                self.watch.take();
                // The new leader may have asked before this tab knew.
                if self.election.borrow().role() == Role::Follower {
                    self.changed(true);
                }
            }
            Act::Ask => self.post(Message::Ask),
        }
    }

    fn take_lock(&self, steal: bool) {
        // What was asked for before is called off first: it would be granted some day.
        self.lock.take();
        let told = self.with(|hub, news| match news {
            LockNews::Granted => hub.happen(Happening::Granted),
            LockNews::Taken => hub.happen(Happening::Taken),
            LockNews::Refused => hub.happen(Happening::Refused),
        });
        let lock = Lock::request(LEADER, steal, told);
        if lock.is_none() {
            let refused = self.with(|hub, ()| hub.happen(Happening::Refused));
            spawn_local(async move { refused(()) });
        }
        self.lock.replace(lock);
    }

    fn connects(&self) -> bool {
        self.election.borrow().connects()
    }

    // What the lines want.

    fn lines(&self) -> Vec<Rc<State>> {
        self.lines.borrow().clone()
    }

    pub(super) fn add(&self, line: Rc<State>) {
        line.role.set(self.election.borrow().role());
        self.lines.borrow_mut().push(line);
    }

    pub(super) fn remove(&self, line: &Rc<State>) {
        self.lines.borrow_mut().retain(|known| !Rc::ptr_eq(known, line));
        if line.wanted.get() {
            self.changed(false);
        }
    }

    fn want(&self) -> Want {
        let mut want = Want::default();
        for line in self.lines().iter().filter(|line| line.wanted.get()) {
            match &line.topic {
                Topic::Run(run) => drop(want.runs.insert(run.clone(), (line.cursor)())),
                Topic::List => want.list = true,
            }
        }
        want
    }

    /// The lines want something else than before. `ask`: one of them waits for it.
    pub(super) fn changed(&self, ask: bool) {
        let want = self.want();
        self.wants.borrow_mut().set(&self.id, want.clone());
        if self.connects() {
            if ask {
                // Not within the call that asks.
                let open = self.with(|hub, want| hub.open_carried(&want));
                spawn_local(async move { open(want) });
            }
            self.serve(ask);
        } else {
            self.post(Message::Want { want, ask });
        }
    }

    /// Opens this tab's lines that the stream carries already.
    fn open_carried(&self, want: &Want) {
        let (openings, list) = {
            let upstream = self.upstream.borrow();
            if !upstream.ready {
                return;
            }
            (upstream.openings(want).collect::<Vec<_>>(), upstream.carries_list())
        };
        self.ready(openings, list);
    }

    // The connection, where this tab has it.

    /// Sees to it that the stream carries what is wanted. `ask`: somebody waits for it.
    fn serve(&self, ask: bool) {
        if !self.connects() {
            return;
        }
        let all = self.wants.borrow().all();
        let wait = {
            let mut upstream = self.upstream.borrow_mut();
            let carries = upstream.carries();
            match (upstream.is_open(), all.is_empty()) {
                (true, true) => {
                    upstream.close();
                    None
                }
                (true, false) if !carries.covers(&all) => Some(GATHER),
                (true, false) if !all.covers(&carries) => Some(SHRINK),
                (false, false) if ask => Some(GATHER.max(upstream.not_before.saturating_sub(steady()))),
                (_, _) => None,
            }
        };
        if let Some(wait) = wait {
            self.open_in(wait);
        }
    }

    fn open_in(&self, wait: u64) {
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

    fn open(&self) {
        let all = self.wants.borrow().all();
        if !self.connects() || all.is_empty() {
            return self.upstream.borrow_mut().close();
        }
        let (want, number) = {
            let mut upstream = self.upstream.borrow_mut();
            let carries = upstream.carries();
            if upstream.is_open() && carries.covers(&all) && all.covers(&carries) {
                return;
            }
            upstream.number += 1;
            (upstream.from(all), upstream.number)
        };
        let heard = self.with(move |hub, said| hub.heard(number, said));
        let me = self.me.clone();
        let busy = move || me.upgrade().is_some_and(|hub| hub.lines().iter().any(|line| (line.busy)()));
        match Stream::open(&want.url(), heard, busy) {
            Some(stream) => {
                self.upstream.borrow_mut().open(&want, stream, steady());
                self.look();
            }
            None => self.lost(),
        }
    }

    /// Gives a stream up that has been silent for too long, and looks again when it would be.
    fn look(&self) {
        let now = steady();
        let dead_at = {
            let upstream = self.upstream.borrow();
            upstream.is_open().then(|| upstream.dead_at(settings().silence()))
        };
        match dead_at {
            None => drop(self.watch.take()),
            // What came while the tab slept is handled first.
            Some(dead_at) if now >= dead_at + LATE && self.upstream.borrow_mut().doubt(now) => self.look(),
            Some(dead_at) if now >= dead_at => self.lost(),
            Some(dead_at) => drop(self.watch.replace(Some(self.after(dead_at - now, Self::look)))),
        }
    }

    fn heard(&self, number: u64, piece: Vec<StreamSaid>) {
        let mut batch = BTreeMap::new();
        for said in piece {
            if self.upstream.borrow().number != number {
                return;
            }
            if !matches!(said, StreamSaid::Frame { .. }) {
                self.relay(&mut batch);
            }
            self.take(said, &mut batch);
        }
        self.relay(&mut batch);
        if self.upstream.borrow().number != number {
            return;
        }
        let now = steady();
        self.upstream.borrow_mut().hear(now);
        // The server is silent about runs that are silent as long as another one speaks.
        if self.upstream.borrow().ready && now >= self.beaten.get() + settings().heartbeat {
            let heads = self.upstream.borrow().carries().runs;
            self.live(heads);
        }
    }

    /// The stream lives, and these are its runs, each with its last seq.
    fn live(&self, heads: BTreeMap<RunId, u64>) {
        self.beaten.set(steady());
        let list = self.upstream.borrow().carries_list();
        self.post(Message::Beat { heads: heads.clone(), list });
        self.beat(&heads, list);
        self.look_for_tabs();
    }

    fn take(&self, said: StreamSaid, batch: &mut BTreeMap<RunId, Vec<String>>) {
        match said {
            StreamSaid::Ready { runs, list } => {
                let openings: Vec<Open> = {
                    let mut upstream = self.upstream.borrow_mut();
                    upstream.begin(runs, steady());
                    upstream.openings(&upstream.carries()).collect()
                };
                self.beaten.set(steady());
                self.post(Message::Ready { runs: openings.clone(), list });
                self.ready(openings, list);
            }
            StreamSaid::Frame { run, seq, json } => {
                self.upstream.borrow_mut().tell(&run, seq);
                if self.wants.borrow().others_want(&self.id, &run) {
                    batch.entry(run.clone()).or_default().push(json.clone());
                }
                self.say(&run, &Said::Frame(json));
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
                let openings: Vec<Open> = self.upstream.borrow().openings(&carried).collect();
                // Who is behind learns from where to fetch what it lacks.
                self.post(Message::Ready { runs: openings.clone(), list: false });
                self.ready(openings, false);
                carried.runs.into_keys().for_each(|run| self.end(run));
                self.upstream.borrow_mut().close();
            }
            // The login has run out: the server leads a page that asks again to its form, and back.
            StreamSaid::Problem(Code::Unauthorized) => reload(),
            // A stream that has nothing more to tell closes.
            StreamSaid::Lost if self.upstream.borrow().carries().is_empty() => self.upstream.borrow_mut().close(),
            StreamSaid::Refused { asked_for_too_much, floor } => {
                if asked_for_too_much {
                    // A run that is gone, or a cursor of another history: a tab that lives learns it by its own poll, and one
                    // that sleeps must not keep the stream from the others. Who is there says anew what it wants.
                    self.wants.borrow_mut().keep(|tab| tab == self.id);
                    self.post(Message::Lead);
                }
                self.upstream.borrow_mut().leave_alone(steady() + floor);
                self.lost();
            }
            StreamSaid::Problem(_) | StreamSaid::Lost => self.lost(),
        }
    }

    fn end(&self, run: RunId) {
        self.upstream.borrow_mut().end(&run);
        // A tab that sleeps has not taken its wish back; one that wants more of the run asks anew.
        self.wants.borrow_mut().forget(&run);
        self.post(Message::End { run: run.clone() });
        self.ended(&run);
    }

    fn lost(&self) {
        self.upstream.borrow_mut().fail(steady(), random());
        self.watch.take();
        self.post(Message::Lost);
        self.away();
    }

    /// Tells other tabs frames that they want, as much as fits; that there are more, if it does not.
    fn relay(&self, batch: &mut BTreeMap<RunId, Vec<String>>) {
        for (run, frames) in std::mem::take(batch) {
            let size = frames.iter().map(String::len).sum::<usize>() as f64;
            let now = steady();
            let (left, at) = self.budget.get();
            let left = (left + now.saturating_sub(at) as f64 * RATE / 1000.0).min(BURST);
            let fits = size <= left;
            self.budget.set((if fits { left - size } else { left }, now));
            let head = self.upstream.borrow().told(&run);
            self.post(if fits { Message::Frames { run, frames } } else { Message::More { run, head } });
        }
    }

    /// Forgets tabs that are gone without a word. One that has just come may not have its lock yet, so it is looked twice.
    fn look_for_tabs(&self) {
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

    // The other tabs.

    fn post(&self, message: Message) {
        if let Some(channel) = &*self.channel.borrow() {
            let count = self.posted.get() + 1;
            self.posted.set(count);
            channel.post(&Told { from: self.id.clone(), count, message }.write());
        }
    }

    fn told(&self, text: &str) {
        let Some(Told { from, count, message }) = Told::read(text) else { return };
        if from == self.id {
            if message == Message::Ask {
                self.happen(Happening::Echo);
            }
            return;
        }
        let leads = message.leads();
        if leads {
            self.happen(Happening::Leader);
        }
        if self.connects() {
            return self.told_as_leader(&from, message);
        }
        self.told_as_follower(&from, message);
        if leads {
            let before = self.heard.replace(Some((from.clone(), count)));
            if before.is_some_and(|(who, last)| who == from && count != last + 1) {
                self.catch_up();
            }
        }
    }

    fn told_as_leader(&self, from: &str, message: Message) {
        // A hidden tab's timers are late: what it answers must be true now.
        self.look();
        match message {
            Message::Ask => self.post(Message::Here),
            Message::Want { want, ask } => {
                self.wants.borrow_mut().set(from, want.clone());
                if ask {
                    let (runs, list, ready) = {
                        let upstream = self.upstream.borrow();
                        (upstream.openings(&want).collect(), upstream.carries_list(), upstream.ready)
                    };
                    if ready {
                        self.post(Message::Ready { runs, list });
                    }
                }
                self.serve(ask);
            }
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

    fn told_as_follower(&self, from: &str, message: Message) {
        let leads = self.leader.borrow().as_deref().is_none_or(|leader| leader == from);
        match message {
            Message::Lead => {
                self.leader.replace(Some(from.to_owned()));
                let ask = self.lines().iter().any(|line| line.asked.get() || line.open.get());
                self.changed(ask);
            }
            // Kept, so that who leads next knows it.
            Message::Want { want, .. } => self.wants.borrow_mut().set(from, want),
            Message::Ready { runs, list } => self.ready(runs, list),
            Message::Frames { run, frames } => {
                frames.into_iter().for_each(|frame| self.say(&run, &Said::Frame(frame)));
            }
            Message::More { run, head } => self.say(&run, &Said::More(head)),
            Message::End { run } => self.ended(&run),
            Message::List { run } => self.list(run),
            // Of one that led, was frozen, and does not know yet that it leads no longer.
            Message::Beat { .. } | Message::Lost if !leads => {}
            Message::Beat { heads, list } => {
                self.beat(&heads, list);
                let left_out = |line: &Rc<State>| match &line.topic {
                    Topic::Run(run) => !heads.contains_key(run),
                    Topic::List => !list,
                };
                if self.lines().iter().any(|line| (line.asked.get() || line.open.get()) && left_out(line)) {
                    self.changed(true);
                }
            }
            Message::Lost => self.away(),
            Message::Ask | Message::Here => {}
        }
    }

    // The lines of this tab.

    fn open_lines(&self, topic: &Topic) -> impl Iterator<Item = Rc<State>> {
        let open: Vec<_> = self.lines().into_iter().filter(|line| line.open.get() && line.topic == *topic).collect();
        open.into_iter()
    }

    /// Says this of a run.
    fn say(&self, run: &RunId, said: &Said) {
        self.lines()
            .iter()
            .filter(|line| line.open.get() && matches!(&line.topic, Topic::Run(of) if of == run))
            .for_each(|line| (line.hear)(said.clone()));
    }

    fn ready(&self, runs: Vec<Open>, list: bool) {
        let opened = |line: &Rc<State>, said: Said| {
            if line.asked.replace(false) || line.open.get() {
                line.open.set(true);
                (line.hear)(said);
            } else if line.wanted.get() {
                (line.hear)(Said::Available);
            }
        };
        for line in self.lines() {
            match &line.topic {
                Topic::Run(run) => {
                    if let Some(open) = runs.iter().find(|open| open.run == *run) {
                        opened(&line, Said::ready(open.after, open.head, open.status));
                    }
                }
                Topic::List if list => opened(&line, Said::Ready { after: 0, head: 0, active: true }),
                Topic::List => {}
            }
        }
    }

    fn ended(&self, run: &RunId) {
        for line in self.open_lines(&Topic::Run(run.clone())) {
            line.open.set(false);
            (line.hear)(Said::End);
        }
    }

    fn list(&self, run: String) {
        self.open_lines(&Topic::List).for_each(|line| (line.hear)(Said::Listed(run.clone())));
    }

    fn beat(&self, heads: &BTreeMap<RunId, u64>, list: bool) {
        for line in self.lines().iter().filter(|line| line.open.get()) {
            match &line.topic {
                Topic::Run(run) => heads.get(run).into_iter().for_each(|&head| (line.hear)(Said::Beat(head))),
                Topic::List if list => (line.hear)(Said::Beat(0)),
                Topic::List => {}
            }
        }
    }

    /// The stream is away.
    fn away(&self) {
        for line in self.lines() {
            if line.asked.replace(false) | line.open.replace(false) {
                (line.hear)(Said::Lost);
            }
        }
    }
}
