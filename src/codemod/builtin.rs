//! The built-in pipelines, as those of files are: parameters and phases. Each phase is this program again.

use super::LANGUAGES;
use crate::model::pipeline::OnInterrupt;
use crate::model::{Param, ParamKind, PhaseSpec, Pipeline};

/// The phases of both (CONTRACT.md, "Words").
const PHASES: [&str; 4] = ["scanning", "analyzing", "generating", "applying"];

/// All of them.
pub fn pipelines() -> Vec<Pipeline> {
    vec![refactor()]
}

fn refactor() -> Pipeline {
    let text = |name: &str, title: &str, help: &str| param(name, title, help, ParamKind::String);
    let project =
        param("project", "Project", "A folder of a git repository. Its current commit is worked on.", ParamKind::Path);
    let languages = LANGUAGES.map(|(name, _)| name.to_owned()).to_vec();
    let language = param("language", "Language", "Which files are searched, and how they are read.", ParamKind::Choice);
    let pattern = text(
        "pattern",
        "Pattern",
        "Code to find. $NAME stands for any one part of it, $$$NAME for any number of them.",
    );
    let rewrite =
        text("rewrite", "Rewrite", "What takes its place, with the same names. Without it, matches are only listed.");
    let include = text("include", "Only in", "Globs such as src/**, separated by commas. All files if empty.");
    let exclude = text("exclude", "Not in", "Globs such as **/generated/**, separated by commas.");
    pipeline(
        "refactor",
        "Refactor",
        "Finds a pattern of code, rewrites it, and commits the result to a new branch.",
        vec![
            Param { required: true, ..project },
            Param { required: true, choices: languages, ..language },
            Param { required: true, ..pattern },
            rewrite,
            include,
            exclude,
        ],
    )
}

fn pipeline(name: &str, title: &str, description: &str, params: Vec<Param>) -> Pipeline {
    let phase = |phase: &str| PhaseSpec {
        name: phase.to_owned(),
        run: format!("exec \"$RUNTRAIL_PROGRAM\" work {name} {phase}"),
        timeout_ms: None,
    };
    Pipeline {
        name: name.to_owned(),
        title: title.to_owned(),
        description: description.to_owned(),
        on_interrupt: OnInterrupt::Fail,
        params,
        phases: PHASES.map(phase).to_vec(),
    }
}

fn param(name: &str, title: &str, help: &str, kind: ParamKind) -> Param {
    Param {
        name: name.to_owned(),
        title: title.to_owned(),
        help: help.to_owned(),
        kind,
        required: false,
        default: None,
        choices: Vec::new(),
    }
}
