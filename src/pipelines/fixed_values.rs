//! Values of parameters that schedules and hooks have in a pipeline file.

use toml::{Spanned, Value};

use super::refusal::{Refusal, refuse};
use crate::model::{ParamKind, Pipeline};

/// The reason to refuse a schedule or hook of a pipeline that requires a secret parameter.
pub(super) fn secret_is_required(what: &str) -> String {
    format!(
        "A {what} cannot give a secret, and this pipeline requires one as a parameter. Make that optional, and say in [secrets] where the \
         server finds it."
    )
}

/// Checks a value for the parameter `name`.
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
