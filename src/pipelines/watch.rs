//! Keeps a reading of a folder in step with the folder.
//!
//! The system's change events (inotify on Linux) only ring a bell; what changed is found by reading the folder again, a
//! moment after the last event, so that a file is not read while it is being saved. Each reading watches anew *before* it
//! reads: nothing that happens in between is missed, and it does not matter how a file or the folder itself was replaced.
//!
//! Events cannot tell of a folder that is not there, of one that took the watched one's place behind a symbolic link, or of
//! a system that has no watches left. So every [`TICK`] the folder is looked up, and read if it is not the one watched. Not
//! noticed: changes made by another machine on a network file system, and to files that are links out of the folder, until
//! something in the folder itself changes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// Without an event for this long, a change is taken to be complete.
const QUIET: Duration = Duration::from_millis(100);

/// A folder that never comes to rest is read all the same after this long.
const IMPATIENT: Duration = Duration::from_secs(1);

/// How often the folder is looked up.
const TICK: Duration = Duration::from_secs(2);

/// Wakes the thread of a [`FolderWatch`]. Carries nothing; ringing twice is ringing once.
#[derive(Clone, Debug)]
pub(super) struct Bell(SyncSender<()>);

impl Bell {
    /// A bell, and the ear that hears it.
    pub fn new() -> (Self, Receiver<()>) {
        let (bell, ear) = mpsc::sync_channel(1);
        (Self(bell), ear)
    }

    /// Rings. Never waits: if it is full, it is ringing already.
    pub fn ring(&self) {
        let _ = self.0.try_send(());
    }
}

/// The folder as a file system knows it, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

/// A watch on one folder that rings a bell.
#[derive(Debug)]
pub(super) struct FolderWatch {
    folder: PathBuf,
    watcher: Option<RecommendedWatcher>,
    /// The folder the watch is on; `None` if there is no watch.
    watched: Option<Identity>,
    /// Whether it was said that there is no watch.
    complained: bool,
}

impl FolderWatch {
    /// A watch that is not on yet; see [`FolderWatch::renew`].
    pub fn new(folder: &Path, bell: Bell) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.as_ref().map_or(true, |event| is_change(&event.kind)) {
                bell.ring();
            }
        });
        let watcher = watcher.inspect_err(|error| tracing::warn!(%error, "no watch on the folder of pipelines")).ok();
        Self { folder: folder.to_owned(), complained: watcher.is_none(), watcher, watched: None }
    }

    /// Watches the folder that is there now. To be called before each reading.
    pub fn renew(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        if self.watched.take().is_some() {
            // An error says that the watch went away with its folder.
            let _ = watcher.unwatch(&self.folder);
        }
        let Some(identity) = identity(&self.folder) else { return };
        match watcher.watch(&self.folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.watched = Some(identity);
                self.complained = false;
            }
            Err(error) if !self.complained => {
                tracing::warn!(%error, "no watch on the folder of pipelines; it is read every {} s", TICK.as_secs());
                self.complained = true;
            }
            Err(_) => {}
        }
    }

    /// Waits until the folder should be read again. Also returns whenever the bell rings.
    pub fn wait(&self, ear: &Receiver<()>) {
        loop {
            match ear.recv_timeout(TICK) {
                Ok(()) => return settle(ear),
                Err(RecvTimeoutError::Timeout) if self.watched.is_some() && self.watched == identity(&self.folder) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// Waits for the end of a burst of events.
fn settle(ear: &Receiver<()>) {
    let end = Instant::now() + IMPATIENT;
    while Instant::now() < end && ear.recv_timeout(QUIET).is_ok() {}
}

/// Reading a folder makes events too; those must not make it be read again.
fn is_change(kind: &EventKind) -> bool {
    match kind {
        EventKind::Access(kind) => *kind == AccessKind::Close(AccessMode::Write),
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => true,
    }
}

fn identity(folder: &Path) -> Option<Identity> {
    let metadata = fs::metadata(folder).ok()?;
    Some(Identity { device: metadata.dev(), inode: metadata.ino() })
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, ModifyKind, RemoveKind, RenameMode};

    use super::*;

    #[test]
    fn reading_is_no_change_and_all_else_is() {
        let reading = [AccessKind::Any, AccessKind::Open(AccessMode::Any), AccessKind::Close(AccessMode::Read)];
        assert!(reading.iter().all(|kind| !is_change(&EventKind::Access(*kind))));
        let changes = [
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
            EventKind::Create(CreateKind::File),
            EventKind::Modify(ModifyKind::Name(RenameMode::To)),
            EventKind::Remove(RemoveKind::Folder),
            EventKind::Other, // the queue of events ran over
        ];
        assert!(changes.iter().all(is_change));
    }

    #[test]
    fn a_bell_rung_twice_rings_once_and_nobody_waits() {
        let (bell, ear) = Bell::new();
        bell.ring();
        bell.ring();
        assert_eq!(ear.try_recv(), Ok(()));
        assert!(ear.try_recv().is_err());
    }
}
