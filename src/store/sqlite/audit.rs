//! The audit log. Lines are added and never changed or removed; the database itself refuses that.

use rusqlite::{Connection, params};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, SqlitePool};

use super::{classify, rows};
use crate::model::Timestamp;
use crate::model::audit::{AuditAction, AuditEntry, AuditFilter};
use crate::store::StoreError;
use crate::store::access::NewAudit;

/// Adds a line.
pub fn add(tx: &Connection, line: &NewAudit) -> rusqlite::Result<()> {
    let add =
        "INSERT INTO audit (at, actor, via, address, action, run, outcome, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    tx.prepare_cached(add)?.execute(params![
        line.at.0,
        line.actor,
        line.via,
        line.address,
        line.action.as_str(),
        line.run.as_ref().map(|run| run.as_str()),
        line.outcome,
        line.detail
    ])?;
    Ok(())
}

const COLUMNS: &str = "id, at, actor, via, address, action, run, outcome, detail";

fn entry(row: &SqliteRow) -> Result<AuditEntry, sqlx::Error> {
    let word: &str = row.try_get("action")?;
    let unknown = || sqlx::Error::ColumnDecode { index: "action".to_owned(), source: format!("`{word}`").into() };
    Ok(AuditEntry {
        id: row.try_get("id")?,
        at: Timestamp(row.try_get("at")?),
        actor: row.try_get("actor")?,
        via: row.try_get("via")?,
        address: row.try_get("address")?,
        action: AuditAction::parse(word).ok_or_else(unknown)?,
        run: row.try_get::<Option<&str>, _>("run")?.map(|run| rows::id(run, "run")).transpose()?,
        outcome: row.try_get("outcome")?,
        detail: row.try_get("detail")?,
    })
}

/// Lines that the filter asks for, newest first: found by the narrowest of what it names.
pub async fn page(reads: &SqlitePool, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
    let AuditFilter { run, actor, action, before, limit: _ } = filter;
    let sql = if run.is_some() {
        format!(
            "SELECT {COLUMNS} FROM audit WHERE run = ?1 AND id < ?4 AND (?2 IS NULL OR actor = ?2) AND (?3 IS NULL OR action = ?3)
             ORDER BY id DESC LIMIT ?5"
        )
    } else if actor.is_some() {
        format!(
            "SELECT {COLUMNS} FROM audit WHERE actor = ?2 AND id < ?4 AND (?1 IS NULL OR run = ?1) AND (?3 IS NULL OR action = ?3)
             ORDER BY id DESC LIMIT ?5"
        )
    } else if action.is_some() {
        format!(
            "SELECT {COLUMNS} FROM audit WHERE action = ?3 AND id < ?4 AND (?1 IS NULL OR run = ?1) AND (?2 IS NULL OR actor = ?2)
             ORDER BY id DESC LIMIT ?5"
        )
    } else {
        format!(
            "SELECT {COLUMNS} FROM audit WHERE id < ?4 AND ?1 IS NULL AND ?2 IS NULL AND ?3 IS NULL ORDER BY id DESC LIMIT ?5"
        )
    };
    // Safe: all parts are literals of this module.
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(run.as_ref().map(|run| run.as_str()))
        .bind(actor)
        .bind(action.map(AuditAction::as_str))
        .bind(before.unwrap_or(i64::MAX))
        .bind(limit);
    let rows = query.fetch_all(reads).await.map_err(classify)?;
    rows.iter().map(entry).collect::<Result<_, _>>().map_err(classify)
}

/// Lines after this one, oldest first.
pub async fn after(reads: &SqlitePool, id: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM audit WHERE id > ? ORDER BY id LIMIT ?");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(id).bind(limit);
    let rows = query.fetch_all(reads).await.map_err(classify)?;
    rows.iter().map(entry).collect::<Result<_, _>>().map_err(classify)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::access::{AccessOp, AccessStore as _};
    use crate::store::{Durability, JournalStore as _, Op, SqliteStore};

    #[tokio::test]
    async fn lines_are_found_by_what_they_name() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("x.db"), Durability::Normal).await.unwrap();
        let line = |number: usize| NewAudit {
            at: Timestamp(0),
            actor: ["anna", "bob"][number % 2].to_owned(),
            via: "session",
            address: None,
            action: [AuditAction::RunStart, AuditAction::Login, AuditAction::Logout][number % 3],
            run: number.is_multiple_of(5).then(|| "01939f1c-8f2a-7c3e-9d5b-0123456789ab".parse().unwrap()),
            outcome: "done".to_owned(),
            detail: Some(number.to_string()),
        };
        let ops: Vec<Op> = (0..60).map(|number| Op::Access(AccessOp::Note, Some(line(number)))).collect();
        store.commit(&ops).await.unwrap();
        let all: Vec<usize> = (0..60).rev().collect();
        for mask in 0..16 {
            let filter = AuditFilter {
                run: (mask & 1 > 0).then(|| line(0).run.unwrap()),
                actor: (mask & 2 > 0).then(|| "anna".to_owned()),
                action: (mask & 4 > 0).then_some(AuditAction::RunStart),
                before: (mask & 8 > 0).then_some(40),
                limit: None,
            };
            let wanted = |number: &usize| {
                let of = line(*number);
                (filter.run.is_none() || filter.run == of.run)
                    && filter.actor.as_ref().is_none_or(|actor| *actor == of.actor)
                    && filter.action.is_none_or(|action| action == of.action)
                    && filter.before.is_none_or(|before| (*number as i64) < before - 1)
            };
            let expected: Vec<String> =
                all.iter().copied().filter(|number| wanted(number)).take(7).map(|n| n.to_string()).collect();
            let found = store.audit(&filter, 7).await.unwrap();
            let found: Vec<String> = found.into_iter().filter_map(|entry| entry.detail).collect();
            assert_eq!(found, expected, "{filter:?}");
        }
        let after = store.audit_after(58, 10).await.unwrap();
        assert_eq!(after.into_iter().map(|entry| entry.id).collect::<Vec<_>>(), [59, 60]);
    }
}
