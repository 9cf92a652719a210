//! The database of a test: a SQLite file, or a database of its own on a PostgreSQL server (`scripts/test.sh postgres`).

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::Command;

use runtrail::store::{Durability, PostgresOptions, Store};

use super::{LIMIT, rng};

/// A database. One on a server is dropped with it.
pub enum TestDatabase {
    Sqlite(PathBuf),
    Postgres { server: String, name: String },
}

/// The URL of the tests' PostgreSQL server, without a database. `scripts/test.sh` starts it.
pub fn postgres_server() -> String {
    std::env::var("RUNTRAIL_TEST_POSTGRES").expect("RUNTRAIL_TEST_POSTGRES names a server: run scripts/test.sh")
}

/// Whether tests that work with either database use PostgreSQL this time.
pub fn is_postgres_wanted() -> bool {
    std::env::var("RUNTRAIL_TEST_DATABASE").is_ok_and(|name| name == "postgres")
}

impl TestDatabase {
    /// The database of a server with this data folder.
    pub fn of_folder(folder: &Path) -> Self {
        Self::of_file(&folder.join("runtrail.db"))
    }

    /// A database that is this file if it is one of SQLite.
    pub fn of_file(file: &Path) -> Self {
        if is_postgres_wanted() { Self::on_server() } else { Self::Sqlite(file.to_owned()) }
    }

    /// A new database on a PostgreSQL server.
    pub fn on_server() -> Self {
        Self::on(postgres_server())
    }

    /// A new database on the server with this URL.
    pub fn on(server: String) -> Self {
        let name = format!("runtrail_test_{:016x}", rng::fresh_seed());
        psql(&format!("{server}/postgres"), &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"));
        Self::Postgres { server, name }
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// The URL for `--database-url`.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(file) => format!("sqlite://{}", file.display()),
            Self::Postgres { server, name } => format!("{server}/{name}"),
        }
    }

    /// The flags of a server that uses it.
    pub fn flags(&self) -> Vec<String> {
        match self {
            // The file that a server has by itself.
            Self::Sqlite(_) => Vec::new(),
            Self::Postgres { .. } => vec!["--database-url".to_owned(), self.url()],
        }
    }

    pub async fn open(&self, durability: Durability) -> Store {
        match self {
            Self::Sqlite(file) => Store::open_sqlite(file, durability).await.unwrap(),
            Self::Postgres { .. } => {
                let options = PostgresOptions {
                    url: self.url(),
                    password_file: None,
                    max_read_connections: NonZeroU32::new(4).unwrap(),
                };
                Store::open_postgres(&options).await.unwrap()
            }
        }
    }

    /// Carries out a statement behind the program's back.
    pub fn execute(&self, sql: &str) {
        match self {
            Self::Sqlite(file) => {
                let database = rusqlite::Connection::open(file).unwrap();
                database.busy_timeout(LIMIT).unwrap();
                // The next server finds the log as the one before has left it.
                database.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
                database.execute(sql, []).unwrap();
            }
            Self::Postgres { .. } => {
                psql(&self.url(), sql);
            }
        }
    }

    /// The number that a query yields.
    pub fn number(&self, sql: &str) -> i64 {
        match self {
            Self::Sqlite(file) => {
                rusqlite::Connection::open(file).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
            }
            Self::Postgres { .. } => psql(&self.url(), sql).trim().parse().unwrap(),
        }
    }

    /// What a run says that was executed by a server which was killed.
    pub fn loss(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "stopped or killed",
            // Another instance cannot know why.
            Self::Postgres { .. } => "its lease expired",
        }
    }

    /// Ends the leases of all runs that do not wait for a person.
    pub fn lapse_leases(&self) {
        self.execute("UPDATE runs SET lease_until = 1 WHERE status = 'running' AND gate IS NULL");
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Self::Postgres { server, name } = self {
            // A test that failed may have left connections.
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            let _ = command(&format!("{server}/postgres"), &drop).output();
        }
    }
}

/// Carries out SQL by PostgreSQL's own client. Returns what it prints, without headings.
///
/// # Panics
/// The server refuses it.
pub fn psql(url: &str, sql: &str) -> String {
    let output = command(url, sql).output().unwrap();
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn command(url: &str, sql: &str) -> Command {
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--dbname"]);
    psql.arg(url).args(["--command", sql]);
    psql
}
