//! The current pipelines, as the rest of the server uses them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Weak};
use std::thread;

use tokio::sync::watch;

use super::folder::{self, Snapshot};
use super::watch::{FolderWatch, Wakeup};
use crate::model::limits::Limits;
use crate::model::{BuiltInPipeline, Pipeline, PipelineFileError};

/// The current pipelines. Cheap to clone; all clones share one state.
///
/// Readers get the last complete [`Snapshot`], which a change of the folder replaces in one step. If the folder
/// disappears, the pipelines stay as they were and a fault reports it. The thread that follows the folder ends when the
/// last clone is dropped.
#[derive(Clone, Debug)]
pub struct Catalog {
    shared: Arc<CatalogState>,
    built_in: Arc<[Arc<Pipeline>]>,
}

#[derive(Debug)]
struct CatalogState {
    snapshot: watch::Sender<Arc<Snapshot>>,
    wakeup: Option<Wakeup>,
}

/// Wakes the thread that follows the folder, which then ends.
impl Drop for CatalogState {
    fn drop(&mut self) {
        if let Some(wakeup) = &self.wakeup {
            wakeup.notify();
        }
    }
}

/// Why the catalog cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The folder is missing, no folder, or may not be read.
    #[error("the folder of pipelines {} cannot be read ({source}): create it, or name another one with --pipelines", folder.display())]
    Folder { folder: PathBuf, source: io::Error },
    /// The thread that follows the folder cannot be started.
    #[error("the folder of pipelines cannot be followed: {0}")]
    Thread(#[source] io::Error),
}

impl Catalog {
    /// The built-in pipelines and those of the folder, which is read now and followed from then on. Blocks while it
    /// reads.
    ///
    /// # Errors
    /// The folder cannot be read, or no thread can be started. A refused file is not an error: see [`Catalog::faults`].
    pub fn open(folder: Option<PathBuf>, built_in: Vec<BuiltInPipeline>) -> Result<Self, CatalogError> {
        match folder {
            Some(folder) => Ok(follow(&folder, built_in)?.0),
            None => Ok(Self { built_in: limited(&built_in), ..Self::fixed([]) }),
        }
    }

    /// A catalog of these pipelines, which never changes.
    pub fn fixed(pipelines: impl IntoIterator<Item = Pipeline>) -> Self {
        let pipelines = pipelines.into_iter().map(|pipeline| (pipeline.name.clone(), Arc::new(pipeline))).collect();
        let snapshot = Arc::new(Snapshot { pipelines, ..Snapshot::default() });
        let shared = Arc::new(CatalogState { snapshot: watch::Sender::new(snapshot), wakeup: None });
        Self { shared, built_in: Arc::default() }
    }

    /// The pipeline of this name. Later changes of its file do not affect the returned value.
    pub fn get(&self, name: &str) -> Option<Arc<Pipeline>> {
        let built_in = self.built_in.iter().find(|pipeline| pipeline.name == name);
        built_in.cloned().or_else(|| self.shared.snapshot.borrow().pipelines.get(name).cloned())
    }

    /// All pipelines in the order of their titles, without their secrets.
    pub fn all(&self) -> Vec<Pipeline> {
        let snapshot = self.snapshot();
        let all = self.built_in.iter().chain(snapshot.pipelines.values());
        let mut all: Vec<Pipeline> = all.map(|pipeline| pipeline.redacted()).collect();
        all.sort_by_cached_key(|pipeline| (pipeline.title.to_lowercase(), pipeline.name.clone()));
        all
    }

    /// The server's variables that hold secrets of pipelines. Commands must not inherit them.
    pub fn secrets(&self) -> Vec<String> {
        self.snapshot().secret_variables.iter().cloned().collect()
    }

    /// The refused files, in the order of their names.
    pub fn faults(&self) -> Vec<PipelineFileError> {
        self.snapshot().faults.clone()
    }

    /// Pipelines and faults of the same reading.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot.borrow().clone()
    }

    /// Notifies of each change. Returns an error once the catalog is dropped.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.shared.snapshot.subscribe()
    }
}

/// The built-in pipelines as runs use them: with their own limits.
fn limited(built_in: &[BuiltInPipeline]) -> Arc<[Arc<Pipeline>]> {
    let limited = |known: &BuiltInPipeline| Pipeline { limits: Limits::built_in(), ..known.pipeline.clone() };
    built_in.iter().map(|known| Arc::new(limited(known))).collect()
}

/// Opens the catalog of a folder and starts the thread that follows it.
fn follow(folder: &Path, built_in: Vec<BuiltInPipeline>) -> Result<(Catalog, thread::JoinHandle<()>), CatalogError> {
    let unreadable = |source| CatalogError::Folder { folder: folder.to_owned(), source };
    // Absolute, so that a change of the working directory does not matter.
    let path = std::path::absolute(folder).map_err(unreadable)?;
    let (wakeup, wakeups) = Wakeup::new();
    let mut watch = FolderWatch::new(&path, wakeup.clone());
    watch.renew();
    let snapshot = folder::read(&path, &built_in).map_err(unreadable)?;
    log_changes(&Snapshot::default(), &snapshot);

    let snapshot = watch::Sender::new(Arc::new(snapshot));
    let limited = limited(&built_in);
    let shared = Arc::new(CatalogState { snapshot, wakeup: Some(wakeup) });
    let weak = Arc::downgrade(&shared);
    // A thread, not a task: it only waits and reads files, which blocks.
    let thread = thread::Builder::new()
        .name("pipelines".into())
        .spawn(move || follow_folder(&path, &built_in, watch, &wakeups, &weak))
        .map_err(CatalogError::Thread)?;
    Ok((Catalog { shared, built_in: limited }, thread))
}

fn follow_folder(
    path: &Path,
    built_in: &[BuiltInPipeline],
    mut watch: FolderWatch,
    wakeups: &Receiver<()>,
    shared: &Weak<CatalogState>,
) {
    loop {
        watch.wait(wakeups);
        let Some(shared) = shared.upgrade() else { return };
        watch.renew();
        let last = shared.snapshot.borrow().clone();
        let mut next = folder::read(path, built_in).unwrap_or_else(|error| Snapshot {
            faults: vec![folder::missing_folder(path, &error)],
            ..Snapshot::clone(&last)
        });
        if next != *last {
            log_changes(&last, &next);
            // The secrets of a removed file are still in the server's environment.
            next.secret_variables.extend(last.secret_variables.iter().cloned());
            shared.snapshot.send_replace(Arc::new(next));
        }
    }
}

/// Logs how many pipelines were read, and each newly refused file.
fn log_changes(last: &Snapshot, next: &Snapshot) {
    tracing::info!(pipelines = next.pipelines.len(), refused = next.faults.len(), "read the pipelines");
    for fault in next.faults.iter().filter(|fault| !last.faults.contains(fault)) {
        tracing::warn!("pipeline refused: {fault}");
    }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
