//! `[[schedules]]` in a pipeline file.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use toml::{Spanned, Value};

use super::fixed_values::{check_value, secret_is_required};
use super::refusal::{Refusal, refuse};
use crate::model::{MissedPolicy, OverlapPolicy, ParamInput, Pipeline, Schedule};
use crate::schedules::{Rule, RuleError};

const MAX_NAME_CHARS: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSchedule {
    name: Option<Spanned<String>>,
    cron: Spanned<String>,
    timezone: Option<Spanned<String>>,
    missed: Option<MissedPolicy>,
    overlap: Option<OverlapPolicy>,
    #[serde(default)]
    params: BTreeMap<Spanned<String>, Spanned<Value>>,
}

impl RawSchedule {
    /// Checks a schedule of this pipeline, which begins at this line. `seen` are the identities of the earlier ones.
    pub(super) fn check(
        raw: Spanned<Self>,
        line: usize,
        seen: &mut HashSet<String>,
        pipeline: &Pipeline,
    ) -> Result<Schedule, Refusal> {
        let header = Spanned::new(raw.span(), ());
        let Self { name, cron, timezone, missed, overlap, params } = raw.into_inner();
        if let Some(name) = &name
            && (name.get_ref().trim().is_empty()
                || name.get_ref().chars().count() > MAX_NAME_CHARS
                || name.get_ref().chars().any(|c| c.is_control() || c == '|'))
        {
            let reason = format!("A schedule's name is 1 to {MAX_NAME_CHARS} characters on one line, without `|`.");
            return refuse(name, reason);
        }
        let zone = timezone.as_ref().map_or("UTC", |zone| zone.get_ref());
        // The expression is part of the schedule's identity, so its spacing is normalized.
        let expression = cron.get_ref().split_whitespace().collect::<Vec<_>>().join(" ");
        if let Err(error) = Rule::read(&expression, zone) {
            return match (&error, &timezone) {
                (RuleError::Zone(_), Some(zone)) => refuse(zone, error.to_string()),
                _ => refuse(&cron, error.to_string()),
            };
        }
        let schedule = Schedule {
            name: name.map(Spanned::into_inner).unwrap_or_default(),
            cron: expression,
            timezone: zone.to_owned(),
            missed: missed.unwrap_or_default(),
            overlap: overlap.unwrap_or_default(),
            params: check_params(&header, params, pipeline)?,
            next: None,
            line,
        };
        if !seen.insert(schedule.identity()) {
            return refuse(&cron, "There is such a schedule already. Give each of them a `name` of its own.");
        }
        Ok(schedule)
    }
}

/// Checks the values that a schedule passes to its runs, as far as possible without I/O.
fn check_params(
    header: &Spanned<()>,
    params: BTreeMap<Spanned<String>, Spanned<Value>>,
    pipeline: &Pipeline,
) -> Result<ParamInput, Refusal> {
    let mut given = ParamInput::new();
    for (name, value) in &params {
        given.insert(name.get_ref().clone(), check_value(name, value, pipeline)?);
    }
    match pipeline.check(&given) {
        Ok(_) => Ok(given),
        Err(errors) if errors.iter().any(|error| pipeline.is_secret(&error.param)) => {
            refuse(header, secret_is_required("schedule"))
        }
        Err(errors) => {
            let reason = errors.first().map(|error| error.message.clone()).unwrap_or_default();
            refuse(header, format!("The schedule's `params` do not fit the pipeline: {reason}"))
        }
    }
}
