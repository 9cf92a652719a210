//! Repeats what an attempt needs until the system has the resources for it.

use std::sync::Arc;

use tokio::time::Instant;

use super::attempt::Attempt;
use super::command::shortage::{
    FIRST_SHORTAGE_RETRY_DELAY, MAX_SHORTAGE_RETRY_DELAY, REPORT_SHORTAGE_AFTER, Transient,
};
use crate::journal::WriteError;
use crate::model::FramePayload;
use crate::model::kinds::Failure;
use crate::store::NewFrame;

/// The result of an operation that may have had to wait.
pub(super) enum RetryResult<T, E> {
    /// It succeeded, or failed with an error that does not pass.
    Done(Result<T, E>),
    /// The attempt has to stop.
    Stopped,
}

/// Repeats `operation` while it fails for lack of resources. `waiting` says in the journal what is waiting.
///
/// # Errors
/// The shortage could not be journaled.
pub(super) async fn retry_while_short<T, E: Transient, F>(
    attempt: &Attempt,
    phase: Option<&Arc<str>>,
    waiting: &str,
    mut operation: impl FnMut() -> F,
) -> Result<RetryResult<T, E>, WriteError>
where
    F: Future<Output = Result<T, E>>,
{
    let (began, mut delay, mut is_reported) = (Instant::now(), FIRST_SHORTAGE_RETRY_DELAY, false);
    loop {
        let error = match operation().await {
            Err(error) if error.is_transient() => error,
            result => return Ok(RetryResult::Done(result)),
        };
        if !is_reported && began.elapsed() >= REPORT_SHORTAGE_AFTER {
            is_reported = true;
            journal_shortage(attempt, phase, waiting, &error.to_string()).await?;
        }
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = attempt.signals.stopping() => return Ok(RetryResult::Stopped),
        }
        delay = (delay * 2).min(MAX_SHORTAGE_RETRY_DELAY);
    }
}

/// Journals that something waits for the system's resources.
///
/// # Errors
/// The lease is lost, or the database's own.
pub(super) async fn journal_shortage(
    attempt: &Attempt,
    phase: Option<&Arc<str>>,
    waiting: &str,
    error: &str,
) -> Result<(), WriteError> {
    tracing::warn!(run = attempt.lease.run.0, %error, "{waiting}");
    let message = format!("{waiting}: {error}. It goes on as soon as the system has what it needs");
    let failure = Failure { code: "system_shortage".to_owned(), message, retryable: true };
    let mut write = attempt.append();
    write.frames.push(NewFrame::now(phase.cloned(), &FramePayload::Error(failure)));
    attempt.commit(write).await.map(drop)
}
