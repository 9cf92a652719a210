//! The list of deliveries.

use super::DeliveryHeaders;
use crate::model::trigger::{DeliveryFilter, DeliveryPage, DeliveryResult};
use crate::model::{Problem, ProblemCode, Timestamp};
use crate::runs::{Backend, page_limit};
use crate::store::{RecordHookDelivery, SenderTrust};

/// Deliveries on a page of the list: by default, and at most.
const PAGE_DELIVERIES: (u32, u32) = (50, 200);

/// A page of the deliveries that match the filter, newest first.
///
/// # Errors
/// [`ProblemCode::BadRequest`] for a limit out of bounds or an invalid `before`; the database's errors.
pub async fn list_deliveries(backend: &Backend, filter: &DeliveryFilter) -> Result<DeliveryPage, Problem> {
    let limit = page_limit(filter.limit, PAGE_DELIVERIES)?;
    let fault = |text: &str| Problem::new(ProblemCode::BadRequest, format!("Invalid cursor `{text}`."));
    let before = filter.before.as_deref().filter(|before| !before.is_empty());
    let before = before.map(|before| before.parse::<i64>().map_err(|_| fault(before))).transpose()?;
    let (deliveries, next) = backend.store.hook_deliveries(filter, limit, before).await?;
    Ok(DeliveryPage { deliveries, next: next.map(|key| key.to_string()) })
}

/// Adds a delivery to the list. The sender gets the same response if that fails.
pub async fn record_delivery(backend: &Backend, delivery: RecordHookDelivery) {
    let pipeline = delivery.pipeline.clone();
    if let Err(error) = backend.journal.record_hook_delivery(delivery).await {
        tracing::warn!(pipeline, %error, "cannot record a hook delivery; it is missing in the list");
    }
}

/// The entry of a signed delivery that starts a run.
pub(super) fn new_delivery(pipeline: &str, delivery: &DeliveryHeaders) -> RecordHookDelivery {
    RecordHookDelivery {
        at: Timestamp::now(),
        calls: 1,
        trust: SenderTrust::Signed,
        pipeline: pipeline.to_owned(),
        forge: delivery.forge.to_owned(),
        event: delivery.event.clone(),
        delivery: delivery.id.clone(),
        result: DeliveryResult::Started,
        code: None,
        reason: None,
        run: None,
    }
}
