//! When a page polls. Polls are the fallback for what the stream does not bring, so they keep a steady interval while
//! it is away.

use crate::model::backoff::Backoff;

/// The next poll, and the one in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PollSchedule {
    interval_ms: u64,
    pub(super) due: Option<u64>,
    is_in_flight: bool,
    /// Failed polls in a row.
    failures: u32,
}

impl PollSchedule {
    pub(super) const fn new(interval_ms: u64) -> Self {
        Self { interval_ms, due: None, is_in_flight: false, failures: 0 }
    }

    /// When the next poll is due. `None` while one is in flight.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.due.filter(|_| !self.is_in_flight)
    }

    /// Polls at this time, or earlier if a poll is due before.
    pub(super) fn schedule(&mut self, at: u64) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Polls within a second: not at once, so that all pages that lost one server do not poll in the same instant.
    pub(super) fn schedule_soon(&mut self, now: u64, random: f64) {
        let max_wait_ms = self.interval_ms.min(1000);
        self.schedule(now + Backoff { base_ms: max_wait_ms, cap_ms: max_wait_ms }.wait(1, random, 0));
    }

    pub(super) fn cancel(&mut self) {
        self.due = None;
    }

    /// The stream answers again.
    pub(super) const fn clear_failures(&mut self) {
        self.failures = 0;
    }

    /// A poll was answered. If the page is still behind, the next one is due at once.
    pub(super) fn on_answer(&mut self, is_behind: bool, now: u64) {
        self.is_in_flight = false;
        self.failures = 0;
        self.schedule(if is_behind { now } else { now + self.interval_ms });
    }

    /// A poll failed. The wait doubles once at most: polls are how the page finds out that the server is back.
    pub(super) fn on_failure(&mut self, retry_after_ms: u64, now: u64, random: f64) {
        self.is_in_flight = false;
        self.failures = self.failures.saturating_add(1);
        let interval = self.interval_ms;
        let jitter = Backoff { base_ms: interval, cap_ms: interval * 2 }.wait(self.failures, random, 0);
        self.due = Some(now + (interval / 2 + jitter).max(retry_after_ms));
    }

    /// Returns whether to poll now. Polls repeat while they are `needed`, unless an open stream is `enough`.
    pub(super) fn start_due(&mut self, needed: bool, enough: bool, now: u64) -> bool {
        if !needed && self.due.is_some_and(|due| due > now) {
            self.due = None;
        }
        if needed && self.due.is_none() && !enough {
            self.due = Some(now + self.interval_ms);
        }
        if self.is_in_flight || self.due.is_none_or(|due| due > now) {
            return false;
        }
        self.due = None;
        self.is_in_flight = true;
        true
    }
}
