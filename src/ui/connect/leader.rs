//! The leader's side of the hub: opens the one stream for all tabs, delivers what it brings to this tab's pages, and
//! relays it to others.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::{Rc, Weak};

use leptos::task::spawn_local;

use super::intervals::intervals;
use super::presence::existing_tabs;
use super::subscriptions::Subscriptions;
use super::tab_channel::TabChannel;
use crate::base;
use crate::browser::{Stream, Timer, is_visible, random, reload, steady};
use crate::feed::tabs::{
    LeaderStream, RelayBudget, StreamOutput, StreamSignal, StreamStep, SubscriptionSet, TabMessage, TabSubscriptions,
};
use crate::feed::{FeedBatch, FeedEvent, Topic};

/// See the module's comment. While another tab leads, it only remembers what tabs subscribe to.
pub(super) struct LeaderDriver {
    me: Weak<Self>,
    channel: Rc<TabChannel>,
    subscriptions: Rc<Subscriptions>,
    is_leading: Cell<bool>,
    stream: RefCell<LeaderStream<Stream>>,
    tabs: RefCell<TabSubscriptions>,
    budget: RefCell<RelayBudget>,
    /// Tabs with subscriptions that did not exist at the last check.
    missing_tabs: RefCell<BTreeSet<String>>,
    /// The next step, with its time.
    alarm: RefCell<Option<(u64, Timer)>>,
}

