//! `[[params]]` in a pipeline file.

use std::collections::HashSet;

use serde::Deserialize;
use toml::{Spanned, Value};

use super::refusal::{Refusal, is_made_of, refuse};
use crate::model::param::PROJECT_PARAM;
use crate::model::{Param, ParamKind, ParamValue};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawParam {
    name: Spanned<String>,
    title: Option<String>,
    help: Option<String>,
    r#type: ParamKind,
    #[serde(default)]
    required: bool,
    default: Option<Spanned<Value>>,
    choices: Option<Spanned<Vec<Spanned<String>>>>,
}

/// The parameters of a file.
pub(super) fn check_params(raw: Vec<Spanned<RawParam>>) -> Result<Vec<Param>, Refusal> {
    let mut names = HashSet::new();
    raw.into_iter().map(|param| RawParam::check(param, &mut names)).collect()
}

impl RawParam {
    fn check(raw: Spanned<Self>, names: &mut HashSet<String>) -> Result<Param, Refusal> {
        let header = Spanned::new(raw.span(), ());
        let Self { name, title, help, r#type: kind, required, default, choices } = raw.into_inner();
        if !is_made_of(name.get_ref(), |c| c.is_ascii_lowercase() || c == '_') {
            return refuse(&name, "A parameter's name is made of a to z and `_`, and is not empty.");
        }
        if !names.insert(name.get_ref().clone()) {
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

/// Reads a default. It must have the parameter's type: unlike a form, a file can write numbers and booleans.
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
