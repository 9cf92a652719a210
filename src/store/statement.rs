//! SQL text with its values, as commands and queries hand it to a driver.
//!
//! Texts are written with named placeholders (`$run`). [`statement!`] replaces them by numbers (`$1`), which SQLite and
//! PostgreSQL both accept, while the program is compiled, and fails to compile if a placeholder has no value or a value
//! no placeholder: a value cannot be bound to the wrong place.
//!
//! Texts are written for SQLite. What PostgreSQL calls by another name is translated by its driver
//! (`postgres/dialect.rs`).

use std::borrow::Cow;
use std::sync::Arc;

use super::{RowError, RunKey, row::Row};
use crate::model::{RunId, Status, Timestamp};

/// The value of a placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Null,
    Integer(i64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

/// SQL text and the values of its placeholders: the value of `$1` comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    pub sql: Cow<'static, str>,
    pub values: Vec<Value<'a>>,
}

/// A statement that yields rows, and how each is read.
pub struct Query<'a, T> {
    pub statement: Statement<'a>,
    pub read: ReadRow<T>,
}

/// Makes a value of a row.
pub type ReadRow<T> = fn(&dyn Row) -> Result<T, RowError>;

impl<'a> Statement<'a> {
    /// The query of this statement, each row of which `read` makes a value of.
    pub fn read<T>(self, read: ReadRow<T>) -> Query<'a, T> {
        Query { statement: self, read }
    }

    /// Whether the statement yields a row is all that matters.
    pub fn exists(self) -> Query<'a, ()> {
        self.read(|_| Ok(()))
    }
}

impl<T> Query<'_, T> {
    /// The same query with values of its own.
    pub fn into_owned(self) -> Query<'static, T> {
        let values = self.statement.values.into_iter().map(Value::into_owned).collect();
        Query { statement: Statement { sql: self.statement.sql, values }, read: self.read }
    }
}

impl Value<'_> {
    fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Integer(number) => Value::Integer(number),
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
        }
    }
}

/// A [`Statement`] of SQL text with named placeholders and their values:
///
/// ```ignore
/// statement!("SELECT head FROM runs WHERE key = $run"; run: key)
/// statement!(["SELECT ", RUN, " FROM runs WHERE key = $run"]; run: key)
/// ```
///
/// The parts of a text are literals and constants.
macro_rules! statement {
    ($text:literal $(; $($name:ident: $value:expr),* $(,)?)?) => {
        statement!([$text]; $($($name: $value),*)?)
    };
    ([$($part:expr),+ $(,)?]; $($name:ident: $value:expr),* $(,)?) => {{
        const PARTS: &[&str] = &[$($part),+];
        const NAMES: &[&str] = &[$(stringify!($name)),*];
        const LENGTH: usize = $crate::store::statement::numbered::<0>(PARTS, NAMES).1;
        const BYTES: [u8; LENGTH] = $crate::store::statement::numbered::<LENGTH>(PARTS, NAMES).0;
        const SQL: &str = match ::core::str::from_utf8(&BYTES) {
            Ok(sql) => sql,
            Err(_) => unreachable!(),
        };
        $crate::store::statement::Statement {
            sql: ::std::borrow::Cow::Borrowed(SQL),
            values: vec![$($crate::store::statement::Value::from($value)),*],
        }
    }};
}
pub(crate) use statement;

/// The text with numbers for names, as far as it fits, and its length. Fails to compile where names and values do not
/// match.
pub const fn numbered<const N: usize>(parts: &[&str], names: &[&str]) -> ([u8; N], usize) {
    let (mut out, mut length) = ([0; N], 0);
    let mut used = [false; 32];
    let mut part = 0;
    while part < parts.len() {
        let text = parts[part].as_bytes();
        let mut at = 0;
        while at < text.len() {
            if text[at] == b'$' && at + 1 < text.len() && is_name(text[at + 1]) {
                let begin = at + 1;
                at = begin;
                while at < text.len() && is_name(text[at]) {
                    at += 1;
                }
                let index = index_of(text, begin, at, names);
                used[index] = true;
                let number = index + 1;
                length = put(&mut out, length, b'$');
                if number >= 10 {
                    length = put(&mut out, length, b'0' + (number / 10) as u8);
                }
                length = put(&mut out, length, b'0' + (number % 10) as u8);
            } else {
                length = put(&mut out, length, text[at]);
                at += 1;
            }
        }
        part += 1;
    }
    let mut name = 0;
    while name < names.len() {
        assert!(used[name], "a value of the statement has no placeholder");
        name += 1;
    }
    (out, length)
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte == b'_'
}

