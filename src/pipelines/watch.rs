//! Notices changes of a folder.
//!
//! The system's change events (inotify on Linux) only wake a thread, which reads the whole folder again a moment after
//! the last event, so that no file is read while it is being saved. The watch is renewed *before* each reading: no
//! change in between is missed, however a file or the folder itself was replaced.
//!
//! No event reports a missing folder, one that was replaced behind a symbolic link, or a system that is out of watches.
//! So every [`CHECK_INTERVAL`] the folder is identified, and read if it is not the watched one. Changes by another
//! machine on a network file system, and of files that are links to outside the folder, are not noticed until something
//! in the folder itself changes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// A change counts as complete after this long without an event.
const SETTLE_TIME: Duration = Duration::from_millis(100);

/// A folder with a constant stream of events is read after this long.
const MAX_SETTLE_TIME: Duration = Duration::from_secs(1);

const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Wakes the thread of a [`FolderWatch`]. Several notifications before it wakes count as one.
#[derive(Clone, Debug)]
pub(super) struct Wakeup(SyncSender<()>);

impl Wakeup {
    pub fn new() -> (Self, Receiver<()>) {
        let (sender, receiver) = mpsc::sync_channel(1);
        (Self(sender), receiver)
    }

    /// Never blocks: a full channel already holds a notification.
    pub fn notify(&self) {
        let _ = self.0.try_send(());
    }
}

/// Identifies a folder independently of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FolderId {
    device: u64,
    inode: u64,
}

/// A watch on one folder.
#[derive(Debug)]
pub(super) struct FolderWatch {
    folder: PathBuf,
    watcher: Option<RecommendedWatcher>,
    /// The watched folder; `None` if there is no watch.
    watched: Option<FolderId>,
    /// Whether the lack of a watch was logged.
    has_warned: bool,
}

impl FolderWatch {
    /// A watch that becomes active with [`FolderWatch::renew`].
    pub fn new(folder: &Path, wakeup: Wakeup) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.as_ref().map_or(true, |event| is_change(&event.kind)) {
                wakeup.notify();
            }
        });
        let watcher = watcher.inspect_err(|error| tracing::warn!(%error, "the folder of pipelines cannot be watched; it is only checked periodically")).ok();
        Self { folder: folder.to_owned(), has_warned: watcher.is_none(), watcher, watched: None }
    }

    /// Watches the folder that is at the path now. Call it before each reading.
    pub fn renew(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        if self.watched.take().is_some() {
            // An error means that the watch ended with its folder.
            let _ = watcher.unwatch(&self.folder);
        }
        let Some(identity) = identity(&self.folder) else { return };
        match watcher.watch(&self.folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.watched = Some(identity);
                self.has_warned = false;
            }
            Err(error) if !self.has_warned => {
                tracing::warn!(%error, "the folder of pipelines cannot be watched; it is read every {} s", CHECK_INTERVAL.as_secs());
                self.has_warned = true;
            }
            Err(_) => {}
        }
    }

    /// Blocks until the folder should be read again, or after a [`Wakeup::notify`].
    pub fn wait(&self, wakeups: &Receiver<()>) {
        loop {
            match wakeups.recv_timeout(CHECK_INTERVAL) {
                Ok(()) => return settle(wakeups),
                Err(RecvTimeoutError::Timeout) if self.watched.is_some() && self.watched == identity(&self.folder) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// Waits for the end of a burst of events.
fn settle(wakeups: &Receiver<()>) {
    let end = Instant::now() + MAX_SETTLE_TIME;
    while Instant::now() < end && wakeups.recv_timeout(SETTLE_TIME).is_ok() {}
}

/// Whether an event means a change. Reading the folder causes events as well, which must not trigger another reading.
fn is_change(kind: &EventKind) -> bool {
    match kind {
        EventKind::Access(kind) => *kind == AccessKind::Close(AccessMode::Write),
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => true,
    }
}

fn identity(folder: &Path) -> Option<FolderId> {
    let metadata = fs::metadata(folder).ok()?;
    Some(FolderId { device: metadata.dev(), inode: metadata.ino() })
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, ModifyKind, RemoveKind, RenameMode};

    use super::*;

    #[test]
    fn watch_ignores_only_reading_events() {
        let reading = [AccessKind::Any, AccessKind::Open(AccessMode::Any), AccessKind::Close(AccessMode::Read)];
        assert!(reading.iter().all(|kind| !is_change(&EventKind::Access(*kind))));
        let changes = [
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
            EventKind::Create(CreateKind::File),
            EventKind::Modify(ModifyKind::Name(RenameMode::To)),
            EventKind::Remove(RemoveKind::Folder),
            EventKind::Other, // the event queue overflowed
        ];
        assert!(changes.iter().all(is_change));
    }

    #[test]
    fn wakeup_coalesces_notifications() {
        let (wakeup, wakeups) = Wakeup::new();
        wakeup.notify();
        wakeup.notify();
        assert_eq!(wakeups.try_recv(), Ok(()));
        assert!(wakeups.try_recv().is_err());
    }
}
