//! The pipelines there are now. What the rest of the server holds and asks.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Weak};
use std::thread;

use tokio::sync::watch;

use super::folder::{self, Snapshot};
use super::watch::{Bell, FolderWatch};
use crate::model::limits::Limits;
use crate::model::{Pipeline, PipelineFileError};

/// The pipelines there are now. Cheap to clone; all clones see the same.
///
/// Readers get the last complete [`Snapshot`]; a change of the folder replaces it in one step (how it is noticed:
/// `watch.rs`). A folder that goes away leaves the pipelines as they were, with a fault that says so, until it is back. The
/// thread that follows the folder ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Catalog {
    shared: Arc<Shared>,
    /// Always there; files cannot take their names.
    built_in: Arc<[Arc<Pipeline>]>,
}

#[derive(Debug)]
struct Shared {
    snapshot: watch::Sender<Arc<Snapshot>>,
    bell: Option<Bell>,
}

/// Wakes the following thread, which then finds nobody left to read for.
impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(bell) = &self.bell {
            bell.ring();
        }
    }
}

/// Why there is no catalog.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The folder is missing, no folder, or may not be read.
    #[error("the folder of pipelines {} cannot be read ({source}): create it, or name another one with --pipelines", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system gives no thread to follow the folder with.
    #[error("the folder of pipelines cannot be followed: {0}")]
    Thread(#[source] io::Error),
}

impl Catalog {
    /// Reads the folder and follows it from then on. Without a folder the catalog is empty.
    ///
    /// A file that is refused is no error: see [`Catalog::faults`]. Reads files, so it may block for a moment.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn open(folder: Option<PathBuf>) -> Result<Self, CatalogError> {
        match folder {
            Some(folder) => Ok(follow(&folder)?.0),
            None => Ok(Self::fixed([])),
        }
    }

    /// A catalog of these pipelines that never changes.
    pub fn fixed(pipelines: impl IntoIterator<Item = Pipeline>) -> Self {
        let pipelines = pipelines.into_iter().map(|pipeline| (pipeline.name.clone(), Arc::new(pipeline))).collect();
        let snapshot = Arc::new(Snapshot { pipelines, ..Snapshot::default() });
        Self::of(Arc::new(Shared { snapshot: watch::Sender::new(snapshot), bell: None }))
    }

    fn of(shared: Arc<Shared>) -> Self {
        Self { shared, built_in: Arc::default() }
    }

    /// With these as well, whatever the folder has.
    #[must_use]
    pub fn with_built_in(self, pipelines: Vec<Pipeline>) -> Self {
        let limited = |pipeline| Arc::new(Pipeline { limits: Limits::built_in(), ..pipeline });
        Self { built_in: pipelines.into_iter().map(limited).collect(), ..self }
    }

    /// The pipeline of this name. It stays as it is for whoever holds it, also when its file changes.
    pub fn get(&self, name: &str) -> Option<Arc<Pipeline>> {
        let built_in = self.built_in.iter().find(|pipeline| pipeline.name == name);
        built_in.cloned().or_else(|| self.shared.snapshot.borrow().pipelines.get(name).cloned())
    }

    /// All pipelines, by title, as everybody may see them.
    pub fn all(&self) -> Vec<Pipeline> {
        let snapshot = self.snapshot();
        let all = self.built_in.iter().chain(snapshot.pipelines.values());
        let mut all: Vec<Pipeline> = all.map(|pipeline| pipeline.redacted()).collect();
        all.sort_by_cached_key(|pipeline| (pipeline.title.to_lowercase(), pipeline.name.clone()));
        all
    }

    /// The server's variables that hold secrets of pipelines. No command is to see them.
    pub fn secrets(&self) -> Vec<String> {
        self.snapshot().secrets.iter().cloned().collect()
    }

    /// The files that are refused, by file name.
    pub fn faults(&self) -> Vec<PipelineFileError> {
        self.snapshot().faults.clone()
    }

    /// Pipelines and faults of one and the same reading.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot.borrow().clone()
    }

    /// Tells of each change. Ends with an error when the catalog is dropped.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.shared.snapshot.subscribe()
    }
}

/// The catalog of a folder, and the thread that keeps it in step.
fn follow(folder: &Path) -> Result<(Catalog, thread::JoinHandle<()>), CatalogError> {
    let unreadable = |source| CatalogError::Folder { folder: folder.to_owned(), source };
    // Absolute, so that it stays the same folder whatever the working folder becomes.
    let path = std::path::absolute(folder).map_err(unreadable)?;
    let (bell, ear) = Bell::new();
    let mut watch = FolderWatch::new(&path, bell.clone());
    watch.renew();
    let snapshot = folder::read(&path).map_err(unreadable)?;
    report(&Snapshot::default(), &snapshot);

    let snapshot = watch::Sender::new(Arc::new(snapshot));
    let shared = Arc::new(Shared { snapshot, bell: Some(bell) });
    let weak = Arc::downgrade(&shared);
    // A thread and no task: all it does is wait and read files, which blocks.
    let thread = thread::Builder::new()
        .name("pipelines".into())
        .spawn(move || keep_in_step(&path, watch, &ear, &weak))
        .map_err(CatalogError::Thread)?;
    Ok((Catalog::of(shared), thread))
}

fn keep_in_step(path: &Path, mut watch: FolderWatch, ear: &Receiver<()>, shared: &Weak<Shared>) {
    loop {
        watch.wait(ear);
        let Some(shared) = shared.upgrade() else { return };
        watch.renew();
        let last = shared.snapshot.borrow().clone();
        let mut next = folder::read(path)
            .unwrap_or_else(|error| Snapshot { faults: vec![folder::gone(path, &error)], ..Snapshot::clone(&last) });
        if next != *last {
            report(&last, &next);
            // A file that is moved away has its secrets all the same.
            next.secrets.extend(last.secrets.iter().cloned());
            shared.snapshot.send_replace(Arc::new(next));
        }
    }
}

/// Says in the log what was read, and what of it is newly refused.
fn report(last: &Snapshot, next: &Snapshot) {
    tracing::info!(pipelines = next.pipelines.len(), refused = next.faults.len(), "read the pipelines");
    for fault in next.faults.iter().filter(|fault| !last.faults.contains(fault)) {
        tracing::warn!("pipeline refused: {fault}");
    }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
