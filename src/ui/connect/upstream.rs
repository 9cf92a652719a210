//! The browser's one connection, as the tab that leads holds it: what it carries, how far, and when it is tried again.

use std::collections::BTreeMap;

use crate::activity::backoff::Backoff;
use crate::activity::tabs::{Open, Want};
use crate::browser::{Standing, Stream};
use crate::model::{RunId, Status};

/// The waits between two tries. The pages' own machines wait, too; this is so that not each page's try is one more.
const BACKOFF: Backoff = Backoff { base: 250, cap: 4000 };
/// A stream that has not said anything for so many milliseconds after it was asked for is given up.
const OPEN_LIMIT: u64 = 10_000;
/// A stream that lived so long was a good one: the next failure is the first.
const STEADY: u64 = 5000;
/// How long a tab that slept waits for what came meanwhile.
const GRACE: u64 = 1500;

/// A run that the stream carries.
#[derive(Clone, Debug)]
struct Carried {
    /// The last seq it told.
    at: u64,
    head: u64,
    /// As of the stream's beginning; its end is told.
    status: Status,
}

/// See the module's comment.
#[derive(Debug, Default)]
pub(super) struct Upstream {
    stream: Option<Stream>,
    /// Counts streams, so that late words of a closed one are known.
    pub(super) number: u64,
    /// What was asked for, but for runs that have ended since.
    carried: BTreeMap<RunId, Carried>,
    list: bool,
    /// Its first event has come.
    pub(super) ready: bool,
    /// Since when it is ready.
    since: u64,
    /// When it was heard last, or asked for.
    heard: u64,
    /// Until when a tab that slept waits for what came meanwhile.
    grace: Option<u64>,
    failures: u32,
    /// It is not tried before.
    pub(super) not_before: u64,
    /// How far runs were told, also by streams before this one: all that was told was told to all tabs.
    told: BTreeMap<RunId, u64>,
}

impl Upstream {
    pub(super) fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// What is carried, as what is wanted: to compare.
    pub(super) fn carries(&self) -> Want {
        Want { runs: self.carried.iter().map(|(run, carried)| (run.clone(), carried.at)).collect(), list: self.list }
    }

    /// Where each wanted run goes on: after the frames that were told already, if that is further.
    pub(super) fn from(&self, mut want: Want) -> Want {
        for (run, cursor) in &mut want.runs {
            *cursor = self.told.get(run).map_or(*cursor, |&told| told.max(*cursor));
        }
        want
    }

    /// Takes a new stream in place of what was there.
    pub(super) fn open(&mut self, want: &Want, stream: Stream, now: u64) {
        self.told.retain(|run, _| want.runs.contains_key(run));
        self.told.extend(want.runs.clone());
        let carried = |(run, &at): (&RunId, &u64)| (run.clone(), Carried { at, head: at, status: Status::Pending });
        self.carried = want.runs.iter().map(carried).collect();
        self.list = want.list;
        self.ready = false;
        self.hear(now);
        self.stream = Some(stream);
    }

    /// Closes it, whether it was good or not.
    pub(super) fn close(&mut self) {
        self.number += 1;
        self.stream = None;
        self.ready = false;
        self.carried.clear();
        self.list = false;
    }

    /// It failed: closes it, and waits before the next try.
    pub(super) fn fail(&mut self, now: u64, random: f64) {
        if !self.ready {
            // It may have been refused for a cursor that is not the server's: then the pages say anew where they are.
            self.told.clear();
        } else if now >= self.since + STEADY {
            self.failures = 0;
        }
        self.close();
        self.failures = self.failures.saturating_add(1);
        self.not_before = self.not_before.max(now + BACKOFF.wait(self.failures, random, 0));
    }

    /// The server asked to be left alone until then.
    pub(super) fn leave_alone(&mut self, until: u64) {
        self.not_before = self.not_before.max(until);
    }

    /// Somebody looks, or the network is back.
    pub(super) fn hurry(&mut self, now: u64) {
        // What the server asked for is kept to.
        if self.not_before <= now + BACKOFF.cap {
            self.not_before = 0;
        }
    }

    pub(super) fn hear(&mut self, now: u64) {
        self.heard = now;
        self.grace = None;
    }

    /// It has been silent while the tab slept: it gets a moment, once, for what came meanwhile to be handled.
    pub(super) fn doubt(&mut self, now: u64) -> bool {
        let first = self.grace.is_none();
        self.grace.get_or_insert(now + GRACE);
        first
    }

    /// When it is dead if it says nothing until then. `silence`: how long it may be silent once it is open.
    pub(super) fn dead_at(&self, silence: u64) -> u64 {
        self.grace.unwrap_or(self.heard + if self.ready { silence } else { OPEN_LIMIT })
    }

    pub(super) fn begin(&mut self, runs: Vec<Standing>, now: u64) {
        self.ready = true;
        self.since = now;
        for Standing { run, head, status } in runs {
            if let Some(carried) = self.carried.get_mut(&run) {
                (carried.head, carried.status) = (head, status);
            }
        }
    }

    /// A frame was told.
    pub(super) fn tell(&mut self, run: &RunId, seq: u64) {
        if let Some(carried) = self.carried.get_mut(run) {
            carried.at = seq;
            carried.head = carried.head.max(seq);
        }
        if let Some(told) = self.told.get_mut(run) {
            *told = seq;
        }
    }

    /// A run ended.
    pub(super) fn end(&mut self, run: &RunId) {
        self.carried.remove(run);
    }

    /// Those of these runs that it carries, as they are told to who asks for them.
    pub(super) fn openings<'a>(&'a self, want: &'a Want) -> impl Iterator<Item = Open> + 'a {
        want.runs.keys().filter_map(|run| {
            let Carried { at, head, status } = self.carried.get(run)?;
            Some(Open { run: run.clone(), after: *at, head: *head, status: *status })
        })
    }

    /// How far a run was told.
    pub(super) fn told(&self, run: &RunId) -> u64 {
        self.told.get(run).copied().unwrap_or(0)
    }

    pub(super) fn carries_list(&self) -> bool {
        self.list
    }
}
