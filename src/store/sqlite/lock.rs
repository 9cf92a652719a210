//! One server per database: readers are notified of commits inside one program only.
//!
//! Two locks enforce it. One is on a file beside the database, named after the database itself, whatever link it was
//! reached by. The other one is on the database, since a hard link has another name and the file beside it may be
//! removed.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::file_lock;
use crate::store::StoreError;

/// Keeps other servers from a database until it is dropped.
pub(super) struct Lock {
    file: PathBuf,
    _beside: File,
    _itself: itself::Held,
}

impl Lock {
    /// Locks a database, and creates an empty file first if there is none and `create` says so. Blocks, for a moment if
    /// another program has it.
    ///
    /// # Errors
    /// [`StoreError::InUse`], or the file cannot be opened or locked.
    pub(super) fn take(database: &Path, create: bool) -> Result<Self, StoreError> {
        Self::try_take(database, create)
            .map_err(|error| StoreError::Failed(Arc::new(error)))
            .and_then(|lock| lock.ok_or(StoreError::InUse))
    }

    /// The database by its own name: SQLite must be given no other, since it keeps its log beside it.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    fn try_take(database: &Path, create: bool) -> io::Result<Option<Self>> {
        if create && !database.exists() {
            // Also where a link leads. Another program may create it at the same time, and then it is the same file.
            // SQLite takes an empty file for a new database.
            File::options().create(true).truncate(false).write(true).mode(0o644).open(database)?;
        }
        let file = database.canonicalize()?;
        let mut beside = file.as_os_str().to_owned();
        beside.push(".lock");
        let beside = File::options().create(true).truncate(false).write(true).open(beside)?;
        if !file_lock::take(&beside)? {
            return Ok(None);
        }
        Ok(itself::Held::take(&file)?.map(|itself| Self { file, _beside: beside, _itself: itself }))
    }
}

/// A file whatever its names: its device and its inode.
type Identity = (u64, u64);

fn identity(file: &std::fs::Metadata) -> Identity {
    (file.dev(), file.ino())
}

/// The lock on the database itself. Linux has two kinds that do not affect each other: this is by `flock`, SQLite's are
/// by `fcntl`.
#[cfg(target_os = "linux")]
mod itself {
    use std::collections::BTreeMap;
    use std::collections::btree_map::Entry;
    use std::fs::{File, TryLockError};
    use std::io;
    use std::os::fd::IntoRawFd;
    use std::path::Path;

    use nix::sys::statfs::{FsType, NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, fstatfs};
    use parking_lot::{Mutex, MutexGuard};

    use super::{Identity, file_lock, identity};

    /// File systems of newer SMB protocols and of virtual machines' hosts (linux/magic.h).
    const OTHER_SHARES: [i64; 3] = [0xFF53_4D42, 0xFE53_4D42, 0x0102_1997];

    /// Every database that this program has ever locked, open, and whether it has the lock now.
    ///
    /// None is closed before the program ends. When a program closes a file, it loses all its locks of SQLite's kind on
    /// that file, whichever part of it holds them (sqlite.org/howtocorrupt.html, 2.2), and SQLite does not say when it
    /// has closed its last connection. A server has one database.
    static DATABASES: Mutex<BTreeMap<Identity, (File, bool)>> = Mutex::new(BTreeMap::new());

