//! One pipeline file: reads text into a [`Pipeline`], or reports the first fault with its line. Does no I/O.
//!
//! Unknown keys are refused, never skipped: a misspelled `timeout` would mean a phase without one.

use std::collections::HashSet;

use serde::Deserialize;
use toml::Spanned;

use super::concurrency::{self, RawConcurrency, check_priority};
use super::extension::{RawCheck, RawExtension, RawLinter};
use super::hook::RawHook;
use super::labels::check_labels;
use super::limits::{RawLimits, check_limits};
use super::notify::{RawNotify, check_receivers};
use super::params::{RawParam, check_params};
use super::phase::RawPhase;
use super::refusal::{Refusal, is_made_of, refuse};
use super::retention::{RawRetention, check_retention};
use super::schedule::RawSchedule;
use super::secrets::{self, RawSecrets};
use crate::model::limits::Limits;
use crate::model::pipeline::OnInterrupt;
use crate::model::sandbox::Sandbox;
use crate::model::{BuiltInPipeline, Param, PhaseSpec, Pipeline, PipelineFileError};

/// A pipeline and the line of its name, from 1.
#[derive(Debug, PartialEq)]
pub(super) struct ParsedFile {
    pub pipeline: Pipeline,
    pub name_line: usize,
}

/// Reads a pipeline from the content of the file `file`. `built_in` are the pipelines that it may extend, and whose
/// names it cannot take.
pub(super) fn parse(file: &str, bytes: &[u8], built_in: &[BuiltInPipeline]) -> Result<ParsedFile, PipelineFileError> {
    let fault = |Refusal { at, reason }| PipelineFileError { file: file.to_owned(), line: line_of(bytes, at), reason };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        fault(Refusal { at: error.valid_up_to(), reason: "This is not text in UTF-8. Save the file as UTF-8.".into() })
    })?;
    let table = toml::de::DeTable::parse(text)
        .map_err(|error| fault(Refusal::from_toml("This is not valid TOML: ", &error)))?;
    let raw = RawPipeline::deserialize(toml::Deserializer::from(table))
        .map_err(|error| fault(Refusal::from_toml("", &error)))?;
    let name_line = line_of(bytes, raw.name.span().start);
    let pipeline = raw.check(built_in, &|at| line_of(bytes, at)).map_err(fault)?;
    Ok(ParsedFile { pipeline, name_line })
}

