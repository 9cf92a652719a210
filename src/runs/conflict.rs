//! Changes that read a run, decide, and write under the precondition that the run is still as it was read.

use crate::journal::WriteError;
use crate::model::Problem;
use crate::store::StoreError;

/// How many times a change is made if the run changes between its read and its write.
const MAX_ROUNDS: usize = 5;

/// Why a change was not made.
#[derive(Debug)]
pub enum ChangeError {
    /// The run changed after it was read. Read it again.
    Conflict,
    Problem(Problem),
}

impl From<Problem> for ChangeError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        Self::Problem(error.into())
    }
}

impl From<WriteError> for ChangeError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused => Self::Conflict,
            error => Self::Problem(error.into()),
        }
    }
}

/// Makes a change that reads the run first; again after each conflict, a few times.
///
/// # Errors
/// The change's own problem; [`ProblemCode::RunActive`](crate::model::ProblemCode::RunActive), retryable, if every
/// round met a conflict.
pub async fn retry_on_conflict<T, F>(mut change: impl FnMut() -> F) -> Result<T, Problem>
where
    F: Future<Output = Result<T, ChangeError>>,
{
    for _ in 0..MAX_ROUNDS {
        match change().await {
            Ok(done) => return Ok(done),
            Err(ChangeError::Problem(problem)) => return Err(problem),
            Err(ChangeError::Conflict) => {}
        }
    }
    Err(WriteError::Refused.into())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::model::ProblemCode;

    #[tokio::test]
    async fn change_is_retried_only_after_conflicts() {
        let calls = Cell::new(0);
        let change = |conflicts: usize| {
            calls.set(calls.get() + 1);
            let call = calls.get();
            async move { if call > conflicts { Ok(call) } else { Err(ChangeError::Conflict) } }
        };
        assert_eq!(retry_on_conflict(|| change(3)).await.unwrap(), 4);
        calls.set(0);
        let problem = retry_on_conflict(|| change(100)).await.unwrap_err();
        assert_eq!((problem.code, problem.retryable, calls.get()), (ProblemCode::RunActive, true, MAX_ROUNDS));
        calls.set(0);
        let refused = || {
            calls.set(calls.get() + 1);
            async { Err::<(), _>(Problem::new(ProblemCode::RunFinished, "").into()) }
        };
        assert_eq!((retry_on_conflict(refused).await.unwrap_err().code, calls.get()), (ProblemCode::RunFinished, 1));
    }
}
