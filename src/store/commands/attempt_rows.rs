//! The rows of a new attempt: itself, its phases, its secrets, and what it needs from its worker.

use super::json;
use crate::model::{Params, Pipeline, RunOrigin, Secrets, Timestamp};
use crate::store::RunKey;
use crate::store::statement::{Statement, statement};

/// A new attempt, none of whose phases has begun.
pub(super) struct NewAttempt<'a> {
    pub(super) run: RunKey,
    pub(super) attempt: u32,
    pub(super) first_seq: u64,
    pub(super) pipeline: &'a Pipeline,
    /// As JSON.
    pub(super) params: String,
    pub(super) at: Timestamp,
    /// Who asked for it. `None`: who asked for the attempt before.
    pub(super) origin: Option<&'a RunOrigin>,
}

impl<'a> NewAttempt<'a> {
    pub(super) fn rows(self) -> Vec<Statement<'a>> {
        let attempt = statement!(
            "INSERT INTO attempts (run, attempt, first, params, pipeline, queued_at, origin)
             VALUES ($run, $attempt, $first_seq, $params, $pipeline, $at,
                coalesce($origin, (SELECT origin FROM attempts WHERE run = $run AND attempt = $attempt - 1)))";
            run: self.run,
            attempt: self.attempt,
            first_seq: self.first_seq,
            params: self.params,
            pipeline: json(self.pipeline),
            at: self.at,
            origin: self.origin.map(json),
        );
        let phases = (0i64..).zip(&self.pipeline.phases).map(|(position, phase)| {
            statement!(
                "INSERT INTO phases (run, attempt, position, name) VALUES ($run, $attempt, $position, $name)";
                run: self.run,
                attempt: self.attempt,
                position: position,
                name: &phase.name,
            )
        });
        std::iter::once(attempt).chain(phases).collect()
    }
}

/// The secrets that an attempt is asked for with, in place of those that the run had.
pub(super) fn secret_rows(run: RunKey, secrets: &Secrets) -> Vec<Statement<'_>> {
    let remove = statement!("DELETE FROM run_secrets WHERE run = $run"; run: run);
    let rows = secrets.iter().map(|(name, value)| {
        statement!(
            "INSERT INTO run_secrets (run, name, value) VALUES ($run, $name, $value)";
            run: run,
            name: name,
            value: value.as_bytes(),
        )
    });
    std::iter::once(remove).chain(rows).collect()
}

/// What a run with these parameters needs from its worker, in place of what it needed before. `from_phase`: the index
/// of the first phase; in a scratch folder, a later one needs the files that the earlier ones left.
pub(super) fn need_rows(
    run: RunKey,
    pipeline: &Pipeline,
    params: &Params,
    from_phase: usize,
) -> Vec<Statement<'static>> {
    let remove = statement!("DELETE FROM run_needs WHERE run = $run"; run: run);
    let needs = pipeline.needs(params);
    let rows = needs.iter().map(|need| {
        let (kind, value) = need.columns();
        statement!(
            "INSERT INTO run_needs (run, kind, value) VALUES ($run, $kind, $value)";
            run: run,
            kind: kind,
            value: value.to_owned(),
        )
    });
    let files = (from_phase > 0 && !pipeline.has_project(params)).then(|| {
        statement!(
            "INSERT INTO run_needs (run, kind, value)
             SELECT key, 'files', data_folder FROM runs WHERE key = $run AND data_folder IS NOT NULL";
            run: run,
        )
    });
    std::iter::once(remove).chain(rows).chain(files).collect()
}
