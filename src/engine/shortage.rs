//! What the system has too little of for a moment: descriptors, processes, memory, room. It delays what a run is about to do, and never
//! fails it.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use tokio::time::Instant;

use super::worker::Worker;
use crate::journal::WriteError;
use crate::model::FramePayload;
use crate::model::kinds::Failure;
use crate::store::NewFrame;

/// How long to wait before the second try; each wait is twice the one before.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(50);

/// The longest wait between two tries.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How long a shortage lasts before the journal tells of it.
pub(super) const TELL_AFTER: Duration = Duration::from_secs(1);

/// An error that may be one of the system's shortages.
pub(super) trait MayPass: Display {
    /// Whether the same may succeed in a moment.
    fn may_pass(&self) -> bool;
}

impl MayPass for io::Error {
    fn may_pass(&self) -> bool {
        let short = [
            Errno::EMFILE,
            Errno::ENFILE,
            // fork: too many processes.
            Errno::EAGAIN,
            Errno::ENOMEM,
            Errno::ENOBUFS,
            Errno::ENOSPC,
            Errno::EDQUOT,
        ];
        self.raw_os_error().is_some_and(|code| short.contains(&Errno::from_raw(code)))
    }
}

/// What became of something that may have to wait.
pub(super) enum Waited<T, E> {
    /// It was done, or failed for good.
    Done(Result<T, E>),
    /// The run is to end.
    Stopped,
}

impl Worker {
    /// Does something as soon as the system is not too short of what it needs. `what` says in the journal that it waits.
    pub(super) async fn when_it_can<T, E: MayPass, F>(
        &self,
        phase: Option<&Arc<str>>,
        what: &str,
        mut attempt: impl FnMut() -> F,
    ) -> Result<Waited<T, E>, WriteError>
    where
        F: Future<Output = Result<T, E>>,
    {
        let (began, mut wait, mut is_told) = (Instant::now(), FIRST_WAIT, false);
        loop {
            let error = match attempt().await {
                Err(error) if error.may_pass() => error,
                done => return Ok(Waited::Done(done)),
            };
            if !is_told && began.elapsed() >= TELL_AFTER {
                is_told = true;
                self.tell_shortage(phase, what, &error.to_string()).await?;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.cancel.cancelled() => return Ok(Waited::Stopped),
                () = self.stop.cancelled() => return Ok(Waited::Stopped),
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Journals that something waits for the system. `what` says what waits.
    pub(super) async fn tell_shortage(
        &self,
        phase: Option<&Arc<str>>,
        what: &str,
        error: &str,
    ) -> Result<(), WriteError> {
        tracing::warn!(run = self.lease.run.0, %error, "{what}");
        let message = format!("{what}: {error}. It goes on as soon as the system has what it needs");
        let failure = Failure { code: "system_shortage".to_owned(), message, retryable: true };
        let mut write = self.append();
        write.frames.push(NewFrame::now(phase.cloned(), &FramePayload::Error(failure)));
        self.shared.journal.write(write).await.map(drop)
    }
}
