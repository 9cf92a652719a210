use crate::model::trigger::DeliveryResult;
use crate::model::{RunId, Timestamp};
use crate::store::StoreError;
use crate::store::row::Row;
use crate::store::statement::{Statement, statement};
use crate::store::transaction::Transaction;

/// How long hook deliveries are stored, in milliseconds: 30 days.
pub const MAX_HOOK_DELIVERY_AGE_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Similar calls that are further apart than this, in milliseconds, are two rows: a day.
const MERGE_WITHIN_MS: i64 = 24 * 60 * 60 * 1000;

/// The longest reason that is stored, in characters.
const MAX_REASON_CHARS: usize = 1000;

/// The longest name from a caller that is stored, in characters.
const MAX_NAME_CHARS: usize = 200;

/// Whether the sender of a delivery has proved the hook's secret. Each kind has a quota of its own in the list, so that
/// callers without the secret push out none of those with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SenderTrust {
    Signed,
    Unsigned,
    /// There is no such hook.
    Unknown,
}

impl SenderTrust {
    /// The column `trust`.
    const fn number(self) -> i64 {
        match self {
            Self::Signed => 0,
            Self::Unsigned => 1,
            Self::Unknown => 2,
        }
    }

    /// How many rows are stored.
    const fn quota_rows(self) -> i64 {
        match self {
            Self::Signed => 2000,
            Self::Unsigned => 200,
            Self::Unknown => 20,
        }
    }
}

/// A call of a hook is recorded, and the list of calls is cut to its quotas.
///
/// Called by the hooks' endpoint; with a run in [`CreateRun`](super::CreateRun). Never refused. Similar calls of
/// senders that have not proved the secret become one row, with their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHookDelivery {
    pub at: Timestamp,
    /// The number of similar calls in this row.
    pub calls: u64,
    pub trust: SenderTrust,
    /// The pipeline that was named.
    pub pipeline: String,
    pub forge: String,
    pub event: Option<String>,
    /// The forge's id of the delivery.
    pub delivery: Option<String>,
    pub result: DeliveryResult,
    /// The problem's code, if it was refused.
    pub code: Option<String>,
    /// Why, in a sentence.
    pub reason: Option<String>,
    /// The run that it started, or had started before.
    pub run: Option<RunId>,
}

/// An earlier row of similar calls.
struct Similar {
    since: Timestamp,
    calls: u64,
}

impl RecordHookDelivery {
    pub(super) async fn apply(&self, tx: &mut impl Transaction) -> Result<(), StoreError> {
        let similar = match self.trust {
            SenderTrust::Signed => None,
            SenderTrust::Unsigned | SenderTrust::Unknown => {
                let read = |row: &dyn Row| Ok(Similar { since: row.get("since")?, calls: row.get("calls")? });
                tx.fetch_optional(self.remove_similar().read(read)).await?
            }
        };
        tx.execute(self.insert(similar)).await?;
        for statement in self.cut_list() {
            tx.execute(statement).await?;
        }
        Ok(())
    }

    fn remove_similar(&self) -> Statement<'_> {
        statement!(
            "DELETE FROM hook_deliveries WHERE key = (
                SELECT key FROM hook_deliveries INDEXED BY hook_deliveries_trust
                WHERE trust = $trust AND pipeline = $pipeline AND forge = $forge AND code IS NOT DISTINCT FROM $code
                    AND at >= $from
                ORDER BY key DESC LIMIT 1)
             RETURNING since, calls";
            trust: self.trust.number(),
            pipeline: truncated(&self.pipeline, MAX_NAME_CHARS),
            forge: truncated(&self.forge, MAX_NAME_CHARS),
            code: self.code.as_deref(),
            from: self.at.0 - MERGE_WITHIN_MS,
        )
    }

    fn insert(&self, similar: Option<Similar>) -> Statement<'_> {
        let name = |name: &Option<String>| name.as_deref().map(|name| truncated(name, MAX_NAME_CHARS));
        statement!(
            "INSERT INTO hook_deliveries
                (at, since, calls, trust, pipeline, forge, event, delivery, result, code, reason, run)
             VALUES ($at, $since, $calls, $trust, $pipeline, $forge, $event, $delivery, $result, $code, $reason, $run)";
            at: self.at,
            since: similar.as_ref().map_or(self.at, |similar| similar.since.min(self.at)),
            calls: self.calls.saturating_add(similar.map_or(0, |similar| similar.calls)),
            trust: self.trust.number(),
            pipeline: truncated(&self.pipeline, MAX_NAME_CHARS),
            forge: truncated(&self.forge, MAX_NAME_CHARS),
            event: name(&self.event),
            delivery: name(&self.delivery),
            result: self.result.as_str(),
            code: self.code.as_deref(),
            reason: self.reason.as_deref().map(|reason| truncated(reason, MAX_REASON_CHARS)),
            run: self.run.as_ref(),
        )
    }

    fn cut_list(&self) -> [Statement<'_>; 2] {
        [
            statement!(
                "DELETE FROM hook_deliveries WHERE trust = $trust AND key <= (
                    SELECT key FROM hook_deliveries WHERE trust = $trust ORDER BY key DESC LIMIT 1 OFFSET $quota)";
                trust: self.trust.number(),
                quota: self.trust.quota_rows(),
            ),
            statement!("DELETE FROM hook_deliveries WHERE at < $before"; before: self.at.0 - MAX_HOOK_DELIVERY_AGE_MS),
        ]
    }
}

/// The text, or its beginning with `…` if it has more characters than this.
pub(super) fn truncated(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