impl LeaderDriver {
    pub(super) fn new(channel: Rc<TabChannel>, subscriptions: Rc<Subscriptions>) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            me: me.clone(),
            channel,
            subscriptions,
            is_leading: Cell::new(false),
            stream: RefCell::default(),
            tabs: RefCell::default(),
            budget: RefCell::default(),
            missing_tabs: RefCell::default(),
            alarm: RefCell::default(),
        })
    }

    /// Begins to lead.
    pub(super) fn start(&self) {
        self.is_leading.set(true);
        self.update_stream();
    }

    /// Stops leading. It may start again.
    pub(super) fn stop(&self) {
        self.is_leading.set(false);
        self.stream.borrow_mut().close();
        self.alarm.take();
    }

    /// The tab is visible again, or has network again.
    pub(super) fn hurry(&self) {
        self.stream.borrow_mut().hurry();
        self.update_stream();
    }

    /// A tab subscribes to something else than before. Takes effect with [`LeaderDriver::update_stream`].
    pub(super) fn set_tab(&self, tab: &str, requested: SubscriptionSet) {
        self.tabs.borrow_mut().set(tab, requested);
    }

    /// Another tab, which may wait for an answer, subscribes to something else than before.
    pub(super) fn on_want(&self, tab: &str, want: SubscriptionSet, asks: bool) {
        if asks {
            let opened = self.opened(&want);
            if !opened.is_empty() {
                self.channel.post(TabMessage::Feed { events: opened });
            }
        }
        self.set_tab(tab, want);
        self.update_stream();
    }

    /// Opens those of this tab's subscriptions that the stream carries already.
    pub(super) fn deliver_opened(&self, requested: &SubscriptionSet) {
        let opened = self.opened(requested);
        self.subscriptions.deliver(opened);
    }

    fn opened(&self, requested: &SubscriptionSet) -> FeedBatch {
        let stream = self.stream.borrow();
        if stream.is_ready() { stream.opened(requested) } else { FeedBatch::new() }
    }

    /// Has the stream carry what all tabs subscribe to.
    pub(super) fn update_stream(&self) {
        if self.is_leading.get() {
            let all = self.tabs.borrow().union();
            self.stream.borrow_mut().request(&all, steady());
            self.run();
        }
    }

    /// Does what is due. Timers of hidden tabs are late, so every message and signal does it too.
    pub(super) fn run(&self) {
        while self.is_leading.get() {
            let step = self.stream.borrow_mut().next_step(intervals().max_silence_ms(), is_visible(), steady());
            match step {
                StreamStep::Wait => break,
                StreamStep::AskCursors => {
                    self.channel.post(TabMessage::Lead);
                    self.set_tab(&self.channel.id, self.subscriptions.requested());
                }
                StreamStep::Open => self.open_stream(),
                StreamStep::GiveUp => {
                    self.stream.borrow_mut().lose(0, steady(), random());
                    self.on_lost(false);
                }
            }
        }
        self.set_alarm();
    }

    fn set_alarm(&self) {
        let deadline = self.stream.borrow().deadline(intervals().max_silence_ms());
        let Some(at) = deadline.filter(|_| self.is_leading.get()) else {
            self.alarm.take();
            return;
        };
        // An alarm that is early sets the next one. So a busy stream does not set one for each piece.
        if self.alarm.borrow().as_ref().is_some_and(|(due, _)| *due <= at) {
            return;
        }
        let me = self.me.clone();
        let timer = Timer::after(at.saturating_sub(steady()), move || {
            if let Some(leader) = me.upgrade() {
                leader.alarm.take();
                leader.run();
            }
        });
        self.alarm.replace(Some((at, timer)));
    }

    fn open_stream(&self) {
        let all = self.tabs.borrow().union();
        if all.is_empty() {
            return self.stream.borrow_mut().close();
        }
        let (number, requested) = self.stream.borrow_mut().next_request(all);
        let me = self.me.clone();
        let on_signal = move |signal| {
            if let Some(leader) = me.upgrade() {
                leader.on_signal(number, signal);
            }
        };
        let subscriptions = Rc::clone(&self.subscriptions);
        match Stream::open(&base::path(&requested.url()), on_signal, move || subscriptions.is_busy()) {
            Some(stream) => self.stream.borrow_mut().replace(&requested, stream, steady()),
            None => {
                self.stream.borrow_mut().lose(0, steady(), random());
                self.on_lost(false);
            }
        }
    }

    fn on_signal(&self, number: u64, signal: StreamSignal) {
        let heartbeat_ms = intervals().heartbeat_ms;
        let outputs = self.stream.borrow_mut().on_signal(number, signal, heartbeat_ms, steady(), random());
        for output in outputs {
            match output {
                StreamOutput::Deliver(events) => self.publish(events),
                StreamOutput::Lost { is_rejected } => self.on_lost(is_rejected),
                StreamOutput::LoginExpired => reload(),
            }
        }
        self.run();
    }

    /// Relays events to the other tabs, then delivers them to this one.
    fn publish(&self, events: FeedBatch) {
        for (topic, event) in &events {
            if let (Topic::Run(run), FeedEvent::Ended) = (topic, event) {
                // A sleeping tab does not unsubscribe. One that wants more of the run subscribes anew.
                self.tabs.borrow_mut().remove_run(run);
            }
        }
        let relayed = self.relayed(&events);
        if !relayed.is_empty() {
            self.channel.post(TabMessage::Feed { events: relayed });
        }
        let is_alive = events.iter().any(|(_, event)| matches!(event, FeedEvent::Alive { .. }));
        self.subscriptions.deliver(events);
        if is_alive {
            self.drop_missing_tabs();
        }
    }

    /// What the other tabs get of these events. Frames beyond the budget become a gap, which they poll for.
    fn relayed(&self, events: &FeedBatch) -> FeedBatch {
        let is_wanted = |topic: &Topic| self.tabs.borrow().others_contain(&self.channel.id, topic);
        let relay = |(topic, event): &(Topic, FeedEvent)| {
            let relayed = match (topic, event) {
                (Topic::List, FeedEvent::Listed { .. }) if !is_wanted(topic) => None,
                (Topic::Run(run), FeedEvent::Frames { frames }) => is_wanted(topic).then(|| {
                    let bytes = frames.iter().map(String::len).sum();
                    if self.budget.borrow_mut().take(bytes, steady()) {
                        event.clone()
                    } else {
                        FeedEvent::Gap { head: self.stream.borrow().delivered_up_to(run) }
                    }
                }),
                _ => Some(event.clone()),
            };
            relayed.map(|event| (topic.clone(), event))
        };
        events.iter().filter_map(relay).collect()
    }

    /// The stream is lost. Plans the next one.
    fn on_lost(&self, is_rejected: bool) {
        if is_rejected {
            self.tabs.borrow_mut().retain_tabs(|tab| tab == self.channel.id);
            self.channel.post(TabMessage::Lead);
        }
        self.channel.post(TabMessage::Lost);
        self.subscriptions.lose();
        self.update_stream();
    }

    /// Forgets tabs that have vanished without unsubscribing. A new tab may not have its lock yet, so two checks must
    /// miss it.
    fn drop_missing_tabs(&self) {
        if !self.channel.is_open() {
            return;
        }
        let me = self.me.clone();
        spawn_local(async move {
            let Some(existing) = existing_tabs().await else { return };
            let Some(leader) = me.upgrade() else { return };
            let is_missing = |tab: &&str| !existing.iter().any(|id| id == tab);
            let missing: BTreeSet<String> = leader.tabs.borrow().tabs().filter(is_missing).map(str::to_owned).collect();
            let before = leader.missing_tabs.replace(missing.clone());
            let is_gone = |tab: &str| missing.contains(tab) && before.contains(tab);
            leader.tabs.borrow_mut().retain_tabs(|tab| tab == leader.channel.id || !is_gone(tab));
            leader.update_stream();
        });
    }
}
