//! Classifies SQLite's result codes: may the same call succeed later, and what does it wait for?

use std::sync::Arc;

use nix::errno::Errno;

use crate::store::StoreError;

/// Primary result codes (sqlite.org/rescode.html); they are the low byte of the extended ones.
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const NOMEM: i32 = 7;
const INTERRUPT: i32 = 9;
const IOERR: i32 = 10;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const PROTOCOL: i32 = 15;

/// Extended codes of a damaged file system: the same call fails again.
const IOERR_DATA: i32 = IOERR | (32 << 8);
const IOERR_CORRUPTFS: i32 = IOERR | (33 << 8);

/// What a failed call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Another program's lock.
    Locked,
    /// Space on the disk.
    Full,
    /// The system: it has no descriptor or memory left, or the file system does not answer.
    Unavailable,
    /// Nothing: the same call fails again.
    Permanent,
}

impl Fault {
    /// Called by an extended result code and the system's error behind it. SQLite reports an exhausted quota as an I/O
    /// error.
    fn of_codes(code: i32, system: i32) -> Self {
        match Self::of_code(code) {
            Self::Unavailable if code & 0xff == IOERR && system == Errno::EDQUOT as i32 => Self::Full,
            fault => fault,
        }
    }

    /// Called by an extended result code.
    pub(super) fn of_code(code: i32) -> Self {
        match code {
            IOERR_DATA | IOERR_CORRUPTFS => Self::Permanent,
            _ => match code & 0xff {
                BUSY | LOCKED | PROTOCOL => Self::Locked,
                FULL => Self::Full,
                NOMEM | INTERRUPT | IOERR | CANTOPEN => Self::Unavailable,
                _ => Self::Permanent,
            },
        }
    }

    fn error(self, error: Arc<dyn std::error::Error + Send + Sync>) -> StoreError {
        match self {
            Self::Locked => StoreError::Locked(error),
            Self::Full => StoreError::Full(error),
            Self::Unavailable => StoreError::Unavailable(error),
            Self::Permanent => StoreError::Failed(error),
        }
    }
}

/// The error of a read.
pub(super) fn classify(error: sqlx::Error) -> StoreError {
    let fault = match &error {
        // All connections are busy, or the system starts no thread and opens no file for another one.
        sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed | sqlx::Error::Io(_) => Fault::Unavailable,
        sqlx::Error::Database(database) => {
            let code = database.code().and_then(|code| code.parse().ok());
            code.map_or(Fault::Permanent, Fault::of_code)
        }
        _ => Fault::Permanent,
    };
    fault.error(Arc::new(error))
}

/// The error of a write, which is the last one of this connection.
pub(super) fn classify_write(connection: &rusqlite::Connection, error: rusqlite::Error) -> StoreError {
    let system = system_error(connection);
    let fault = error.sqlite_error().map_or(Fault::Permanent, |error| Fault::of_codes(error.extended_code, system));
    fault.error(Arc::new(error))
}

/// The error of opening a connection.
pub(super) fn classify_open(error: rusqlite::Error) -> StoreError {
    let fault = error.sqlite_error().map_or(Fault::Permanent, |error| Fault::of_code(error.extended_code));
    fault.error(Arc::new(error))
}

/// The system's error number behind the last I/O error of a connection (sqlite.org/c3ref/system_errno.html).
#[allow(unsafe_code)]
fn system_error(connection: &rusqlite::Connection) -> i32 {
    // SAFETY: the handle is open as long as the connection is borrowed, and this reads one number of it.
    unsafe { rusqlite::ffi::sqlite3_system_errno(connection.handle()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_of_an_exhausted_quota_is_a_full_disk() {
        let quota = Errno::EDQUOT as i32;
        // IOERR_WRITE, IOERR_FSYNC, IOERR_TRUNCATE.
        for code in [778, 1034, 1546] {
            assert_eq!(
                (Fault::of_codes(code, quota), Fault::of_codes(code, Errno::EIO as i32)),
                (Fault::Full, Fault::Unavailable)
            );
        }
        for code in [5, 14, 11, IOERR_DATA] {
            assert_eq!(Fault::of_codes(code, quota), Fault::of_code(code), "{code} has no such error behind it");
        }
    }

    #[test]
    fn fault_codes_are_transient_or_permanent() {
        for (code, fault) in [
            (5, Fault::Locked),
            // BUSY_SNAPSHOT, BUSY_RECOVERY, LOCKED_SHAREDCACHE.
            (517, Fault::Locked),
            (261, Fault::Locked),
            (262, Fault::Locked),
            (15, Fault::Locked),
            (13, Fault::Full),
            // IOERR_WRITE, IOERR_SHMSIZE, IOERR_FSYNC, CANTOPEN, NOMEM.
            (778, Fault::Unavailable),
            (4874, Fault::Unavailable),
            (1034, Fault::Unavailable),
            (14, Fault::Unavailable),
            (7, Fault::Unavailable),
            (IOERR_CORRUPTFS, Fault::Permanent),
            (IOERR_DATA, Fault::Permanent),
            // CORRUPT, NOTADB, CONSTRAINT_TRIGGER, READONLY, ERROR.
            (11, Fault::Permanent),
            (26, Fault::Permanent),
            (1811, Fault::Permanent),
            (8, Fault::Permanent),
            (1, Fault::Permanent),
        ] {
            assert_eq!(Fault::of_code(code), fault, "{code}");
        }
    }
}
