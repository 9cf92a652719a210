//! Whether a payload meets the conditions of a hook. Pure.

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::model::condition::{PayloadCondition, ValueTest};

/// The most memory that one compiled pattern takes, in bytes.
const MAX_COMPILED: usize = 256 << 10;

/// The longest description of a condition, in characters.
const LONGEST: usize = 300;

/// The expression that must match all of a text. Matching takes time in proportion to the text, whatever the pattern.
fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!(r"\A(?:{pattern})\z")).size_limit(MAX_COMPILED).build()
}

/// Whether a pattern can be used; the reason if it cannot.
///
/// # Errors
/// The problem, without a full stop.
pub fn check_pattern(pattern: &str) -> Result<(), String> {
    // Balanced by the parentheses around it only: `a)(b`.
    regex::Regex::new(pattern).and_then(|_| compile(pattern)).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
        // Several lines, of which the last one says the problem.
        error => error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    })?;
    if pattern.ends_with("/*") {
        return Err("`/*` at its end repeats the slash; write `/.*` for anything below".to_owned());
    }
    Ok(())
}

/// Whether a payload meets a condition.
pub fn meets(condition: &PayloadCondition, payload: &Value) -> bool {
    match condition {
        PayloadCondition::All(all) => all.iter().all(|each| meets(each, payload)),
        PayloadCondition::Any(any) => any.iter().any(|each| meets(each, payload)),
        PayloadCondition::Not(not) => !meets(not, payload),
        PayloadCondition::At(pointer, test) => passes(test, payload.pointer(pointer)),
    }
}

fn passes(test: &ValueTest, value: Option<&Value>) -> bool {
    match test {
        ValueTest::OneOf(values) => value.is_some_and(|value| values.contains(value)),
        ValueTest::Exists(exists) => value.is_some_and(|value| !value.is_null()) == *exists,
        ValueTest::Pattern(pattern) => {
            // A file's patterns were checked; one of an older version that no longer compiles matches nothing.
            let Ok(pattern) = compile(pattern) else { return false };
            match value {
                Some(Value::String(text)) => pattern.is_match(text),
                Some(value @ (Value::Number(_) | Value::Bool(_))) => pattern.is_match(&value.to_string()),
                Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => false,
            }
        }
        ValueTest::Not(not) => !passes(not, value),
        ValueTest::All(all) => all.iter().all(|each| passes(each, value)),
    }
}

/// Why a payload does not start a run, in a sentence; `None` if it does. Says the condition, and nothing of the payload.
pub fn unmet(condition: &PayloadCondition, payload: &Value) -> Option<String> {
    let failed = first_failed(condition, payload)?;
    let mut text = describe(failed);
    if let Some((cut, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(cut);
        text.push('…');
    }
    Some(format!("The payload does not meet the hook's condition: {text}."))
}

/// The smallest condition that fails, as far as there is one.
fn first_failed<'a>(condition: &'a PayloadCondition, payload: &Value) -> Option<&'a PayloadCondition> {
    match condition {
        PayloadCondition::All(all) => all.iter().find_map(|each| first_failed(each, payload)),
        other => (!meets(other, payload)).then_some(other),
    }
}

/// A condition in words.
fn describe(condition: &PayloadCondition) -> String {
    let join = |all: &[PayloadCondition], word: &str| all.iter().map(describe).collect::<Vec<_>>().join(word);
    match condition {
        PayloadCondition::All(all) => format!("({})", join(all, " and ")),
        PayloadCondition::Any(any) => format!("({})", join(any, " or ")),
        PayloadCondition::Not(not) => format!("not {}", describe(not)),
        PayloadCondition::At(pointer, test) => format!("`{pointer}` {}", describe_test(test, false)),
    }
}

fn describe_test(test: &ValueTest, negated: bool) -> String {
    let not = if negated { " not" } else { "" };
    match test {
        ValueTest::OneOf(values) => match values.as_slice() {
            [only] => format!("is{not} {only}"),
            several => {
                let several: Vec<String> = several.iter().map(ToString::to_string).collect();
                format!("is{not} one of {}", several.join(", "))
            }
        },
        ValueTest::Exists(exists) => (if *exists != negated { "is there" } else { "is not there" }).to_owned(),
        ValueTest::Pattern(pattern) => match negated {
            true => format!("does not match `{pattern}`"),
            false => format!("matches `{pattern}`"),
        },
        ValueTest::Not(inner) => describe_test(inner, !negated),
        ValueTest::All(all) => {
            let all: Vec<String> = all.iter().map(|each| describe_test(each, false)).collect();
            let all = all.join(" and ");
            if negated { format!("is not so that it {all}") } else { all }
        }
    }
}

#[cfg(test)]
#[path = "condition_tests.rs"]
mod tests;
