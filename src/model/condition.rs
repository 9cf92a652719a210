//! Which payloads start a run: the conditions of a hook, as its file writes them.
//!
//! A table of places (JSON Pointers) and what is expected there, combined by `all`, `any` and `not`. This module reads and writes
//! conditions; `hooks/condition.rs` decides whether a payload meets them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::hook::is_json_pointer;

/// How deep conditions may be nested.
pub const MAX_CONDITION_DEPTH: usize = 8;

/// How many places a hook may look at.
pub const MAX_POINTERS: usize = 100;

/// The longest pattern, in bytes.
pub const MAX_PATTERN_BYTES: usize = 500;

/// What a payload must be like.
#[derive(Clone, Debug, PartialEq)]
pub enum PayloadCondition {
    /// All of these hold. An empty list always holds.
    All(Vec<PayloadCondition>),
    /// At least one of these holds.
    Any(Vec<PayloadCondition>),
    /// This does not hold.
    Not(Box<PayloadCondition>),
    /// The value at this JSON Pointer (RFC 6901) passes this test.
    At(String, ValueTest),
}

/// What is expected of the value at one place.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueTest {
    /// It is one of these.
    OneOf(Vec<Value>),
    /// It is there and not null, or not.
    Exists(bool),
    /// All of its text matches this regular expression.
    Pattern(String),
    /// It does not pass this test. A missing value passes.
    Not(Box<ValueTest>),
    /// It passes all of these.
    All(Vec<ValueTest>),
}

impl Default for PayloadCondition {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl PayloadCondition {
    /// Whether every payload meets it.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::All(all) if all.is_empty())
    }
}

/// A part of a file or a JSON document that says a condition, with its place for error messages.
#[derive(Clone, Debug, PartialEq)]
pub struct ConditionNode {
    /// The byte where it begins; 0 where that is not known.
    pub at: usize,
    /// What it holds.
    pub value: ConditionValue,
}

/// What a [`ConditionNode`] holds.
#[derive(Clone, Debug, PartialEq)]
pub enum ConditionValue {
    /// Text, a whole number, or true or false.
    Plain(Value),
    /// Something that no condition can be compared with: a fraction, a date, null.
    Other,
    /// A list.
    List(Vec<ConditionNode>),
    /// A table: the place of each key, the key, and its value.
    Table(Vec<(usize, String, ConditionNode)>),
}

impl From<Value> for ConditionNode {
    fn from(value: Value) -> Self {
        let value = match value {
            Value::String(_) | Value::Bool(_) => ConditionValue::Plain(value),
            Value::Number(ref number) if number.is_i64() || number.is_u64() => ConditionValue::Plain(value),
            Value::Number(_) | Value::Null => ConditionValue::Other,
            Value::Array(list) => ConditionValue::List(list.into_iter().map(Self::from).collect()),
            Value::Object(table) => {
                ConditionValue::Table(table.into_iter().map(|(key, value)| (0, key, value.into())).collect())
            }
        };
        Self { at: 0, value }
    }
}

/// Why something is no condition, and the byte where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionError {
    /// See [`ConditionNode::at`].
    pub at: usize,
    /// The problem and the remedy, in a sentence or two.
    pub reason: String,
}

fn error<T>(at: usize, reason: impl Into<String>) -> Result<T, ConditionError> {
    Err(ConditionError { at, reason: reason.into() })
}

/// What is said of a value that cannot be compared.
const NOT_PLAIN: &str =
    "A condition is a text, a whole number, true or false, a list of them, or a table such as { exists = true }.";

/// Reads conditions.
pub struct ConditionParser<'a> {
    /// Whether a text is a pattern that can be used; the reason if it cannot.
    pub check_pattern: &'a dyn Fn(&str) -> Result<(), String>,
    /// How many places were read.
    tests: usize,
}

impl<'a> ConditionParser<'a> {
    /// A reader that checks patterns this way.
    pub fn new(check_pattern: &'a dyn Fn(&str) -> Result<(), String>) -> Self {
        Self { check_pattern, tests: 0 }
    }

