//! What SQLite's result codes say: may the same call succeed later, and what does it wait for?

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

/// Extended codes of the file system itself being damaged: trying again does not help.
const IOERR_DATA: i32 = IOERR | (32 << 8);
const IOERR_CORRUPTFS: i32 = IOERR | (33 << 8);

/// What a failed call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Another program's lock.
    Locked,
    /// Room on the disk.
    Full,
    /// The system: it has no descriptor or memory left, or the file system does not answer.
    Away,
    /// Nothing: the same call fails again.
    Lasting,
}

impl Fault {
    /// What an extended result code says, with the system's error behind it. SQLite knows a full disk; a quota that is
    /// used up is an I/O error for it.
    fn of_codes(code: i32, system: i32) -> Self {
        match Self::of_code(code) {
            Self::Away if code & 0xff == IOERR && system == Errno::EDQUOT as i32 => Self::Full,
            fault => fault,
        }
    }

    /// What an extended result code says.
    pub(super) fn of_code(code: i32) -> Self {
        match code {
            IOERR_DATA | IOERR_CORRUPTFS => Self::Lasting,
            _ => match code & 0xff {
                BUSY | LOCKED | PROTOCOL => Self::Locked,
                FULL => Self::Full,
                NOMEM | INTERRUPT | IOERR | CANTOPEN => Self::Away,
                _ => Self::Lasting,
            },
        }
    }

    fn error(self, error: Arc<dyn std::error::Error + Send + Sync>) -> StoreError {
        match self {
            Self::Locked => StoreError::Locked(error),
            Self::Full => StoreError::Full(error),
            Self::Away => StoreError::Unavailable(error),
            Self::Lasting => StoreError::Failed(error),
        }
    }
}

/// What a read's error says.
pub(super) fn classify(error: sqlx::Error) -> StoreError {
    let fault = match &error {
        // All readers are busy, or the system starts no thread and opens no file for another one.
        sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed | sqlx::Error::Io(_) => Fault::Away,
        sqlx::Error::Database(database) => {
            let code = database.code().and_then(|code| code.parse().ok());
            code.map_or(Fault::Lasting, Fault::of_code)
        }
        _ => Fault::Lasting,
    };
    fault.error(Arc::new(error))
}

/// What a write's error says, which is the last one of this connection.
pub(super) fn classify_write(connection: &rusqlite::Connection, error: rusqlite::Error) -> StoreError {
    let system = system_error(connection);
    let fault = error.sqlite_error().map_or(Fault::Lasting, |error| Fault::of_codes(error.extended_code, system));
    fault.error(Arc::new(error))
}

/// What an error while a connection was opened says.
pub(super) fn classify_open(error: rusqlite::Error) -> StoreError {
    let fault = error.sqlite_error().map_or(Fault::Lasting, |error| Fault::of_code(error.extended_code));
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
    fn quota_that_is_used_up_is_a_full_disk() {
        let quota = Errno::EDQUOT as i32;
        // IOERR_WRITE, IOERR_FSYNC, IOERR_TRUNCATE.
        for code in [778, 1034, 1546] {
            assert_eq!(
                (Fault::of_codes(code, quota), Fault::of_codes(code, Errno::EIO as i32)),
                (Fault::Full, Fault::Away)
            );
        }
        for code in [5, 14, 11, IOERR_DATA] {
            assert_eq!(Fault::of_codes(code, quota), Fault::of_code(code), "{code} has no such error behind it");
        }
    }

    #[test]
    fn codes_that_may_pass_are_told_from_those_that_last() {
        for (code, fault) in [
            (5, Fault::Locked),
            // BUSY_SNAPSHOT, BUSY_RECOVERY, LOCKED_SHAREDCACHE.
            (517, Fault::Locked),
            (261, Fault::Locked),
            (262, Fault::Locked),
            (15, Fault::Locked),
            (13, Fault::Full),
            // IOERR_WRITE, IOERR_SHMSIZE, IOERR_FSYNC, CANTOPEN, NOMEM.
            (778, Fault::Away),
            (4874, Fault::Away),
            (1034, Fault::Away),
            (14, Fault::Away),
            (7, Fault::Away),
            (IOERR_CORRUPTFS, Fault::Lasting),
            (IOERR_DATA, Fault::Lasting),
            // CORRUPT, NOTADB, CONSTRAINT_TRIGGER, READONLY, ERROR.
            (11, Fault::Lasting),
            (26, Fault::Lasting),
            (1811, Fault::Lasting),
            (8, Fault::Lasting),
            (1, Fault::Lasting),
        ] {
            assert_eq!(Fault::of_code(code), fault, "{code}");
        }
    }
}
