//! The browser's one connection, as the tab that leads keeps it: what it carries, how far, when it is dead, and when it is
//! tried again. Pure: `S` is whatever holds the connection, and is dropped to close it.

use std::collections::BTreeMap;

use super::{Open, Want};
use crate::feed::backoff::Backoff;
use crate::feed::connection::{GRACE, LATE, OPEN_LIMIT, STEADY};
use crate::model::sse::StreamPosition;
use crate::model::{RunId, Status};

/// The waits between two tries. The pages' own machines wait, too; this is so that not each page's try is one more.
const BACKOFF: Backoff = Backoff { base: 250, cap: 4000 };
/// How long a change of what is wanted waits for others like it, in milliseconds.
pub const GATHER: u64 = 30;
/// How long a stream goes on that carries more than is wanted, in milliseconds.
const SHRINK: u64 = 500;

/// A run that the stream carries.
#[derive(Clone, Copy, Debug)]
struct Carried {
    head: u64,
    /// As of the stream's beginning; its end is told.
    status: Status,
}

/// What is to be done so that the stream carries what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing.
    Keep,
    /// Close it: nothing is wanted.
    Close,
    /// Open it, or another in its place, in so many milliseconds.
    Open(u64),
}

/// Whether the stream lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// There is none.
    Closed,
    /// It has been silent for too long.
    Dead,
    /// It lives, as far as can be known before this moment.
    Until(u64),
}

/// See the module's comment.
#[derive(Debug)]
pub struct Upstream<S> {
    stream: Option<S>,
    /// Counts streams, so that late words of a closed one are known.
    number: u64,
    /// What was asked for, but for runs that have ended since.
    carried: BTreeMap<RunId, Carried>,
    list: bool,
    /// Since when it is ready: its first event has come.
    ready: Option<u64>,
    /// When it was heard last, or asked for.
    heard: u64,
    /// Until when a tab that slept waits for what came meanwhile.
    grace: Option<u64>,
    failures: u32,
    /// It is not tried before.
    not_before: u64,
    /// The last seq told of each run, also by streams before this one: what was told was told to all tabs.
    told: BTreeMap<RunId, u64>,
}

impl<S> Default for Upstream<S> {
    fn default() -> Self {
        Self {
            stream: None,
            number: 0,
            carried: BTreeMap::new(),
            list: false,
            ready: None,
            heard: 0,
            grace: None,
            failures: 0,
            not_before: 0,
            told: BTreeMap::new(),
        }
    }
}

impl<S> Upstream<S> {
    /// Whether its first event has come.
    pub const fn is_ready(&self) -> bool {
        self.ready.is_some()
    }

    /// Whether this number is that of the stream in force.
    pub const fn is(&self, number: u64) -> bool {
        self.number == number
    }

    /// What it carries, each run up to what was told of it.
    pub fn carries(&self) -> Want {
        let runs = self.carried.keys().map(|run| (run.clone(), self.told_up_to(run))).collect();
        Want { runs, list: self.list }
    }

    /// Whether it tells of the list.
    pub const fn carries_list(&self) -> bool {
        self.list
    }

    /// The last seq that was told of a run.
    pub fn told_up_to(&self, run: &RunId) -> u64 {
        self.told.get(run).copied().unwrap_or(0)
    }

    /// Those of these runs that it carries, as they are told to who asks for them.
    pub fn openings(&self, want: &Want) -> Vec<Open> {
        let opening = |run: &RunId| {
            let Carried { head, status } = *self.carried.get(run)?;
            let after = self.told_up_to(run);
            Some(Open { run: run.clone(), after, head: head.max(after), status })
        };
        want.runs.keys().filter_map(opening).collect()
    }

    /// What is to be done if `all` is wanted. `ask`: somebody waits for it.
    pub fn plan(&self, all: &Want, ask: bool, now: u64) -> Plan {
        let carries = self.carries();
        match (self.stream.is_some(), all.is_empty()) {
            (true, true) => Plan::Close,
            (true, false) if !carries.covers(all) => Plan::Open(GATHER),
            (true, false) if !all.covers(&carries) => Plan::Open(SHRINK),
            (false, false) if ask => Plan::Open(GATHER.max(self.not_before.saturating_sub(now))),
            (true | false, _) => Plan::Keep,
        }
    }

    /// The number of the next stream, and what it is to be asked for: each run after what was told already, if that is
    /// further than what is wanted.
    pub fn next(&mut self, mut all: Want) -> (u64, Want) {
        self.number += 1;
        for (run, cursor) in &mut all.runs {
            *cursor = self.told_up_to(run).max(*cursor);
        }
        (self.number, all)
    }

    /// Takes the stream that was asked for, in place of what was there.
    pub fn open(&mut self, want: &Want, stream: S, now: u64) {
        self.told = want.runs.clone();
        let carried = |(run, &head): (&RunId, &u64)| (run.clone(), Carried { head, status: Status::Pending });
        self.carried = want.runs.iter().map(carried).collect();
        self.list = want.list;
        self.ready = None;
        self.hear(now);
        self.stream = Some(stream);
    }

    /// Its first event has come.
    pub fn begin(&mut self, runs: Vec<StreamPosition>, now: u64) {
        self.ready = Some(now);
        for StreamPosition { run, head, status, .. } in runs {
            if let Some(carried) = self.carried.get_mut(&run) {
                *carried = Carried { head, status };
            }
        }
    }

    /// It said something.
    pub const fn hear(&mut self, now: u64) {
        self.heard = now;
        self.grace = None;
    }

    /// A frame was told.
    pub fn tell(&mut self, run: &RunId, seq: u64) {
        if let Some(told) = self.told.get_mut(run) {
            *told = seq;
        }
    }

    /// A run ended.
    pub fn end(&mut self, run: &RunId) {
        self.carried.remove(run);
    }

    /// Whether it lives. `silence`: how long it may be silent once it is ready.
    pub fn health(&mut self, silence: u64, now: u64) -> Health {
        if self.stream.is_none() {
            return Health::Closed;
        }
        let patience = if self.is_ready() { silence } else { OPEN_LIMIT };
        let dead_at = self.grace.unwrap_or(self.heard + patience);
        if now < dead_at {
            Health::Until(dead_at)
        } else if self.grace.is_none() && now >= dead_at + LATE {
            // The tab slept: what came meanwhile may still wait to be handled.
            self.grace = Some(now + GRACE);
            Health::Until(now + GRACE)
        } else {
            Health::Dead
        }
    }

    /// Closes it, whether it was good or not.
    pub fn close(&mut self) {
        self.number += 1;
        self.stream = None;
        self.ready = None;
        self.carried.clear();
        self.list = false;
    }

    /// It failed: closes it, and waits before the next try. `random` is from 0 to 1; `floor`: for how many milliseconds the
    /// server asked to be left alone.
    pub fn fail(&mut self, now: u64, random: f64, floor: u64) {
        match self.ready {
            // It may have been refused for a cursor that is not the server's: then the pages say anew where they are.
            None => self.told.clear(),
            Some(since) if now >= since + STEADY => self.failures = 0,
            Some(_) => {}
        }
        self.close();
        self.failures = self.failures.saturating_add(1);
        self.not_before = now + BACKOFF.wait(self.failures, random, floor);
    }

    /// Somebody looks, or the network is back: no reason to wait, but for what the server asked for.
    pub const fn hurry(&mut self, now: u64) {
        if self.not_before <= now + BACKOFF.cap {
            self.not_before = 0;
        }
    }
}

#[cfg(test)]
#[path = "upstream_tests.rs"]
mod tests;