    /// Reads the condition of a hook.
    ///
    /// # Errors
    /// [`ConditionError`]: the first thing that is wrong.
    pub fn read(mut self, node: &ConditionNode) -> Result<PayloadCondition, ConditionError> {
        match &node.value {
            ConditionValue::Table(entries) if entries.is_empty() => Ok(PayloadCondition::default()),
            _ => self.condition(node, 0),
        }
    }

    fn condition(&mut self, node: &ConditionNode, depth: usize) -> Result<PayloadCondition, ConditionError> {
        if depth >= MAX_CONDITION_DEPTH {
            return error(
                node.at,
                format!("Conditions are nested more than {MAX_CONDITION_DEPTH} deep. Make them flatter."),
            );
        }
        let ConditionValue::Table(entries) = &node.value else {
            return error(node.at, "A condition is a table such as { \"/ref\" = \"refs/heads/main\" }.");
        };
        let mut all = Vec::with_capacity(entries.len());
        for (at, key, value) in entries {
            all.push(match key.as_str() {
                "all" => PayloadCondition::All(self.conditions(key, value, depth)?),
                "any" => PayloadCondition::Any(self.conditions(key, value, depth)?),
                "not" => PayloadCondition::Not(Box::new(self.condition(value, depth + 1)?)),
                pointer if is_json_pointer(pointer) => {
                    self.tests += 1;
                    if self.tests > MAX_POINTERS {
                        return error(*at, format!("A hook looks at {MAX_POINTERS} places at most."));
                    }
                    PayloadCondition::At(pointer.to_owned(), self.test(value, depth + 1)?)
                }
                other => {
                    let reason = format!(
                        "`{other}` is no JSON Pointer. Write one as \"/repository/name\", or combine conditions with `all`, `any` or `not`."
                    );
                    return error(*at, reason);
                }
            });
        }
        match (all.pop(), all.is_empty()) {
            (None, _) => error(node.at, "An empty condition holds for everything. Leave it out."),
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                all.push(last);
                Ok(PayloadCondition::All(all))
            }
        }
    }

    fn conditions(
        &mut self,
        word: &str,
        node: &ConditionNode,
        depth: usize,
    ) -> Result<Vec<PayloadCondition>, ConditionError> {
        match &node.value {
            ConditionValue::List(list) if !list.is_empty() => {
                list.iter().map(|each| self.condition(each, depth + 1)).collect()
            }
            _ => error(
                node.at,
                format!("`{word}` is a list of conditions, such as [{{ \"/ref\" = \"refs/heads/main\" }}, …]."),
            ),
        }
    }

    fn test(&mut self, node: &ConditionNode, depth: usize) -> Result<ValueTest, ConditionError> {
        if depth >= MAX_CONDITION_DEPTH {
            return error(
                node.at,
                format!("Conditions are nested more than {MAX_CONDITION_DEPTH} deep. Make them flatter."),
            );
        }
        let entries = match &node.value {
            ConditionValue::Plain(value) => return Ok(ValueTest::OneOf(vec![value.clone()])),
            ConditionValue::List(_) => return Ok(ValueTest::OneOf(plain_list(node)?)),
            ConditionValue::Other => return error(node.at, NOT_PLAIN),
            ConditionValue::Table(entries) => entries,
        };
        let mut tests = Vec::with_capacity(entries.len());
        for (at, key, value) in entries {
            tests.push(match key.as_str() {
                "equals" => ValueTest::OneOf(vec![plain(value)?]),
                "one_of" => ValueTest::OneOf(plain_list(value)?),
                "not" => ValueTest::Not(Box::new(self.test(value, depth + 1)?)),
                "exists" => match &value.value {
                    ConditionValue::Plain(Value::Bool(exists)) => ValueTest::Exists(*exists),
                    _ => return error(value.at, "`exists` is true or false, without quotes."),
                },
                "pattern" => ValueTest::Pattern(self.pattern(value)?),
                other => {
                    let reason = format!(
                        "`{other}` is not known. What is expected at a place is `equals`, `one_of`, `not`, `exists` or `pattern`."
                    );
                    return error(*at, reason);
                }
            });
        }
        if tests.iter().filter(|test| matches!(test, ValueTest::OneOf(_))).count() > 1 {
            return error(node.at, "`equals` and `one_of` say the same. Write one of them.");
        }
        match (tests.pop(), tests.is_empty()) {
            (None, _) => {
                error(node.at, "An empty table expects nothing. Write { exists = true }, or leave the place out.")
            }
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                tests.push(last);
                Ok(ValueTest::All(tests))
            }
        }
    }

    fn pattern(&self, node: &ConditionNode) -> Result<String, ConditionError> {
        let ConditionValue::Plain(Value::String(pattern)) = &node.value else {
            return error(node.at, "`pattern` is a regular expression in quotes, such as 'refs/heads/release-.*'.");
        };
        if pattern.len() > MAX_PATTERN_BYTES {
            return error(node.at, format!("`pattern` has at most {MAX_PATTERN_BYTES} bytes."));
        }
        match (self.check_pattern)(pattern) {
            Ok(()) => Ok(pattern.clone()),
            Err(reason) => error(node.at, format!("`pattern` is no regular expression: {reason}.")),
        }
    }
}

