//! Two attempts of a run side by side. Changes nothing.

mod first;

use std::sync::Arc;

use futures::stream::{self, Stream, TryStreamExt};

use first::{Limits, Piece, earlier, first_difference};

use super::Service;
use super::log::settle;
use crate::model::attempt::{Attempt, AttemptPhase};
use crate::model::compare::{AttemptComparison, LogComparison, diff_params, pair_phases};
use crate::model::{LogStream, Problem, ProblemCode};
use crate::store::{RunKey, Store, StoreError};

/// How far an output of a phase is looked through for a difference.
const LIMITS: Limits = Limits { lines: 200_000, bytes: 64 << 20 };

/// How many frames of a journal one read goes through.
const WINDOW: u64 = 5000;

impl Service {
    /// Two attempts of a run and how they differ. If nothing is said: the newest one, and the one before the other.
    ///
    /// Logs are read a page at a time, so that no read is long; whoever goes away ends the comparison.
    ///
    /// # Errors
    /// [`ProblemCode::RunNotFound`], [`ProblemCode::NotFound`] if the run has no such attempt, or only one; the database's own.
    pub async fn compare(&self, id: &str, a: Option<u32>, b: Option<u32>) -> Result<AttemptComparison, Problem> {
        let (run, pulse) = self.find(id).await?;
        let b = b.unwrap_or(pulse.attempt);
        let a = match a {
            Some(a) => a,
            None if b > 1 => b - 1,
            None if pulse.attempt > 1 => 2,
            None => {
                let detail = "The run has one attempt only: there is nothing to compare it with.";
                return Err(Problem::new(ProblemCode::NotFound, detail));
            }
        };
        let (a, b) = (self.attempt_of(id, run, a).await?, self.attempt_of(id, run, b).await?);
        let mut phases = pair_phases(&a.phases, &b.phases);
        for pair in &mut phases {
            let Some((in_a, in_b)) = pair.ran_in_both() else { continue };
            let log = self.compare_logs(run, (&a, in_a), (&b, in_b)).await?;
            pair.log = Some(log);
        }
        // Of a run that was deleted meanwhile there may have been less to read than there was.
        self.find(id).await?;
        Ok(AttemptComparison { params: diff_params(&a.params, &b.params), phases, a, b })
    }

    async fn compare_logs(
        &self,
        run: RunKey,
        (a, in_a): (&Attempt, &AttemptPhase),
        (b, in_b): (&Attempt, &AttemptPhase),
    ) -> Result<LogComparison, Problem> {
        // An attempt from before phases had their frames noted is looked through as a whole.
        let first = |attempt: &Attempt, phase: &AttemptPhase| phase.first.unwrap_or(attempt.first);
        let output = |attempt: &Attempt, phase: &AttemptPhase, output| {
            let (after, last) = (first(attempt, phase) - 1, phase.last.unwrap_or(attempt.last));
            output_of(self.store.clone(), run, phase.phase.name.as_str().into(), output, after, last)
        };
        let compare = async |stream| first_difference(output(a, in_a, stream), output(b, in_b, stream), LIMITS).await;
        let begin = (first(a, in_a), first(b, in_b));
        let mut found = compare(LogStream::Output).await?;
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            found = earlier(found, compare(stream).await?, begin);
        }
        Ok(found)
    }
}

/// What a phase has printed to one of its outputs, in pieces as the journal has it.
fn output_of(
    store: Store,
    run: RunKey,
    phase: Arc<str>,
    output: LogStream,
    after: u64,
    last: u64,
) -> impl Stream<Item = Result<Piece, StoreError>> {
    let pages = stream::try_unfold(after, move |after| {
        let (store, phase) = (store.clone(), Arc::clone(&phase));
        async move {
            if after >= last {
                return Ok::<_, StoreError>(None);
            }
            let until = last.min(after + WINDOW);
            let (frames, reached) = store.phase_log(run, phase, after, until).await?;
            let (frames, reached) = settle(&store, run, frames, after, reached).await?;
            let pieces = frames.iter().map(Piece::of).filter(|piece| piece.log.stream == output);
            let pieces = pieces.map(Ok).collect::<Vec<_>>();
            Ok(Some((stream::iter(pieces), reached)))
        }
    });
    pages.try_flatten()
}