    fn databases() -> MutexGuard<'static, BTreeMap<Identity, (File, bool)>> {
        DATABASES.lock()
    }

    /// The lock, until this is dropped.
    pub(super) struct Held(Identity);

    impl Held {
        /// `None` if another program, or another part of this one, has it.
        pub(super) fn take(file: &Path) -> io::Result<Option<Self>> {
            let identity = open(file)?;
            let taken = file_lock::patiently(|| match databases().get_mut(&identity) {
                // Another part of this program.
                None | Some((_, true)) => Ok(false),
                Some((file, held)) => {
                    *held = is_shared(file) || try_lock(file)?;
                    Ok(*held)
                }
            })?;
            Ok(taken.then_some(Self(identity)))
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            if let Some((file, held)) = databases().get_mut(&self.0) {
                *held = false;
                // It fails for no open file; and if it did, the lock would end with the program.
                let _ = file.unlock();
            }
        }
    }

    /// Opens it, unless it is open.
    fn open(file: &Path) -> io::Result<Identity> {
        let mut databases = databases();
        let known = identity(&file.metadata()?);
        if databases.contains_key(&known) {
            return Ok(known);
        }
        let opened = File::options().read(true).write(true).open(file)?;
        // The name may have been given to another file meanwhile.
        let known = identity(&opened.metadata()?);
        match databases.entry(known) {
            Entry::Vacant(place) => {
                place.insert((opened, false));
            }
            // Not closed: see `DATABASES`.
            Entry::Occupied(_) => {
                let _ = opened.into_raw_fd();
            }
        }
        Ok(known)
    }

    fn try_lock(file: &File) -> io::Result<bool> {
        match file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether the file is on another machine. There both kinds of lock are the same, so this one would keep SQLite
    /// out; SQLite's log does not work for more than one machine anyway (sqlite.org/wal.html).
    #[allow(clippy::unnecessary_cast, reason = "of another width on other machines")]
    fn is_shared(file: &File) -> bool {
        fstatfs(file).is_ok_and(|system| {
            let FsType(kind) = system.filesystem_type();
            system.filesystem_type() == NFS_SUPER_MAGIC
                || system.filesystem_type() == SMB_SUPER_MAGIC
                || OTHER_SHARES.contains(&(kind as i64))
        })
    }
}

/// Elsewhere the two kinds of lock may be one, so there is none on the database itself.
#[cfg(not(target_os = "linux"))]
mod itself {
    pub(super) struct Held;

    impl Held {
        pub(super) fn take(_: &std::path::Path) -> std::io::Result<Option<Self>> {
            Ok(Some(Self))
        }
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::{Durability, SqliteDatabase};

    /// How many locks SQLite has on the file, by `/proc/locks`.
    fn locks_of_sqlite(file: &Path) -> usize {
        let (pid, end) = (std::process::id().to_string(), format!(":{}", file.metadata().unwrap().ino()));
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        let words = locks.lines().map(|lock| lock.split_whitespace().collect::<Vec<_>>());
        words.filter(|words| words[1] == "POSIX" && words[4] == pid && words[5].ends_with(&end)).count()
    }

    /// Also inside one program: a refused server leaves the other one all its locks, SQLite's too.
    #[tokio::test]
    async fn database_lock_survives_a_refused_server() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.db");
        let store = SqliteDatabase::open(&file, Durability::Normal).await.unwrap();
        let locks = locks_of_sqlite(&file);
        assert!(locks > 0);
        let hard = folder.path().join("hard.db");
        std::fs::hard_link(&file, &hard).unwrap();
        for name in [&file, &hard] {
            let refused = SqliteDatabase::open(name, Durability::Normal).await;
            assert!(matches!(refused, Err(StoreError::InUse)), "{}", name.display());
            assert_eq!(locks_of_sqlite(&file), locks);
        }
        // Inside one program, a connection that is closed later than the file is opened again takes its locks away.
        let close = async |store: SqliteDatabase| store.reads.close().await;
        close(store).await;
        close(SqliteDatabase::open(&hard, Durability::Normal).await.unwrap()).await;
        SqliteDatabase::open(&file, Durability::Normal).await.unwrap();
    }

    /// A link to a file that does not exist yet leads to the created database.
    #[tokio::test]
    async fn database_is_created_where_a_link_leads() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("deep.db"), folder.path().join("link.db"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        drop(SqliteDatabase::open(&link, Durability::Normal).await.unwrap());
        assert!(file.is_file() && link.is_symlink());
        assert!(!folder.path().join("link.db.lock").exists() && folder.path().join("deep.db.lock").exists());
        let nowhere = SqliteDatabase::open(&folder.path().join("none/x.db"), Durability::Normal).await;
        assert!(matches!(nowhere, Err(StoreError::Failed(_))));
    }
}
