//! One pipeline file: text in, a [`Pipeline`] or the first fault with its line out. Touches no file system.
//!
//! What is not understood is refused, never skipped: a misspelt `timeout` would else be a phase without one.

use std::collections::HashSet;

use serde::Deserialize;
use toml::{Spanned, Value};

use super::concurrency::{self, RawConcurrency, check_priority};
use super::hook::RawHook;
use super::limits::{RawLimits, check_limits};
use super::notify::{RawNotify, check_receivers};
use super::phase::{RawPhase, check_timeout};
use super::retention::{RawRetention, check_retention};
use super::schedule::RawSchedule;
use super::secrets::{self, RawSecrets};
use crate::codemod::{self, Linter, NamedCheck};
use crate::model::kinds::FixSafety;
use crate::model::limits::Limits;
use crate::model::param::PROJECT_PARAM;
use crate::model::pipeline::OnInterrupt;
use crate::model::sandbox::Sandbox;
use crate::model::{Param, ParamKind, ParamValue, PhaseSpec, Pipeline, PipelineFileError};

/// Names that belong to the built-in pipelines.
const RESERVED: [&str; 2] = ["autofix", "refactor"];

/// The built-in pipeline that a file may extend.
const EXTENSIBLE: &str = "autofix";

/// What Linux takes for one argument of a command (`MAX_ARG_STRLEN`), less its final NUL.
pub(super) const LONGEST_RUN: usize = 128 * 1024 - 1;

/// A pipeline and where its file names it.
#[derive(Debug, PartialEq)]
pub(super) struct Parsed {
    pub pipeline: Pipeline,
    /// The line of the name, from 1.
    pub name_line: usize,
}

/// Reads a pipeline from the bytes of the file of this name.
pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Parsed, PipelineFileError> {
    let fault = |Refusal { at, reason }| PipelineFileError { file: file.to_owned(), line: line_of(bytes, at), reason };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        fault(Refusal { at: error.valid_up_to(), reason: "This is not text in UTF-8. Save the file as UTF-8.".into() })
    })?;
    let table = toml::de::DeTable::parse(text)
        .map_err(|error| fault(Refusal::from_toml("This is not valid TOML: ", &error)))?;
    let raw = RawPipeline::deserialize(toml::Deserializer::from(table))
        .map_err(|error| fault(Refusal::from_toml("", &error)))?;
    let name_line = line_of(bytes, raw.name.span().start);
    let pipeline = raw.check(&|at| line_of(bytes, at)).map_err(fault)?;
    Ok(Parsed { pipeline, name_line })
}

/// The line, from 1, that the byte at this place is in. What is missing at the end is missing in the last line.
fn line_of(bytes: &[u8], at: usize) -> usize {
    let before = match bytes.get(..at) {
        Some(before) if at < bytes.len() => before,
        _ => bytes.trim_ascii_end(),
    };
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Why a file is refused, and the byte where.
#[derive(Debug)]
pub(super) struct Refusal {
    at: usize,
    reason: String,
}

impl Refusal {
    fn from_toml(before: &str, error: &toml::de::Error) -> Self {
        let message = error.message().trim().replace('\n', " ");
        let mut reason = format!("{before}{message}");
        if let Some(first) = reason.get(..1).map(str::to_uppercase) {
            reason.replace_range(..1, &first);
        }
        if !reason.ends_with('.') {
            reason.push('.');
        }
        Self { at: error.span().map_or(0, |span| span.start), reason }
    }
}

/// A refusal at this value.
pub(super) fn refuse<T, R>(place: &Spanned<T>, reason: impl Into<String>) -> Result<R, Refusal> {
    Err(Refusal { at: place.span().start, reason: reason.into() })
}

/// The file as it is written. Each value that a rule is about knows its place.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPipeline {
    name: Spanned<String>,
    title: Option<String>,
    description: Option<String>,
    on_interrupt: Option<OnInterrupt>,
    concurrency: Option<Spanned<RawConcurrency>>,
    priority: Option<Spanned<i32>>,
    /// A built-in pipeline, whose parameters and phases this one has.
    extends: Option<Spanned<String>>,
    #[serde(default)]
    params: Vec<Spanned<RawParam>>,
    phases: Option<Spanned<Vec<Spanned<RawPhase>>>>,
    linters: Option<Spanned<Vec<Spanned<RawLinter>>>>,
    checks: Option<Spanned<Vec<Spanned<RawCheck>>>>,
    retention: Option<Spanned<RawRetention>>,
    #[serde(default)]
    limits: RawLimits,
    sandbox: Option<Spanned<Sandbox>>,
    network: Option<Spanned<bool>>,
    #[serde(default)]
    schedules: Vec<Spanned<RawSchedule>>,
    hook: Option<Spanned<RawHook>>,
    #[serde(default)]
    notify: Vec<Spanned<RawNotify>>,
    #[serde(default)]
    secrets: RawSecrets,
}

