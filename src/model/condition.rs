//! Which payloads start a run: the conditions of a hook, as its file writes them.
//!
//! A table of places (JSON Pointers) and what is expected there, combined by `all`, `any` and `not`. This module reads and writes
//! conditions; `hooks/condition.rs` decides whether a payload meets them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// How deep conditions may be nested.
pub const MAX_DEPTH: usize = 8;

/// How many places a hook may look at.
pub const MAX_TESTS: usize = 100;

/// The longest pattern, in bytes.
pub const MAX_PATTERN: usize = 500;

/// Whether a text is a JSON Pointer (RFC 6901, section 3).
pub fn is_pointer(text: &str) -> bool {
    let escapes = |part: &str| part.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.is_empty() || (text.starts_with('/') && escapes(text))
}

/// What a payload must be like.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// All of these hold. An empty list always holds.
    All(Vec<Condition>),
    /// At least one of these holds.
    Any(Vec<Condition>),
    /// This does not hold.
    Not(Box<Condition>),
    /// The value at this JSON Pointer (RFC 6901) passes this test.
    At(String, Test),
}

/// What is expected of the value at one place.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// It is one of these.
    OneOf(Vec<Value>),
    /// It is there and not null, or not.
    Exists(bool),
    /// All of its text matches this regular expression.
    Pattern(String),
    /// It does not pass this test. A missing value passes.
    Not(Box<Test>),
    /// It passes all of these.
    All(Vec<Test>),
}

impl Default for Condition {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl Condition {
    /// Whether every payload meets it.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::All(all) if all.is_empty())
    }
}

/// A part of a file or a JSON document that says a condition, with its place for error messages.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The byte where it begins; 0 where that is not known.
    pub at: usize,
    /// What it holds.
    pub value: NodeValue,
}

/// What a [`Node`] holds.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeValue {
    /// Text, a whole number, or true or false.
    Plain(Value),
    /// Something that no condition can be compared with: a fraction, a date, null.
    Other,
    /// A list.
    List(Vec<Node>),
    /// A table: the place of each key, the key, and its value.
    Table(Vec<(usize, String, Node)>),
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        let value = match value {
            Value::String(_) | Value::Bool(_) => NodeValue::Plain(value),
            Value::Number(ref number) if number.is_i64() || number.is_u64() => NodeValue::Plain(value),
            Value::Number(_) | Value::Null => NodeValue::Other,
            Value::Array(list) => NodeValue::List(list.into_iter().map(Self::from).collect()),
            Value::Object(table) => {
                NodeValue::Table(table.into_iter().map(|(key, value)| (0, key, value.into())).collect())
            }
        };
        Self { at: 0, value }
    }
}

/// Why something is no condition, and the byte where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// See [`Node::at`].
    pub at: usize,
    /// The problem and the remedy, in a sentence or two.
    pub reason: String,
}

fn fault<T>(at: usize, reason: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { at, reason: reason.into() })
}

/// What is said of a value that cannot be compared.
const NOT_PLAIN: &str =
    "A condition is a text, a whole number, true or false, a list of them, or a table such as { exists = true }.";

/// Reads conditions.
pub struct Reader<'a> {
    /// Whether a text is a pattern that can be used; the reason if it cannot.
    pub check_pattern: &'a dyn Fn(&str) -> Result<(), String>,
    /// How many places were read.
    tests: usize,
}

impl<'a> Reader<'a> {
    /// A reader that checks patterns this way.
    pub fn new(check_pattern: &'a dyn Fn(&str) -> Result<(), String>) -> Self {
        Self { check_pattern, tests: 0 }
    }

    /// Reads the condition of a hook.
    ///
    /// # Errors
    /// [`Fault`]: the first thing that is wrong.
    pub fn read(mut self, node: &Node) -> Result<Condition, Fault> {
        match &node.value {
            NodeValue::Table(entries) if entries.is_empty() => Ok(Condition::default()),
            _ => self.condition(node, 0),
        }
    }

