//! Runs, by key and by id.

use std::collections::BTreeMap;

use super::{attempts, frames, reviews};
use crate::model::attempt::AttemptSummary;
use crate::model::review::ReviewCounts;
use crate::model::run::Phase;
use crate::model::{
    ApprovalDecision, ApprovalRequest, FrameRecord, PhaseState, Pin, Pipeline, Run, RunId, RunOrigin, Secrets, Status,
    Timestamp,
};
use crate::store::row::Row;
use crate::store::statement::{Query, statement};
use crate::store::transaction::ReadSnapshot;
use crate::store::{IDEMPOTENCY_KEY_AGE_MS, JournalHead, RowError, RunKey, StoreError};

/// The columns that [`read_run`] reads. The phases come as JSON, so that a list of runs is one statement.
pub const RUN: &str =
    "runs.key, runs.id, runs.pipeline, runs.status, runs.phase, runs.attempt, runs.params, runs.priority,
    runs.created_at, runs.started_at, runs.finished_at, runs.head, runs.error, runs.gate, runs.cancel_by, runs.cancel,
    runs.asked, runs.question, runs.pinned, runs.pins,
    (SELECT queued_at FROM attempts WHERE attempts.run = runs.key AND attempts.attempt = runs.attempt) AS asked_at,
    (SELECT origin FROM attempts WHERE attempts.run = runs.key AND attempts.attempt = runs.attempt) AS origin,
    coalesce((SELECT json_group_array(json_array(name, state, exit_code, started_at, finished_at)) FROM
        (SELECT * FROM phases WHERE phases.run = runs.key AND phases.attempt = runs.attempt ORDER BY position) AS ordered
    ), '[]') AS phases";

/// What an attempt has to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    pub run: Run,
    /// The pipeline as it was when the attempt was queued.
    pub pipeline: Pipeline,
    /// What a person answered last in this attempt, if anyone was asked.
    pub answer: Option<ApprovalDecision>,
    /// How many attempts in a row, up to this one, were resumed automatically and finished no further phase.
    pub resumes: u32,
    /// Who has requested its cancellation, if anyone has.
    pub cancel_by: Option<String>,
}

/// What people have decided about a running run.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Who has requested its cancellation.
    pub cancel_by: Option<String>,
    /// The answer to what it asked last.
    pub answer: Option<ApprovalDecision>,
}

/// An idempotency key that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// The run that was created with it; `None` if it was deleted.
    pub run: Option<RunKey>,
    /// The digest of the request.
    pub digest: Vec<u8>,
}

/// A phase's name and its outputs, by name.
pub type PhaseOutputs = (String, BTreeMap<String, String>);

/// The secrets of a run. Once it has ended only their names are left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredSecrets {
    pub values: Secrets,
    /// The names of those that were removed when the run ended.
    pub removed: Vec<String>,
}

/// Which frames of a run its page shows first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewBounds {
    pub max_frames: u32,
    /// The most bytes of their data. A frame that alone is larger is left out, with all beyond it.
    pub max_bytes: usize,
    /// The frames around this seq, if there is such a frame; else the newest.
    pub at: Option<u64>,
}

/// What a run's page shows first, all of one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredView {
    pub key: RunKey,
    pub run: Run,
    /// Frames without gaps, in order: those around a seq, or the newest, the last of which has the run's head as its
    /// seq. None if the one in question is too large.
    pub frames: Vec<FrameRecord>,
    /// The seq of the frame that says that a phase has begun, for those of the run's attempt that have.
    pub starts: BTreeMap<String, u64>,
    /// How many findings and patches the attempt has.
    pub review_counts: ReviewCounts,
    /// The attempts before it, oldest first: the newest of them if there are many.
    pub earlier: Vec<AttemptSummary>,
}

/// The key and the journal's head of the run with this id.
pub fn find(id: &RunId) -> Query<'_, (RunKey, JournalHead)> {
    statement!("SELECT key, status, attempt, head FROM runs WHERE id = $id AND deleted_at IS NULL"; id: id)
        .read(|row| Ok((row.get("key")?, JournalHead::read(row)?)))
}

/// The run with this key.
pub fn by_key(key: RunKey) -> Query<'static, Run> {
    statement!(["SELECT ", RUN, " FROM runs WHERE key = $key AND deleted_at IS NULL"]; key: key).read(read_run)
}

/// The run with this id, and its key.
fn by_id(id: &RunId) -> Query<'_, (RunKey, Run)> {
    statement!(["SELECT ", RUN, " FROM runs WHERE id = $id AND deleted_at IS NULL"]; id: id)
        .read(|row| Ok((row.get("key")?, read_run(row)?)))
}

/// What the page of the run with this id shows first.
///
/// # Errors
/// The database could not be read. An unknown or deleted run is `None`.
pub async fn view(
    db: &mut impl ReadSnapshot,
    id: &RunId,
    bounds: &ViewBounds,
) -> Result<Option<StoredView>, StoreError> {
    let Some((key, run)) = db.fetch_optional(by_id(id)).await? else { return Ok(None) };
    let frames = frames::first_of_page(db, key, run.head, bounds).await?;
    let review_counts = db.fetch_optional(reviews::review_counts(key, run.attempt)).await?.unwrap_or_default();
    let earlier = attempts::before(db, key, run.attempt).await?;
    let starts = db.fetch_all(frames::phase_starts(key, run.attempt)).await?.into_iter().collect();
    Ok(Some(StoredView { key, run, frames, starts, review_counts, earlier }))
}

/// The latest time of a run, deleted or not.
pub fn clock(key: RunKey) -> Query<'static, Timestamp> {
    statement!("SELECT clock FROM runs WHERE key = $key"; key: key).read(|row| row.get("clock"))
}

