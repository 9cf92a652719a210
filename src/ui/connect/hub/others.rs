//! The hub's side towards the other tabs: what is posted, and what a tab that follows makes of what it hears.

use std::rc::Rc;

use super::super::line::{Said, State, Topic};
use super::Hub;
use crate::feed::tabs::{Happening, Message, Told, Word};

impl Hub {
    pub(super) fn post(&self, message: Message) {
        if let Some(channel) = &*self.channel.borrow() {
            let count = self.posted.get() + 1;
            self.posted.set(count);
            channel.post(&Told { from: self.id.clone(), count, message }.write());
        }
    }

    pub(super) fn told(&self, text: &str) {
        let Some(told) = Told::read(text) else { return };
        if told.from == self.id {
            if told.message == Message::Ask {
                self.happen(Happening::Echo);
            }
            return;
        }
        let leads = told.message.leads();
        if leads {
            self.happen(Happening::Leader);
        }
        if self.connects() {
            return self.told_as_leader(&told.from, told.message);
        }
        let word = if leads { self.following.borrow_mut().hear(&told) } else { Word::Heed };
        if word != Word::Stray {
            self.told_as_follower(&told.from, told.message);
        }
        if word != Word::Heed {
            self.catch_up();
        }
    }

    pub(super) fn told_as_follower(&self, from: &str, message: Message) {
        match message {
            Message::Lead => {
                let ask = self.lines().iter().any(|line| line.asked.get() || line.open.get());
                self.changed(ask);
            }
            // Kept, so that who leads next knows it.
            Message::Want { want, .. } => self.wants.borrow_mut().set(from, want),
            Message::Ready { runs, list } => self.ready(runs, list),
            Message::Frames { run, frames } => self.say(&run, Said::Frames(frames)),
            Message::More { run, head } => self.say(&run, Said::More(head)),
            Message::End { run } => self.ended(&run),
            Message::List { run } => self.list(run),
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
            Message::Ask | Message::Here | Message::News { .. } => {}
        }
    }
}
