//! Values of statements and of rows, as PostgreSQL's protocol has them.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgRow, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Encode, Postgres, Row as _, Type, TypeInfo as _, ValueRef as _};

use crate::store::RowError;
use crate::store::row::Row;
use crate::store::statement::Value;

/// The type of a value whose place in the statement decides it (a `Parse` message with type 0).
const UNSPECIFIED: PgTypeInfo = PgTypeInfo::with_oid(Oid(0));

/// A value to bind.
pub struct Bound<'a>(pub Value<'a>);

impl Type<Postgres> for Bound<'_> {
    fn type_info() -> PgTypeInfo {
        UNSPECIFIED
    }
}

impl<'q> Encode<'q, Postgres> for Bound<'_> {
    fn encode_by_ref(&self, out: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        match &self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(number) => <i64 as Encode<Postgres>>::encode_by_ref(number, out),
            // The one character that PostgreSQL's texts cannot have.
            Value::Text(text) if text.contains('\0') => {
                <String as Encode<Postgres>>::encode_by_ref(&text.replace('\0', "\u{fffd}"), out)
            }
            Value::Text(text) => <&str as Encode<Postgres>>::encode_by_ref(&text.as_ref(), out),
            Value::Bytes(bytes) => <&[u8] as Encode<Postgres>>::encode_by_ref(&bytes.as_ref(), out),
        }
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(match &self.0 {
            Value::Null => UNSPECIFIED,
            Value::Integer(_) => <i64 as Type<Postgres>>::type_info(),
            Value::Text(_) => <str as Type<Postgres>>::type_info(),
            Value::Bytes(_) => <[u8] as Type<Postgres>>::type_info(),
        })
    }
}

/// A comment that makes texts differ which are prepared for different types: a statement is prepared once for a text,
/// and the type of a value that was NULL at that time was decided by its place.
pub fn null_marker(values: &[Value<'_>]) -> Option<String> {
    let mut marker = String::new();
    for (index, value) in values.iter().enumerate() {
        if matches!(value, Value::Null) {
            marker.push_str(if marker.is_empty() { " /* NULL:" } else { "," });
            marker.push_str(&(index + 1).to_string());
        }
    }
    (!marker.is_empty()).then(|| marker + " */")
}

impl Row for PgRow {
    fn text(&self, column: &str) -> Result<Option<&str>, RowError> {
        let value = value(self, column)?;
        if value.is_null() {
            return Ok(None);
        }
        match (value.format(), value.type_info().name()) {
            (_, "TEXT" | "VARCHAR" | "NAME" | "JSON" | "unknown") => {
                value.as_str().map(Some).map_err(|error| RowError::new(column, error))
            }
            (_, other) => Err(RowError::new(column, format!("has the type {other}, not text"))),
        }
    }

    fn integer(&self, column: &str) -> Result<Option<i64>, RowError> {
        let value = value(self, column)?;
        if value.is_null() {
            return Ok(None);
        }
        let read = match value.type_info().name() {
            "INT8" => self.try_get_unchecked::<i64, _>(column),
            "INT4" => self.try_get_unchecked::<i32, _>(column).map(i64::from),
            "BOOL" => self.try_get_unchecked::<bool, _>(column).map(i64::from),
            other => return Err(RowError::new(column, format!("has the type {other}, not a number"))),
        };
        read.map(Some).map_err(|error| RowError::new(column, error))
    }

    fn bytes(&self, column: &str) -> Result<Option<&[u8]>, RowError> {
        let value = value(self, column)?;
        if value.is_null() {
            return Ok(None);
        }
        match (value.format(), value.type_info().name()) {
            (PgValueFormat::Binary, "BYTEA") => {
                value.as_bytes().map(Some).map_err(|error| RowError::new(column, error))
            }
            (_, other) => Err(RowError::new(column, format!("has the type {other}, not bytes"))),
        }
    }

    fn is_null(&self, column: &str) -> Result<bool, RowError> {
        Ok(value(self, column)?.is_null())
    }
}

fn value<'r>(row: &'r PgRow, column: &str) -> Result<PgValueRef<'r>, RowError> {
    row.try_get_raw(column).map_err(|error| RowError::new(column, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_markers_name_the_values_that_are_null() {
        assert_eq!(null_marker(&[Value::Integer(1), "x".into()]), None);
        assert_eq!(null_marker(&[Value::Null, 1i64.into(), Value::Null]).as_deref(), Some(" /* NULL:1,3 */"));
    }
}
