//! The built-in pipelines, as those of files are: parameters and phases. Each phase is this program again.

use super::LANGUAGES;
use super::analysis::Severity;
use super::autofix::{ALL, NONE, PROJECT};
use super::checks::{self, NamedCheck};
use super::linters::{self, Linter};
use super::rules::PACKS;
use crate::model::{ApprovalConditions, ApprovalRule, OutputMode, Param, ParamKind, ParamValue, PhaseSpec, Pipeline};

/// The phases of both (CONTRACT.md, "Words").
const PHASES: [&str; 4] = ["scanning", "analyzing", "generating", "applying"];

/// The parameter that makes a run commit nothing.
const DRY_RUN: &str = "dry_run";

/// The parameter that makes a run ask before it commits.
const ASK: &str = "approval";

/// All of them.
pub fn pipelines() -> Vec<Pipeline> {
    vec![autofix_with(&[], &[]), refactor()]
}

/// The pipeline `autofix` that also takes what these linters find, and may be proved by these checks besides the server's.
pub fn autofix_with(linters: &[Linter], checks: &[NamedCheck]) -> Pipeline {
    let sets = [ALL].into_iter().chain(PACKS.iter().map(|(name, _)| *name)).chain([PROJECT]);
    let sets = sets.chain((!linters.is_empty()).then_some(NONE)).map(str::to_owned);
    let severities = [Severity::Hint, Severity::Info, Severity::Warning, Severity::Error];
    let severities = severities.map(|severity| severity.as_str().to_owned()).to_vec();
    let rules = "Which rules are looked for: those of a language, the project's own, or all.";
    let limit =
        "How long one try of the check may take, such as 90s, 15m or 2h. One that takes longer is ended and fails.";
    let text = |text: &str| Some(ParamValue::Text(text.to_owned()));
    let choice = |name: &str, title: &str, help: &str| param(name, title, help, ParamKind::Choice);
    let [include, exclude] = globs();
    pipeline(
        "autofix",
        "AutoFix",
        "Finds faults by rules, fixes those that can be, and commits the result to a new branch.",
        vec![
            project(),
            Param { choices: sets.collect(), default: text(ALL), ..choice("rules", "Rules", rules) },
            Param {
                choices: severities,
                default: text("info"),
                ..choice("severity", "From severity", "Findings that are less severe are left out.")
            },
            checks::param(checks),
            Param {
                default: text("1h"),
                ..param("check_timeout", "Time limit of the check", limit, ParamKind::String)
            },
            ask(),
            Param {
                default: Some(ParamValue::Boolean(false)),
                ..param(DRY_RUN, "Dry run", "Patches are shown and not committed.", ParamKind::Boolean)
            },
            include,
            exclude,
        ],
        format!("{}{}", linters::given(linters), checks::given(checks)),
    )
}

fn refactor() -> Pipeline {
    let languages = LANGUAGES.map(|(name, _)| name.to_owned()).to_vec();
    let pattern = "Code to find. $NAME stands for any one part of it, $$$NAME for any number of them.";
    let rewrite = "What takes its place, with the same names. Without it, matches are only listed.";
    let [include, exclude] = globs();
    pipeline(
        "refactor",
        "Refactor",
        "Finds a pattern of code, rewrites it, and commits the result to a new branch.",
        vec![
            project(),
            Param {
                required: true,
                choices: languages,
                ..param("language", "Language", "Which files are searched, and how they are read.", ParamKind::Choice)
            },
            Param { required: true, ..param("pattern", "Pattern", pattern, ParamKind::String) },
            param("rewrite", "Rewrite", rewrite, ParamKind::String),
            ask(),
            include,
            exclude,
        ],
        String::new(),
    )
}

fn project() -> Param {
    let help = "A folder of a git repository. Its current commit is worked on.";
    Param { required: true, ..param("project", "Project", help, ParamKind::Path) }
}

fn ask() -> Param {
    let help = "The run waits for you to look at the patches. You may leave some out.";
    Param { default: Some(ParamValue::Boolean(false)), ..param(ASK, "Ask before applying", help, ParamKind::Boolean) }
}

fn globs() -> [Param; 2] {
    let text = |name: &str, title: &str, help: &str| param(name, title, help, ParamKind::String);
    [
        text("include", "Only in", "Globs such as src/**, separated by commas. All files if empty."),
        text("exclude", "Not in", "Globs such as **/generated/**, separated by commas."),
    ]
}

fn pipeline(name: &str, title: &str, description: &str, params: Vec<Param>, given: String) -> Pipeline {
    // Nobody is asked about patches that are not there.
    let unless = params.iter().any(|param| param.name == DRY_RUN).then(|| DRY_RUN.to_owned());
    let approval = ApprovalRule::If(ApprovalConditions { param: Some(ASK.to_owned()), unless, patches: true });
    let phase = |phase: &str| {
        let (approval, question) = match phase {
            "applying" => (approval.clone(), "Commit these patches to a new branch?"),
            _ => (ApprovalRule::default(), ""),
        };
        PhaseSpec {
            name: phase.to_owned(),
            run: format!("{given}exec \"$RUNTRAIL_PROGRAM\" work {name} {phase}"),
            approval,
            question: question.to_owned(),
            // Its reports are long lines that take several writes; what git says must not fall in between.
            output: OutputMode::Separate,
            ..PhaseSpec::default()
        }
    };
    Pipeline {
        name: name.to_owned(),
        title: title.to_owned(),
        description: description.to_owned(),
        restart_from_start: true,
        notify: Vec::new(),
        params,
        phases: PHASES.map(phase).to_vec(),
        ..Pipeline::default()
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
