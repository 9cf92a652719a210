//! The tab's hub: connects the election, the leader's stream, the channel between tabs and the subscriptions of this
//! tab's pages.
//!
//! The parts do not know the hub. It passes messages and page events to them, and carries out what they answer.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::desktop_alerts::DesktopAlerts;
use super::election_driver::ElectionDriver;
use super::leader::LeaderDriver;
use super::presence::Presence;
use super::subscriptions::{Subscriber, Subscriptions};
use super::tab_channel::TabChannel;
use crate::browser::{PageEvent, PageEvents, has_locks, is_visible, random_key};
use crate::feed::FeedEvent;
use crate::feed::alerts::RunAlert;
use crate::feed::tabs::{Accept, ElectionAction, ElectionEvent, Envelope, SubscriptionSet, TabMessage, TabRole};

/// See the module's comment. There is one for each tab.
pub struct Hub {
    me: Weak<Self>,
    channel: Rc<TabChannel>,
    subscriptions: Rc<Subscriptions>,
    leader: Rc<LeaderDriver>,
    election: ElectionDriver,
    presence: Presence,
    alerts: DesktopAlerts,
    page_events: RefCell<Option<PageEvents>>,
}

thread_local! {
    static HUB: RefCell<Option<Rc<Hub>>> = const { RefCell::new(None) };
}

impl Hub {
    /// The tab's hub. The first call makes it take part in the election.
    pub fn of_tab() -> Rc<Self> {
        if let Some(hub) = HUB.with_borrow(Clone::clone) {
            return hub;
        }
        let id = random_key();
        let channel = Rc::new(TabChannel::new(id.clone()));
        let subscriptions = Rc::new(Subscriptions::default());
        let hub = Rc::new_cyclic(|me| Self {
            me: me.clone(),
            leader: LeaderDriver::new(Rc::clone(&channel), Rc::clone(&subscriptions)),
            channel,
            subscriptions,
            election: ElectionDriver::new(callback(me, Self::on_election)),
            presence: Presence::new(id),
            alerts: DesktopAlerts::default(),
            page_events: RefCell::default(),
        });
        HUB.set(Some(Rc::clone(&hub)));
        hub.page_events.replace(Some(PageEvents::listen(callback(&hub.me, Self::on_page_event))));
        if !is_visible() {
            hub.on_election(ElectionEvent::Hidden);
        }
        hub.begin();
        hub
    }

    fn begin(&self) {
        if has_locks() {
            self.channel.open(callback(&self.me, |hub, text: String| hub.on_message(&text)));
            self.presence.announce();
        }
        self.on_election(ElectionEvent::Begin { is_shared: self.channel.is_open() });
    }

    fn on_page_event(&self, event: PageEvent) {
        match event {
            PageEvent::Visible | PageEvent::Online => {
                self.presence.update_visibility();
                self.on_election(ElectionEvent::Visible);
                self.leader.hurry();
                self.catch_up();
            }
            PageEvent::Hidden => {
                self.presence.update_visibility();
                self.on_election(ElectionEvent::Hidden);
            }
            PageEvent::Left => {
                self.channel.post(TabMessage::Want { want: SubscriptionSet::default(), ask: false });
                self.on_election(ElectionEvent::Left);
            }
            PageEvent::Returned => self.begin(),
            PageEvent::Offline | PageEvent::Hash => {}
        }
    }

    fn on_election(&self, event: ElectionEvent) {
        for action in self.election.handle(event) {
            match action {
                ElectionAction::Request => self.election.take_lock(false),
                ElectionAction::Steal => self.election.take_lock(true),
                ElectionAction::Release => {
                    self.election.release_lock();
                    self.presence.withdraw();
                    self.channel.close();
                }
                ElectionAction::Lead => self.lead(),
                ElectionAction::Yield => {
                    self.leader.stop();
                    // The new leader may have asked for subscriptions before this tab followed it.
                    if self.election.role() == TabRole::Follower {
                        self.on_subscriptions_changed(true);
                    }
                }
                ElectionAction::Ask => self.channel.post(TabMessage::Ask),
            }
        }
        self.election.set_alarm();
        self.subscriptions.set_role(self.election.role());
    }

