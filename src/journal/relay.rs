//! Publishes what other instances commit to the readers of this one.
//!
//! The frames of a run that has readers here are read from the database once, however many readers it has. Everything
//! else is as after a commit of this instance's writer: a reader cannot tell the difference.

use futures::future::join_all;
use tokio::sync::mpsc;

use super::Journal;
use super::run_list_feed::RunListEvent;
use crate::store::{JournalHead, ListEvent, Notices, RunKey, RunNotice, StoreError};

/// How many runs are read at once.
const CONCURRENT_READS: usize = 8;

/// The task that publishes the commits of other instances.
pub struct Relay {
    journal: Journal,
    notices: mpsc::Receiver<Notices>,
    /// Is called with each run whose list entry has changed.
    observe: Box<dyn Fn(RunKey) + Send + Sync>,
}

impl Relay {
    /// `observe` is called after the change is published.
    pub fn new(
        journal: Journal,
        notices: mpsc::Receiver<Notices>,
        observe: impl Fn(RunKey) + Send + Sync + 'static,
    ) -> Self {
        Self { journal, notices, observe: Box::new(observe) }
    }

    /// Publishes until the database is closed.
    pub async fn run(mut self) {
        while let Some(notices) = self.notices.recv().await {
            match notices {
                Notices::Runs(notices) => self.publish(notices).await,
                Notices::Lagged => self.catch_up().await,
            }
        }
    }

    async fn publish(&self, notices: Vec<RunNotice>) {
        for some in notices.chunks(CONCURRENT_READS) {
            let reads: Vec<_> = some.iter().map(|notice| self.publish_frames(notice)).collect();
            join_all(reads).await;
        }
        let events = notices.iter().filter_map(|notice| {
            Some(match notice.event.clone()? {
                ListEvent::Changed => RunListEvent::Changed(notice.run),
                ListEvent::BecameFinal => RunListEvent::BecameFinal(notice.run),
                ListEvent::Deleted(id) => RunListEvent::Deleted(notice.run, id),
            })
        });
        self.journal.list_feed.publish(events);
        for notice in notices.iter().filter(|notice| notice.event.is_some()) {
            (self.observe)(notice.run);
        }
    }

    async fn publish_frames(&self, notice: &RunNotice) {
        if matches!(notice.event, Some(ListEvent::Deleted(_))) {
            self.journal.live_runs.mark_deleted(notice.run);
        } else if let Some(head) = notice.journal {
            self.publish_head(notice.run, head).await;
        }
    }

    /// Reads the frames up to the head, and publishes them.
    async fn publish_head(&self, run: RunKey, head: JournalHead) {
        let Some(live_run) = self.journal.live_runs.get(run) else { return };
        loop {
            let known = live_run.head().head;
            if known >= head.head {
                return;
            }
            match self.journal.backend.frames(run, known, live_run.page_frames()).await {
                Ok((frames, _)) if frames.is_empty() => return live_run.publish_head(head),
                Ok((frames, newest)) => live_run.publish_page(&frames, newest),
                Err(StoreError::Gone) => return self.journal.live_runs.mark_deleted(run),
                // The readers read for themselves, and repeat that.
                Err(_) => return live_run.publish_head(head),
            }
        }
    }

    /// Something was missed: the heads of all runs with readers are read again, and the list.
    async fn catch_up(&self) {
        for run in self.journal.live_runs.keys() {
            match self.journal.backend.head(run).await {
                Ok(head) => self.publish_head(run, head).await,
                Err(StoreError::Gone) => self.journal.live_runs.mark_deleted(run),
                Err(error) => {
                    tracing::warn!(run = run.0, %error, "cannot read the head of a run; its readers may be late")
                }
            }
        }
        self.journal.list_feed.forget();
    }
}
