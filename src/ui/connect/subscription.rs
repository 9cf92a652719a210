//! A page's subscription to a run or the list, by the tab's hub.

use std::cell::Cell;
use std::rc::Rc;

use leptos::prelude::*;

use super::hub::Hub;
use super::subscriptions::Subscriber;
use crate::feed::tabs::TabRole;
use crate::feed::{FeedEvent, SubscriptionPhase, Topic};

/// A subscription. Dropping it closes it.
pub struct Subscription {
    hub: Rc<Hub>,
    subscriber: Rc<Subscriber>,
}

impl Subscription {
    /// A closed subscription. `role` is kept up to date with the tab's role; `cursor` is the last seq that the page
    /// has; `is_busy` says whether the page has not handled everything that was delivered.
    pub fn new(
        topic: Topic,
        role: RwSignal<TabRole>,
        cursor: impl Fn() -> u64 + 'static,
        deliver: impl Fn(FeedEvent) + 'static,
        is_busy: impl Fn() -> bool + 'static,
    ) -> Self {
        let subscriber = Rc::new(Subscriber {
            topic,
            role,
            cursor: Box::new(cursor),
            deliver: Box::new(deliver),
            is_busy: Box::new(is_busy),
            phase: Cell::new(SubscriptionPhase::Closed),
        });
        let hub = Hub::of_tab();
        hub.add_subscriber(Rc::clone(&subscriber));
        Self { hub, subscriber }
    }

    /// The last seq that the page has.
    pub fn cursor(&self) -> u64 {
        (self.subscriber.cursor)()
    }

    /// Subscribes, or asks again. [`FeedEvent::Opened`] follows once the stream carries the topic.
    pub fn request(&self) {
        self.subscriber.phase.set(SubscriptionPhase::Pending);
        self.hub.on_subscriptions_changed(true);
    }

    /// Delivers nothing until the stream is opened again.
    pub fn suspend(&self) {
        if self.subscriber.phase.get() == SubscriptionPhase::Open {
            self.subscriber.phase.set(SubscriptionPhase::Pending);
        }
    }

    /// Unsubscribes.
    pub fn close(&self) {
        if self.subscriber.phase.replace(SubscriptionPhase::Closed) != SubscriptionPhase::Closed {
            self.hub.on_subscriptions_changed(false);
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.remove_subscriber(&self.subscriber);
        self.close();
    }
}
