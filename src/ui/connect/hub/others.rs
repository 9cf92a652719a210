//! The hub's side towards the other tabs: what is posted, and what a tab that follows makes of what it hears.

use std::rc::Rc;

use super::super::line::{Said, State, Topic};
use super::Hub;
use crate::activity::tabs::{Happening, Message, Told};

impl Hub {
    pub(super) fn post(&self, message: Message) {
        if let Some(channel) = &*self.channel.borrow() {
            let count = self.posted.get() + 1;
            self.posted.set(count);
            channel.post(&Told { from: self.id.clone(), count, message }.write());
        }
    }

    pub(super) fn told(&self, text: &str) {
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
        let begins = message == Message::Lead;
        self.told_as_follower(&from, message);
        if leads {
            let before = self.heard.replace(Some((from.clone(), count)));
            if !begins && before.is_some_and(|(who, last)| who != from || count != last + 1) {
                self.catch_up();
            }
        }
    }

    pub(super) fn told_as_follower(&self, from: &str, message: Message) {
        if matches!(message, Message::Lead | Message::Here | Message::Ready { .. }) {
            self.leader.replace(Some(from.to_owned()));
        }
        let leads = self.leader.borrow().as_deref().is_none_or(|leader| leader == from);
        match message {
            Message::Lead => {
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
}
