//! The pipeline `autofix`: finds matches of rules and fixes those that can be fixed.

use std::time::Duration;

use super::analysis::Analysis;
use super::check::{Check, DEFAULT_TIME_LIMIT};
use super::checks;
use super::commit_files::CommitFiles;
use super::error::PhaseError;
use super::files::PathFilter;
use super::finding::{Finding, Severity};
use super::generated::is_generated;
use super::language::Grammar;
use super::phase_log::{PhaseLog, count};
use super::rules::{self, PACKS, RuleSet};
use super::supported_versions::{SupportedVersions, Toolchain};
use super::task::Task;

/// Selects all packs and the project's own rules.
pub const ALL: &str = "all";

/// Selects the project's own rules.
pub const PROJECT: &str = "project";

/// Selects no rules, for pipelines with linters.
pub const NONE: &str = "none";

/// The parameters of a run.
pub struct AutoFix {
    set: String,
    min_severity: Severity,
    check: Option<String>,
    check_time_limit: Duration,
    is_dry_run: bool,
    /// See [`Analysis::is_verified`].
    is_verified: bool,
    path_filter: PathFilter,
    /// Set by [`Analysis::prepare`].
    rules: Option<RuleSet>,
}

impl AutoFix {
    /// # Errors
    /// A parameter is invalid.
    pub fn from_params(task: &Task) -> Result<Self, PhaseError> {
        let min_severity = match task.param("severity") {
            "error" => Severity::Error,
            "warning" => Severity::Warning,
            "info" => Severity::Info,
            _ => Severity::Hint,
        };
        let text = |name: &str| Some(task.param(name).trim().to_owned()).filter(|text| !text.is_empty());
        let check = text("check").map(checks::command_of);
        let is_dry_run = task.param("dry_run") == "true";
        Ok(Self {
            set: text("rules").unwrap_or_else(|| ALL.to_owned()),
            min_severity,
            is_verified: check.is_some() || is_dry_run || task.param("approval") == "true",
            check,
            check_time_limit: text("check_timeout").map_or(Ok(DEFAULT_TIME_LIMIT), |limit| {
                humantime::parse_duration(&limit).map_err(|error| PhaseError::TimeLimit(limit, error))
            })?,
            is_dry_run,
            path_filter: PathFilter::new(task.param("include"), task.param("exclude"))?,
            rules: None,
        })
    }

    /// The command that patches must pass.
    pub fn check(&self) -> Option<Check> {
        self.check.clone().map(|command| Check::new(command, self.check_time_limit))
    }
}

impl Analysis for AutoFix {
    fn prepare(&mut self, commit: &CommitFiles, log: Option<&mut PhaseLog>) -> Result<(), PhaseError> {
        let mut all = Vec::new();
        for (name, _) in PACKS.iter().filter(|(name, _)| [ALL, *name].contains(&self.set.as_str())) {
            all.extend(rules::pack(name, self.min_severity)?);
        }
        let mut faults = Vec::new();
        let packed = all.len();
        if [ALL, PROJECT].contains(&self.set.as_str()) {
            let own;
            (own, faults) = rules::of_project(commit, self.min_severity)?;
            all.extend(own);
        }
        let own = all.len() - packed;
        let rules = RuleSet::new(all)?;
        let toolchains: Vec<Toolchain> = rules.grammars().into_iter().filter_map(Toolchain::of).collect();
        let paths = commit.entries().map(|(path, _)| path);
        let versions = SupportedVersions::read(&toolchains, paths, |path| commit.optional_text(path));
        if let Some(log) = log {
            for (toolchain, version, path) in versions.all() {
                let newer = rules.fixes_for_newer(toolchain, version).into_iter();
                let newer = newer.map(|(rule, since)| format!("{rule} ({since})")).collect::<Vec<_>>().join(", ");
                if !newer.is_empty() {
                    let name = toolchain.name();
                    log.line(&format!("{path} supports {name} {version}: no fix that needs a later one: {newer}"))?;
                }
            }
            faults.iter().try_for_each(|fault| log.line(&format!("skipped {fault}")))?;
            log.line(&format!("{} of Runtrail's, {own} of the project's own", count(packed, "rule")))?;
        }
        self.rules = Some(rules.supporting(versions));
        Ok(())
    }

    fn grammars(&self) -> Vec<Grammar> {
        self.rules.as_ref().map(RuleSet::grammars).unwrap_or_default()
    }

    fn path_filter(&self) -> &PathFilter {
        &self.path_filter
    }

    fn skips_generated(&self, grammar: Grammar, text: &str) -> bool {
        is_generated(grammar, text)
    }

    fn analyze(&self, grammar: Grammar, path: &str, text: &str) -> Vec<Finding> {
        // Later passes also analyze generated files if a linter's fix has changed them.
        if is_generated(grammar, text) {
            return Vec::new();
        }
        let mut findings = self.rules.as_ref().map(|rules| rules.analyze(grammar, path, text)).unwrap_or_default();
        if !self.is_verified {
            findings.iter_mut().for_each(Finding::withhold_unverified);
        }
        findings
    }

    fn commit_message(&self, fixed: usize, files: usize) -> String {
        let checked = self.check.as_ref().map(|check| format!("\n\nChecked with: {check}")).unwrap_or_default();
        format!("AutoFix: {} in {}{checked}", count(fixed, "finding"), count(files, "file"))
    }

    fn unchanged_message(&self, files: usize, findings: usize) -> String {
        match findings {
            0 => format!("Nothing to do: no rule finds anything in {}.", count(files, "file")),
            _ => format!("Nothing to do: none of {} can be fixed.", count(findings, "finding")),
        }
    }

    fn min_severity(&self) -> Severity {
        self.min_severity
    }

    fn is_verified(&self) -> bool {
        self.is_verified
    }

    fn is_dry_run(&self) -> bool {
        self.is_dry_run
    }

    fn repeats(&self) -> bool {
        true
    }
}
