//! A pipeline: a named recipe of parameters and an ordered list of phases (CONTRACT.md, "Pipelines in TOML").

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Retention;
use super::hook::Hook;
use super::limits::Limits;
use super::notify::NotifyTarget;
use super::param::{Param, ParamError, ParamInput, ParamKind, ParamValue, Params};
use super::plan::{PhaseCondition, RetryPolicy};
use super::queue::Concurrency;
use super::sandbox::Sandbox;
use super::schedule::{Schedule, UpcomingRun};
use super::secret::Secrets;

/// A named recipe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    /// Unique, of `[a-z0-9-]`.
    pub name: String,
    /// For people.
    pub title: String,
    /// A sentence about what it does.
    #[serde(default)]
    pub description: String,
    /// What becomes of a run whose worker went away.
    #[serde(default)]
    pub on_interrupt: OnInterrupt,
    /// How long its finished runs are kept, if it has a rule of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Whether its phases only make sense together, since they leave things to each other that end with the attempt: then no
    /// attempt goes on where another one failed.
    #[serde(rename = "whole", default, skip_serializing_if = "std::ops::Not::not")]
    pub restart_from_start: bool,
    /// Which runs of it are not carried out at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// Runs with a larger one are carried out first; from [`-MAX_PRIORITY`](super::queue::MAX_PRIORITY) to it.
    #[serde(default)]
    pub priority: i32,
    /// What an attempt of its runs may use.
    #[serde(default)]
    pub limits: Limits,
    /// Whether its commands run in a sandbox.
    #[serde(default, skip_serializing_if = "Sandbox::is_off")]
    pub sandbox: Sandbox,
    /// Whether they may use the network there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub network: bool,
    /// Who is told of its runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<NotifyTarget>,
    /// What its commands are given as secrets, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<PipelineSecret>,
    /// What a run of it is given.
    #[serde(default)]
    pub params: Vec<Param>,
    /// What a run of it does, in order. At least one.
    pub phases: Vec<PhaseSpec>,
    /// When runs of it start by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<Schedule>,
    /// How a forge starts runs of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<Hook>,
}

impl Pipeline {
    /// The same as everybody may see it: without what may be a secret.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let secrets = self.secrets.iter().map(|secret| PipelineSecret { source: None, ..secret.clone() });
        Self {
            notify: self.notify.iter().map(NotifyTarget::redacted).collect(),
            secrets: secrets.collect(),
            ..self.clone()
        }
    }
}

/// A secret that the server reads when an attempt begins, and gives to commands as the variable of this name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineSecret {
    /// The variable.
    pub name: String,
    /// Where the server finds it. Told to nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SecretSource>,
}

/// Where the server finds a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// In this variable of its own environment, which no command has.
    Env(String),
    /// In this file, without line ends at its end.
    File(PathBuf),
    /// In the credential of this name that systemd gives to the server, without line ends at its end.
    Credential(String),
    /// On the standard output of this command, without line ends at its end.
    Command(String),
}

/// What becomes of a run whose worker went away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnInterrupt {
    /// It ends as `interrupted`.
    #[default]
    Fail,
    /// Its unfinished phases run as a new attempt.
    Resume,
}

/// One phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseSpec {
    /// Unique in its pipeline, of `[a-z0-9_-]`.
    pub name: String,
    /// Given to `sh -c`.
    pub run: String,
    /// How long it may run, in milliseconds; without end if `None`.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Whether it waits for a person first.
    #[serde(default)]
    pub approval: ApprovalRule,
    /// When it runs: if all of these hold; if none is named, when no earlier phase has failed.
    #[serde(default, rename = "if", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<PhaseCondition>,
    /// How often it is tried again.
    #[serde(default)]
    pub retries: RetryPolicy,
    /// Whether the run goes on, and may complete, if it fails.
    #[serde(default)]
    pub continue_on_error: bool,
    /// Variables that its command finds besides the others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Whether what its command leaves running is kept until the attempt ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub background: bool,
    /// Whether programs that its command starts may have more rights than it has itself, as `sudo` gives them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gain_privileges: bool,
    /// How its two outputs are read.
    #[serde(default, skip_serializing_if = "OutputMode::is_default")]
    pub output: OutputMode,
    /// Where it runs, below the run's folder; there if empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub dir: String,
    /// What that person is asked; a usual question if empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub question: String,
    /// Who may answer.
    #[serde(default, skip_serializing_if = "Approvers::is_default")]
    pub approvers: Approvers,
    /// Which of the pipeline's secrets its command is given; all of them if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<String>>,
}

/// Who may answer the question before a phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approvers {
    /// Everybody with the role.
    #[default]
    Anyone,
    /// Everybody with the role but who asked for the attempt.
    Other,
}

