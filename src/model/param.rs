//! A parameter of a pipeline, and the rules by which a given value fits it (CONTRACT.md, "Pipelines in TOML").

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The parameter that, if it is a path, is the folder a run works in.
pub const PROJECT: &str = "project";

/// The longest text a parameter takes, in bytes. A command finds it in an environment variable, and Linux allows each 128 KiB
/// with its name.
pub const MAX_VALUE: usize = 100_000;

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Param {
    /// Unique in its pipeline, of `[a-z_]`. A command finds the value in `RUNTRAIL_PARAM_NAME`.
    pub name: String,
    /// For people; the name if empty.
    #[serde(default)]
    pub title: String,
    /// A sentence about what it is for.
    #[serde(default)]
    pub help: String,
    /// What values it takes.
    #[serde(rename = "type")]
    pub kind: ParamKind,
    /// Whether a run without it is refused.
    #[serde(default)]
    pub required: bool,
    /// The value of a run that gives none.
    #[serde(default)]
    pub default: Option<ParamValue>,
    /// The values of a [`ParamKind::Choice`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// What values a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParamKind {
    /// A folder inside those the server allows (`--projects`).
    Path,
    /// Any text.
    String,
    /// A whole number.
    Integer,
    /// Yes or no.
    Boolean,
    /// One of [`Param::choices`].
    Choice,
}

/// A value that fits its parameter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ParamValue {
    /// Of a [`ParamKind::Boolean`].
    Boolean(bool),
    /// Of a [`ParamKind::Integer`].
    Integer(i64),
    /// Of any other kind.
    Text(String),
}

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
        }
    }
}

/// The values of a run, by parameter name.
pub type Params = BTreeMap<String, ParamValue>;

/// The values that were given for a run, before anyone looked whether they fit.
pub type Given = BTreeMap<String, Value>;

/// Why a value does not fit its parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamError {
    /// The parameter's name, as it was given.
    pub param: String,
    /// A stable word for programs: `missing`, `unknown`, `wrong_type`, `too_long`, `not_a_choice`, `invalid_path`.
    pub code: String,
    /// What is wrong and what to do, in a sentence.
    pub message: String,
}

impl ParamError {
    /// An error at this parameter.
    pub fn new(param: &str, code: &str, message: impl Into<String>) -> Self {
        Self { param: param.to_owned(), code: code.to_owned(), message: message.into() }
    }
}

impl Param {
    /// What people call it.
    pub fn label(&self) -> &str {
        if self.title.is_empty() { &self.name } else { &self.title }
    }

    /// The value as this parameter takes it. `Ok(None)` if nothing was given: `null`, or the empty text of a form's field.
    ///
    /// Text is read as the kind it stands for, since a form only has text.
    ///
    /// # Errors
    /// The value is of another kind, or no choice.
    pub fn read(&self, given: &Value) -> Result<Option<ParamValue>, ParamError> {
        let wrong =
            |what: &str| Err(ParamError::new(&self.name, "wrong_type", format!("{} must be {what}.", self.label())));
        if given.is_null() || given.as_str().is_some_and(|text| text.trim().is_empty()) {
            return Ok(None);
        }
        let value = match (self.kind, given) {
            (_, Value::String(text)) if text.contains('\0') => return wrong("text without NUL characters"),
            (_, Value::String(text)) if text.len() > MAX_VALUE => {
                let message = format!("{} may have at most {MAX_VALUE} bytes.", self.label());
                return Err(ParamError::new(&self.name, "too_long", message));
            }
            (ParamKind::Path | ParamKind::String, Value::String(text)) => ParamValue::Text(text.clone()),
            (ParamKind::Path, _) => return wrong("the path of a folder"),
            (ParamKind::String, _) => return wrong("text"),
            (ParamKind::Integer, Value::Number(number)) => match number.as_i64() {
                Some(value) => ParamValue::Integer(value),
                None => return wrong("a whole number"),
            },
            (ParamKind::Integer, Value::String(text)) => match text.trim().parse() {
                Ok(value) => ParamValue::Integer(value),
                Err(_) => return wrong("a whole number"),
            },
            (ParamKind::Integer, _) => return wrong("a whole number"),
            (ParamKind::Boolean, Value::Bool(value)) => ParamValue::Boolean(*value),
            (ParamKind::Boolean, Value::String(text)) => match text.as_str() {
                "true" | "on" => ParamValue::Boolean(true),
                "false" | "off" => ParamValue::Boolean(false),
                _ => return wrong("true or false"),
            },
            (ParamKind::Boolean, _) => return wrong("true or false"),
            (ParamKind::Choice, Value::String(text)) if self.choices.contains(text) => ParamValue::Text(text.clone()),
            (ParamKind::Choice, _) => {
                let message = format!("{} must be one of {}.", self.label(), self.choices.join(", "));
                return Err(ParamError::new(&self.name, "not_a_choice", message));
            }
        };
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn param(name: &str, kind: ParamKind) -> Param {
        Param {
            name: name.into(),
            title: String::new(),
            help: String::new(),
            kind,
            required: false,
            default: None,
            choices: vec!["red".into(), "green".into()],
        }
    }

    #[test]
    fn each_kind_takes_its_values_and_no_others() {
        use ParamValue::*;
        let text = |text: &str| Some(Text(text.into()));
        let cases = [
            (ParamKind::String, json!("a b"), Ok(text("a b"))),
            (ParamKind::String, json!(""), Ok(None)),
            (ParamKind::String, json!("a\0b"), Err("wrong_type")),
            (ParamKind::String, json!(5), Err("wrong_type")),
            (ParamKind::String, json!("x".repeat(MAX_VALUE + 1)), Err("too_long")),
            (ParamKind::Path, json!("/x"), Ok(text("/x"))),
            (ParamKind::Path, json!(["/x"]), Err("wrong_type")),
            (ParamKind::Integer, json!(-5), Ok(Some(Integer(-5)))),
            (ParamKind::Integer, json!("42"), Ok(Some(Integer(42)))),
            (ParamKind::Integer, json!(1.5), Err("wrong_type")),
            (ParamKind::Integer, json!(18446744073709551615u64), Err("wrong_type")),
            (ParamKind::Integer, json!("x"), Err("wrong_type")),
            (ParamKind::Integer, json!(true), Err("wrong_type")),
            (ParamKind::Boolean, json!(false), Ok(Some(Boolean(false)))),
            (ParamKind::Boolean, json!("on"), Ok(Some(Boolean(true)))),
            (ParamKind::Boolean, json!("yes"), Err("wrong_type")),
            (ParamKind::Boolean, json!(1), Err("wrong_type")),
            (ParamKind::Choice, json!("red"), Ok(text("red"))),
            (ParamKind::Choice, json!("blue"), Err("not_a_choice")),
            (ParamKind::Choice, json!(1), Err("not_a_choice")),
            (ParamKind::Choice, json!(null), Ok(None)),
        ];
        for (kind, given, expected) in cases {
            let read = param("x", kind).read(&given).map_err(|error| error.code);
            assert_eq!(read, expected.map_err(str::to_owned), "{kind:?} {given}");
        }
    }
}
