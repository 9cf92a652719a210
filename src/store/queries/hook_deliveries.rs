//! Calls of hooks, newest first.

use crate::model::Timestamp;
use crate::model::trigger::{DeliveryFilter, DeliveryResult, HookDelivery, RecentRefusals};
use crate::store::row::Row;
use crate::store::statement::{Statement, statement};
use crate::store::transaction::ReadSnapshot;
use crate::store::{RowError, StoreError};

/// Up to `limit` deliveries that the filter wants, newest first, those before `before`; and where the next page begins.
///
/// # Errors
/// The database could not be read.
pub async fn page(
    db: &mut impl ReadSnapshot,
    filter: &DeliveryFilter,
    limit: u32,
    before: Option<i64>,
) -> Result<(Vec<HookDelivery>, Option<i64>), StoreError> {
    let mut deliveries = db.fetch_all(newest(filter, limit, before).read(read_delivery)).await?;
    let has_more = deliveries.len() > limit as usize;
    deliveries.truncate(limit as usize);
    let next = deliveries.last().filter(|_| has_more).map(|last| last.key);
    Ok((deliveries, next))
}

/// One more than the limit. Each filter has an index in the list's order.
fn newest(filter: &DeliveryFilter, limit: u32, before: Option<i64>) -> Statement<'_> {
    let pipeline = filter.pipeline.as_deref().filter(|name| !name.is_empty());
    let (before, limit) = (before.unwrap_or(i64::MAX), i64::from(limit) + 1);
    match (pipeline, filter.result.map(DeliveryResult::as_str)) {
        (None, None) => statement!(
            "SELECT * FROM hook_deliveries WHERE key < $before ORDER BY key DESC LIMIT $limit";
            before: before,
            limit: limit,
        ),
        (Some(pipeline), None) => statement!(
            "SELECT * FROM hook_deliveries WHERE key < $before AND pipeline = $pipeline
             ORDER BY key DESC LIMIT $limit";
            before: before,
            pipeline: pipeline,
            limit: limit,
        ),
        (None, Some(result)) => statement!(
            "SELECT * FROM hook_deliveries WHERE key < $before AND result = $result ORDER BY key DESC LIMIT $limit";
            before: before,
            result: result,
            limit: limit,
        ),
        (Some(pipeline), Some(result)) => statement!(
            "SELECT * FROM hook_deliveries WHERE key < $before AND pipeline = $pipeline AND result = $result
             ORDER BY key DESC LIMIT $limit";
            before: before,
            pipeline: pipeline,
            result: result,
            limit: limit,
        ),
    }
}

/// The deliveries that were refused since then, if there are any.
///
/// # Errors
/// The database could not be read.
pub async fn refused_since(db: &mut impl ReadSnapshot, since: Timestamp) -> Result<Option<RecentRefusals>, StoreError> {
    let refused = statement!(
        "SELECT CAST(sum(calls) AS BIGINT) AS calls, max(key) AS last FROM hook_deliveries WHERE result = 'refused' AND at >= $since";
        since: since,
    );
    let refused = refused.read(|row| Ok((row.get::<Option<u64>>("calls")?, row.get::<Option<i64>>("last")?)));
    let Some((Some(calls), Some(last))) = db.fetch_optional(refused).await? else { return Ok(None) };
    let last = statement!("SELECT * FROM hook_deliveries WHERE key = $key"; key: last);
    let last = db.fetch_optional(last.read(read_delivery)).await?;
    Ok(last.map(|last| RecentRefusals { calls, last }))
}

fn read_delivery(row: &dyn Row) -> Result<HookDelivery, RowError> {
    Ok(HookDelivery {
        key: row.get("key")?,
        at: row.get("at")?,
        since: row.get("since")?,
        calls: row.get("calls")?,
        pipeline: row.get("pipeline")?,
        forge: row.get("forge")?,
        event: row.get("event")?,
        delivery: row.get("delivery")?,
        result: row.word("result", DeliveryResult::parse)?,
        code: row.get("code")?,
        reason: row.get("reason")?,
        run: row.get("run")?,
    })
}