/// A program that prints findings as SARIF.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLinter {
    name: Spanned<String>,
    run: Spanned<String>,
    timeout: Option<Spanned<Value>>,
    #[serde(default)]
    fixes: FixSafety,
}

/// A command that fails on bad code.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCheck {
    name: Spanned<String>,
    run: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawParam {
    name: Spanned<String>,
    title: Option<String>,
    help: Option<String>,
    r#type: ParamKind,
    #[serde(default)]
    required: bool,
    default: Option<Spanned<Value>>,
    choices: Option<Spanned<Vec<Spanned<String>>>>,
}

impl RawPipeline {
    /// The pipeline, given how to tell the line of a byte.
    fn check(mut self, line_of: &dyn Fn(usize) -> usize) -> Result<Pipeline, Refusal> {
        let (schedules, hook) = (std::mem::take(&mut self.schedules), self.hook.take());
        let mut pipeline = self.check_recipe()?;
        let mut seen = HashSet::new();
        for schedule in schedules {
            let line = line_of(schedule.span().start);
            let schedule = RawSchedule::check(schedule, line, &mut seen, &pipeline)?;
            pipeline.schedules.push(schedule);
        }
        if let Some(hook) = hook {
            let line = line_of(hook.span().start);
            pipeline.hook = Some(RawHook::check(hook, line, &pipeline)?);
        }
        Ok(pipeline)
    }

    /// All of it but what starts its runs.
    fn check_recipe(self) -> Result<Pipeline, Refusal> {
        let name = self.name.get_ref().clone();
        if !is_made_of(&name, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
            return refuse(&self.name, "A pipeline's name is made of a to z, 0 to 9 and `-`, and is not empty.");
        }
        if RESERVED.contains(&name.as_str()) {
            return refuse(
                &self.name,
                format!("The name `{name}` belongs to a built-in pipeline. Choose another one."),
            );
        }

        let priority = self.priority.as_ref().map(check_priority).transpose()?.unwrap_or_default();

        let retention = self.retention.as_ref().map(check_retention).transpose()?;
        let notify = check_receivers(self.notify)?;
        let secrets = secrets::check(self.secrets)?;
        let sandbox = self.sandbox.as_ref().map(|sandbox| *sandbox.get_ref()).unwrap_or_default();
        if let Some(network) = self.network.as_ref().filter(|_| sandbox.is_off()) {
            return refuse(network, "Without a `sandbox` commands have the network; leave `network` out.");
        }
        let network = self.network.is_some_and(|network| *network.get_ref());
        if let Some(base) = self.extends {
            let parts =
                Extension { params: self.params, phases: self.phases, linters: self.linters, checks: self.checks };
            let base = parts.extend(&base)?;
            let concurrency = self.concurrency.map(|raw| concurrency::check(raw, &base.params)).transpose()?;
            let limits = check_limits(self.limits, Limits::built_in())?;
            return Ok(Pipeline {
                title: self.title.filter(|title| !title.trim().is_empty()).unwrap_or_else(|| name.clone()),
                name,
                description: self.description.unwrap_or(base.description),
                on_interrupt: self.on_interrupt.unwrap_or(base.on_interrupt),
                concurrency,
                priority,
                retention,
                limits,
                sandbox,
                network,
                notify,
                secrets,
                ..base
            });
        }
        if let Some(linters) = self.linters {
            return refuse(&linters, "Only a pipeline with `extends = \"autofix\"` has `linters`.");
        }
        if let Some(checks) = self.checks {
            return refuse(&checks, "Only a pipeline with `extends = \"autofix\"` has `checks`.");
        }

        let mut seen = HashSet::new();
        let mut params = Vec::new();
        for param in self.params {
            let param = RawParam::check(param, &mut seen)?;
            params.push(param);
        }

        let concurrency = self.concurrency.map(|raw| concurrency::check(raw, &params)).transpose()?;
        let Some(raw) = self.phases else {
            return Err(Refusal { at: 0, reason: "Missing field `phases`.".to_owned() });
        };
        if raw.get_ref().is_empty() {
            return refuse(&raw, "A pipeline has at least one phase. Add one with `[[phases]]`.");
        }
        let mut seen = HashSet::new();
        let mut phases = Vec::new();
        for phase in raw.into_inner() {
            let mut phase = phase.into_inner();
            let named = phase.secrets.take();
            let mut phase = phase.check(&mut seen, &params, &phases)?;
            secrets::check_phase(&mut phase, named, &secrets)?;
            if let Some(place) = self.sandbox.as_ref().filter(|_| !sandbox.is_off()) {
                check_in_sandbox(place, &phase)?;
            }
            phases.push(phase);
        }

        let limits = check_limits(self.limits, Limits::default())?;
        Ok(Pipeline {
            title: self.title.filter(|title| !title.trim().is_empty()).unwrap_or_else(|| name.clone()),
            name,
            description: self.description.unwrap_or_default(),
            on_interrupt: self.on_interrupt.unwrap_or_default(),
            retention,
            limits,
            sandbox,
            network,
            restart_from_start: false,
            concurrency,
            priority,
            notify,
            secrets,
            params,
            phases,
            ..Pipeline::default()
        })
    }
}