    fn lead(&self) {
        if self.election.role() == TabRole::Solo {
            // Without the lock it must not answer as a leader.
            self.channel.close();
        }
        self.channel.post(TabMessage::Lead);
        self.leader.start();
    }

    fn on_message(&self, text: &str) {
        let Some(envelope) = Envelope::from_text(text) else { return };
        if envelope.from == self.channel.id {
            if envelope.message == TabMessage::Ask {
                self.on_election(ElectionEvent::Echo);
            }
            return;
        }
        if envelope.message.is_from_leader() {
            self.on_election(ElectionEvent::LeaderHeard);
        }
        if self.election.has_stream() {
            return self.on_message_as_leader(envelope);
        }
        let accept = self.channel.accept(&envelope);
        if accept != Accept::ForeignLeader {
            self.on_message_as_follower(envelope);
        }
        if accept != Accept::InOrder {
            self.catch_up();
        }
    }

    fn on_message_as_leader(&self, Envelope { from, message, .. }: Envelope) {
        // What it answers must be true now.
        self.leader.run();
        match message {
            TabMessage::Ask => self.channel.post(TabMessage::Here),
            TabMessage::Want { want, ask } => self.leader.on_want(&from, want, ask),
            TabMessage::Alert { alert } => self.alerts.show(alert),
            // Two tabs think that they lead: one was frozen, and is about to hear that it lost the lock.
            TabMessage::Lead | TabMessage::Here | TabMessage::Feed { .. } | TabMessage::Lost => {}
        }
    }

    fn on_message_as_follower(&self, Envelope { from, message, .. }: Envelope) {
        match message {
            TabMessage::Lead => self.on_subscriptions_changed(self.subscriptions.has_requested()),
            // Remembered, in case this tab leads next.
            TabMessage::Want { want, .. } => self.leader.set_tab(&from, want),
            TabMessage::Feed { events } => {
                let is_alive = events.iter().any(|(_, event)| matches!(event, FeedEvent::Alive { .. }));
                // An `Alive` batch names all topics that the stream carries.
                let asks = is_alive && self.subscriptions.has_requested_beyond(&events);
                self.subscriptions.deliver(events);
                if asks {
                    self.on_subscriptions_changed(true);
                }
            }
            TabMessage::Lost => self.subscriptions.lose(),
            TabMessage::Ask | TabMessage::Here | TabMessage::Alert { .. } => {}
        }
    }

    /// A follower that may have missed messages asks where its topics are now.
    fn catch_up(&self) {
        if !self.election.has_stream() && self.subscriptions.has_open() {
            self.on_subscriptions_changed(true);
        }
    }

    /// This tab's pages subscribe to something else than before. `asks`: a page waits for its subscription to be
    /// opened.
    pub(super) fn on_subscriptions_changed(&self, asks: bool) {
        let want = self.subscriptions.requested();
        self.leader.set_tab(&self.channel.id, want.clone());
        if !self.election.has_stream() {
            return self.channel.post(TabMessage::Want { want, ask: asks });
        }
        if asks {
            // Later, since the page is still handling the event that made it subscribe.
            let leader = Rc::clone(&self.leader);
            spawn_local(async move { leader.deliver_opened(&want) });
        }
        self.leader.update_stream();
    }

    pub(super) fn add_subscriber(&self, subscriber: Rc<Subscriber>) {
        subscriber.role.set(self.election.role());
        self.subscriptions.add(subscriber);
    }

    pub(super) fn remove_subscriber(&self, subscriber: &Rc<Subscriber>) {
        self.subscriptions.remove(subscriber);
    }

    /// Reports an alert of this hidden tab to the tab that shows notifications.
    pub fn raise_alert(&self, alert: RunAlert) {
        if self.election.has_stream() {
            self.alerts.show(alert);
        } else {
            self.channel.post(TabMessage::Alert { alert });
        }
    }
}

/// A callback that does nothing once the hub is gone.
fn callback<T, F>(hub: &Weak<Hub>, call: F) -> impl Fn(T) + 'static + use<T, F>
where
    F: Fn(&Hub, T) + 'static,
{
    let hub = hub.clone();
    move |value| {
        if let Some(hub) = hub.upgrade() {
            call(&hub, value);
        }
    }
}
