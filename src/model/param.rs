//! A parameter of a pipeline, and the rules by which a given value fits it (CONTRACT.md, "Pipelines in TOML").

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::secret::MIN_SECRET_BYTES;

/// The parameter that, if it is a path, is the folder a run works in.
pub const PROJECT_PARAM: &str = "project";

/// The longest text a parameter takes, in bytes. A command finds it in an environment variable, and Linux allows each 128 KiB
/// with its name.
pub const MAX_VALUE_BYTES: usize = 100_000;

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
    /// Any text, usually of one line.
    String,
    /// Any text, shown in a field of several lines.
    Text,
    /// Text that is never shown: kept apart from the other values, masked in all output, and removed when the run ends.
    Secret,
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
    /// Of any other kind; and the empty value of an integer.
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
pub type ParamInput = BTreeMap<String, Value>;

/// Why a value does not fit its parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamError {
    /// The parameter's name, as it was given.
    pub param: String,
    /// A stable word for programs: `missing`, `unknown`, `wrong_type`, `too_long`, `too_short`, `not_a_choice`, `invalid_path`.
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

    /// The value as this parameter takes it, byte for byte. `Ok(None)` for `null`, which is a missing value.
    ///
    /// An empty text is a value: it is not missing, and no default takes its place. A parameter that is required refuses it, and so does
    /// a choice that does not have it. Text is read as the kind it stands for, since a form only has text.
    ///
    /// # Errors
    /// The value is of another kind, no choice, or empty where one is required.
    pub fn read(&self, given: &Value) -> Result<Option<ParamValue>, ParamError> {
        match given {
            Value::Null => Ok(None),
            Value::String(text) => self.read_text(text).map(Some),
            Value::Number(number) if self.kind == ParamKind::Integer => match number.as_i64() {
                Some(value) => Ok(Some(ParamValue::Integer(value))),
                None => Err(self.wrong_type()),
            },
            Value::Bool(value) if self.kind == ParamKind::Boolean => Ok(Some(ParamValue::Boolean(*value))),
            _ if self.kind == ParamKind::Choice => Err(self.not_a_choice()),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Err(self.wrong_type()),
        }
    }

    fn read_text(&self, text: &str) -> Result<ParamValue, ParamError> {
        if text.contains('\0') {
            let message = format!("{} must be text without NUL characters.", self.label());
            return Err(ParamError::new(&self.name, "wrong_type", message));
        }
        if text.len() > MAX_VALUE_BYTES {
            let message = format!("{} may have at most {MAX_VALUE_BYTES} bytes.", self.label());
            return Err(ParamError::new(&self.name, "too_long", message));
        }
        match self.kind {
            // A box is ticked or not.
            ParamKind::Boolean => match text {
                "true" | "on" => Ok(ParamValue::Boolean(true)),
                "false" | "off" => Ok(ParamValue::Boolean(false)),
                _ => Err(self.wrong_type()),
            },
            _ if text.is_empty() && self.required => {
                let message = format!("{} is required: it must not be empty.", self.label());
                Err(ParamError::new(&self.name, "missing", message))
            }
            _ if text.is_empty() && self.kind != ParamKind::Choice => Ok(ParamValue::Text(String::new())),
            ParamKind::Secret if text.trim().len() < MIN_SECRET_BYTES => {
                let message = format!(
                    "{} must have at least {MIN_SECRET_BYTES} bytes besides white space: a shorter secret cannot be masked.",
                    self.label()
                );
                Err(ParamError::new(&self.name, "too_short", message))
            }
            ParamKind::Path | ParamKind::String | ParamKind::Text | ParamKind::Secret => {
                Ok(ParamValue::Text(text.to_owned()))
            }
            ParamKind::Integer => text.parse().map(ParamValue::Integer).map_err(|_| self.wrong_type()),
            ParamKind::Choice if self.choices.iter().any(|choice| choice == text) => {
                Ok(ParamValue::Text(text.to_owned()))
            }
            ParamKind::Choice if text.is_empty() => {
                let choices = self.choices.join(", ");
                let message = format!("{} must be one of {choices}. To choose none, leave it out.", self.label());
                Err(ParamError::new(&self.name, "not_a_choice", message))
            }
            ParamKind::Choice => Err(self.not_a_choice()),
        }
    }

    /// The value of a payload as this parameter takes it: a number or a boolean is also text, and the text of a number or a boolean is
    /// also that, where nothing of it is lost.
    ///
    /// # Errors
    /// The value cannot be converted exactly; the message names what it is.
    pub fn convert(&self, given: Value) -> Result<Value, ParamError> {
        let is_text = match self.kind {
            ParamKind::Integer | ParamKind::Boolean => false,
            ParamKind::Path | ParamKind::String | ParamKind::Text | ParamKind::Secret | ParamKind::Choice => true,
        };
        let what = match &given {
            Value::Null | Value::String(_) => return Ok(given),
            Value::Bool(_) | Value::Number(_) if !is_text => return Ok(given),
            Value::Bool(value) => return Ok(value.to_string().into()),
            Value::Number(number) if is_exact(number) => return Ok(number.to_string().into()),
            Value::Number(_) => "a number with more digits than can be read exactly",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        let message = format!("{} must be {}, and the payload has {what}.", self.label(), self.wanted());
        Err(ParamError::new(&self.name, "wrong_type", message))
    }

    /// What it takes, in a few words.
    fn wanted(&self) -> &'static str {
        match self.kind {
            ParamKind::Path => "the path of a folder",
            ParamKind::String | ParamKind::Text | ParamKind::Secret => "text",
            ParamKind::Integer => "a whole number",
            ParamKind::Boolean => "true or false",
            ParamKind::Choice => "one of the choices",
        }
    }

    fn wrong_type(&self) -> ParamError {
        ParamError::new(&self.name, "wrong_type", format!("{} must be {}.", self.label(), self.wanted()))
    }

    fn not_a_choice(&self) -> ParamError {
        let message = match self.choices.as_slice() {
            // Then the help says why.
            [] => format!("{} has no choices. {}", self.label(), self.help),
            choices => format!("{} must be one of {}.", self.label(), choices.join(", ")),
        };
        ParamError::new(&self.name, "not_a_choice", message)
    }
}

