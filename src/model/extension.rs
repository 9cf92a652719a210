//! Built-in pipelines, and what a pipeline file may add to one that it extends.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::kinds::FixSafety;
use super::pipeline::Pipeline;

/// A program of the operator's choice that reports findings as SARIF.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linter {
    /// The prefix of its rules: `name/rule`.
    pub name: String,
    /// Passed to `sh -c` in the project's folder of the checkout; prints SARIF 2.1.0.
    pub run: String,
    /// Its time limit in milliseconds; `None` means the default.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Whether its fixes are safe, as declared in the pipeline file.
    #[serde(default, skip_serializing_if = "is_safe")]
    pub fixes: FixSafety,
}

fn is_safe(fixes: &FixSafety) -> bool {
    *fixes == FixSafety::Safe
}

/// A check that a run selects by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedCheck {
    pub name: String,
    /// Passed to `sh -c` in the project's folder of the checkout; fails on bad code.
    pub run: String,
}

/// What a pipeline file adds to the built-in pipeline that it extends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PipelineExtension {
    pub linters: Vec<Linter>,
    pub checks: Vec<NamedCheck>,
}

/// Builds the extended pipeline.
type Extend = Arc<dyn Fn(&PipelineExtension) -> Pipeline + Send + Sync>;

/// A pipeline that comes with the program.
#[derive(Clone)]
pub struct BuiltInPipeline {
    pub pipeline: Pipeline,
    /// `None` if pipeline files cannot extend it.
    extend: Option<Extend>,
}

impl BuiltInPipeline {
    /// A pipeline that files cannot extend.
    pub const fn new(pipeline: Pipeline) -> Self {
        Self { pipeline, extend: None }
    }

    /// A pipeline that files can extend.
    pub fn extensible(extend: impl Fn(&PipelineExtension) -> Pipeline + Send + Sync + 'static) -> Self {
        Self { pipeline: extend(&PipelineExtension::default()), extend: Some(Arc::new(extend)) }
    }

    pub const fn is_extensible(&self) -> bool {
        self.extend.is_some()
    }

    /// The pipeline with this extension; `None` if it cannot be extended.
    pub fn extended(&self, extension: &PipelineExtension) -> Option<Pipeline> {
        self.extend.as_ref().map(|extend| extend(extension))
    }
}

impl fmt::Debug for BuiltInPipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuiltInPipeline({})", self.pipeline.name)
    }
}
