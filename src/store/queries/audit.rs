//! Lines of the audit log.

use crate::model::audit::{AuditAction, AuditEntry, AuditFilter};
use crate::store::RowError;
use crate::store::row::Row;
use crate::store::statement::{Query, Statement, statement};

const COLUMNS: &str = "SELECT id, at, actor, via, address, action, run, outcome, detail FROM audit ";

/// Up to `limit` lines that the filter wants, newest first. The filter's own `limit` does not count.
pub fn page(filter: &AuditFilter, limit: u32) -> Query<'_, AuditEntry> {
    newest(filter, limit).read(read_entry)
}

/// Found by the narrowest of what the filter names.
fn newest(filter: &AuditFilter, limit: u32) -> Statement<'_> {
    let AuditFilter { run, actor, action, before, limit: _ } = filter;
    let (run, action) = (run.as_ref(), action.map(AuditAction::as_str));
    let (actor, before) = (actor.as_deref(), before.unwrap_or(i64::MAX));
    if run.is_some() {
        statement!(
            [COLUMNS, "WHERE run = $run AND id < $before AND ($actor IS NULL OR actor = $actor)
                AND ($action IS NULL OR action = $action) ORDER BY id DESC LIMIT $limit"];
            run: run, before: before, actor: actor, action: action, limit: limit,
        )
    } else if actor.is_some() {
        statement!(
            [COLUMNS, "WHERE actor = $actor AND id < $before AND ($action IS NULL OR action = $action)
                ORDER BY id DESC LIMIT $limit"];
            actor: actor, before: before, action: action, limit: limit,
        )
    } else if action.is_some() {
        statement!(
            [COLUMNS, "WHERE action = $action AND id < $before ORDER BY id DESC LIMIT $limit"];
            action: action, before: before, limit: limit,
        )
    } else {
        statement!([COLUMNS, "WHERE id < $before ORDER BY id DESC LIMIT $limit"]; before: before, limit: limit)
    }
}

/// Up to `limit` lines after this one, oldest first.
pub fn after(id: i64, limit: u32) -> Query<'static, AuditEntry> {
    statement!([COLUMNS, "WHERE id > $id ORDER BY id LIMIT $limit"]; id: id, limit: limit).read(read_entry)
}

fn read_entry(row: &dyn Row) -> Result<AuditEntry, RowError> {
    Ok(AuditEntry {
        id: row.get("id")?,
        at: row.get("at")?,
        actor: row.get("actor")?,
        via: row.get("via")?,
        address: row.get("address")?,
        action: row.word("action", AuditAction::parse)?,
        run: row.get("run")?,
        outcome: row.get("outcome")?,
        detail: row.get("detail")?,
    })
}
