//! `[[phases]]` in a pipeline file.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use toml::{Spanned, Value};

use super::labels::check_labels;
use super::refusal::{
    MAX_RUN_BYTES, Refusal, SERVER_PREFIX, check_duration, check_timeout, is_item_name, is_variable_name, refuse,
};
use crate::model::phase_condition::PhaseCondition;
use crate::model::pipeline::Approvers;
use crate::model::retry_policy::RetryPolicy;
use crate::model::{ApprovalConditions, ApprovalRule, OutputMode, Param, ParamKind, PhaseSpec};

/// The most retries of a phase.
const MAX_RETRIES: i64 = 100;

/// The default pause before a retry.
const DEFAULT_RETRY_DELAY_MS: u64 = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPhase {
    name: Spanned<String>,
    run: Spanned<String>,
    timeout: Option<Spanned<Value>>,
    retries: Option<Spanned<i64>>,
    retry_delay: Option<Spanned<Value>>,
    retry_on: Option<Spanned<Vec<i64>>>,
    #[serde(default)]
    continue_on_error: bool,
    r#if: Option<Spanned<TextOrList>>,
    #[serde(default)]
    env: BTreeMap<Spanned<String>, Spanned<String>>,
    dir: Option<Spanned<String>>,
    output: Option<Spanned<String>>,
    #[serde(default)]
    background: bool,
    #[serde(default)]
    gain_privileges: bool,
    approval: Option<Spanned<ApprovalRule>>,
    question: Option<Spanned<String>>,
    approvers: Option<Spanned<Approvers>>,
    #[serde(default)]
    runs_on: Vec<Spanned<String>>,
    /// Checked against the pipeline's secrets by `secrets::check_phase`.
    pub(super) secrets: Option<Spanned<Vec<Spanned<String>>>>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`if` is a condition such as \"failure\", or a list of them")]
enum TextOrList {
    One(String),
    More(Vec<String>),
}

impl RawPhase {
    /// Checks the phase. `names` are those of the phases so far, `earlier` the phases themselves.
    pub(super) fn check(
        self,
        names: &mut HashSet<String>,
        params: &[Param],
        earlier: &[PhaseSpec],
    ) -> Result<PhaseSpec, Refusal> {
        let Self { name, run, .. } = &self;
        if !is_item_name(name.get_ref()) {
            return refuse(name, "A phase's name is made of a to z, 0 to 9, `-` and `_`, and is not empty.");
        }
        if !names.insert(name.get_ref().clone()) {
            return refuse(name, format!("The phase `{}` is there twice.", name.get_ref()));
        }
        if run.get_ref().trim().is_empty() {
            return refuse(run, "`run` is blank. Write the command of this phase.");
        }
        if run.get_ref().contains('\0') {
            return refuse(run, "`run` has a NUL character, which no command can be given.");
        }
        if run.get_ref().len() > MAX_RUN_BYTES {
            return refuse(run, "`run` is longer than the 128 KiB a shell can be given. Put it into a script.");
        }
        let retries = self.retries()?;
        let approval = match self.approval {
            None => ApprovalRule::default(),
            Some(gate) => check_gate(gate, params)?,
        };
        if let Some(approvers) = self.approvers.as_ref().filter(|_| approval == ApprovalRule::Fixed(false)) {
            return refuse(approvers, "Only a phase with `approval` has `approvers`.");
        }
        match &self.question {
            Some(question) if approval == ApprovalRule::Fixed(false) => {
                return refuse(question, "Only a phase with `approval` has a `question`.");
            }
            Some(question) if question.get_ref().trim().is_empty() => {
                return refuse(question, "`question` is blank. Write what a person is asked, or leave it out.");
            }
            Some(_) | None => {}
        }
        Ok(PhaseSpec {
            timeout_ms: self.timeout.as_ref().map(check_timeout).transpose()?,
            retries,
            continue_on_error: self.continue_on_error,
            conditions: self
                .r#if
                .map(|conditions| check_conditions(&conditions, earlier))
                .transpose()?
                .unwrap_or_default(),
            env: check_env(self.env)?,
            background: self.background,
            gain_privileges: self.gain_privileges,
            output: self.output.as_ref().map(check_output).transpose()?.unwrap_or_default(),
            dir: self.dir.map(check_dir).transpose()?.unwrap_or_default(),
            approval,
            secrets: None,
            runs_on: check_labels(self.runs_on)?,
            question: self.question.map(Spanned::into_inner).unwrap_or_default(),
            approvers: self.approvers.map(Spanned::into_inner).unwrap_or_default(),
            name: self.name.into_inner(),
            run: self.run.into_inner(),
        })
    }