impl Approvers {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How the two outputs of a phase's command are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputMode {
    /// Through one pipe: lines of both are in the order in which they were written.
    #[default]
    Merged,
    /// Through a pipe each: lines of standard error are marked, and their order relative to standard output is lost.
    Separate,
    /// Through a pseudo-terminal of a fixed size.
    Tty,
}

impl OutputMode {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl PhaseSpec {
    /// What a person is asked before this phase.
    pub fn approval_question(&self) -> String {
        if self.question.is_empty() { format!("Go on with phase {}?", self.name) } else { self.question.clone() }
    }
}

/// Whether a phase waits for a person (CONTRACT.md, `approval`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "`approval` is true, false, or a table such as { param = \"ask\", patches = true }")]
pub enum ApprovalRule {
    /// Always or never.
    Fixed(bool),
    /// If all of these hold.
    If(ApprovalConditions),
}

/// What must hold for a phase to wait for a person. What is not said need not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApprovalConditions {
    /// This parameter, a [`ParamKind::Boolean`], is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// This parameter, a [`ParamKind::Boolean`], is not true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unless: Option<String>,
    /// The attempt has patches to look at.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub patches: bool,
}

impl Default for ApprovalRule {
    fn default() -> Self {
        Self::Fixed(false)
    }
}

impl ApprovalRule {
    /// Whether it is closed, for a run with these parameters and so many patches.
    pub fn is_required(&self, params: &Params, patches: u64) -> bool {
        match self {
            Self::Fixed(closed) => *closed,
            Self::If(ApprovalConditions { param, unless, patches: only_for_patches }) => {
                let ticked = |name: &String| params.get(name) == Some(&ParamValue::Boolean(true));
                param.as_ref().is_none_or(ticked)
                    && !unless.as_ref().is_some_and(ticked)
                    && (!only_for_patches || patches > 0)
            }
        }
    }
}

impl Pipeline {
    /// The values a run has when these were given: each read by its parameter, defaults where none was given. Secrets are checked like
    /// the others and are not among them; see [`Self::extract_secrets`].
    ///
    /// Whether a path exists and may be used is not looked at; that needs a file system.
    ///
    /// # Errors
    /// One entry per parameter that is missing, unknown or does not fit; in the order of the pipeline, unknown ones last.
    pub fn check(&self, given: &ParamInput) -> Result<Params, Vec<ParamError>> {
        let mut params = Params::new();
        let mut errors = Vec::new();
        for param in &self.params {
            match param.read(given.get(&param.name).unwrap_or(&Value::Null)) {
                Ok(Some(_)) if param.kind == ParamKind::Secret => {}
                Ok(Some(value)) => {
                    params.insert(param.name.clone(), value);
                }
                Ok(None) => match &param.default {
                    Some(value) => {
                        params.insert(param.name.clone(), value.clone());
                    }
                    None if param.required => {
                        let message = format!("{} is required.", param.label());
                        errors.push(ParamError::new(&param.name, "missing", message));
                    }
                    None => {}
                },
                Err(error) => errors.push(error),
            }
        }
        for name in given.keys().filter(|name| !self.params.iter().any(|param| &param.name == *name)) {
            let message = format!("The pipeline {} has no parameter `{name}`.", self.name);
            errors.push(ParamError::new(name, "unknown", message));
        }
        if errors.is_empty() { Ok(params) } else { Err(errors) }
    }

    /// Whether the parameter of this name is a secret.
    pub fn is_secret(&self, name: &str) -> bool {
        self.params.iter().any(|param| param.name == name && param.kind == ParamKind::Secret)
    }

    /// The secrets that were given. Those that do not fit are left out: [`Self::check`] refuses them.
    pub fn extract_secrets(&self, given: &ParamInput) -> Secrets {
        let mut secrets = Secrets::new();
        for param in self.params.iter().filter(|param| param.kind == ParamKind::Secret) {
            if let Some(Ok(Some(ParamValue::Text(text)))) = given.get(&param.name).map(|value| param.read(value)) {
                secrets.insert(&param.name, text);
            }
        }
        secrets
    }

    /// What a payload gives, each value converted to what its parameter takes ([`Param::convert`]), and an entry for each that cannot be:
    /// that one stays as it is, and [`Self::check`] refuses it.
    pub fn convert(&self, given: ParamInput) -> (ParamInput, Vec<ParamError>) {
        let mut errors = Vec::new();
        let convert = |(name, value): (String, Value)| {
            let param = self.params.iter().find(|param| param.name == name);
            match param.map(|param| param.convert(value.clone())) {
                Some(Ok(converted)) => (name, converted),
                Some(Err(error)) => {
                    errors.push(error);
                    (name, value)
                }
                None => (name, value),
            }
        };
        (given.into_iter().map(convert).collect(), errors)
    }
}

