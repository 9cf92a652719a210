//! What the writer does while the disk is full; [`room`](crate::journal::room) says what is written all the same.

use std::collections::VecDeque;
use std::time::Duration;

use super::WriterTask;
use super::job::{Job, back, split};
use crate::journal::room::Need;
use crate::journal::sync::time::{self, Instant};
use crate::store::Op;

/// How often it is looked whether a full disk has room again.
const LOOK_FOR_ROOM: Duration = Duration::from_millis(500);

impl WriterTask {
    /// Writes what a full disk takes, refuses what is new, and holds the rest back until there is room.
    pub(super) async fn wait_for_room(&mut self, jobs: Vec<Job>) {
        self.store.release_reserve().await;
        let now = Instant::now();
        let mut held: VecDeque<(Job, Instant)> = jobs.into_iter().map(|job| (job, now)).collect();
        let mut urgent = Vec::new();
        let mut look = now + LOOK_FOR_ROOM;
        loop {
            // Each time anew: a run that is to end may say its last words now.
            for (job, since) in std::mem::take(&mut held) {
                match self.shares.need(&job.op) {
                    Need::Urgent => urgent.push(job),
                    Need::Held if !self.has_waited(&job.op, since) => held.push_back((job, since)),
                    // Withdrawn ones have their answer.
                    Need::New | Need::Held if job.begin() => job.answer(Err(self.health.error().into())),
                    Need::New | Need::Held => {}
                }
            }
            urgent = self.commit_urgent(urgent).await;
            if Instant::now() >= look {
                if self.store.restore_reserve(!held.is_empty()).await {
                    break;
                }
                look = Instant::now() + LOOK_FOR_ROOM;
            }
            match time::timeout_at(look, self.jobs.recv()).await {
                Ok(Some(job)) => {
                    let now = Instant::now();
                    held.push_back((job, now));
                    held.extend(std::iter::from_fn(|| self.jobs.try_recv().ok()).map(|job| (job, now)));
                }
                // Nobody is left who would hear of it.
                Ok(None) => return,
                Err(_) => {}
            }
        }
        // In the order in which they came, as far as it matters: a run's own jobs come one after the other.
        self.held.extend(urgent);
        self.held.extend(held.into_iter().map(|(job, _)| job));
        if self.held.is_empty() {
            self.health.succeeded();
        }
    }

    /// Whether activity has waited for room for as long as its run may.
    fn has_waited(&self, op: &Op, since: Instant) -> bool {
        self.shares.wait(op, self.group.disk_wait).is_some_and(|wait| since.elapsed() >= wait)
    }

    /// Commits what a full disk takes. Returns what it did not take, or not yet.
    async fn commit_urgent(&mut self, mut jobs: Vec<Job>) -> Vec<Job> {
        jobs.retain(Job::begin);
        if jobs.is_empty() {
            return jobs;
        }
        let (ops, askers) = split(jobs);
        let error = match self.store.commit(&ops).await {
            Ok(outcomes) => {
                self.tell(&ops, &outcomes);
                askers.into_iter().zip(outcomes).for_each(|(asker, outcome)| asker.answer(Ok(outcome)));
                return Vec::new();
            }
            Err(error) => error,
        };
        let jobs = back(ops, askers);
        if error.is_retryable() {
            return jobs;
        }
        if jobs.len() == 1 {
            jobs.into_iter().for_each(|job| job.answer(Err(error.clone().into())));
            return Vec::new();
        }
        let mut left = Vec::new();
        for job in jobs {
            left.extend(Box::pin(self.commit_urgent(vec![job])).await);
        }
        left
    }
}
