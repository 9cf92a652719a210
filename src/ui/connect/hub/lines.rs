//! The hub's side towards the tab's own lines: what they are told, whoever it came from.

use std::collections::BTreeMap;
use std::iter::repeat_n;
use std::rc::Rc;

use super::super::line::{Said, State, Topic};
use super::Hub;
use crate::feed::tabs::Open;
use crate::model::RunId;

impl Hub {
    pub(super) fn open_lines(&self, topic: &Topic) -> Vec<Rc<State>> {
        self.lines.borrow().iter().filter(|line| line.open.get() && line.topic == *topic).map(Rc::clone).collect()
    }

    /// Says this of a run.
    pub(super) fn say(&self, run: &RunId, said: Said) {
        let lines = self.open_lines(&Topic::Run(run.clone()));
        for (line, said) in lines.iter().zip(repeat_n(said, lines.len())) {
            (line.hear)(said);
        }
    }

    pub(super) fn ready(&self, runs: Vec<Open>, list: bool) {
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

    pub(super) fn ended(&self, run: &RunId) {
        for line in self.open_lines(&Topic::Run(run.clone())) {
            line.open.set(false);
            (line.hear)(Said::End);
        }
    }

    pub(super) fn list(&self, run: String) {
        for line in self.open_lines(&Topic::List) {
            (line.hear)(Said::Listed(run.clone()));
        }
    }

    pub(super) fn beat(&self, heads: &BTreeMap<RunId, u64>, list: bool) {
        for line in self.lines().iter().filter(|line| line.open.get()) {
            match &line.topic {
                Topic::Run(run) => heads.get(run).into_iter().for_each(|&head| (line.hear)(Said::Beat(head))),
                Topic::List if list => (line.hear)(Said::Beat(0)),
                Topic::List => {}
            }
        }
    }

    /// The stream is away.
    pub(super) fn away(&self) {
        for line in self.lines() {
            if line.asked.replace(false) | line.open.replace(false) {
                (line.hear)(Said::Lost);
            }
        }
    }
}
