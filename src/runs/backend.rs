//! What every use case works on.

use std::sync::Arc;

use super::problems::{run_id, run_not_found};
use crate::engine::Engine;
use crate::journal::Journal;
use crate::model::workers::NewInstance;
use crate::model::{Pipeline, Problem, ProblemCode};
use crate::pipelines::{Catalog, Projects};
use crate::store::{JournalHead, RunKey, Store};

/// The store, the journal, the engine and the pipelines, as use cases reach them. Cheap to clone.
#[derive(Clone)]
pub struct Backend {
    /// For reads only.
    pub store: Store,
    /// Its writer makes all changes.
    pub journal: Journal,
    pub engine: Engine,
    /// This instance.
    pub instance: Arc<NewInstance>,
    pub catalog: Catalog,
    /// The folders that runs may work in.
    pub projects: Arc<Projects>,
    /// The most runs that may be pending.
    pub max_queued: u32,
    /// Whether other machines can call hooks: their secrets must be strong then.
    pub is_exposed: bool,
}

impl Backend {
    /// The key of a run and the head of its journal.
    ///
    /// # Errors
    /// [`ProblemCode::RunNotFound`] for an unknown or deleted run; the database's errors.
    pub async fn find(&self, id: &str) -> Result<(RunKey, JournalHead), Problem> {
        self.store.find(&run_id(id)?).await?.ok_or_else(|| run_not_found(id))
    }

    /// The pipeline of this name, as its file is now.
    ///
    /// # Errors
    /// [`ProblemCode::PipelineNotFound`], which lists the known names.
    pub fn pipeline(&self, name: &str) -> Result<Arc<Pipeline>, Problem> {
        self.catalog.get(name).ok_or_else(|| {
            let known: Vec<String> = self.catalog.all().into_iter().map(|pipeline| pipeline.name).collect();
            let known = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
            Problem::new(ProblemCode::PipelineNotFound, format!("There is no pipeline `{name}`. Available: {known}."))
        })
    }
}
