//! The subscriptions of this tab's pages, and the delivery of events to them, whichever tab's stream they come from.

use std::cell::{Cell, RefCell};
use std::iter::repeat_n;
use std::rc::Rc;

use leptos::prelude::*;

use crate::feed::tabs::{SubscriptionSet, TabRole};
use crate::feed::{FeedBatch, FeedEvent, SubscriptionPhase, Topic};

/// What the hub knows of a subscription.
pub(super) struct Subscriber {
    pub(super) topic: Topic,
    pub(super) role: RwSignal<TabRole>,
    pub(super) cursor: Box<dyn Fn() -> u64>,
    pub(super) deliver: Box<dyn Fn(FeedEvent)>,
    pub(super) is_busy: Box<dyn Fn() -> bool>,
    pub(super) phase: Cell<SubscriptionPhase>,
}

impl Subscriber {
    fn is_requested(&self) -> bool {
        self.phase.get().is_requested()
    }

    /// Whether it gets this event. If so, its phase is the one after the event from now on.
    fn accepts(&self, event: &FeedEvent) -> bool {
        let after = self.phase.get().after(event);
        if let Some(phase) = after {
            self.phase.set(phase);
        }
        after.is_some()
    }
}

/// See the module's comment. Subscribers may subscribe, unsubscribe and be dropped while events are delivered to them.
#[derive(Default)]
pub(super) struct Subscriptions(RefCell<Vec<Rc<Subscriber>>>);

impl Subscriptions {
    pub(super) fn add(&self, subscriber: Rc<Subscriber>) {
        self.0.borrow_mut().push(subscriber);
    }

    pub(super) fn remove(&self, subscriber: &Rc<Subscriber>) {
        self.0.borrow_mut().retain(|known| !Rc::ptr_eq(known, subscriber));
    }

    fn all(&self) -> Vec<Rc<Subscriber>> {
        self.0.borrow().clone()
    }

    /// What the tab subscribes to, with its cursors.
    pub(super) fn requested(&self) -> SubscriptionSet {
        let mut requested = SubscriptionSet::default();
        for subscriber in self.all().iter().filter(|subscriber| subscriber.is_requested()) {
            requested.insert(&subscriber.topic, (subscriber.cursor)());
        }
        requested
    }

    pub(super) fn has_requested(&self) -> bool {
        self.0.borrow().iter().any(|subscriber| subscriber.is_requested())
    }

    pub(super) fn has_open(&self) -> bool {
        self.0.borrow().iter().any(|subscriber| subscriber.phase.get() == SubscriptionPhase::Open)
    }

    /// Whether a requested topic has no event in this batch.
    pub(super) fn has_requested_beyond(&self, events: &FeedBatch) -> bool {
        let is_named = |topic: &Topic| events.iter().any(|(named, _)| named == topic);
        self.0.borrow().iter().any(|subscriber| subscriber.is_requested() && !is_named(&subscriber.topic))
    }

    /// Whether a page has not handled everything that was delivered.
    pub(super) fn is_busy(&self) -> bool {
        self.all().iter().any(|subscriber| (subscriber.is_busy)())
    }

    pub(super) fn set_role(&self, role: TabRole) {
        for subscriber in self.all() {
            if subscriber.role.try_get_untracked().is_some_and(|shown| shown != role) {
                subscriber.role.try_set(role);
            }
        }
    }

    /// Delivers events to the subscriptions of their topics.
    pub(super) fn deliver(&self, events: FeedBatch) {
        for (topic, event) in events {
            let accepts = |subscriber: &Rc<Subscriber>| subscriber.topic == topic && subscriber.accepts(&event);
            let receivers: Vec<_> = self.all().into_iter().filter(accepts).collect();
            let copies = repeat_n(event, receivers.len());
            receivers.iter().zip(copies).for_each(|(receiver, event)| (receiver.deliver)(event));
        }
    }

    /// Tells every requested subscription that the stream is lost.
    pub(super) fn lose(&self) {
        for subscriber in self.all() {
            if subscriber.accepts(&FeedEvent::Lost) {
                (subscriber.deliver)(FeedEvent::Lost);
            }
        }
    }
}
