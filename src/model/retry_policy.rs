//! When a phase's command is executed again after it failed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest delay before a phase's command is executed again.
const MAX_PHASE_RETRY_DELAY: Duration = Duration::from_secs(3600);

/// How often and when a phase is retried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryPolicy {
    /// The number of retries.
    pub times: u32,
    /// The delay before the first retry in milliseconds. It doubles with each retry, up to an hour.
    pub delay_ms: u64,
    /// The exit codes that are retried; if empty, every failure is.
    pub on: Vec<i32>,
}

impl RetryPolicy {
    /// The delay before the next retry, after `tries` executions of which the last one ended with `exit_code` (`None`:
    /// it was stopped from outside, or did not start). `None` if there is no further retry.
    pub fn next_delay(&self, tries: u32, exit_code: Option<i32>) -> Option<Duration> {
        let worth_it = self.on.is_empty() || exit_code.is_some_and(|code| self.on.contains(&code));
        if tries > self.times || !worth_it {
            return None;
        }
        let doubled = 1u64.checked_shl(tries.saturating_sub(1)).unwrap_or(u64::MAX);
        Some(Duration::from_millis(self.delay_ms.saturating_mul(doubled)).min(MAX_PHASE_RETRY_DELAY))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn retry_delay_doubles_until_retries_are_used_up() {
        let retries = RetryPolicy { times: 3, delay_ms: 1000, on: vec![75] };
        let waits: Vec<_> =
            (1..6).map(|tries| retries.next_delay(tries, Some(75)).map(|wait| wait.as_secs())).collect();
        assert_eq!(waits, [Some(1), Some(2), Some(4), None, None]);
        assert_eq!((retries.next_delay(1, Some(1)), retries.next_delay(1, None)), (None, None));
        let any = RetryPolicy { on: vec![], ..retries };
        assert!(any.next_delay(1, Some(1)).is_some() && any.next_delay(1, None).is_some());
        assert_eq!(RetryPolicy::default().next_delay(1, Some(1)), None);
    }

    proptest! {
        #[test]
        fn retry_delay_is_bounded_and_never_shrinks(times in 0u32..200, delay_ms in any::<u64>(), tries in 1u32..200) {
            let retries = RetryPolicy { times, delay_ms, on: vec![] };
            match (retries.next_delay(tries, None), retries.next_delay(tries + 1, None)) {
                (Some(one), Some(next)) => prop_assert!(one <= next && next <= MAX_PHASE_RETRY_DELAY),
                (None, Some(_)) => prop_assert!(false, "none, and then one"),
                _ => {}
            }
            prop_assert_eq!(retries.next_delay(tries, None).is_some(), tries <= times);
        }
    }
}
