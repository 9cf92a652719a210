//! `[[schedules]]` in a pipeline file: what they may say, and the first fault with its place otherwise.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use toml::{Spanned, Value};

use super::file::{Refusal, refuse};
use crate::model::{MissedPolicy, OverlapPolicy, ParamInput, ParamKind, Pipeline, Schedule};
use crate::schedules::{BadRule, Rule};

/// The longest name of a schedule, in characters.
const LONGEST_NAME: usize = 100;

/// A schedule as it is written.
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
    /// The schedule that begins there, of this pipeline.
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
                || name.get_ref().chars().count() > LONGEST_NAME
                || name.get_ref().chars().any(|c| c.is_control() || c == '|'))
        {
            let reason = format!("A schedule's name is 1 to {LONGEST_NAME} characters on one line, without `|`.");
            return refuse(name, reason);
        }
        let zone = timezone.as_ref().map_or("UTC", |zone| zone.get_ref());
        // Written one way, however it was spaced.
        let expression = cron.get_ref().split_whitespace().collect::<Vec<_>>().join(" ");
        if let Err(error) = Rule::read(&expression, zone) {
            return match (&error, &timezone) {
                (BadRule::Zone(_), Some(zone)) => refuse(zone, error.to_string()),
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

/// What a file gives a run, if it fits the pipeline's parameters as far as that can be said without a file system.
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

/// Why a file cannot start runs that need a secret.
pub(super) fn secret_is_required(what: &str) -> String {
    format!(
        "A {what} cannot give a secret, and this pipeline requires one as a parameter. Make that optional, and say in [secrets] where the \
         server finds it."
    )
}

/// A value that a file gives for a parameter of this name.
pub(super) fn check_value(
    name: &Spanned<String>,
    value: &Spanned<Value>,
    pipeline: &Pipeline,
) -> Result<serde_json::Value, Refusal> {
    let Some(param) = pipeline.params.iter().find(|param| param.name == *name.get_ref()) else {
        return refuse(name, format!("The pipeline has no parameter `{}`.", name.get_ref()));
    };
    if param.kind == ParamKind::Secret {
        let reason = format!(
            "{} is a secret, which cannot stand in a file. Say in [secrets] where the server finds it, and use the variable of that name.",
            param.label()
        );
        return refuse(value, reason);
    }
    let json: serde_json::Value = match value.get_ref() {
        Value::String(text) if param.kind == ParamKind::Path && !text.is_empty() && !text.starts_with('/') => {
            return refuse(value, format!("{} is an absolute path.", param.label()));
        }
        Value::String(text) => text.clone().into(),
        Value::Integer(number) => (*number).into(),
        Value::Boolean(flag) => (*flag).into(),
        Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
            return refuse(value, format!("{} is text, a whole number, true or false.", param.label()));
        }
    };
    match param.read(&json) {
        Ok(_) => Ok(json),
        Err(error) => refuse(value, error.message),
    }
}
