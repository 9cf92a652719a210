//! Compares two attempts of a run: parameters, phases and logs.

mod first_difference;

use std::sync::Arc;

use futures::stream::{self, Stream, TryStreamExt};

use first_difference::{CompareLimits, LogPart, earlier, first_difference};

use super::log::apply_redraws;
use super::{Backend, find_attempt};
use crate::model::attempt::{Attempt, AttemptPhase};
use crate::model::compare::{AttemptComparison, LogComparison, diff_params, pair_phases};
use crate::model::{LogStream, Problem, ProblemCode};
use crate::store::{RunKey, Store, StoreError};

/// How much of each output of a phase is compared.
const LIMITS: CompareLimits = CompareLimits { lines: 200_000, bytes: 64 << 20 };

/// How many frames one read covers, so that no read takes long.
const WINDOW_FRAMES: u64 = 5000;

/// Two attempts of a run and how they differ: by default the newest one and the one before it. Logs are read page by
/// page; dropping the future ends the comparison.
///
/// # Errors
/// [`ProblemCode::RunNotFound`] for an unknown or deleted run, also if it was deleted during the reads;
/// [`ProblemCode::NotFound`] if the run has no such attempt, or only one; the database's errors.
pub async fn compare(
    backend: &Backend,
    id: &str,
    a: Option<u32>,
    b: Option<u32>,
) -> Result<AttemptComparison, Problem> {
    let (run, head) = backend.find(id).await?;
    let b = b.unwrap_or(head.attempt);
    let a = match a {
        Some(a) => a,
        None if b > 1 => b - 1,
        None if head.attempt > 1 => 2,
        None => {
            let detail = "The run has one attempt only: there is nothing to compare it with.";
            return Err(Problem::new(ProblemCode::NotFound, detail));
        }
    };
    let (a, b) = (find_attempt(backend, id, run, a).await?, find_attempt(backend, id, run, b).await?);
    let mut phases = pair_phases(&a.phases, &b.phases);
    for pair in &mut phases {
        let Some((in_a, in_b)) = pair.ran_in_both() else { continue };
        let log = compare_logs(backend, run, (&a, in_a), (&b, in_b)).await?;
        pair.log = Some(log);
    }
    // The logs of a run that was deleted during the reads are incomplete.
    backend.find(id).await?;
    Ok(AttemptComparison { params: diff_params(&a.params, &b.params), phases, a, b })
}

async fn compare_logs(
    backend: &Backend,
    run: RunKey,
    (a, in_a): (&Attempt, &AttemptPhase),
    (b, in_b): (&Attempt, &AttemptPhase),
) -> Result<LogComparison, Problem> {
    // Old attempts do not record the frames of their phases: then the whole attempt is searched.
    let first = |attempt: &Attempt, phase: &AttemptPhase| phase.first.unwrap_or(attempt.first);
    let output = |attempt: &Attempt, phase: &AttemptPhase, output| {
        let (after, last) = (first(attempt, phase) - 1, phase.last.unwrap_or(attempt.last));
        output_parts(backend.store.clone(), run, phase.phase.name.as_str().into(), output, after, last)
    };
    let compare = async |stream| first_difference(output(a, in_a, stream), output(b, in_b, stream), LIMITS).await;
    let begin = (first(a, in_a), first(b, in_b));
    let mut found = compare(LogStream::Output).await?;
    for stream in [LogStream::Stdout, LogStream::Stderr] {
        found = earlier(found, compare(stream).await?, begin);
    }
    Ok(found)
}

/// What a phase printed to one of its outputs, in parts as the journal has it.
fn output_parts(
    store: Store,
    run: RunKey,
    phase: Arc<str>,
    output: LogStream,
    after: u64,
    last: u64,
) -> impl Stream<Item = Result<LogPart, StoreError>> {
    let pages = stream::try_unfold(after, move |after| {
        let (store, phase) = (store.clone(), Arc::clone(&phase));
        async move {
            if after >= last {
                return Ok::<_, StoreError>(None);
            }
            let until = last.min(after + WINDOW_FRAMES);
            let (frames, reached) = store.phase_log(run, phase, after, until).await?;
            let (frames, reached) = apply_redraws(&store, run, frames, after, reached).await?;
            let parts = frames.iter().map(LogPart::from_frame).filter(|part| part.log.stream == output);
            let parts = parts.map(Ok).collect::<Vec<_>>();
            Ok(Some((stream::iter(parts), reached)))
        }
    });
    pages.try_flatten()
}
