//! The writer's transaction.

use std::collections::BTreeMap;

use sqlx::postgres::PgConnection;

use super::fault::classify;
use super::read::{bound, fetch_optional, fetch_while};
use crate::model::FrameRecord;
use crate::store::statement::{Query, Statement};
use crate::store::transaction::{ReadSnapshot, Transaction};
use crate::store::{RunKey, StoreError};

/// Frames as arrays of columns: one statement for all of a commit, whose plan and parameters do not grow with it.
const INSERT_FRAMES: &str = "INSERT INTO frames (run, seq, ts, attempt, phase, kind, data)
    SELECT * FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::TEXT[], $6::TEXT[], $7::TEXT[])";

/// Rows of a log that were redrawn, by the frame with this seq.
const RECORD_REDRAWS: &str = "INSERT INTO redraws (run, row, seq)
    SELECT * FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[])
    ON CONFLICT (run, row) DO UPDATE SET seq = excluded.seq";

/// A transaction that has begun. Its owner commits it or rolls it back.
pub struct PostgresTransaction<'c> {
    connection: &'c mut PgConnection,
}

impl<'c> PostgresTransaction<'c> {
    pub fn new(connection: &'c mut PgConnection) -> Self {
        Self { connection }
    }
}

/// The columns of new frames.
#[derive(Default)]
struct FrameColumns<'a> {
    run: Vec<i64>,
    seq: Vec<i64>,
    ts: Vec<i64>,
    attempt: Vec<i64>,
    phase: Vec<Option<&'a str>>,
    kind: Vec<&'a str>,
    data: Vec<&'a str>,
}

impl<'a> FrameColumns<'a> {
    fn push(&mut self, run: RunKey, frame: &'a FrameRecord) {
        self.run.push(run.0);
        self.seq.push(signed(frame.seq));
        self.ts.push(frame.ts.0);
        self.attempt.push(frame.attempt.into());
        self.phase.push(frame.phase.as_deref());
        self.kind.push(&frame.kind);
        self.data.push(&frame.data);
    }
}

/// Databases have signed numbers only; no seq is larger.
fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

impl ReadSnapshot for PostgresTransaction<'_> {
    async fn fetch_while<T: Send>(
        &mut self,
        query: Query<'_, T>,
        go_on: impl FnMut(&T) -> bool + Send,
    ) -> Result<Vec<T>, StoreError> {
        fetch_while(self.connection, query, go_on).await
    }

    async fn fetch_optional<T: Send>(&mut self, query: Query<'_, T>) -> Result<Option<T>, StoreError> {
        fetch_optional(self.connection, query).await
    }
}

impl Transaction for PostgresTransaction<'_> {
    async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, StoreError> {
        let done = bound(statement).execute(&mut *self.connection).await.map_err(classify)?;
        Ok(done.rows_affected())
    }

    async fn insert_frames(&mut self, journals: &[(RunKey, &[FrameRecord])]) -> Result<(), StoreError> {
        let mut columns = FrameColumns::default();
        // A statement may change a row only once.
        let mut redraws = BTreeMap::new();
        for &(run, frames) in journals {
            for frame in frames {
                columns.push(run, frame);
                if let Some(row) = frame.replaces() {
                    redraws.insert((run.0, signed(row)), signed(frame.seq));
                }
            }
        }
        if columns.run.is_empty() {
            return Ok(());
        }
        let FrameColumns { run, seq, ts, attempt, phase, kind, data } = columns;
        let insert =
            sqlx::query(INSERT_FRAMES).bind(run).bind(seq).bind(ts).bind(attempt).bind(phase).bind(kind).bind(data);
        insert.execute(&mut *self.connection).await.map_err(classify)?;
        if !redraws.is_empty() {
            let (places, seqs): (Vec<_>, Vec<i64>) = redraws.into_iter().unzip();
            let (runs, rows): (Vec<i64>, Vec<i64>) = places.into_iter().unzip();
            let record = sqlx::query(RECORD_REDRAWS).bind(runs).bind(rows).bind(seqs);
            record.execute(&mut *self.connection).await.map_err(classify)?;
        }
        Ok(())
    }

    /// The old version of the row stays in the table until a vacuum, and in the write-ahead log until it is recycled:
    /// see docs/operations.md.
    async fn erase_secrets(&mut self, run: RunKey) -> Result<(), StoreError> {
        let erase = sqlx::query("UPDATE run_secrets SET value = NULL WHERE run = $1 AND value IS NOT NULL").bind(run.0);
        erase.execute(&mut *self.connection).await.map(drop).map_err(classify)
    }

    /// PostgreSQL's autovacuum does that.
    async fn vacuum_pages(&mut self) -> Result<bool, StoreError> {
        Ok(false)
    }
}
