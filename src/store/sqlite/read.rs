//! Reads, by sqlx: on connections that cannot write.

use std::borrow::Cow;

use futures::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::query::Query as SqlxQuery;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _, Sqlite, SqliteConnection};

use super::fault::classify;
use crate::store::row::Row;
use crate::store::statement::{Query, Statement, Value};
use crate::store::transaction::ReadSnapshot;
use crate::store::{RowError, StoreError};

/// A connection to read from.
pub enum SqliteSnapshot {
    /// Each statement sees what is committed when it begins.
    Single(PoolConnection<Sqlite>),
    /// All statements see the same state.
    Transaction(sqlx::Transaction<'static, Sqlite>),
}

impl SqliteSnapshot {
    fn connection(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Single(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }
}

impl ReadSnapshot for SqliteSnapshot {
    async fn fetch_while<T: Send>(
        &mut self,
        query: Query<'_, T>,
        mut go_on: impl FnMut(&T) -> bool + Send,
    ) -> Result<Vec<T>, StoreError> {
        let Query { statement, read } = query;
        let mut rows = bound(statement).fetch(self.connection());
        let mut values = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(classify)? {
            let value = read(&row)?;
            let is_last = !go_on(&value);
            values.push(value);
            if is_last {
                break;
            }
        }
        Ok(values)
    }

    async fn fetch_optional<T: Send>(&mut self, query: Query<'_, T>) -> Result<Option<T>, StoreError> {
        let Query { statement, read } = query;
        let row = bound(statement).fetch_optional(self.connection()).await.map_err(classify)?;
        Ok(row.map(|row| read(&row)).transpose()?)
    }
}

fn bound(statement: Statement<'_>) -> SqlxQuery<'static, Sqlite, SqliteArguments> {
    let query = match statement.sql {
        Cow::Borrowed(sql) => sqlx::query(sql),
        // Built from literals of this program and placeholders.
        Cow::Owned(sql) => sqlx::query(AssertSqlSafe(sql)),
    };
    statement.values.into_iter().fold(query, |query, value| match value {
        Value::Null => query.bind(None::<i64>),
        Value::Integer(number) => query.bind(number),
        Value::Text(text) => query.bind(text.into_owned()),
        Value::Bytes(bytes) => query.bind(bytes.into_owned()),
    })
}

impl Row for SqliteRow {
    fn text(&self, column: &str) -> Result<Option<&str>, RowError> {
        self.try_get(column).map_err(|error| RowError::new(column, error))
    }

    fn integer(&self, column: &str) -> Result<Option<i64>, RowError> {
        self.try_get(column).map_err(|error| RowError::new(column, error))
    }

    fn bytes(&self, column: &str) -> Result<Option<&[u8]>, RowError> {
        self.try_get(column).map_err(|error| RowError::new(column, error))
    }

    fn is_null(&self, column: &str) -> Result<bool, RowError> {
        let value = self.try_get_raw(column).map_err(|error| RowError::new(column, error))?;
        Ok(sqlx::ValueRef::is_null(&value))
    }
}
