//! The parameters and phases of the built-in pipelines. Each phase executes this program again.

use super::autofix::{ALL, NONE, PROJECT};
use super::checks::Checks;
use super::finding::Severity;
use super::language::LANGUAGES;
use super::linters;
use super::rules::PACKS;
use crate::model::{
    ApprovalConditions, ApprovalRule, BuiltInPipeline, OutputMode, Param, ParamKind, ParamValue, PhaseSpec, Pipeline,
    PipelineExtension,
};

/// The phases of both.
const PHASES: [&str; 4] = ["scanning", "analyzing", "generating", "applying"];

/// The parameter of a run that commits nothing.
const DRY_RUN: &str = "dry_run";

/// The parameter of a run that asks before it commits.
const APPROVAL: &str = "approval";

/// The built-in pipelines of a server with these checks. Pipeline files can extend `autofix`.
pub fn pipelines(checks: Checks) -> Vec<BuiltInPipeline> {
    let autofix = BuiltInPipeline::extensible(move |extension| autofix(&checks, extension));
    vec![autofix, BuiltInPipeline::new(refactor())]
}

fn autofix(checks: &Checks, extension: &PipelineExtension) -> Pipeline {
    let (linters, checks) = (&extension.linters, checks.with(&extension.checks));
    let sets = [ALL].into_iter().chain(PACKS.iter().map(|(name, _)| *name)).chain([PROJECT]);
    let sets = sets.chain((!linters.is_empty()).then_some(NONE)).map(str::to_owned);
    let severities = [Severity::Hint, Severity::Info, Severity::Warning, Severity::Error];
    let severities = severities.map(|severity| severity.as_str().to_owned()).to_vec();
    let rules = "Rule sets to apply: those of a language, the project's own, or all.";
    let limit = "How long the check may run each time, such as 90s, 15m or 2h. A check that takes longer fails.";
    let text = |text: &str| Some(ParamValue::Text(text.to_owned()));
    let choice = |name: &str, title: &str, help: &str| param(name, title, help, ParamKind::Choice);
    let [include, exclude] = globs();
    pipeline(
        "autofix",
        "AutoFix",
        "Finds issues, fixes what it can, and commits the result to a new branch.",
        vec![
            project(),
            Param { choices: sets.collect(), default: text(ALL), ..choice("rules", "Rules", rules) },
            Param {
                choices: severities,
                default: text("info"),
                ..choice("severity", "Minimum severity", "Findings below this severity are ignored.")
            },
            checks.param(),
            Param { default: text("1h"), ..param("check_timeout", "Check timeout", limit, ParamKind::String) },
            approval(),
            Param {
                default: Some(ParamValue::Boolean(false)),
                ..param(DRY_RUN, "Dry run", "Shows the patches without committing them.", ParamKind::Boolean)
            },
            include,
            exclude,
        ],
        format!("{}{}", linters::export_line(linters), checks.export_line()),
    )
}

fn refactor() -> Pipeline {
    let languages = LANGUAGES.map(|(name, _)| name.to_owned()).to_vec();
    let pattern = "Code to find. $NAME matches one node, $$$NAME any number of nodes.";
    let rewrite = "The replacement, with the same names. Leave it empty to only list matches.";
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
                ..param("language", "Language", "The language of the files to search.", ParamKind::Choice)
            },
            Param { required: true, ..param("pattern", "Pattern", pattern, ParamKind::String) },
            param("rewrite", "Rewrite", rewrite, ParamKind::String),
            approval(),
            include,
            exclude,
        ],
        String::new(),
    )
}

fn project() -> Param {
    let help = "Path to a git repository. Works on the checked-out commit.";
    Param { required: true, ..param("project", "Project", help, ParamKind::Path) }
}

fn approval() -> Param {
    let help = "Waits for your approval before committing. You can exclude patches.";
    Param {
        default: Some(ParamValue::Boolean(false)),
        ..param(APPROVAL, "Ask before applying", help, ParamKind::Boolean)
    }
}

fn globs() -> [Param; 2] {
    let text = |name: &str, title: &str, help: &str| param(name, title, help, ParamKind::String);
    [
        text("include", "Include paths", "Comma-separated globs, such as src/**. Empty means all files."),
        text("exclude", "Exclude paths", "Comma-separated globs, such as **/generated/**."),
    ]
}

fn pipeline(name: &str, title: &str, description: &str, params: Vec<Param>, exports: String) -> Pipeline {
    // A dry run commits nothing, so it does not ask.
    let unless = params.iter().any(|param| param.name == DRY_RUN).then(|| DRY_RUN.to_owned());
    let approval = ApprovalRule::If(ApprovalConditions { param: Some(APPROVAL.to_owned()), unless, patches: true });
    let phase = |phase: &str| {
        let (approval, question) = match phase {
            "applying" => (approval.clone(), "Commit these patches to a new branch?"),
            _ => (ApprovalRule::default(), ""),
        };
        PhaseSpec {
            name: phase.to_owned(),
            run: format!("{exports}exec \"$RUNTRAIL_PROGRAM\" work {name} {phase}"),
            approval,
            question: question.to_owned(),
            // Frames are long lines that take several writes, and git's messages must not end up inside them.
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::kinds::FixSafety;
    use crate::model::{Linter, NamedCheck};

    #[test]
    fn autofix_passes_linters_and_checks_to_its_phases() {
        let server = Checks {
            named: vec![NamedCheck { name: "tests".into(), run: "make test".into() }],
            allows_any_command: false,
        };
        let [autofix, refactor] = pipelines(server).try_into().unwrap();
        assert!(autofix.is_extensible() && !refactor.is_extensible());
        let linter =
            Linter { name: "ruff".into(), run: "ruff check".into(), timeout_ms: Some(90_000), fixes: FixSafety::Safe };
        let check = NamedCheck { name: "types".into(), run: "cargo check".into() };
        let extension = PipelineExtension { linters: vec![linter], checks: vec![check] };
        let extended = autofix.extended(&extension).unwrap();
        for phase in &extended.phases {
            assert!(
                phase.run.contains(r#"'[{"name":"ruff","run":"ruff check","timeout_ms":90000}]'"#),
                "{}",
                phase.run
            );
            assert!(phase.run.contains(r#"[{"name":"types","run":"cargo check"},{"name":"tests","run":"make test"}]"#));
        }
        let choices = |pipeline: &Pipeline, name: &str| {
            pipeline.params.iter().find(|param| param.name == name).unwrap().choices.clone()
        };
        assert_eq!(choices(&extended, "check"), ["types", "tests"]);
        assert_eq!(choices(&autofix.pipeline, "check"), ["tests"]);
        let has_none = |pipeline: &Pipeline| choices(pipeline, "rules").contains(&NONE.to_owned());
        assert!(has_none(&extended) && !has_none(&autofix.pipeline));
    }
}