/// The line, from 1, of the byte at this offset. An offset at the end counts as the last line with text.
fn line_of(bytes: &[u8], at: usize) -> usize {
    let before = match bytes.get(..at) {
        Some(before) if at < bytes.len() => before,
        _ => bytes.trim_ascii_end(),
    };
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The file as it is written. A value that a rule applies to has its span.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPipeline {
    name: Spanned<String>,
    title: Option<String>,
    description: Option<String>,
    on_interrupt: Option<OnInterrupt>,
    concurrency: Option<Spanned<RawConcurrency>>,
    priority: Option<Spanned<i32>>,
    /// The built-in pipeline whose parameters and phases this one has.
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
    #[serde(default)]
    runs_on: Vec<Spanned<String>>,
}

impl RawPipeline {
    /// Checks everything. `line_of` maps an offset in bytes to a line.
    fn check(mut self, built_in: &[BuiltInPipeline], line_of: &dyn Fn(usize) -> usize) -> Result<Pipeline, Refusal> {
        let (schedules, hook) = (std::mem::take(&mut self.schedules), self.hook.take());
        let common = self.check_common(built_in)?;
        let mut pipeline = match self.extends.take() {
            Some(base) => self.check_extension(&base, common, built_in)?,
            None => self.check_recipe(common)?,
        };
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

    /// The keys that mean the same whether or not the pipeline extends another one.
    fn check_common(&mut self, built_in: &[BuiltInPipeline]) -> Result<Pipeline, Refusal> {
        let name = self.name.get_ref().clone();
        if !is_made_of(&name, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
            return refuse(&self.name, "A pipeline's name is made of a to z, 0 to 9 and `-`, and is not empty.");
        }
        if built_in.iter().any(|built_in| built_in.pipeline.name == name) {
            let reason = format!("The name `{name}` belongs to a built-in pipeline. Choose another one.");
            return refuse(&self.name, reason);
        }
        let priority = self.priority.as_ref().map(check_priority).transpose()?.unwrap_or_default();
        let retention = self.retention.as_ref().map(check_retention).transpose()?;
        let notify = check_receivers(std::mem::take(&mut self.notify))?;
        let secrets = secrets::check(std::mem::take(&mut self.secrets))?;
        let sandbox = self.sandbox.as_ref().map(|sandbox| *sandbox.get_ref()).unwrap_or_default();
        if let Some(network) = self.network.as_ref().filter(|_| sandbox.is_off()) {
            return refuse(network, "Without a `sandbox` commands have the network; leave `network` out.");
        }
        Ok(Pipeline {
            title: self.title.take().filter(|title| !title.trim().is_empty()).unwrap_or_else(|| name.clone()),
            name,
            priority,
            retention,
            sandbox,
            network: self.network.as_ref().is_some_and(|network| *network.get_ref()),
            notify,
            secrets,
            runs_on: check_labels(std::mem::take(&mut self.runs_on))?,
            ..Pipeline::default()
        })
    }

    /// A pipeline with the parameters and phases of the built-in pipeline `base`.
    fn check_extension(
        self,
        base: &Spanned<String>,
        common: Pipeline,
        built_in: &[BuiltInPipeline],
    ) -> Result<Pipeline, Refusal> {
        let Self { params, phases, linters, checks, .. } = self;
        let base = RawExtension { params, phases, linters, checks }.extend(base, built_in)?;
        Ok(Pipeline {
            concurrency: self.concurrency.map(|raw| concurrency::check(raw, &base.params)).transpose()?,
            limits: check_limits(self.limits, Limits::built_in())?,
            name: common.name,
            title: common.title,
            description: self.description.unwrap_or(base.description),
            on_interrupt: self.on_interrupt.unwrap_or(base.on_interrupt),
            priority: common.priority,
            retention: common.retention,
            sandbox: common.sandbox,
            network: common.network,
            notify: common.notify,
            secrets: common.secrets,
            runs_on: common.runs_on,
            ..base
        })
    }

    /// A pipeline with parameters and phases of its own.
    fn check_recipe(self, common: Pipeline) -> Result<Pipeline, Refusal> {
        if let Some(linters) = self.linters {
            return refuse(&linters, "Only a pipeline with `extends = \"autofix\"` has `linters`.");
        }
        if let Some(checks) = self.checks {
            return refuse(&checks, "Only a pipeline with `extends = \"autofix\"` has `checks`.");
        }
        let params = check_params(self.params)?;
        let concurrency = self.concurrency.map(|raw| concurrency::check(raw, &params)).transpose()?;
        let phases = check_phases(self.phases, self.sandbox.as_ref(), &params, &common)?;
        Ok(Pipeline {
            description: self.description.unwrap_or_default(),
            on_interrupt: self.on_interrupt.unwrap_or_default(),
            limits: check_limits(self.limits, Limits::default())?,
            concurrency,
            params,
            phases,
            ..common
        })
    }
}

fn check_phases(
    raw: Option<Spanned<Vec<Spanned<RawPhase>>>>,
    sandbox: Option<&Spanned<Sandbox>>,
    params: &[Param],
    common: &Pipeline,
) -> Result<Vec<PhaseSpec>, Refusal> {
    let Some(raw) = raw else {
        return Err(Refusal { at: 0, reason: "Missing field `phases`.".to_owned() });
    };
    if raw.get_ref().is_empty() {
        return refuse(&raw, "A pipeline has at least one phase. Add one with `[[phases]]`.");
    }
    let mut names = HashSet::new();
    let mut phases = Vec::new();
    for phase in raw.into_inner() {
        let mut phase = phase.into_inner();
        let secrets = phase.secrets.take();
        let mut phase = phase.check(&mut names, params, &phases)?;
        secrets::check_phase(&mut phase, secrets, &common.secrets)?;
        if let Some(sandbox) = sandbox.filter(|_| !common.sandbox.is_off()) {
            check_in_sandbox(sandbox, &phase)?;
        }
        phases.push(phase);
    }
    Ok(phases)
}

/// Refuses what a sandbox cannot provide: it ends with its command, and no process in it can change its user.
fn check_in_sandbox(sandbox: &Spanned<Sandbox>, phase: &PhaseSpec) -> Result<(), Refusal> {
    let key = match phase {
        PhaseSpec { background: true, .. } => "background",
        PhaseSpec { gain_privileges: true, .. } => "gain_privileges",
        _ => return Ok(()),
    };
    refuse(sandbox, format!("The phase `{}` has `{key}`, which a sandbox does not allow.", phase.name))
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
