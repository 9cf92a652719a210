//! Pipelines: parameters and an ordered list of phases (docs/CONTRACT.md, "Pipeline files").

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hook::Hook;
use super::limits::Limits;
use super::notify::NotifyTarget;
use super::param::{Param, ParamError, ParamInput, ParamKind, ParamValue, Params};
pub use super::phase::Approvers;
use super::phase::PhaseSpec;
use super::placement::Label;
use super::queue::{Concurrency, ConcurrencyGroup};
use super::retention::Retention;
use super::sandbox::Sandbox;
use super::schedule::{Schedule, UpcomingRun};
use super::secret::Secrets;

/// A pipeline, from a file or built in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    /// Unique, of `[a-z0-9-]`.
    pub name: String,
    pub title: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub on_interrupt: OnInterrupt,
    /// The pipeline's own rule, instead of the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Its phases depend on state that ends with the attempt, so every attempt starts with the first phase.
    #[serde(rename = "whole", default, skip_serializing_if = "std::ops::Not::not")]
    pub restart_from_start: bool,
    /// Which of its runs must not run at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// Higher values start first; from [`-MAX_PRIORITY`](super::queue::MAX_PRIORITY) to it.
    #[serde(default)]
    pub priority: i32,
    /// Limits of each attempt.
    #[serde(default)]
    pub limits: Limits,
    #[serde(default, skip_serializing_if = "Sandbox::is_off")]
    pub sandbox: Sandbox,
    /// Whether commands may use the network inside the sandbox.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub network: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<NotifyTarget>,
    /// Secrets that commands get as environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<PipelineSecret>,
    #[serde(default)]
    pub params: Vec<Param>,
    /// Labels that the worker of a run must have, besides those of the phases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs_on: Vec<Label>,
    /// In order; at least one.
    pub phases: Vec<PhaseSpec>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<Schedule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<Hook>,
}

/// A secret that the server reads when an attempt starts, and passes to commands as an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineSecret {
    /// The environment variable.
    pub name: String,
    /// Never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SecretSource>,
}

/// Where the server reads a secret. Line breaks at the end are removed, except from a variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// An environment variable of the server, which commands do not inherit.
    Env(String),
    /// A file.
    File(PathBuf),
    /// A systemd credential.
    Credential(String),
    /// The standard output of a command.
    Command(String),
}

/// What happens to a run whose worker is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnInterrupt {
    /// The attempt ends as `interrupted`.
    #[default]
    Fail,
    /// A new attempt resumes with the first unfinished phase.
    Resume,
}