/// A sandbox ends with the command in it, and nobody in it becomes somebody else.
fn check_in_sandbox(place: &Spanned<Sandbox>, phase: &PhaseSpec) -> Result<(), Refusal> {
    let key = match phase {
        PhaseSpec { background: true, .. } => "background",
        PhaseSpec { gain_privileges: true, .. } => "gain_privileges",
        _ => return Ok(()),
    };
    refuse(place, format!("The phase `{}` has `{key}`, which a sandbox does not allow.", phase.name))
}

/// What a file may and may not say of a pipeline that extends a built-in one.
struct Extension {
    params: Vec<Spanned<RawParam>>,
    phases: Option<Spanned<Vec<Spanned<RawPhase>>>>,
    linters: Option<Spanned<Vec<Spanned<RawLinter>>>>,
    checks: Option<Spanned<Vec<Spanned<RawCheck>>>>,
}

impl Extension {
    fn extend(self, base: &Spanned<String>) -> Result<Pipeline, Refusal> {
        if base.get_ref() != EXTENSIBLE {
            return refuse(base, format!("`{}` cannot be extended. `{EXTENSIBLE}` can.", base.get_ref()));
        }
        if let Some(param) = self.params.first() {
            return refuse(param, format!("The parameters are those of `{EXTENSIBLE}`; there are no others."));
        }
        if let Some(phases) = self.phases {
            return refuse(&phases, format!("The phases are those of `{EXTENSIBLE}`; there are no others."));
        }
        let linters = self.linters.map(Spanned::into_inner).unwrap_or_default();
        let checks = self.checks.map(Spanned::into_inner).unwrap_or_default();
        if linters.is_empty() && checks.is_empty() {
            return refuse(
                base,
                format!("A pipeline that extends `{EXTENSIBLE}` names `[[linters]]` or `[[checks]]`; there are none."),
            );
        }
        let mut named: Vec<NamedCheck> = Vec::new();
        for check in checks {
            let check = check.into_inner();
            if named.iter().any(|other| other.name == *check.name.get_ref()) {
                return refuse(&check.name, format!("The check `{}` is there twice.", check.name.get_ref()));
            }
            named.push(check.check()?);
        }
        let mut checked: Vec<Linter> = Vec::new();
        for linter in linters {
            let linter = linter.into_inner();
            if checked.iter().any(|other| other.name == *linter.name.get_ref()) {
                return refuse(&linter.name, format!("The linter `{}` is there twice.", linter.name.get_ref()));
            }
            checked.push(linter.check()?);
        }
        let extended = codemod::autofix_with(&checked, &named);
        if extended.phases.iter().any(|phase| phase.run.len() > LONGEST_RUN) {
            let reason =
                "The linters and checks are longer than the 128 KiB a shell can be given. Put them into scripts.";
            return refuse(base, reason);
        }
        Ok(extended)
    }
}

impl RawCheck {
    fn check(self) -> Result<NamedCheck, Refusal> {
        let Self { name, run } = self;
        if !codemod::checks::is_name(name.get_ref()) {
            return refuse(&name, "A check's name is made of a to z, 0 to 9, `-` and `_`, and is not empty.");
        }
        if run.get_ref().trim().is_empty() || run.get_ref().contains('\0') {
            return refuse(&run, "`run` is the check's command: it is neither blank nor has a NUL character.");
        }
        Ok(NamedCheck { name: name.into_inner(), run: run.into_inner() })
    }
}

