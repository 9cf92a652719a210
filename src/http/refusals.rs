//! Calls of hooks that were refused before anybody proved anything: counted in memory, and written down once a second at most, so
//! that whoever sends garbage cannot keep the database busy.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::hooks::Delivery;
use crate::model::trigger::DeliveryResult;
use crate::model::{Problem, Timestamp};
use crate::runs::Service;
use crate::store::{RecordHookDelivery, SenderTrust};

/// The least time between two writes.
const REST: Duration = Duration::from_secs(1);

/// How many names of hooks that are not there are counted between two writes.
const MAX_UNKNOWN: usize = 20;

/// How many other kinds of calls are counted between two writes.
const MAX_KINDS: usize = 500;

/// Calls that are alike.
type Kind = (SenderTrust, String, String, Option<String>);

/// What was counted and is not written yet.
#[derive(Debug, Default)]
pub struct Refusals {
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    calls: HashMap<Kind, RecordHookDelivery>,
    /// Whether somebody writes.
    is_written: bool,
}

impl Counted {
    /// Counts a call, unless there are too many kinds of its trust.
    fn add(&mut self, call: RecordHookDelivery) {
        let most = if call.trust == SenderTrust::Unknown { MAX_UNKNOWN } else { MAX_KINDS };
        let kind = (call.trust, call.pipeline.clone(), call.forge.clone(), call.code.clone());
        let others = || self.calls.keys().filter(|(trust, ..)| *trust == call.trust).count();
        if let Some(known) = self.calls.get(&kind).map(|known| known.calls) {
            self.calls.insert(kind, RecordHookDelivery { calls: known + call.calls, ..call });
        } else if others() < most {
            self.calls.insert(kind, call);
        }
    }
}

impl Refusals {
    /// Counts a call to this pipeline that was answered with this problem.
    pub fn note(
        self: &Arc<Self>,
        service: &Service,
        trust: SenderTrust,
        pipeline: &str,
        delivery: &Delivery,
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
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.add(call);
        if !counted.is_written {
            counted.is_written = true;
            tokio::spawn(Arc::clone(self).write(service.clone()));
        }
    }

    /// Writes what is counted, until nothing is.
    async fn write(self: Arc<Self>, service: Service) {
        loop {
            let calls = {
                let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
                if counted.calls.is_empty() {
                    counted.is_written = false;
                    return;
                }
                std::mem::take(&mut counted.calls)
            };
            for call in calls.into_values() {
                service.note_delivery(call).await;
            }
            tokio::time::sleep(REST).await;
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
    fn calls_that_are_alike_are_one_and_others_are_bounded() {
        let mut counted = Counted::default();
        for at in 0..10_000 {
            counted.add(call(SenderTrust::Unknown, &format!("x{at}"), "hook_not_found"));
            counted.add(call(SenderTrust::Unsigned, &format!("p{}", at % 2), "bad_signature"));
        }
        let of = |trust| counted.calls.values().filter(move |call| call.trust == trust);
        assert_eq!(of(SenderTrust::Unknown).count(), MAX_UNKNOWN);
        assert_eq!(of(SenderTrust::Unsigned).map(|call| call.calls).collect::<Vec<_>>(), [5000, 5000]);
    }
}
