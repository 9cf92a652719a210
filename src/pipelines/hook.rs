//! `[hook]` in a pipeline file: what it may say, and the first fault with its place otherwise.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::{Spanned, Value};

use super::condition::{RawNode, check_conditions};
use super::file::{Refusal, is_made_of, refuse};
use super::schedule::{check_value, secret_is_required};
use super::secrets::check_credential;
use crate::model::hook::{HookParam, PayloadField, SecretLocation, is_json_pointer};
use crate::model::{Hook, Pipeline};

/// A hook as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHook {
    secret_env: Option<Spanned<String>>,
    secret_file: Option<Spanned<String>>,
    secret_credential: Option<Spanned<String>>,
    events: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    repeat: bool,
    #[serde(default)]
    params: BTreeMap<Spanned<String>, Spanned<RawParam>>,
    r#if: Option<Spanned<RawNode>>,
}

/// A parameter: a value, or where it is in the payload.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a parameter is a value, or a table such as { from = \"/ref\" }")]
enum RawParam {
    Payload(RawFrom),
    Fixed(Value),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFrom {
    from: String,
    #[serde(default)]
    strip_prefix: String,
    default: Option<Value>,
}

impl RawHook {
    /// The hook that begins at this line, of this pipeline.
    pub(super) fn check(raw: Spanned<Self>, line: usize, pipeline: &Pipeline) -> Result<Hook, Refusal> {
        let header = Spanned::new(raw.span(), ());
        let Self { secret_env, secret_file, secret_credential, events, repeat, params, r#if } = raw.into_inner();
        let secret = match (secret_env, secret_file, secret_credential) {
            (Some(name), None, None) => check_variable(name)?,
            (None, Some(file), None) => check_file(file)?,
            (None, None, Some(name)) => SecretLocation::Credential(check_credential(name)?),
            (None, None, None) => {
                return refuse(
                    &header,
                    "A hook needs `secret_env` or `secret_file` (or `secret_credential`), which say where its secret is.",
                );
            }
            (_, Some(other), _) | (_, None, Some(other)) => {
                return refuse(&other, "A hook has one secret: `secret_env`, `secret_file` or `secret_credential`.");
            }
        };
        if let Some(events) = &events
            && (events.get_ref().is_empty() || events.get_ref().iter().any(|event| event.trim().is_empty()))
        {
            return refuse(events, "`events` lists names such as \"push\". Leave it out to take all of them.");
        }
        let mut checked = BTreeMap::new();
        for (name, param) in params {
            let span = param.span();
            let param = match param.into_inner() {
                RawParam::Fixed(Value::Table(_)) => {
                    let reason = "A parameter is a value, or a table such as { from = \"/ref\", strip_prefix = \"refs/heads/\" }.";
                    return refuse(&Spanned::new(span, ()), reason);
                }
                RawParam::Fixed(value) => HookParam::Fixed(check_value(&name, &Spanned::new(span, value), pipeline)?),
                RawParam::Payload(RawFrom { from, strip_prefix, default }) => {
                    if !pipeline.params.iter().any(|param| param.name == *name.get_ref()) {
                        return refuse(&name, format!("The pipeline has no parameter `{}`.", name.get_ref()));
                    }
                    if pipeline.is_secret(name.get_ref()) {
                        let reason = format!(
                            "A payload is kept by the forge that sends it, so it cannot give the secret `{}`. Say in [secrets] where the \
                             server finds it.",
                            name.get_ref()
                        );
                        return refuse(&name, reason);
                    }
                    if !is_json_pointer(&from) {
                        return refuse(&Spanned::new(span, ()), not_a_pointer(&from));
                    }
                    let default = default.map(|default| check_value(&name, &Spanned::new(span, default), pipeline));
                    HookParam::Payload(PayloadField { from, strip_prefix, default: default.transpose()? })
                }
            };
            checked.insert(name.into_inner(), param);
        }
        let missing = |param: &&crate::model::Param| {
            param.required && param.default.is_none() && !checked.contains_key(&param.name)
        };
        if let Some(param) = pipeline.params.iter().find(missing) {
            if pipeline.is_secret(&param.name) {
                return refuse(&header, secret_is_required("hook"));
            }
            return refuse(&header, format!("The hook's `params` do not say `{}`, which is required.", param.name));
        }
        let conditions = r#if.map(check_conditions).transpose()?.unwrap_or_default();
        Ok(Hook {
            secret,
            line,
            events: events.map(Spanned::into_inner).unwrap_or_default(),
            repeat,
            conditions,
            params: checked,
        })
    }
}

fn not_a_pointer(text: &str) -> String {
    format!("`{text}` is no JSON Pointer. Write one as \"/repository/name\".")
}

fn check_variable(name: Spanned<String>) -> Result<SecretLocation, Refusal> {
    if !is_made_of(name.get_ref(), |c| c.is_ascii_alphanumeric() || c == '_') {
        return refuse(
            &name,
            "`secret_env` is the name of a variable, such as \"NIGHTLY_SECRET\": not the secret itself.",
        );
    }
    Ok(SecretLocation::Env(name.into_inner()))
}

fn check_file(file: Spanned<String>) -> Result<SecretLocation, Refusal> {
    if !file.get_ref().starts_with('/') || file.get_ref().contains('\0') {
        return refuse(&file, "`secret_file` is the absolute path of a file that has the secret.");
    }
    Ok(SecretLocation::File(PathBuf::from(file.into_inner())))
}