impl RawLinter {
    fn check(self) -> Result<Linter, Refusal> {
        let Self { name, run, timeout, fixes } = self;
        if !is_made_of(name.get_ref(), |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_') {
            return refuse(&name, "A linter's name is made of a to z, 0 to 9, `-` and `_`, and is not empty.");
        }
        if run.get_ref().trim().is_empty() || run.get_ref().contains('\0') {
            return refuse(&run, "`run` is the linter's command: it is neither blank nor has a NUL character.");
        }
        let timeout_ms = timeout.as_ref().map(check_timeout).transpose()?;
        Ok(Linter { name: name.into_inner(), run: run.into_inner(), timeout_ms, fixes })
    }
}

impl RawParam {
    fn check(raw: Spanned<Self>, seen: &mut HashSet<String>) -> Result<Param, Refusal> {
        let header = Spanned::new(raw.span(), ());
        let Self { name, title, help, r#type: kind, required, default, choices } = raw.into_inner();
        if !is_made_of(name.get_ref(), |c| c.is_ascii_lowercase() || c == '_') {
            return refuse(&name, "A parameter's name is made of a to z and `_`, and is not empty.");
        }
        if !seen.insert(name.get_ref().clone()) {
            return refuse(&name, format!("The parameter `{}` is there twice.", name.get_ref()));
        }
        if kind == ParamKind::Secret && name.get_ref() == PROJECT_PARAM {
            return refuse(
                &name,
                "The project is a folder that everybody may see, so it cannot be a secret. Rename the parameter.",
            );
        }
        let choices = match (kind, choices) {
            (ParamKind::Choice, Some(choices)) => check_choices(choices)?,
            (ParamKind::Choice, None) => {
                return refuse(&header, "A parameter of type \"choice\" needs `choices`, the values to choose from.");
            }
            (_, Some(choices)) => return refuse(&choices, "Only a parameter of type \"choice\" has `choices`."),
            (_, None) => Vec::new(),
        };
        let default = default.map(|default| check_default(kind, &choices, &default)).transpose()?;
        Ok(Param {
            name: name.into_inner(),
            title: title.unwrap_or_default(),
            help: help.unwrap_or_default(),
            kind,
            required,
            default,
            choices,
        })
    }
}

fn check_choices(choices: Spanned<Vec<Spanned<String>>>) -> Result<Vec<String>, Refusal> {
    if choices.get_ref().is_empty() {
        return refuse(&choices, "`choices` is empty: there is nothing to choose from.");
    }
    let mut checked = Vec::new();
    for choice in choices.into_inner() {
        if choice.get_ref().trim().is_empty() || choice.get_ref().contains('\0') {
            return refuse(&choice, "A choice is text that is neither blank nor has a NUL character.");
        }
        if checked.contains(choice.get_ref()) {
            return refuse(&choice, format!("The choice \"{}\" is there twice.", choice.get_ref()));
        }
        checked.push(choice.into_inner());
    }
    Ok(checked)
}

/// A default has the type itself: unlike a form, a file can write it.
fn check_default(kind: ParamKind, choices: &[String], default: &Spanned<Value>) -> Result<ParamValue, Refusal> {
    match (kind, default.get_ref()) {
        (ParamKind::Integer, Value::Integer(value)) => Ok(ParamValue::Integer(*value)),
        (ParamKind::Integer, _) => refuse(default, "The default of an integer is a whole number, without quotes."),
        (ParamKind::Boolean, Value::Boolean(value)) => Ok(ParamValue::Boolean(*value)),
        (ParamKind::Boolean, _) => refuse(default, "The default of a boolean is true or false, without quotes."),
        (ParamKind::Secret, _) => refuse(
            default,
            "A secret has no default: everybody who may see the pipelines would see it. Say in [secrets] where the server finds it.",
        ),
        (ParamKind::String | ParamKind::Text | ParamKind::Path, Value::String(text)) if text.contains('\0') => {
            refuse(default, "The default has a NUL character, which no command can be given.")
        }
        (ParamKind::String | ParamKind::Text, Value::String(text)) => Ok(ParamValue::Text(text.clone())),
        (ParamKind::String | ParamKind::Text, _) => refuse(default, "The default of a string is text, in quotes."),
        (ParamKind::Path, Value::String(text)) if text.starts_with('/') => Ok(ParamValue::Text(text.clone())),
        (ParamKind::Path, _) => refuse(default, "The default of a path is an absolute path, in quotes."),
        (ParamKind::Choice, Value::String(text)) if choices.contains(text) => Ok(ParamValue::Text(text.clone())),
        (ParamKind::Choice, _) => {
            refuse(default, format!("The default is not among the choices: {}.", choices.join(", ")))
        }
    }
}

pub(super) fn is_made_of(text: &str, allowed: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(allowed)
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
