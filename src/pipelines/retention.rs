//! `[retention]` in a pipeline file: `age`, `count`, or both.

use serde::Deserialize;
use toml::{Spanned, Value};

use super::refusal::{Refusal, check_duration, refuse};
use crate::model::Retention;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRetention {
    age: Option<Spanned<Value>>,
    count: Option<Spanned<i64>>,
}

/// Checks the rule. One without `age` and `count` is refused.
pub(super) fn check_retention(given: &Spanned<RawRetention>) -> Result<Retention, Refusal> {
    let RawRetention { age, count } = given.get_ref();
    let age_ms = match age {
        None => None,
        Some(age) => match check_duration("age", age, "30d")? {
            0 => return refuse(age, "`age` is at least 1ms: how long a run is kept after its end."),
            age => Some(age),
        },
    };
    let count = match count {
        None => None,
        Some(count) => match u32::try_from(*count.get_ref()) {
            Ok(kept @ 1..) => Some(kept),
            Ok(_) | Err(_) => return refuse(count, "`count` is how many finished runs are kept: 1 to 4294967295."),
        },
    };
    let rule = Retention { age_ms, count };
    if rule.is_forever() {
        return refuse(
            given,
            "`retention` says how long runs are kept: by `age`, such as \"30d\", by `count`, or by both.",
        );
    }
    Ok(rule)
}
