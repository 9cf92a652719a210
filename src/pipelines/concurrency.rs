//! `concurrency` and `priority` in a pipeline file: which runs are not carried out at once, and who goes first.

use serde::Deserialize;
use toml::Spanned;

use super::file::{Refusal, refuse};
use crate::model::queue::{BusyPolicy, Concurrency, MAX_PRIORITY, PER_PIPELINE};
use crate::model::{Param, ParamKind};

/// `concurrency` as it is written: `"per project"`, or a table.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "`concurrency` is text such as \"per project\", or a table such as { per = \"project\", when_busy = \"refuse\" }"
)]
pub(super) enum RawConcurrency {
    Text(String),
    Table(RawTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTable {
    per: String,
    #[serde(default)]
    when_busy: BusyPolicy,
}

/// The rule, for a pipeline with these parameters.
pub(super) fn check(raw: Spanned<RawConcurrency>, params: &[Param]) -> Result<Concurrency, Refusal> {
    let place = Spanned::new(raw.span(), ());
    let concurrency = match raw.into_inner() {
        RawConcurrency::Table(RawTable { per, when_busy }) => Concurrency { per, when_busy },
        RawConcurrency::Text(text) => match text.strip_prefix("per ") {
            Some(per) => Concurrency { per: per.trim().to_owned(), when_busy: BusyPolicy::default() },
            None => {
                let reason =
                    format!("`{text}` is no group of runs: write \"per {PER_PIPELINE}\", or \"per\" and a parameter.");
                return refuse(&place, reason);
            }
        },
    };
    if params.iter().any(|param| param.name == concurrency.per && param.kind == ParamKind::Secret) {
        let reason =
            format!("`{}` is a secret; a group of runs is told apart by a value that may be seen.", concurrency.per);
        return refuse(&place, reason);
    }
    let is_param = params.iter().any(|param| param.name == concurrency.per);
    match (concurrency.per.as_str(), is_param) {
        (PER_PIPELINE, true) => {
            let reason = format!(
                "\"per {PER_PIPELINE}\" is all runs of it, and there is a parameter of that name too. Rename the parameter."
            );
            refuse(&place, reason)
        }
        (PER_PIPELINE, false) | (_, true) => Ok(concurrency),
        (per, false) => refuse(&place, format!("There is no parameter `{per}` to tell the groups apart by.")),
    }
}

/// A priority within its bounds.
pub(super) fn check_priority(priority: &Spanned<i32>) -> Result<i32, Refusal> {
    if priority.get_ref().abs() > MAX_PRIORITY {
        return refuse(priority, format!("A priority is a whole number from -{MAX_PRIORITY} to {MAX_PRIORITY}."));
    }
    Ok(*priority.get_ref())
}
