//! What the writer does while the disk is full; [`disk_shares`](crate::journal::disk_shares) says what is written all
//! the same.

use std::collections::VecDeque;
use std::time::Duration;

use super::WriterTask;
use super::job::{Job, rejoin, split};
use crate::journal::sync::time::{self, Instant};
use crate::store::{DiskPriority, StoreCommand};

/// How often the disk is checked for space.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

impl WriterTask {
    /// Writes what is urgent, refuses what is new, and holds the rest back until the disk has space.
    pub(super) async fn wait_for_space(&mut self, jobs: Vec<Job>) {
        self.backend.release_reserve().await;
        let now = Instant::now();
        let mut held: VecDeque<(Job, Instant)> = jobs.into_iter().map(|job| (job, now)).collect();
        let mut urgent = Vec::new();
        let mut check_at = now + CHECK_INTERVAL;
        loop {
            // Each time anew: a run that is to be cancelled may report its last lines now.
            for (job, since) in std::mem::take(&mut held) {
                match self.shares.priority(&job.command) {
                    DiskPriority::Urgent => urgent.push(job),
                    DiskPriority::Deferrable if !self.has_waited(&job.command, since) => held.push_back((job, since)),
                    // Withdrawn ones have their answer.
                    DiskPriority::New | DiskPriority::Deferrable if job.begin() => {
                        job.answer(Err(self.health.error().into()))
                    }
                    DiskPriority::New | DiskPriority::Deferrable => {}
                }
            }
            urgent = self.commit_urgent(urgent).await;
            if Instant::now() >= check_at {
                if self.backend.restore_reserve(!held.is_empty()).await {
                    break;
                }
                check_at = Instant::now() + CHECK_INTERVAL;
            }
            match time::timeout_at(check_at, self.jobs.recv()).await {
                Ok(Some(job)) => {
                    let now = Instant::now();
                    held.push_back((job, now));
                    held.extend(std::iter::from_fn(|| self.jobs.try_recv().ok()).map(|job| (job, now)));
                }
                // No caller is left.
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

    /// Whether output has waited for space for as long as its run may.
    fn has_waited(&self, command: &StoreCommand, since: Instant) -> bool {
        self.shares.max_wait(command, self.group.disk_wait).is_some_and(|wait| since.elapsed() >= wait)
    }

    /// Commits what is urgent. Returns what was not written, or not yet.
    async fn commit_urgent(&mut self, mut jobs: Vec<Job>) -> Vec<Job> {
        jobs.retain(Job::begin);
        if jobs.is_empty() {
            return jobs;
        }
        let (commands, callers) = split(jobs);
        let error = match self.backend.commit(&commands).await {
            Ok(outcomes) => {
                self.publish(&commands, &outcomes);
                callers.into_iter().zip(outcomes).for_each(|(caller, outcome)| caller.answer(Ok(outcome)));
                return Vec::new();
            }
            Err(error) => error,
        };
        let jobs = rejoin(commands, callers);
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
