//! Pipeline files for tests, and built-in pipelines that they extend.

use super::file::{self, ParsedFile};
use crate::model::{BuiltInPipeline, Param, ParamKind, PhaseSpec, Pipeline, PipelineExtension, PipelineFileError};

/// An extensible pipeline `autofix` and a pipeline `refactor` that cannot be extended.
pub fn built_in() -> Vec<BuiltInPipeline> {
    let refactor = Pipeline { name: "refactor".into(), ..Pipeline::default() };
    vec![BuiltInPipeline::extensible(autofix), BuiltInPipeline::new(refactor)]
}

fn autofix(extension: &PipelineExtension) -> Pipeline {
    let project = Param {
        name: "project".into(),
        title: String::new(),
        help: String::new(),
        kind: ParamKind::Path,
        required: true,
        default: None,
        choices: Vec::new(),
    };
    let run = serde_json::to_string(&(&extension.linters, &extension.checks)).unwrap();
    let phases =
        ["scanning", "applying"].map(|name| PhaseSpec { name: name.into(), run: run.clone(), ..PhaseSpec::default() });
    Pipeline {
        name: "autofix".into(),
        title: "AutoFix".into(),
        description: "Fixes findings.".into(),
        params: vec![project],
        phases: phases.to_vec(),
        ..Pipeline::default()
    }
}

pub fn parse(bytes: &[u8]) -> Result<ParsedFile, PipelineFileError> {
    file::parse("x.toml", bytes, &built_in())
}

pub fn read(text: &str) -> Result<Pipeline, PipelineFileError> {
    parse(text.as_bytes()).map(|parsed| parsed.pipeline)
}

/// A file that is valid apart from these lines, which begin at line 5.
pub fn with(lines: &str) -> String {
    format!("name = 'p'\n[[phases]]\nname = 'a'\nrun = 'true'\n{lines}")
}

/// The same with a sandbox; its lines begin at line 6.
pub fn sandboxed(sandbox: &str, lines: &str) -> String {
    format!("sandbox = {sandbox}\n{}", with(lines))
}

/// A file that extends `autofix`. The lines belong to its linter and begin at line 6.
pub fn extended(lines: &str) -> String {
    format!("name = 'p'\nextends = 'autofix'\n[[linters]]\nname = 'ruff'\nrun = 'ruff check'\n{lines}")
}

/// What is wrong, the file, and the line and part of the reason of its fault.
pub type FaultCase<'a> = (&'a str, String, usize, &'a str);

/// Checks that each file is refused with its line and reason, and that no reason quotes the secret `hunter-2`.
pub fn assert_refused(cases: &[FaultCase<'_>]) {
    for (what, text, line, reason) in cases {
        let fault = read(text).expect_err(what);
        assert!(fault.reason.contains(reason), "{what}: {fault}");
        assert_eq!((fault.file.as_str(), fault.line), ("x.toml", *line), "{what}: {fault}");
        assert!(fault.reason.ends_with(['.', '?']) && !fault.reason.contains('\n'), "{what}: {fault}");
        assert!(!fault.reason.contains("hunter"), "{what}: {fault}");
    }
}
