//! The pipeline `autofix`: rules are looked for in all files that they are for, and what can be fixed is.

use std::time::Duration;

use super::analysis::{Analysis, Found, Severity};
use super::check::{Check, LIMIT};
use super::code::Code;
use super::declared::{Declared, Tool};
use super::files::Wanted;
use super::generated::is_generated;
use super::language::Grammar;
use super::report::{Report, count};
use super::rules::{self, PACKS, Rules};
use super::{PhaseError, Task};

/// The rule set of all packs and the project's own rules.
pub const ALL: &str = "all";

/// The rule set of the project's own rules alone.
pub const PROJECT: &str = "project";

/// The rule set of nothing, for pipelines with linters of their own.
pub const NONE: &str = "none";

/// What is asked for.
pub struct AutoFix {
    set: String,
    floor: Severity,
    check: Option<String>,
    check_limit: Duration,
    dry_run: bool,
    /// Whether a check, or a person before anything is committed, verifies the patches.
    is_verified: bool,
    wanted: Wanted,
    /// Known when the project is.
    rules: Option<Rules>,
}

impl AutoFix {
    /// What the run's parameters ask for.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn read(task: &Task) -> Result<Self, PhaseError> {
        let floor = match task.param("severity") {
            "error" => Severity::Error,
            "warning" => Severity::Warning,
            "info" => Severity::Info,
            _ => Severity::Hint,
        };
        let text = |name: &str| Some(task.param(name).trim().to_owned()).filter(|text| !text.is_empty());
        let check = text("check").map(super::checks::command);
        let dry_run = task.param("dry_run") == "true";
        Ok(Self {
            set: text("rules").unwrap_or_else(|| ALL.to_owned()),
            floor,
            is_verified: check.is_some() || dry_run || task.param("approval") == "true",
            check,
            check_limit: text("check_timeout").map_or(Ok(LIMIT), |limit| {
                humantime::parse_duration(&limit).map_err(|error| PhaseError::Limit(limit, error))
            })?,
            dry_run,
            wanted: Wanted::new(task.param("include"), task.param("exclude"))?,
            rules: None,
        })
    }

    /// The command that patches are proved with, if there is one.
    pub fn check(&self) -> Option<Check> {
        self.check.clone().map(|command| Check::new(command, self.check_limit))
    }
}

impl Analysis for AutoFix {
    fn prepare(&mut self, code: &Code, report: Option<&mut Report>) -> Result<(), PhaseError> {
        let mut all = Vec::new();
        for (name, _) in PACKS.iter().filter(|(name, _)| [ALL, *name].contains(&self.set.as_str())) {
            all.extend(rules::pack(name, self.floor)?);
        }
        let mut faults = Vec::new();
        let packed = all.len();
        if [ALL, PROJECT].contains(&self.set.as_str()) {
            let own;
            (own, faults) = rules::of_project(code, self.floor)?;
            all.extend(own);
        }
        let own = all.len() - packed;
        let rules = Rules::new(all)?;
        let tools: Vec<Tool> = rules.grammars().into_iter().filter_map(Tool::of).collect();
        let declared = Declared::read(&tools, code.entries().map(|(path, _)| path), |path| code.peek(path));
        if let Some(report) = report {
            for (tool, version, path) in declared.all() {
                let beyond = rules.beyond(tool, version).into_iter();
                let beyond = beyond.map(|(rule, since)| format!("{rule} ({since})")).collect::<Vec<_>>().join(", ");
                if !beyond.is_empty() {
                    let tool = tool.name();
                    report
                        .line(&format!("{path} supports {tool} {version}: no fix that needs a later one: {beyond}"))?;
                }
            }
            faults.iter().try_for_each(|fault| report.line(&format!("skipped {fault}")))?;
            report.line(&format!("{} of Runtrail's, {own} of the project's own", count(packed, "rule")))?;
        }
        self.rules = Some(rules.supporting(declared));
        Ok(())
    }

    fn grammars(&self) -> Vec<Grammar> {
        self.rules.as_ref().map(Rules::grammars).unwrap_or_default()
    }

    fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    fn leaves_out(&self, grammar: Grammar, text: &str) -> bool {
        is_generated(grammar, text)
    }

    fn look(&self, grammar: Grammar, path: &str, text: &str) -> Vec<Found> {
        // A linter may have fixed such a file, whose rules are then asked again.
        if is_generated(grammar, text) {
            return Vec::new();
        }
        let mut found = self.rules.as_ref().map(|rules| rules.look(grammar, path, text)).unwrap_or_default();
        if !self.is_verified {
            found.iter_mut().for_each(Found::withhold_unverified);
        }
        found
    }

    fn message(&self, fixed: usize, files: usize) -> String {
        let proved = self.check.as_ref().map(|check| format!("\n\nChecked with: {check}")).unwrap_or_default();
        format!("AutoFix: {} in {}{proved}", count(fixed, "finding"), count(files, "file"))
    }

    fn nothing(&self, files: usize, findings: usize) -> String {
        match findings {
            0 => format!("Nothing to do: no rule finds anything in {}.", count(files, "file")),
            _ => format!("Nothing to do: none of {} can be fixed.", count(findings, "finding")),
        }
    }

    fn floor(&self) -> Severity {
        self.floor
    }

    fn is_verified(&self) -> bool {
        self.is_verified
    }

    fn only_shows(&self) -> bool {
        self.dry_run
    }

    fn repeats(&self) -> bool {
        true
    }
}