/// Whether the number is what the JSON text said. Whole numbers beyond 64 bits, and fractions with more than 15 digits, were rounded.
fn is_exact(number: &serde_json::Number) -> bool {
    if number.is_i64() || number.is_u64() {
        return true;
    }
    let digits =
        number.to_string().split(['e', 'E']).next().unwrap_or_default().bytes().filter(u8::is_ascii_digit).count();
    digits <= 15 && number.as_f64().is_some_and(|value| value.abs() < 1e15)
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
            (ParamKind::String, json!(""), Ok(text(""))),
            (ParamKind::String, json!(" \t"), Ok(text(" \t"))),
            (ParamKind::String, json!(" a\r\n\n"), Ok(text(" a\r\n\n"))),
            (ParamKind::Text, json!("\na\n"), Ok(text("\na\n"))),
            (ParamKind::Secret, json!(" four "), Ok(text(" four "))),
            (ParamKind::Secret, json!(" abc "), Err("too_short")),
            (ParamKind::String, json!(null), Ok(None)),
            (ParamKind::String, json!({"a": 1}), Err("wrong_type")),
            (ParamKind::String, json!("a\0b"), Err("wrong_type")),
            (ParamKind::String, json!(5), Err("wrong_type")),
            (ParamKind::String, json!("x".repeat(MAX_VALUE_BYTES + 1)), Err("too_long")),
            (ParamKind::Path, json!("/x"), Ok(text("/x"))),
            (ParamKind::Path, json!(["/x"]), Err("wrong_type")),
            (ParamKind::Integer, json!(-5), Ok(Some(Integer(-5)))),
            (ParamKind::Integer, json!("42"), Ok(Some(Integer(42)))),
            (ParamKind::Integer, json!("9007199254740993"), Ok(Some(Integer(9_007_199_254_740_993)))),
            (ParamKind::Integer, json!(i64::MIN), Ok(Some(Integer(i64::MIN)))),
            (ParamKind::Integer, json!("007"), Ok(Some(Integer(7)))),
            (ParamKind::Integer, json!(1.0), Err("wrong_type")),
            (ParamKind::Integer, json!("9223372036854775808"), Err("wrong_type")),
            (ParamKind::Integer, json!(""), Ok(text(""))),
            (ParamKind::Integer, json!(" 42"), Err("wrong_type")),
            (ParamKind::Integer, json!(1.5), Err("wrong_type")),
            (ParamKind::Integer, json!(18446744073709551615u64), Err("wrong_type")),
            (ParamKind::Integer, json!("x"), Err("wrong_type")),
            (ParamKind::Integer, json!(true), Err("wrong_type")),
            (ParamKind::Boolean, json!(false), Ok(Some(Boolean(false)))),
            (ParamKind::Boolean, json!("on"), Ok(Some(Boolean(true)))),
            (ParamKind::Boolean, json!("yes"), Err("wrong_type")),
            (ParamKind::Boolean, json!(""), Err("wrong_type")),
            (ParamKind::Boolean, json!(1), Err("wrong_type")),
            (ParamKind::Choice, json!("red"), Ok(text("red"))),
            (ParamKind::Choice, json!("blue"), Err("not_a_choice")),
            (ParamKind::Choice, json!(1), Err("not_a_choice")),
            (ParamKind::Choice, json!(null), Ok(None)),
            (ParamKind::Choice, json!(""), Err("not_a_choice")),
            (ParamKind::Choice, json!(" "), Err("not_a_choice")),
            (ParamKind::Choice, json!([1]), Err("not_a_choice")),
        ];
        for (kind, given, expected) in cases {
            let read = param("x", kind).read(&given).map_err(|error| error.code);
            assert_eq!(read, expected.map_err(str::to_owned), "{kind:?} {given}");
        }
    }

    #[test]
    fn empty_choice_is_refused_with_the_choices_and_what_to_do_for_none() {
        let error = param("color", ParamKind::Choice).read(&json!("")).unwrap_err();
        assert_eq!(error.message, "color must be one of red, green. To choose none, leave it out.");
        let needed = Param { required: true, ..param("color", ParamKind::Choice) };
        assert_eq!(needed.read(&json!("")).unwrap_err().code, "missing");
        // One of its values may be the empty one.
        let listed = Param { choices: vec![String::new(), "red".into()], ..param("color", ParamKind::Choice) };
        assert_eq!(listed.read(&json!("")), Ok(Some(ParamValue::Text(String::new()))));
    }

    #[test]
    fn required_parameter_refuses_empty_text_and_keeps_blanks() {
        for kind in [ParamKind::String, ParamKind::Text, ParamKind::Secret, ParamKind::Path, ParamKind::Integer] {
            let needed = Param { required: true, ..param("x", kind) };
            assert_eq!(needed.read(&json!("")).map_err(|error| error.code), Err("missing".to_owned()), "{kind:?}");
        }
        let needed = Param { required: true, ..param("x", ParamKind::String) };
        assert_eq!(needed.read(&json!("  ")), Ok(Some(ParamValue::Text("  ".into()))));
    }

    #[test]
    fn payload_values_convert_only_where_nothing_is_lost() {
        let cases = [
            (ParamKind::String, json!(17), Ok(json!("17"))),
            (ParamKind::Text, json!(false), Ok(json!("false"))),
            (ParamKind::Choice, json!(-1), Ok(json!("-1"))),
            (ParamKind::String, json!(u64::MAX), Ok(json!("18446744073709551615"))),
            (ParamKind::String, json!(0.5), Ok(json!("0.5"))),
            (ParamKind::String, serde_json::from_str("123456789012345678901234567890").unwrap(), Err("digits")),
            (ParamKind::String, serde_json::from_str("0.1234567890123456789").unwrap(), Err("digits")),
            (ParamKind::String, json!("a"), Ok(json!("a"))),
            (ParamKind::String, json!(null), Ok(json!(null))),
            (ParamKind::String, json!([1]), Err("a list")),
            (ParamKind::Integer, json!({"a": 1}), Err("an object")),
            (ParamKind::Integer, json!("12"), Ok(json!("12"))),
            (ParamKind::Boolean, json!(true), Ok(json!(true))),
        ];
        for (kind, given, expected) in cases {
            match (param("pr", kind).convert(given.clone()), expected) {
                (Ok(value), Ok(expected)) => assert_eq!(value, expected, "{kind:?} {given}"),
                (Err(error), Err(what)) => {
                    assert!(error.message.starts_with("pr must be") && error.message.contains(what), "{error:?}");
                }
                (result, _) => panic!("{kind:?} {given}: {result:?}"),
            }
        }
    }
}