const fn put<const N: usize>(out: &mut [u8; N], length: usize, byte: u8) -> usize {
    if length < N {
        out[length] = byte;
    }
    length + 1
}

/// Which of the names is in `text` from `begin` to `end`.
const fn index_of(text: &[u8], begin: usize, end: usize, names: &[&str]) -> usize {
    let mut index = 0;
    while index < names.len() {
        let name = names[index].as_bytes();
        let mut at = 0;
        while at < name.len() && begin + at < end && name[at] == text[begin + at] {
            at += 1;
        }
        if at == name.len() && begin + at == end {
            return index;
        }
        index += 1;
    }
    panic!("a placeholder of the statement has no value")
}

/// Puts a statement together whose text depends on what is asked.
#[derive(Debug, Default)]
pub struct StatementBuilder {
    sql: String,
    values: Vec<Value<'static>>,
}

impl StatementBuilder {
    pub fn push(&mut self, sql: &str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    /// Appends a placeholder with its value.
    pub fn bind(&mut self, value: impl Into<Value<'static>>) -> &mut Self {
        self.values.push(value.into());
        self.sql.push_str(&format!("${}", self.values.len()));
        self
    }

    pub fn build(self) -> Statement<'static> {
        Statement { sql: Cow::Owned(self.sql), values: self.values }
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<i32> for Value<'_> {
    fn from(number: i32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u64> for Value<'_> {
    /// Databases have signed numbers only; none that is stored is larger.
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Value<'_> {
    fn from(number: usize) -> Self {
        (number as u64).into()
    }
}

impl From<bool> for Value<'_> {
    fn from(is_so: bool) -> Self {
        Self::Integer(is_so.into())
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(at: Timestamp) -> Self {
        Self::Integer(at.0)
    }
}

impl From<RunKey> for Value<'_> {
    fn from(run: RunKey) -> Self {
        Self::Integer(run.0)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a Arc<str>> for Value<'a> {
    fn from(text: &'a Arc<str>) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<'a> From<&'a RunId> for Value<'a> {
    fn from(id: &'a RunId) -> Self {
        id.as_str().into()
    }
}

impl From<Status> for Value<'_> {
    fn from(status: Status) -> Self {
        status.as_str().into()
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl<const N: usize> From<[u8; N]> for Value<'_> {
    fn from(bytes: [u8; N]) -> Self {
        Self::Bytes(Cow::Owned(bytes.to_vec()))
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_become_the_numbers_of_their_values() {
        const COLUMNS: &str = "seq, data ->> '$' AS all_of_it";
        let statement = statement!(
            ["SELECT ", COLUMNS, " FROM frames WHERE run = $run AND seq > $after_seq AND seq < $after"];
            after: 1i64, after_seq: 2i64, run: "x",
        );
        let expected = "SELECT seq, data ->> '$' AS all_of_it FROM frames WHERE run = $3 AND seq > $2 AND seq < $1";
        assert_eq!(statement.sql, expected);
        assert_eq!(statement.values, [Value::Integer(1), Value::Integer(2), Value::Text("x".into())]);
    }

    #[test]
    fn placeholders_beyond_the_ninth_have_two_digits() {
        let text = statement!("$a $b $c $d $e $f $g $h $i $j $k $a"; a: 1i64, b: 1i64, c: 1i64, d: 1i64, e: 1i64,
            f: 1i64, g: 1i64, h: 1i64, i: 1i64, j: 1i64, k: 1i64);
        assert_eq!(text.sql, "$1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $11 $1");
    }

    #[test]
    fn builder_numbers_values_in_order() {
        let mut builder = StatementBuilder::default();
        builder.push("a = ").bind(7i64).push(" AND b = ").bind("x".to_owned());
        let statement = builder.build();
        assert_eq!(statement.sql, "a = $1 AND b = $2");
        assert_eq!(statement.values, [Value::Integer(7), Value::Text("x".into())]);
    }
}
