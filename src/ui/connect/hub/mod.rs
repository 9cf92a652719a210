//! The tab's hub: its lines on one side, the browser's one connection on the other, be it this tab's or another's.
//!
//! Here is who leads and what the lines want; [`leader`] holds the connection, [`others`] hears and tells other tabs, [`lines`]
//! tells the tab's own, [`news`] tells the reader who looks elsewhere.

mod leader;
mod lines;
mod news;
mod others;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::{Rc, Weak};

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::line::{State, Topic};
use crate::browser::{
    Channel, Lock, LockEvent, PageEvent, PageEvents, Stream, Timer, has_locks, is_visible, random_key, steady,
};
use crate::feed::alerts::ShownAlerts;
use crate::feed::tabs::{Act, Election, Following, Happening, Message, Role, Upstream, Want, Wants};
use leader::BURST;

/// The lock that the leader holds.
const LEADER: &str = "runtrail-leader";
/// With a tab's id: the lock by which the others know that the tab is there.
const TAB: &str = "runtrail-tab-";
/// The channel between tabs.
const CHANNEL: &str = "runtrail";

/// See the module's comment. There is one a tab.
pub struct Hub {
    me: Weak<Self>,
    id: String,
    lines: RefCell<Vec<Rc<State>>>,
    election: RefCell<Election>,
    wants: RefCell<Wants>,
    upstream: RefCell<Upstream<Stream>>,
    /// How many messages this tab has posted.
    posted: Cell<u64>,
    following: RefCell<Following>,
    /// Bytes that may be told, and when that was so.
    budget: Cell<(f64, u64)>,
    /// Tabs that were not there when it was looked last.
    missed: RefCell<BTreeSet<String>>,
    lock: RefCell<Option<Lock>>,
    presence: RefCell<Option<Lock>>,
    /// Held while somebody may look at this tab.
    seen: RefCell<Option<Lock>>,
    /// What the reader was told on the desktop.
    told_news: RefCell<ShownAlerts>,
    channel: RefCell<Option<Channel>>,
    alarm: RefCell<Option<Timer>>,
    /// When the lines were told last that the stream lives.
    beaten: Cell<u64>,
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
            id: random_key(),
            lines: RefCell::default(),
            election: RefCell::default(),
            wants: RefCell::default(),
            upstream: RefCell::default(),
            posted: Cell::new(0),
            following: RefCell::default(),
            budget: Cell::new((BURST, 0)),
            missed: RefCell::default(),
            lock: RefCell::default(),
            presence: RefCell::default(),
            seen: RefCell::default(),
            told_news: RefCell::default(),
            channel: RefCell::default(),
            alarm: RefCell::default(),
            beaten: Cell::new(0),
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
            self.show_whether_seen();
        }
        let shared = self.channel.borrow().is_some();
        self.happen(Happening::Begin { shared });
    }

    fn page_event(&self, event: PageEvent) {
        match event {
            PageEvent::Visible | PageEvent::Online => {
                self.show_whether_seen();
                self.happen(Happening::Visible);
                self.upstream.borrow_mut().hurry(steady());
                self.look();
                self.serve(false);
                self.catch_up();
            }
            PageEvent::Hidden => {
                self.show_whether_seen();
                self.happen(Happening::Hidden);
            }
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
                self.seen.take();
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
            LockEvent::Granted => hub.happen(Happening::Granted),
            LockEvent::Stolen => hub.happen(Happening::Taken),
            LockEvent::Unavailable => hub.happen(Happening::Refused),
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
            if !upstream.is_ready() {
                return;
            }
            (upstream.openings(want), upstream.carries_list())
        };
        self.ready(openings, list);
    }
}
