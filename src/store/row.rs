//! A row as commands and queries read it, whichever driver has fetched it.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::{RunKey, StoreError};
use crate::model::{RunId, Status, Timestamp};

/// A row of a result. Columns are read by name.
pub trait Row {
    /// The text in a column; `None` for NULL.
    ///
    /// # Errors
    /// There is no such column, or it holds no text. Likewise below.
    fn text(&self, column: &str) -> Result<Option<&str>, RowError>;

    fn integer(&self, column: &str) -> Result<Option<i64>, RowError>;

    fn bytes(&self, column: &str) -> Result<Option<&[u8]>, RowError>;

    fn is_null(&self, column: &str) -> Result<bool, RowError>;
}

/// A column holds something else than this program has written there.
#[derive(Clone, Debug, thiserror::Error)]
#[error("column {column}: {reason}")]
pub struct RowError {
    pub column: String,
    pub reason: String,
}

impl RowError {
    pub fn new(column: &str, reason: impl ToString) -> Self {
        Self { column: column.to_owned(), reason: reason.to_string() }
    }
}

impl From<RowError> for StoreError {
    fn from(error: RowError) -> Self {
        Self::Failed(Arc::new(error))
    }
}

impl dyn Row + '_ {
    /// The value in a column.
    ///
    /// # Errors
    /// There is no such column, or it holds nothing of the kind.
    pub fn get<T: FromColumn>(&self, column: &str) -> Result<T, RowError> {
        T::from_column(self, column)
    }

    /// What the JSON in a column says.
    ///
    /// # Errors
    /// The column is NULL, or its text is not such JSON.
    pub fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, RowError> {
        serde_json::from_str(required_text(self, column)?).map_err(|error| RowError::new(column, error))
    }

    /// The same of a column that may be NULL.
    ///
    /// # Errors
    /// The text is not such JSON.
    pub fn optional_json<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>, RowError> {
        if self.is_null(column)? { Ok(None) } else { self.json(column).map(Some) }
    }

    /// The value of the word in a column.
    ///
    /// # Errors
    /// The column is NULL, or the word is none that `parse` knows.
    pub fn word<T>(&self, column: &str, parse: fn(&str) -> Option<T>) -> Result<T, RowError> {
        let word = required_text(self, column)?;
        parse(word).ok_or_else(|| RowError::new(column, format!("`{word}` is not known")))
    }
}

/// What a column can be read as.
pub trait FromColumn: Sized {
    /// # Errors
    /// See [`Row`].
    fn from_column(row: &dyn Row, column: &str) -> Result<Self, RowError>;
}

fn required_text<'r>(row: &'r dyn Row, column: &str) -> Result<&'r str, RowError> {
    row.text(column)?.ok_or_else(|| RowError::new(column, "is NULL"))
}

/// A number that is there, and fits.
fn number<N: TryFrom<i64, Error: std::fmt::Display>>(row: &dyn Row, column: &str) -> Result<N, RowError> {
    let number = row.integer(column)?.ok_or_else(|| RowError::new(column, "is NULL"))?;
    N::try_from(number).map_err(|error| RowError::new(column, error))
}

/// A text that reads as a value.
fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(row: &dyn Row, column: &str) -> Result<T, RowError> {
    required_text(row, column)?.parse().map_err(|error| RowError::new(column, error))
}

macro_rules! from_column {
    ($($kind:ty: $read:expr),* $(,)?) => {
        $(impl FromColumn for $kind {
            fn from_column(row: &dyn Row, column: &str) -> Result<Self, RowError> {
                let read: fn(&dyn Row, &str) -> Result<Self, RowError> = $read;
                read(row, column)
            }
        })*
    };
}

from_column! {
    i64: number,
    i32: number,
    u32: number,
    u64: number,
    bool: |row, column| Ok(number::<i64>(row, column)? != 0),
    String: |row, column| required_text(row, column).map(str::to_owned),
    Arc<str>: |row, column| required_text(row, column).map(Arc::from),
    Vec<u8>: |row, column| {
        row.bytes(column)?.map(<[u8]>::to_vec).ok_or_else(|| RowError::new(column, "is NULL"))
    },
    [u8; 32]: |row, column| {
        let bytes = row.bytes(column)?.ok_or_else(|| RowError::new(column, "is NULL"))?;
        bytes.try_into().map_err(|error| RowError::new(column, error))
    },
    Timestamp: |row, column| number(row, column).map(Timestamp),
    RunKey: |row, column| number(row, column).map(RunKey),
    RunId: parsed,
    Status: parsed,
    crate::model::Role: parsed,
}

impl<T: FromColumn> FromColumn for Option<T> {
    fn from_column(row: &dyn Row, column: &str) -> Result<Self, RowError> {
        if row.is_null(column)? { Ok(None) } else { T::from_column(row, column).map(Some) }
    }
}