/// A pipeline file that is refused, and why. The pipelines that do parse stay available.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{file}:{line}: {reason}")]
pub struct PipelineFileError {
    /// The file's name in the folder of pipelines.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and what to do, in a sentence.
    pub reason: String,
}

/// What the start form is made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StartOptions {
    /// The pipelines there are, by title.
    pub pipelines: Vec<Pipeline>,
    /// The pipeline files that are refused.
    pub faults: Vec<PipelineFileError>,
    /// The folders that runs may work in; the first one fills in a path.
    pub projects: Vec<String>,
    /// The next time that each schedule is due, the soonest first.
    #[serde(default)]
    pub upcoming: Vec<UpcomingRun>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn param(name: &str, kind: ParamKind) -> Param {
        let choices = vec!["red".into(), "green".into()];
        let (title, help) = (String::new(), String::new());
        Param { name: name.into(), title, help, kind, required: false, default: None, choices }
    }

    fn pipeline(params: Vec<Param>) -> Pipeline {
        Pipeline { name: "p".into(), title: "P".into(), params, ..Pipeline::default() }
    }

    #[test]
    fn every_fault_has_its_entry_and_defaults_are_filled_in() {
        let mut needed = param("needed", ParamKind::String);
        needed.required = true;
        let mut level = param("level", ParamKind::Integer);
        level.default = Some(ParamValue::Integer(3));
        let pipeline = pipeline(vec![needed, level, param("color", ParamKind::Choice)]);

        let given = ParamInput::from([("color".into(), json!("blue")), ("extra".into(), json!(1))]);
        let errors = pipeline.check(&given).unwrap_err();
        let found: Vec<_> = errors.iter().map(|error| (error.param.as_str(), error.code.as_str())).collect();
        assert_eq!(found, [("needed", "missing"), ("color", "not_a_choice"), ("extra", "unknown")]);

        let given = ParamInput::from([("needed".into(), json!("x"))]);
        let params = pipeline.check(&given).unwrap();
        assert_eq!(params.get("level"), Some(&ParamValue::Integer(3)));
        assert_eq!(params.get("color"), None);
    }

    #[test]
    fn default_is_for_a_missing_value_only() {
        let mut word = param("word", ParamKind::String);
        word.default = Some(ParamValue::Text("usual".into()));
        let mut level = param("level", ParamKind::Integer);
        level.default = Some(ParamValue::Integer(3));
        let pipeline = pipeline(vec![word, level, param("note", ParamKind::String)]);
        let with = |given| pipeline.check(&serde_json::from_value(given).unwrap()).unwrap();
        let cases = [
            (json!({}), json!({"word": "usual", "level": 3})),
            (json!({"word": null, "note": null}), json!({"word": "usual", "level": 3})),
            (json!({"word": "", "level": "", "note": ""}), json!({"word": "", "level": "", "note": ""})),
            (json!({"word": "  ", "level": 0}), json!({"word": "  ", "level": 0})),
        ];
        for (given, expected) in cases {
            assert_eq!(json!(with(given.clone())), expected, "{given}");
        }
    }

    #[test]
    fn secrets_are_checked_and_kept_apart() {
        let mut password = param("password", ParamKind::Secret);
        password.required = true;
        let pipeline = pipeline(vec![password, param("word", ParamKind::String)]);
        let given = ParamInput::from([("password".into(), json!("hunter-2")), ("word".into(), json!("x"))]);
        assert_eq!(json!(pipeline.check(&given).unwrap()), json!({"word": "x"}));
        assert_eq!(pipeline.extract_secrets(&given).iter().collect::<Vec<_>>(), [("password", "hunter-2")]);
        for (given, code) in
            [(json!({}), "missing"), (json!({"password": ""}), "missing"), (json!({"password": " abc\n"}), "too_short")]
        {
            let errors = pipeline.check(&serde_json::from_value(given).unwrap()).unwrap_err();
            assert_eq!((errors[0].param.as_str(), errors[0].code.as_str()), ("password", code));
        }
    }

    proptest! {
        #[test]
        fn what_was_accepted_is_accepted_again(number in any::<i64>(), text in "[^\0]*", flag in any::<bool>()) {
            let pipeline = pipeline(vec![
                param("n", ParamKind::Integer),
                param("t", ParamKind::String),
                param("b", ParamKind::Boolean),
            ]);
            let given = ParamInput::from([("n".into(), json!(number)), ("t".into(), json!(text)), ("b".into(), json!(flag))]);
            let params = pipeline.check(&given).unwrap();
            let again = params.iter().map(|(name, value)| (name.clone(), serde_json::to_value(value).unwrap())).collect();
            prop_assert_eq!(pipeline.check(&again).unwrap(), params);
        }
    }
}
