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
            checks.param(),
            Param {
                default: text("1h"),
                ..param("check_timeout", "Time limit of the check", limit, ParamKind::String)
            },
            approval(),
            Param {
                default: Some(ParamValue::Boolean(false)),
                ..param(DRY_RUN, "Dry run", "Patches are shown and not committed.", ParamKind::Boolean)
            },
            include,
            exclude,
        ],
        format!("{}{}", linters::export_line(linters), checks.export_line()),
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
            approval(),
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

fn approval() -> Param {
    let help = "The run waits for you to look at the patches. You may leave some out.";
    Param {
        default: Some(ParamValue::Boolean(false)),
        ..param(APPROVAL, "Ask before applying", help, ParamKind::Boolean)
    }
}

fn globs() -> [Param; 2] {
    let text = |name: &str, title: &str, help: &str| param(name, title, help, ParamKind::String);
    [
        text("include", "Only in", "Globs such as src/**, separated by commas. All files if empty."),
        text("exclude", "Not in", "Globs such as **/generated/**, separated by commas."),
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