impl Pipeline {
    /// A copy without secrets, which everybody may see.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let secrets = self.secrets.iter().map(|secret| PipelineSecret { source: None, ..secret.clone() });
        Self {
            notify: self.notify.iter().map(NotifyTarget::redacted).collect(),
            secrets: secrets.collect(),
            ..self.clone()
        }
    }

    /// The concurrency group of a run with these parameters, if the pipeline has groups.
    pub fn group(&self, params: &Params) -> Option<ConcurrencyGroup> {
        Some(self.concurrency.as_ref()?.group(&self.name, params))
    }

    /// Checks input and fills in defaults. Secrets are checked but not returned; see [`Self::extract_secrets`].
    ///
    /// Does not check that paths exist, which needs a file system.
    ///
    /// # Errors
    /// One [`ParamError`] per parameter that is missing, unknown or invalid: in the pipeline's order, unknown ones
    /// last.
    pub fn check(&self, input: &ParamInput) -> Result<Params, Vec<ParamError>> {
        let mut params = Params::new();
        let mut errors = Vec::new();
        for param in &self.params {
            match param.read(input.get(&param.name).unwrap_or(&Value::Null)) {
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
        for name in input.keys().filter(|name| !self.params.iter().any(|param| &param.name == *name)) {
            let message = format!("The pipeline {} has no parameter `{name}`.", self.name);
            errors.push(ParamError::new(name, "unknown", message));
        }
        if errors.is_empty() { Ok(params) } else { Err(errors) }
    }

    pub fn is_secret(&self, name: &str) -> bool {
        self.params.iter().any(|param| param.name == name && param.kind == ParamKind::Secret)
    }

    /// The secrets in the input, without invalid ones, which [`Self::check`] refuses.
    pub fn extract_secrets(&self, input: &ParamInput) -> Secrets {
        let mut secrets = Secrets::new();
        for param in self.params.iter().filter(|param| param.kind == ParamKind::Secret) {
            if let Some(Ok(Some(ParamValue::Text(text)))) = input.get(&param.name).map(|value| param.read(value)) {
                secrets.insert(&param.name, text);
            }
        }
        secrets
    }

    /// Converts the values of a payload ([`Param::convert`]). Values that cannot be converted stay as they are, so
    /// that [`Self::check`] refuses them, and are reported.
    pub fn convert(&self, input: ParamInput) -> (ParamInput, Vec<ParamError>) {
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
        (input.into_iter().map(convert).collect(), errors)
    }
}

/// A pipeline file that is refused. Valid files stay available.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{file}:{line}: {reason}")]
pub struct PipelineFileError {
    /// Relative to the folder of pipelines.
    pub file: String,
    /// Counts from 1.
    pub line: usize,
    /// The problem and its remedy, in a sentence.
    pub reason: String,
}

/// The data of the start form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StartOptions {
    /// Ordered by title.
    pub pipelines: Vec<Pipeline>,
    pub faults: Vec<PipelineFileError>,
    /// Folders that runs may work in. The first one fills empty path fields.
    pub projects: Vec<String>,
    /// The next due time of each schedule, soonest first.
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
    fn pipeline_check_lists_errors_and_fills_in_defaults() {
        let mut needed = param("needed", ParamKind::String);
        needed.required = true;
        let mut level = param("level", ParamKind::Integer);
        level.default = Some(ParamValue::Integer(3));
        let pipeline = pipeline(vec![needed, level, param("color", ParamKind::Choice)]);

        let input = ParamInput::from([("color".into(), json!("blue")), ("extra".into(), json!(1))]);
        let errors = pipeline.check(&input).unwrap_err();
        let found: Vec<_> = errors.iter().map(|error| (error.param.as_str(), error.code.as_str())).collect();
        assert_eq!(found, [("needed", "missing"), ("color", "not_a_choice"), ("extra", "unknown")]);

        let input = ParamInput::from([("needed".into(), json!("x"))]);
        let params = pipeline.check(&input).unwrap();
        assert_eq!(params.get("level"), Some(&ParamValue::Integer(3)));
        assert_eq!(params.get("color"), None);
    }

    #[test]
    fn pipeline_default_is_for_missing_values_only() {
        let mut word = param("word", ParamKind::String);
        word.default = Some(ParamValue::Text("usual".into()));
        let mut level = param("level", ParamKind::Integer);
        level.default = Some(ParamValue::Integer(3));
        let pipeline = pipeline(vec![word, level, param("note", ParamKind::String)]);
        let with = |input| pipeline.check(&serde_json::from_value(input).unwrap()).unwrap();
        let cases = [
            (json!({}), json!({"word": "usual", "level": 3})),
            (json!({"word": null, "note": null}), json!({"word": "usual", "level": 3})),
            (json!({"word": "", "level": "", "note": ""}), json!({"word": "", "level": "", "note": ""})),
            (json!({"word": "  ", "level": 0}), json!({"word": "  ", "level": 0})),
        ];
        for (input, expected) in cases {
            assert_eq!(json!(with(input.clone())), expected, "{input}");
        }
    }

    #[test]
    fn pipeline_secrets_are_checked_and_kept_apart() {
        let mut password = param("password", ParamKind::Secret);
        password.required = true;
        let pipeline = pipeline(vec![password, param("word", ParamKind::String)]);
        let input = ParamInput::from([("password".into(), json!("hunter-2")), ("word".into(), json!("x"))]);
        assert_eq!(json!(pipeline.check(&input).unwrap()), json!({"word": "x"}));
        assert_eq!(pipeline.extract_secrets(&input).iter().collect::<Vec<_>>(), [("password", "hunter-2")]);
        for (input, code) in
            [(json!({}), "missing"), (json!({"password": ""}), "missing"), (json!({"password": " abc\n"}), "too_short")]
        {
            let errors = pipeline.check(&serde_json::from_value(input).unwrap()).unwrap_err();
            assert_eq!((errors[0].param.as_str(), errors[0].code.as_str()), ("password", code));
        }
    }

    proptest! {
        #[test]
        fn pipeline_check_accepts_its_own_result(number in any::<i64>(), text in "[^\0]*", flag in any::<bool>()) {
            let pipeline = pipeline(vec![
                param("n", ParamKind::Integer),
                param("t", ParamKind::String),
                param("b", ParamKind::Boolean),
            ]);
            let input = ParamInput::from([("n".into(), json!(number)), ("t".into(), json!(text)), ("b".into(), json!(flag))]);
            let params = pipeline.check(&input).unwrap();
            let again = params.iter().map(|(name, value)| (name.clone(), serde_json::to_value(value).unwrap())).collect();
            prop_assert_eq!(pipeline.check(&again).unwrap(), params);
        }
    }
}