    fn retries(&self) -> Result<RetryPolicy, Refusal> {
        let times = match &self.retries {
            None => 0,
            Some(retries) => match *retries.get_ref() {
                ..0 => return refuse(retries, "`retries` cannot be less than 0."),
                times if times > MAX_RETRIES => {
                    return refuse(retries, format!("`retries` is at most {MAX_RETRIES}."));
                }
                times => u32::try_from(times).unwrap_or_default(),
            },
        };
        if times == 0 {
            for (name, given) in [
                ("retry_delay", self.retry_delay.as_ref().map(Spanned::span)),
                ("retry_on", self.retry_on.as_ref().map(Spanned::span)),
            ] {
                if let Some(span) = given {
                    return refuse(&Spanned::new(span, ()), format!("`{name}` is for a phase with `retries`."));
                }
            }
            return Ok(RetryPolicy::default());
        }
        let delay_ms = match &self.retry_delay {
            None => DEFAULT_RETRY_DELAY_MS,
            Some(delay) => check_duration("retry_delay", delay, "0s")?,
        };
        let on = match &self.retry_on {
            None => Vec::new(),
            Some(codes) => {
                let code = |code: &i64| i32::try_from(*code).ok().filter(|code| (1..=255).contains(code));
                match codes.get_ref().iter().map(code).collect::<Option<Vec<_>>>() {
                    Some(codes) if !codes.is_empty() => codes,
                    _ => return refuse(codes, "`retry_on` lists exit codes from 1 to 255, such as [75, 111]."),
                }
            }
        };
        Ok(RetryPolicy { times, delay_ms, on })
    }
}

/// Reads the conditions of `if`. They can only name earlier phases: the outcome of a later one is not known yet.
fn check_conditions(given: &Spanned<TextOrList>, earlier: &[PhaseSpec]) -> Result<Vec<PhaseCondition>, Refusal> {
    let texts = match given.get_ref() {
        TextOrList::One(text) => std::slice::from_ref(text),
        TextOrList::More(texts) => texts,
    };
    let mut conditions = Vec::new();
    for text in texts {
        let condition: PhaseCondition = match text.parse() {
            Ok(condition) => condition,
            Err(error) => return refuse(given, format!("{error}.")),
        };
        if let PhaseCondition::Phase(name, _) = &condition
            && !earlier.iter().any(|phase| phase.name == *name)
        {
            return refuse(given, format!("There is no phase `{name}` before this one."));
        }
        conditions.push(condition);
    }
    Ok(conditions)
}

fn check_env(given: BTreeMap<Spanned<String>, Spanned<String>>) -> Result<BTreeMap<String, String>, Refusal> {
    let mut env = BTreeMap::new();
    for (name, value) in given {
        if !is_variable_name(name.get_ref()) {
            return refuse(&name, "A variable's name is made of letters, digits and `_`, and begins with no digit.");
        }
        if name.get_ref().starts_with(SERVER_PREFIX) {
            return refuse(&name, format!("Variables that begin with `{SERVER_PREFIX}` are the server's own."));
        }
        if value.get_ref().contains('\0') || name.get_ref().len() + 1 + value.get_ref().len() > MAX_RUN_BYTES {
            return refuse(&value, "A variable's value has no NUL character and at most 128 KiB.");
        }
        env.insert(name.into_inner(), value.into_inner());
    }
    Ok(env)
}

/// Checks the spelling of a folder below the run's. Links are checked when the folder is opened.
fn check_dir(dir: Spanned<String>) -> Result<String, Refusal> {
    use std::path::{Component, Path};
    let is_below =
        Path::new(dir.get_ref()).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if dir.get_ref().trim().is_empty() || !is_below || dir.get_ref().contains('\0') {
        return refuse(&dir, "`dir` is a folder below that of the run, such as \"web\": relative, without `..`.");
    }
    Ok(dir.into_inner())
}

fn check_output(output: &Spanned<String>) -> Result<OutputMode, Refusal> {
    match output.get_ref().as_str() {
        "merged" => Ok(OutputMode::Merged),
        "separate" => Ok(OutputMode::Separate),
        "tty" => Ok(OutputMode::Tty),
        other => {
            refuse(output, format!("`output` is \"merged\" (the default), \"separate\" or \"tty\", not \"{other}\"."))
        }
    }
}

/// Checks that a gate depends only on boolean parameters of the pipeline.
fn check_gate(gate: Spanned<ApprovalRule>, params: &[Param]) -> Result<ApprovalRule, Refusal> {
    let is_known = |name: &str| params.iter().any(|param| param.name == name && param.kind == ParamKind::Boolean);
    if let ApprovalRule::If(ApprovalConditions { param, unless, .. }) = gate.get_ref()
        && let Some(name) = param.iter().chain(unless).find(|name| !is_known(name))
    {
        return refuse(&gate, format!("There is no parameter `{name}` of type \"boolean\" that `approval` could ask."));
    }
    Ok(gate.into_inner())
}
