//! Classifies PostgreSQL's errors: may the same call succeed later, and what does it wait for?

use std::sync::Arc;

use sqlx::error::DatabaseError;

use crate::store::StoreError;

/// What a failed call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: another transaction was in the way. The same transaction succeeds when it is repeated.
    Conflict,
    /// The connection is lost; of a commit it is not known whether it was made.
    Disconnected,
    /// The server has no connection, no memory or no time left.
    Unavailable,
    /// Space on the server's disk.
    Full,
    /// Nothing: the same call fails again.
    Permanent,
}

impl Fault {
    /// What an error means.
    pub fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed | sqlx::Error::Tls(_) => {
                Self::Disconnected
            }
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::BeginFailed => Self::Unavailable,
            sqlx::Error::Database(database) => database.code().map_or(Self::Permanent, |code| Self::of_code(&code)),
            _ => Self::Permanent,
        }
    }

    /// What an SQLSTATE means (PostgreSQL's documentation, appendix A).
    fn of_code(code: &str) -> Self {
        match code {
            // serialization_failure, deadlock_detected, unique_violation: two instances were as fast as each other.
            "40001" | "40P01" | "23505" => Self::Conflict,
            // disk_full
            "53100" => Self::Full,
            // admin_shutdown, crash_shutdown, idle_session_timeout: the connection is closed.
            "57P01" | "57P02" | "57P05" => Self::Disconnected,
            // cannot_connect_now, read_only_sql_transaction (a standby), lock_not_available, query_canceled
            "57P03" | "25006" | "55P03" | "57014" => Self::Unavailable,
            // Connection exceptions, and insufficient resources.
            _ if code.starts_with("08") => Self::Disconnected,
            _ if code.starts_with("53") => Self::Unavailable,
            _ => Self::Permanent,
        }
    }

    fn error(self, error: sqlx::Error) -> StoreError {
        let error = Arc::new(error);
        match self {
            Self::Full => StoreError::Full(error),
            Self::Permanent => StoreError::Failed(error),
            Self::Conflict | Self::Disconnected | Self::Unavailable => StoreError::Unavailable(error),
        }
    }
}

/// The error of a call.
pub fn classify(error: sqlx::Error) -> StoreError {
    Fault::of(&error).error(error)
}

/// The code of a database's error.
pub fn code_of(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(DatabaseError::code).map(|code| code.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_codes_are_transient_or_permanent() {
        for (code, fault) in [
            ("40001", Fault::Conflict),
            ("40P01", Fault::Conflict),
            ("23505", Fault::Conflict),
            ("53100", Fault::Full),
            // out_of_memory, too_many_connections
            ("53200", Fault::Unavailable),
            ("53300", Fault::Unavailable),
            ("57P01", Fault::Disconnected),
            ("57P03", Fault::Unavailable),
            ("08006", Fault::Disconnected),
            ("25006", Fault::Unavailable),
            // check_violation, integrity_constraint_violation, undefined_table, invalid_password
            ("23514", Fault::Permanent),
            ("23000", Fault::Permanent),
            ("42P01", Fault::Permanent),
            ("28P01", Fault::Permanent),
        ] {
            assert_eq!(Fault::of_code(code), fault, "{code}");
        }
    }
}
