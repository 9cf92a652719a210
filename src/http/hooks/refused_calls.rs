//! Calls of hooks that were refused before authentication: counted in memory and written at most once a second, so that
//! senders of garbage cannot keep the database busy.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::hooks::DeliveryHeaders;
use crate::model::trigger::DeliveryResult;
use crate::model::{Problem, Timestamp};
use crate::runs::Backend;
use crate::store::{RecordHookDelivery, SenderTrust};

const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// How many names of unknown hooks are counted between two writes.
const MAX_UNKNOWN_HOOKS: usize = 20;

/// How many other groups of calls are counted between two writes.
const MAX_GROUPS: usize = 500;

/// Calls that are counted together: trust, pipeline, forge and problem code.
type CallGroup = (SenderTrust, String, String, Option<String>);

/// Counts of calls that are not written yet.
#[derive(Debug, Default)]
pub struct RefusedCalls {
    pending: Mutex<PendingCalls>,
}

#[derive(Debug, Default)]
struct PendingCalls {
    calls: HashMap<CallGroup, RecordHookDelivery>,
    /// Whether a task is running that writes them.
    is_being_written: bool,
}

impl PendingCalls {
    /// Counts a call, unless there are too many groups of its trust.
    fn add(&mut self, call: RecordHookDelivery) {
        let max = if call.trust == SenderTrust::Unknown { MAX_UNKNOWN_HOOKS } else { MAX_GROUPS };
        let group = (call.trust, call.pipeline.clone(), call.forge.clone(), call.code.clone());
        let others = || self.calls.keys().filter(|(trust, ..)| *trust == call.trust).count();
        if let Some(known) = self.calls.get(&group).map(|known| known.calls) {
            self.calls.insert(group, RecordHookDelivery { calls: known + call.calls, ..call });
        } else if others() < max {
            self.calls.insert(group, call);
        }
    }
}

impl RefusedCalls {
    /// Counts a call of this pipeline's hook that was answered with this problem.
    pub fn record(
        self: &Arc<Self>,
        backend: &Backend,
        trust: SenderTrust,
        pipeline: &str,
        delivery: &DeliveryHeaders,
        problem: &Problem,
    ) {
        let code = serde_json::to_value(problem.code).ok();
        let call = RecordHookDelivery {
            at: Timestamp::now(),
            calls: 1,
            trust,
            pipeline: pipeline.chars().filter(|c| c.is_ascii_graphic()).take(64).collect(),
            forge: delivery.forge.to_owned(),
            event: delivery.event.clone(),
            delivery: None,
            result: DeliveryResult::Refused,
            code: code.and_then(|code| code.as_str().map(str::to_owned)),
            reason: Some(problem.detail.clone()),
            run: None,
        };
        let mut pending = self.pending.lock();
        pending.add(call);
        if !pending.is_being_written {
            pending.is_being_written = true;
            tokio::spawn(Arc::clone(self).write(backend.clone()));
        }
    }

    /// Writes the pending calls, until there are none.
    async fn write(self: Arc<Self>, backend: Backend) {
        loop {
            let calls = {
                let mut pending = self.pending.lock();
                if pending.calls.is_empty() {
                    pending.is_being_written = false;
                    return;
                }
                std::mem::take(&mut pending.calls)
            };
            for call in calls.into_values() {
                crate::hooks::record_delivery(&backend, call).await;
            }
            tokio::time::sleep(WRITE_INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(trust: SenderTrust, pipeline: &str, code: &str) -> RecordHookDelivery {
        RecordHookDelivery {
            at: Timestamp(0),
            calls: 1,
            trust,
            pipeline: pipeline.into(),
            forge: "github".into(),
            event: None,
            delivery: None,
            result: DeliveryResult::Refused,
            code: Some(code.into()),
            reason: None,
            run: None,
        }
    }

    #[test]
    fn refused_calls_are_grouped_and_bounded() {
        let mut pending = PendingCalls::default();
        for at in 0..10_000 {
            pending.add(call(SenderTrust::Unknown, &format!("x{at}"), "hook_not_found"));
            pending.add(call(SenderTrust::Unsigned, &format!("p{}", at % 2), "bad_signature"));
        }
        let of = |trust| pending.calls.values().filter(move |call| call.trust == trust);
        assert_eq!(of(SenderTrust::Unknown).count(), MAX_UNKNOWN_HOOKS);
        assert_eq!(of(SenderTrust::Unsigned).map(|call| call.calls).collect::<Vec<_>>(), [5000, 5000]);
    }
}
