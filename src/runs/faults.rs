//! Faults of pipelines whose files were read without one.

use crate::model::{Pipeline, PipelineFileError};
use crate::pipelines::Snapshot;

/// A fault at a line of the file that a pipeline was read from.
pub fn pipeline_fault(snapshot: &Snapshot, pipeline: &Pipeline, line: usize, reason: String) -> PipelineFileError {
    let file = snapshot.files.get(&pipeline.name).cloned().unwrap_or_else(|| pipeline.name.clone());
    PipelineFileError { file, line, reason }
}