fn plain(node: &ConditionNode) -> Result<Value, ConditionError> {
    match &node.value {
        ConditionValue::Plain(value) => Ok(value.clone()),
        _ => error(node.at, "`equals` is a text, a whole number, true or false."),
    }
}

fn plain_list(node: &ConditionNode) -> Result<Vec<Value>, ConditionError> {
    let ConditionValue::List(list) = &node.value else { return error(node.at, NOT_PLAIN) };
    let one = |node: &ConditionNode| match &node.value {
        ConditionValue::Plain(value) => Ok(value.clone()),
        _ => error(node.at, "A list of values has texts, whole numbers, true and false, or a list of them, in it."),
    };
    if list.is_empty() {
        return error(node.at, "The list is empty, so nothing can be in it. Write a value or a list of them.");
    }
    list.iter().map(one).collect()
}

/// One entry of the table that says a condition.
fn entry(condition: &PayloadCondition) -> (&str, Value) {
    match condition {
        PayloadCondition::All(all) => ("all", Value::Array(all.iter().map(to_json).collect())),
        PayloadCondition::Any(any) => ("any", Value::Array(any.iter().map(to_json).collect())),
        PayloadCondition::Not(not) => ("not", to_json(not)),
        PayloadCondition::At(pointer, test) => (pointer, test_to_json(test)),
    }
}

/// A condition as a file writes it.
fn to_json(condition: &PayloadCondition) -> Value {
    if let PayloadCondition::All(all) = condition {
        let entries: Map<String, Value> = all.iter().map(entry).map(|(key, value)| (key.to_owned(), value)).collect();
        // Several that have keys of their own are one table.
        if entries.len() == all.len() && all.len() != 1 {
            return Value::Object(entries);
        }
    }
    let (key, value) = entry(condition);
    Value::Object(Map::from_iter([(key.to_owned(), value)]))
}

fn test_to_json(test: &ValueTest) -> Value {
    let entry = |test: &ValueTest| match test {
        ValueTest::OneOf(values) => ("one_of".to_owned(), Value::Array(values.clone())),
        ValueTest::Exists(exists) => ("exists".to_owned(), Value::Bool(*exists)),
        ValueTest::Pattern(pattern) => ("pattern".to_owned(), Value::String(pattern.clone())),
        ValueTest::Not(not) => ("not".to_owned(), test_to_json(not)),
        ValueTest::All(_) => ("all".to_owned(), test_to_json(test)),
    };
    match test {
        ValueTest::OneOf(values) => Value::Array(values.clone()),
        ValueTest::All(tests) => Value::Object(tests.iter().map(entry).collect()),
        other => Value::Object(Map::from_iter([entry(other)])),
    }
}

impl Serialize for PayloadCondition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        to_json(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PayloadCondition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = ConditionNode::from(Value::deserialize(deserializer)?);
        ConditionParser::new(&|_| Ok(())).read(&node).map_err(|fault| serde::de::Error::custom(fault.reason))
    }
}

#[cfg(test)]
#[path = "condition_tests.rs"]
pub(crate) mod tests;
