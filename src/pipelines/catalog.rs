//! The pipelines there are: all files of one folder, read again when the folder changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::file::read_pipeline;
use crate::model::{Pipeline, PipelineFault};

/// How long the folder must be quiet before it is read again: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(100);

/// How often the folder is read again without a word from the system: network folders and folders that were deleted and
/// made again say nothing.
const LOOK: Duration = Duration::from_secs(5);

/// The pipelines there are. Cheap to clone; soon after the last clone is gone, the watch ends.
#[derive(Clone)]
pub struct Catalog {
    snapshot: Arc<RwLock<Arc<Snapshot>>>,
}

/// What one reading of the folder found.
#[derive(Debug, Default, PartialEq)]
struct Snapshot {
    pipelines: BTreeMap<String, Arc<Pipeline>>,
    faults: Vec<PipelineFault>,
}

/// The folder of pipelines cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the folder of pipelines {}: {source}. Check --pipelines", .folder.display())]
pub struct CatalogError {
    /// The folder.
    pub folder: PathBuf,
    /// What the system said.
    pub source: std::io::Error,
}

impl Catalog {
    /// The pipelines of this folder, now and whenever it changes. Without a folder there are none.
    ///
    /// # Errors
    /// The folder cannot be read. A file that cannot is a fault, not an error.
    pub fn open(folder: Option<PathBuf>) -> Result<Self, CatalogError> {
        let Some(folder) = folder else { return Ok(Self { snapshot: Arc::default() }) };
        let read = folder.canonicalize().and_then(|folder| Ok((read_folder(&folder)?, folder)));
        let (first, folder) = read.map_err(|source| CatalogError { folder, source })?;
        report(&first);
        let snapshot = Arc::new(RwLock::new(Arc::new(first)));
        let watched = Arc::downgrade(&snapshot);
        std::thread::spawn(move || watch(&folder, &watched));
        Ok(Self { snapshot })
    }

    fn now(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The pipeline of this name.
    pub fn get(&self, name: &str) -> Option<Arc<Pipeline>> {
        self.now().pipelines.get(name).cloned()
    }

    /// All pipelines, by title.
    pub fn all(&self) -> Vec<Pipeline> {
        let mut all: Vec<Pipeline> = self.now().pipelines.values().map(|pipeline| Pipeline::clone(pipeline)).collect();
        all.sort_by(|one, other| (&one.title, &one.name).cmp(&(&other.title, &other.name)));
        all
    }

    /// The files that are refused.
    pub fn faults(&self) -> Vec<PipelineFault> {
        self.now().faults.clone()
    }
}

/// Reads all files of the folder, by name. A file that cannot be used is a fault and leaves the others alone.
fn read_folder(folder: &Path) -> std::io::Result<Snapshot> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    let mut snapshot = Snapshot::default();
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for path in files {
        let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let fault = |reason: String| PipelineFault { file: file.clone(), line: 1, reason };
        let read = match std::fs::read_to_string(&path) {
            Ok(text) => read_pipeline(&file, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue, // Deleted meanwhile.
            Err(error) => Err(fault(format!("the file cannot be read: {error}"))),
        };
        match read {
            Ok(pipeline) => match owners.get(&pipeline.name) {
                Some(owner) => {
                    let reason = format!("{owner} has a pipeline `{}` already; choose another name", pipeline.name);
                    snapshot.faults.push(fault(reason));
                }
                None => {
                    owners.insert(pipeline.name.clone(), file);
                    snapshot.pipelines.insert(pipeline.name.clone(), Arc::new(pipeline));
                }
            },
            Err(fault) => snapshot.faults.push(fault),
        }
    }
    Ok(snapshot)
}

/// Reads the folder again whenever it may have changed, until the catalog is gone. While it cannot be read, what was
/// known stays.
fn watch(folder: &Path, known: &Weak<RwLock<Arc<Snapshot>>>) {
    let (wake, woken) = channel();
    let told = move |event: notify::Result<notify::Event>| {
        // Reading the folder is an event too; only what may change it counts.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            let _ = wake.send(());
        }
    };
    let mut watcher: Option<RecommendedWatcher> = notify::recommended_watcher(told)
        .inspect_err(|error| tracing::warn!(%error, "pipelines are looked at every few seconds only"))
        .ok();
    loop {
        if let Some(watcher) = &mut watcher {
            // Again each time: a folder that was deleted and made again is another one. If it is gone, LOOK serves.
            let _ = watcher.watch(folder, RecursiveMode::NonRecursive);
        }
        let Some(catalog) = known.upgrade() else { return };
        if let Ok(found) = read_folder(folder) {
            let mut now = catalog.write().unwrap_or_else(PoisonError::into_inner);
            if **now != found {
                report(&found);
                *now = Arc::new(found);
            }
        }
        drop(catalog);
        if woken.recv_timeout(LOOK).is_ok() {
            while woken.recv_timeout(QUIET).is_ok() {}
        }
    }
}

fn report(found: &Snapshot) {
    tracing::info!(pipelines = found.pipelines.len(), refused = found.faults.len(), "read the pipelines");
    for fault in &found.faults {
        tracing::warn!("refused {fault}");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn text(name: &str) -> String {
        format!("name = \"{name}\"\n[[phases]]\nname = \"a\"\nrun = \"true\"\n")
    }

    #[test]
    fn the_second_file_of_a_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["a.toml", "b.toml"] {
            fs::write(folder.path().join(file), text("same")).unwrap();
        }
        fs::write(folder.path().join("c.toml"), [0xff]).unwrap();
        fs::write(folder.path().join("notes.md"), "no pipeline").unwrap();
        let found = read_folder(folder.path()).unwrap();
        assert_eq!(found.pipelines.len(), 1);
        let faults: Vec<_> = found.faults.iter().map(|fault| fault.file.as_str()).collect();
        assert_eq!(faults, ["b.toml", "c.toml"]);
        assert!(found.faults[0].reason.contains("a.toml"));
    }

    #[test]
    fn a_folder_must_be_there() {
        assert!(Catalog::open(Some("/nowhere/at/all".into())).is_err());
        assert!(Catalog::open(None).unwrap().all().is_empty());
    }

    #[test]
    fn the_samples_parse() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/pipelines");
        let found = read_folder(&folder).unwrap();
        assert_eq!(found.faults, []);
        assert!(found.pipelines.len() >= 5);
    }
}
