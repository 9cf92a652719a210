//! Opens a database at the start of an instance, and says clearly why it cannot.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Row as _};
use tokio::time::timeout;

use super::clock::ServerClock;
use super::fault::{Fault, classify, code_of};
use crate::store::StoreError;

/// How long the first connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The oldest version that is supported, as `server_version_num` says it.
const OLDEST_VERSION: i32 = 140_000;

/// How many statements a connection keeps prepared: more than the program has.
const PREPARED_STATEMENTS: usize = 500;

/// Which database, and how it is used.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Such as `postgres://user@host:5432/database?sslmode=verify-full`.
    pub url: String,
    /// A file with the password, in place of one in the URL.
    pub password_file: Option<PathBuf>,
    /// How many connections read at once. Three more write, notify and listen.
    pub max_read_connections: NonZeroU32,
}

/// Why a database cannot be used. The texts name no password.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PostgresError {
    #[error(
        "the URL is not one of PostgreSQL: {0}; it looks like postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full"
    )]
    Url(String),
    #[error("cannot read the password file {}: {error}", file.display())]
    PasswordFile { file: PathBuf, error: Arc<std::io::Error> },
    #[error("the server {place} cannot be reached: {error}")]
    Unreachable { place: String, error: String },
    #[error("the server {place} refuses the user {user}: {error}; check the user and --database-password-file")]
    Refused { place: String, user: String, error: String },
    #[error("the server {place} has no such database: {error}; create it with `createdb`")]
    NoDatabase { place: String, error: String },
    #[error("the server {place} is a read-only standby; give the address of the primary")]
    Standby { place: String },
    #[error("the server {place} is PostgreSQL {version}; version 14 or later is needed")]
    TooOld { place: String, version: String },
    #[error("the database has the encoding {0}; create one with UTF8")]
    Encoding(String),
    #[error("the database has schema version {0} of a newer Runtrail; install that version, or restore a backup")]
    NewerSchema(i64),
    #[error("a migration has changed since the database was created with it: {0}")]
    ChangedMigration(i64),
    #[error("the database cannot be migrated: {0}")]
    Migration(String),
    #[error("the server {place} failed: {error}")]
    Other { place: String, error: String },
}

impl From<PostgresError> for StoreError {
    fn from(error: PostgresError) -> Self {
        Self::Failed(Arc::new(error))
    }
}

/// The options of all connections of an instance, and the server's clock. The database is reachable and has this
/// version's schema.
///
/// # Errors
/// [`StoreError::Failed`] with a [`PostgresError`].
pub async fn prepare(options: &PostgresOptions, instance: i64) -> Result<(PgConnectOptions, ServerClock), StoreError> {
    let connect = connect_options(options, instance).await?;
    let place = place(&connect);
    let opening = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&connect)).await;
    let opened = opening.unwrap_or_else(|_| {
        let sentence = format!("no answer within {} s", CONNECT_TIMEOUT.as_secs());
        Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, sentence)))
    });
    let mut connection = opened.map_err(|error| refusal(place.clone(), &connect, &error))?;
    check_server(&mut connection, &place).await?;
    migrate(&mut connection).await?;
    let clock = ServerClock::ask(&mut connection).await.map_err(classify)?;
    // It has done its work.
    let _ = connection.close().await;
    Ok((connect, clock))
}

async fn connect_options(options: &PostgresOptions, instance: i64) -> Result<PgConnectOptions, PostgresError> {
    let url_error = |error: sqlx::Error| PostgresError::Url(without_prefix(&error));
    let mut connect = PgConnectOptions::from_str(&options.url).map_err(url_error)?;
    if let Some(file) = &options.password_file {
        connect = connect.password(&read_password(file).await?);
    }
    Ok(connect
        .application_name(&format!("runtrail {instance:x}"))
        .statement_cache_capacity(PREPARED_STATEMENTS)
        // A transaction of this program that waits for so long has lost its instance.
        .options([("idle_in_transaction_session_timeout", "60s"), ("client_min_messages", "warning")])
        .disable_statement_logging())
}

async fn read_password(file: &Path) -> Result<String, PostgresError> {
    let text = tokio::fs::read_to_string(file).await;
    let text = text.map_err(|error| PostgresError::PasswordFile { file: file.to_owned(), error: Arc::new(error) })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// The server and the database, without user and password.
fn place(connect: &PgConnectOptions) -> String {
    let server = match connect.get_socket() {
        Some(folder) => folder.display().to_string(),
        None => format!("{}:{}", connect.get_host(), connect.get_port()),
    };
    format!("{server}/{}", connect.get_database().unwrap_or(connect.get_username()))
}

/// Why no connection was opened.
fn refusal(place: String, connect: &PgConnectOptions, error: &sqlx::Error) -> PostgresError {
    let text = without_prefix(error);
    match code_of(error).as_deref() {
        // invalid_password, invalid_authorization_specification
        Some("28P01" | "28000") => {
            PostgresError::Refused { place, user: connect.get_username().to_owned(), error: text }
        }
        Some("3D000") => PostgresError::NoDatabase { place, error: text },
        Some("57P03") => PostgresError::Unreachable { place, error: text },
        _ => match Fault::of(error) {
            Fault::Disconnected => PostgresError::Unreachable { place, error: text },
            _ => PostgresError::Other { place, error: text },
        },
    }
}

/// The text of an error without the sentences that only say where it was met.
fn without_prefix(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Configuration(error) | sqlx::Error::Tls(error) => error.to_string(),
        error => error.to_string(),
    }
}

async fn check_server(connection: &mut PgConnection, place: &str) -> Result<(), StoreError> {
    let asked = sqlx::query(
        "SELECT pg_is_in_recovery() AS is_standby, current_setting('server_version_num')::int AS number,
            current_setting('server_version') AS version, current_setting('server_encoding') AS encoding",
    );
    let row = asked.fetch_one(connection).await.map_err(classify)?;
    let place = || place.to_owned();
    if row.try_get("is_standby").map_err(classify)? {
        return Err(PostgresError::Standby { place: place() }.into());
    }
    if row.try_get::<i32, _>("number").map_err(classify)? < OLDEST_VERSION {
        let version = row.try_get("version").map_err(classify)?;
        return Err(PostgresError::TooOld { place: place(), version }.into());
    }
    let encoding: String = row.try_get("encoding").map_err(classify)?;
    if encoding != "UTF8" {
        return Err(PostgresError::Encoding(encoding).into());
    }
    Ok(())
}

/// Migrates the schema. Instances that start at once wait for each other.
async fn migrate(connection: &mut PgConnection) -> Result<(), PostgresError> {
    let migrated = sqlx::migrate!("migrations/postgres").run_direct(None, connection, false).await;
    migrated.map_err(|error| match error {
        MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => {
            PostgresError::NewerSchema(version)
        }
        MigrateError::VersionMismatch(version) => PostgresError::ChangedMigration(version),
        error => PostgresError::Migration(error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_names_no_user_and_no_password() {
        let connect = PgConnectOptions::from_str("postgres://ann:secret@db.example:5433/runs").unwrap();
        assert_eq!(place(&connect), "db.example:5433/runs");
        let socket = PgConnectOptions::from_str("postgres:///runs?host=/run/postgresql&user=ann").unwrap();
        assert_eq!(place(&socket), "/run/postgresql/runs");
    }
}