/// What people have decided about a run, deleted or not.
pub fn decision(key: RunKey) -> Query<'static, Decision> {
    statement!("SELECT cancel_by, answer FROM runs WHERE key = $key"; key: key)
        .read(|row| Ok(Decision { cancel_by: row.get("cancel_by")?, answer: row.optional_json("answer")? }))
}

/// The request that came with this idempotency key after this moment.
pub fn by_idempotency_key(key: &str, after: Timestamp) -> Query<'_, KnownKey> {
    statement!(
        "SELECT runs.key AS run, digest FROM idempotency_keys AS known
         LEFT JOIN runs ON runs.key = known.run AND runs.deleted_at IS NULL
         WHERE known.key = $key AND known.created_at > $after";
        key: key,
        after: after,
    )
    .read(|row| Ok(KnownKey { run: row.get("run")?, digest: row.get("digest")? }))
}

/// The same, unless the key is so old at `now` that it is forgotten.
pub fn by_recent_idempotency_key(key: &str, now: Timestamp) -> Query<'_, KnownKey> {
    by_idempotency_key(key, Timestamp(now.0 - IDEMPOTENCY_KEY_AGE_MS))
}

/// Whether the run with this key is pinned.
pub fn pin(key: RunKey) -> Query<'static, Pin> {
    statement!("SELECT pinned, pins FROM runs WHERE key = $key AND deleted_at IS NULL"; key: key).read(read_pin)
}

/// What the current attempt of a run has to do.
pub fn assignment(key: RunKey) -> Query<'static, Assignment> {
    statement!(
        ["SELECT ", RUN, ", runs.answer, runs.resumes, attempts.pipeline AS recipe FROM runs
         JOIN attempts ON attempts.run = runs.key AND attempts.attempt = runs.attempt
         WHERE runs.key = $key AND runs.deleted_at IS NULL"];
        key: key,
    )
    .read(|row| {
        Ok(Assignment {
            run: read_run(row)?,
            pipeline: row.json("recipe")?,
            answer: row.optional_json("answer")?,
            resumes: row.get("resumes")?,
            cancel_by: row.get("cancel_by")?,
        })
    })
}

/// The outputs of an attempt's phases for later ones, in the order of the phases.
pub fn outputs(key: RunKey, attempt: u32) -> Query<'static, PhaseOutputs> {
    statement!(
        "SELECT name, outputs FROM phases
         WHERE run = $key AND attempt = $attempt AND outputs IS NOT NULL ORDER BY position";
        key: key,
        attempt: attempt,
    )
    .read(|row| Ok((row.get("name")?, row.json("outputs")?)))
}

/// The secrets of a run's current attempt.
///
/// # Errors
/// The database could not be read. An unknown run has none.
pub async fn secrets(db: &mut impl ReadSnapshot, key: RunKey) -> Result<StoredSecrets, StoreError> {
    let rows = statement!("SELECT name, value FROM run_secrets WHERE run = $key ORDER BY name"; key: key);
    let rows = rows.read(|row| Ok((row.get::<String>("name")?, row.get::<Option<Vec<u8>>>("value")?)));
    let mut stored = StoredSecrets::default();
    for (name, value) in db.fetch_all(rows).await? {
        match value {
            Some(value) => stored.values.insert(name, String::from_utf8_lossy(&value)),
            None => stored.removed.push(name),
        }
    }
    Ok(stored)
}

/// How many runs have each status.
pub fn status_counts() -> Query<'static, (Status, u64)> {
    statement!("SELECT status, runs FROM run_counts WHERE runs > 0")
        .read(|row| Ok((row.get("status")?, row.get("runs")?)))
}

/// Any row: whether the database answers.
pub fn ping() -> Query<'static, ()> {
    statement!("SELECT 1 FROM runs LIMIT 1").exists()
}

/// The columns of [`RUN`].
///
/// # Errors
/// A column holds something else than this program has written there.
pub fn read_run(row: &dyn Row) -> Result<Run, RowError> {
    type PhaseColumns = (String, PhaseState, Option<i32>, Option<i64>, Option<i64>);
    let phases: Vec<PhaseColumns> = row.json("phases")?;
    // Nobody is asked any more about a run that is to be cancelled.
    let waits = row.text("gate")? == Some("waiting") && row.is_null("cancel_by")?;
    let question = || Ok::<_, RowError>(ApprovalRequest { seq: row.get("asked")?, question: row.get("question")? });
    Ok(Run {
        id: row.get("id")?,
        pipeline: row.get("pipeline")?,
        status: row.get("status")?,
        phase: row.get("phase")?,
        attempt: row.get("attempt")?,
        params: row.json("params")?,
        priority: row.get("priority")?,
        created_at: row.get("created_at")?,
        queued_at: row.get::<Option<Timestamp>>("asked_at")?.map_or_else(|| row.get("created_at"), Ok)?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
        head: row.get("head")?,
        phases: phases
            .into_iter()
            .map(|(name, state, exit_code, started_at, finished_at)| Phase {
                name,
                state,
                exit_code,
                started_at: started_at.map(Timestamp),
                finished_at: finished_at.map(Timestamp),
            })
            .collect(),
        error: row.get("error")?,
        approval: waits.then(question).transpose()?,
        cancel: row.optional_json("cancel")?,
        origin: read_origin(row)?,
        waiting_for: None,
        pin: read_pin(row)?,
    })
}

/// `origin`: attempts of earlier versions have none.
pub(super) fn read_origin(row: &dyn Row) -> Result<Option<RunOrigin>, RowError> {
    row.optional_json("origin")
}

fn read_pin(row: &dyn Row) -> Result<Pin, RowError> {
    Ok(Pin { pinned: row.get("pinned")?, pins: row.get("pins")? })
}
