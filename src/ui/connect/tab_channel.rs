//! The channel to the browser's other tabs: numbers what this tab posts, and checks the order of what the leader posts.

use std::cell::{Cell, RefCell};

use crate::browser::Channel;
use crate::feed::tabs::{Accept, Envelope, LeaderTracker, TabMessage};

/// The name of the channel that all tabs of the browser share.
const NAME: &str = "runtrail";

/// See the module's comment.
pub(super) struct TabChannel {
    /// This tab's id.
    pub(super) id: String,
    channel: RefCell<Option<Channel>>,
    posted: Cell<u64>,
    leader: RefCell<LeaderTracker>,
}

impl TabChannel {
    /// A closed channel.
    pub(super) fn new(id: String) -> Self {
        Self { id, channel: RefCell::default(), posted: Cell::new(0), leader: RefCell::default() }
    }

    /// Opens the channel, if the browser has channels. It also delivers what this tab posts.
    pub(super) fn open(&self, on_text: impl Fn(String) + 'static) {
        self.channel.replace(Channel::open(NAME, on_text));
    }

    pub(super) fn close(&self) {
        self.channel.take();
    }

    pub(super) fn is_open(&self) -> bool {
        self.channel.borrow().is_some()
    }

    /// Posts a message to the other tabs, if the channel is open.
    pub(super) fn post(&self, message: TabMessage) {
        if let Some(channel) = &*self.channel.borrow() {
            let count = self.posted.get() + 1;
            self.posted.set(count);
            channel.post(&Envelope { from: self.id.clone(), count, message }.to_text());
        }
    }

    /// What a follower does with this message.
    pub(super) fn accept(&self, envelope: &Envelope) -> Accept {
        if envelope.message.is_from_leader() { self.leader.borrow_mut().accept(envelope) } else { Accept::InOrder }
    }
}
