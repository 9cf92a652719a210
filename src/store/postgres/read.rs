//! Statements on a connection to PostgreSQL.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use futures::TryStreamExt;
use parking_lot::RwLock;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::Query as SqlxQuery;
use sqlx::{AssertSqlSafe, Postgres};

use super::dialect::translate;
use super::fault::classify;
use super::value::{Bound, null_marker};
use crate::store::StoreError;
use crate::store::statement::{Query, Statement};
use crate::store::transaction::ReadSnapshot;

/// A connection to read from.
pub enum PostgresSnapshot {
    /// Each statement sees what is committed when it begins.
    Single(PoolConnection<Postgres>),
    /// All statements see the same state.
    Transaction(sqlx::Transaction<'static, Postgres>),
}

impl PostgresSnapshot {
    fn connection(&mut self) -> &mut PgConnection {
        match self {
            Self::Single(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }
}

impl ReadSnapshot for PostgresSnapshot {
    async fn fetch_while<T: Send>(
        &mut self,
        query: Query<'_, T>,
        go_on: impl FnMut(&T) -> bool + Send,
    ) -> Result<Vec<T>, StoreError> {
        fetch_while(self.connection(), query, go_on).await
    }

    async fn fetch_optional<T: Send>(&mut self, query: Query<'_, T>) -> Result<Option<T>, StoreError> {
        fetch_optional(self.connection(), query).await
    }
}

/// Reads rows in order, as long as `go_on` says so of the value that was read last.
///
/// # Errors
/// The database failed, or a row holds something else than this program has written. Likewise below.
pub async fn fetch_while<T: Send>(
    connection: &mut PgConnection,
    query: Query<'_, T>,
    mut go_on: impl FnMut(&T) -> bool + Send,
) -> Result<Vec<T>, StoreError> {
    let Query { statement, read } = query;
    let mut rows = bound(statement).fetch(connection);
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

/// The first row, if there is one.
pub async fn fetch_optional<T: Send>(
    connection: &mut PgConnection,
    query: Query<'_, T>,
) -> Result<Option<T>, StoreError> {
    let Query { statement, read } = query;
    let row = bound(statement).fetch_optional(connection).await.map_err(classify)?;
    Ok(row.map(|row| read(&row)).transpose()?)
}

/// The statement in PostgreSQL's SQL, with its values.
pub fn bound(statement: Statement<'_>) -> SqlxQuery<'static, Postgres, PgArguments> {
    let mut sql = match statement.sql {
        Cow::Borrowed(sql) => translated(sql),
        Cow::Owned(sql) => translate(&sql).into(),
    };
    if let Some(marker) = null_marker(&statement.values) {
        sql = format!("{sql}{marker}").into();
    }
    // Built from literals of this program and placeholders.
    let query = sqlx::query(AssertSqlSafe(sql));
    statement.values.into_iter().fold(query, |query, value| query.bind(Bound(value)))
}

/// The translation of a text of this program, made once.
fn translated(sql: &'static str) -> Arc<str> {
    static KNOWN: RwLock<Option<HashMap<&'static str, Arc<str>>>> = RwLock::new(None);
    let known = KNOWN.read();
    if let Some(text) = known.as_ref().and_then(|known| known.get(sql)) {
        return Arc::clone(text);
    }
    drop(known);
    let text: Arc<str> = translate(sql).into();
    let mut known = KNOWN.write();
    known.get_or_insert_default().insert(sql, Arc::clone(&text));
    text
}