    fn condition(&mut self, node: &Node, depth: usize) -> Result<Condition, Fault> {
        if depth >= MAX_DEPTH {
            return fault(node.at, format!("Conditions are nested more than {MAX_DEPTH} deep. Make them flatter."));
        }
        let NodeValue::Table(entries) = &node.value else {
            return fault(node.at, "A condition is a table such as { \"/ref\" = \"refs/heads/main\" }.");
        };
        let mut all = Vec::with_capacity(entries.len());
        for (at, key, value) in entries {
            all.push(match key.as_str() {
                "all" => Condition::All(self.conditions(key, value, depth)?),
                "any" => Condition::Any(self.conditions(key, value, depth)?),
                "not" => Condition::Not(Box::new(self.condition(value, depth + 1)?)),
                pointer if is_pointer(pointer) => {
                    self.tests += 1;
                    if self.tests > MAX_TESTS {
                        return fault(*at, format!("A hook looks at {MAX_TESTS} places at most."));
                    }
                    Condition::At(pointer.to_owned(), self.test(value, depth + 1)?)
                }
                other => {
                    let reason = format!(
                        "`{other}` is no JSON Pointer. Write one as \"/repository/name\", or combine conditions with `all`, `any` or `not`."
                    );
                    return fault(*at, reason);
                }
            });
        }
        match (all.pop(), all.is_empty()) {
            (None, _) => fault(node.at, "An empty condition holds for everything. Leave it out."),
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                all.push(last);
                Ok(Condition::All(all))
            }
        }
    }

    fn conditions(&mut self, word: &str, node: &Node, depth: usize) -> Result<Vec<Condition>, Fault> {
        match &node.value {
            NodeValue::List(list) if !list.is_empty() => {
                list.iter().map(|each| self.condition(each, depth + 1)).collect()
            }
            _ => fault(
                node.at,
                format!("`{word}` is a list of conditions, such as [{{ \"/ref\" = \"refs/heads/main\" }}, …]."),
            ),
        }
    }

    fn test(&mut self, node: &Node, depth: usize) -> Result<Test, Fault> {
        if depth >= MAX_DEPTH {
            return fault(node.at, format!("Conditions are nested more than {MAX_DEPTH} deep. Make them flatter."));
        }
        let entries = match &node.value {
            NodeValue::Plain(value) => return Ok(Test::OneOf(vec![value.clone()])),
            NodeValue::List(_) => return Ok(Test::OneOf(plain_list(node)?)),
            NodeValue::Other => return fault(node.at, NOT_PLAIN),
            NodeValue::Table(entries) => entries,
        };
        let mut tests = Vec::with_capacity(entries.len());
        for (at, key, value) in entries {
            tests.push(match key.as_str() {
                "equals" => Test::OneOf(vec![plain(value)?]),
                "one_of" => Test::OneOf(plain_list(value)?),
                "not" => Test::Not(Box::new(self.test(value, depth + 1)?)),
                "exists" => match &value.value {
                    NodeValue::Plain(Value::Bool(exists)) => Test::Exists(*exists),
                    _ => return fault(value.at, "`exists` is true or false, without quotes."),
                },
                "pattern" => Test::Pattern(self.pattern(value)?),
                other => {
                    let reason = format!(
                        "`{other}` is not known. What is expected at a place is `equals`, `one_of`, `not`, `exists` or `pattern`."
                    );
                    return fault(*at, reason);
                }
            });
        }
        if tests.iter().filter(|test| matches!(test, Test::OneOf(_))).count() > 1 {
            return fault(node.at, "`equals` and `one_of` say the same. Write one of them.");
        }
        match (tests.pop(), tests.is_empty()) {
            (None, _) => {
                fault(node.at, "An empty table expects nothing. Write { exists = true }, or leave the place out.")
            }
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                tests.push(last);
                Ok(Test::All(tests))
            }
        }
    }

    fn pattern(&self, node: &Node) -> Result<String, Fault> {
        let NodeValue::Plain(Value::String(pattern)) = &node.value else {
            return fault(node.at, "`pattern` is a regular expression in quotes, such as 'refs/heads/release-.*'.");
        };
        if pattern.len() > MAX_PATTERN {
            return fault(node.at, format!("`pattern` has at most {MAX_PATTERN} bytes."));
        }
        match (self.check_pattern)(pattern) {
            Ok(()) => Ok(pattern.clone()),
            Err(reason) => fault(node.at, format!("`pattern` is no regular expression: {reason}.")),
        }
    }
}

fn plain(node: &Node) -> Result<Value, Fault> {
    match &node.value {
        NodeValue::Plain(value) => Ok(value.clone()),
        _ => fault(node.at, "`equals` is a text, a whole number, true or false."),
    }
}

fn plain_list(node: &Node) -> Result<Vec<Value>, Fault> {
    let NodeValue::List(list) = &node.value else { return fault(node.at, NOT_PLAIN) };
    let one = |node: &Node| match &node.value {
        NodeValue::Plain(value) => Ok(value.clone()),
        _ => fault(node.at, "A list of values has texts, whole numbers, true and false, or a list of them, in it."),
    };
    if list.is_empty() {
        return fault(node.at, "The list is empty, so nothing can be in it. Write a value or a list of them.");
    }
    list.iter().map(one).collect()
}

/// One entry of the table that says a condition.
fn entry(condition: &Condition) -> (&str, Value) {
    match condition {
        Condition::All(all) => ("all", Value::Array(all.iter().map(to_json).collect())),
        Condition::Any(any) => ("any", Value::Array(any.iter().map(to_json).collect())),
        Condition::Not(not) => ("not", to_json(not)),
        Condition::At(pointer, test) => (pointer, test_to_json(test)),
    }
}

/// A condition as a file writes it.
fn to_json(condition: &Condition) -> Value {
    if let Condition::All(all) = condition {
        let entries: Map<String, Value> = all.iter().map(entry).map(|(key, value)| (key.to_owned(), value)).collect();
        // Several that have keys of their own are one table.
        if entries.len() == all.len() && all.len() != 1 {
            return Value::Object(entries);
        }
    }
    let (key, value) = entry(condition);
    Value::Object(Map::from_iter([(key.to_owned(), value)]))
}

fn test_to_json(test: &Test) -> Value {
    let entry = |test: &Test| match test {
        Test::OneOf(values) => ("one_of".to_owned(), Value::Array(values.clone())),
        Test::Exists(exists) => ("exists".to_owned(), Value::Bool(*exists)),
        Test::Pattern(pattern) => ("pattern".to_owned(), Value::String(pattern.clone())),
        Test::Not(not) => ("not".to_owned(), test_to_json(not)),
        Test::All(_) => ("all".to_owned(), test_to_json(test)),
    };
    match test {
        Test::OneOf(values) => Value::Array(values.clone()),
        Test::All(tests) => Value::Object(tests.iter().map(entry).collect()),
        other => Value::Object(Map::from_iter([entry(other)])),
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        to_json(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::from(Value::deserialize(deserializer)?);
        Reader::new(&|_| Ok(())).read(&node).map_err(|fault| serde::de::Error::custom(fault.reason))
    }
}

#[cfg(test)]
#[path = "condition_tests.rs"]
pub(crate) mod tests;
