//! Reads the runs of a log: which results are findings, where they are, and how they are fixed.

use std::collections::HashMap;

use super::super::edits::Edit;
use super::finding::{MAX_QUOTE_CHARS, MAX_SENTENCE_CHARS, ProjectPaths, SarifFinding, one_line};
use super::location::{FileCandidate, NotInProject, PathBase, ProjectRoots};
use super::region::{CountingRules, IndexedText};
use super::rule::RuleIndex;
use super::shape::{
    ArtifactChange, ArtifactLocation, SarifFix, SarifLocation, SarifRegion, SarifResult, SarifRun, ToolNotification,
    some,
};

/// Prefixes of the names of tools whose paths are always relative to the top of the repository, since they use git.
const TOOLS_WITH_PATHS_FROM_TOP: [&str; 6] =
    ["gitleaks", "trufflehog", "megalinter", "super-linter", "templateanalyzer", "template analyzer"];

/// The state while a log is read.
pub struct LogReader<'a, S> {
    root: ProjectRoots,
    exists: Option<&'a dyn Fn(&str) -> bool>,
    source: S,
    /// The base of ambiguous paths in the current run.
    preferred_base: PathBase,
    /// How the tool counts lines and columns.
    counting: CountingRules,
    /// The texts so far; `None` for files that are not analyzed.
    texts: HashMap<String, Option<IndexedText>>,
    /// In the order of the log.
    pub findings: Vec<SarifFinding>,
    /// Sentences on what is left out.
    pub skipped: Vec<String>,
}

impl<'a, S: FnMut(&str) -> Option<String>> LogReader<'a, S> {
    pub fn new(paths: ProjectPaths<'a>, source: S) -> Self {
        let (root, exists) = (ProjectRoots::new(paths.root, paths.top), paths.exists);
        let counting = CountingRules::of(&SarifRun::default());
        let (texts, findings, skipped) = (HashMap::new(), Vec::new(), Vec::new());
        Self { root, exists, source, preferred_base: PathBase::Project, counting, texts, findings, skipped }
    }

    pub fn read_run(&mut self, run: &SarifRun) {
        let counting = CountingRules::of(run);
        if !counting.has_same_lines(&self.counting) {
            self.texts.clear();
        }
        self.counting = counting;
        let rules = RuleIndex::new(run);
        self.preferred_base = self.preferred_base_of(run, rules.tool());
        self.report_failures(run, rules.tool());
        for result in run.results.iter().flatten() {
            // An absent result is one of an earlier run that is fixed (§3.27.24).
            if !is_suppressed(result) && some(&result.baseline_state) != Some("absent") {
                let finding = self.read_result(result, run, &rules);
                self.findings.extend(finding);
            }
        }
    }

    /// Adds sentences on what the linter could not do (appendix I).
    fn report_failures(&mut self, run: &SarifRun, tool: &str) {
        let (tool, skipped_before) = (one_line(tool, MAX_QUOTE_CHARS), self.skipped.len());
        for invocation in run.invocations.iter().flatten() {
            let (execution, configuration) =
                (&invocation.tool_execution_notifications, &invocation.tool_configuration_notifications);
            let all = execution.iter().chain(configuration).flatten();
            for notification in all.filter(|notification| some(&notification.level) == Some("error")) {
                let message =
                    notification.message.as_ref().and_then(|message| some(&message.text)).unwrap_or("an error");
                let message = format!("{tool}{}: {message}", self.location_suffix(notification, run));
                self.skipped.push(one_line(&message, MAX_SENTENCE_CHARS));
            }
            if invocation.execution_successful == Some(false) && self.skipped.len() == skipped_before {
                self.skipped.push(format!("{tool}: it says that it did not succeed"));
            }
        }
        if run.results.is_none() && self.skipped.len() == skipped_before {
            self.skipped.push(format!("{tool}: it has no results, not even none; it may not have begun"));
        }
    }

    /// ` in path:line`, if the notification has a location.
    fn location_suffix(&mut self, notification: &ToolNotification, run: &SarifRun) -> String {
        let Some((location, region)) = first(&notification.locations) else { return String::new() };
        match self.locate(location, run) {
            Err(_) => String::new(),
            Ok(path) => {
                let (line, _) = self.place(&path, region);
                format!(" in {path}:{line}")
            }
        }
    }

    /// The finding of a result, if it reports a problem in an analyzed file.
    fn read_result(&mut self, result: &SarifResult, run: &SarifRun, rules: &RuleIndex) -> Option<SarifFinding> {
        // Only `fail`, the default, means that there is a problem. `review` and `open` ask a person to decide, so their
        // fixes are not used (§3.27.9).
        let is_certain = match some(&result.kind) {
            Some("pass" | "informational" | "notApplicable") => return None,
            Some("review" | "open") => false,
            _ => true,
        };
        let rule = rules.of(result);
        let (id, severity, message) = (rule.id().to_owned(), rule.severity(is_certain), rule.message());
        let rule_name = one_line(&id, MAX_QUOTE_CHARS);
        let Some((location, region)) = first(&result.locations) else {
            self.skipped.push(format!("skipped a finding of {rule_name}: it is in no file"));
            return None;
        };
        let path = match self.locate(location, run) {
            Ok(path) => path,
            Err(why) => {
                self.skipped.push(format!("skipped findings of {rule_name}: {why}"));
                return None;
            }
        };
        let (line, column) = self.place(&path, region);
        let fixes = result.fixes.as_deref().filter(|fixes| is_certain && !fixes.is_empty());
        let edits = fixes.map_or(Ok(Vec::new()), |fixes| self.read_fix(fixes, &path, run)).unwrap_or_else(|why| {
            let place = one_line(&format!("{path}:{line}"), MAX_SENTENCE_CHARS);
            self.skipped.push(format!("left {place} without the fix of {rule_name}: {why}"));
            Vec::new()
        });
        Some(SarifFinding { path, line, column, rule: id, severity, message, edits })
    }

    /// The base of a run's ambiguous paths: that of most unambiguous ones, or else the known habit of the tool.
    fn preferred_base_of(&mut self, run: &SarifRun, tool: &str) -> PathBase {
        let mut votes = HashMap::new();
        let results = run.results.iter().flatten().flat_map(|result| result.locations.iter().flatten());
        for location in results.filter_map(|location| location.physical_location.as_ref()?.artifact_location.as_ref()) {
            let Ok(readings) = self.root.files(location, run) else { continue };
            let existing =
                readings.into_iter().map(|reading| self.existing(reading)).find(|existing| !existing.is_empty());
            if let Some([only]) = existing.as_deref() {
                *votes.entry(only.base).or_insert(0_usize) += 1;
            }
        }
        let count = |base| votes.get(&base).copied().unwrap_or(0);
        let tool = tool.to_ascii_lowercase();
        match count(PathBase::Top).cmp(&count(PathBase::Project)) {
            std::cmp::Ordering::Greater => PathBase::Top,
            std::cmp::Ordering::Equal if TOOLS_WITH_PATHS_FROM_TOP.iter().any(|known| tool.starts_with(known)) => {
                PathBase::Top
            }
            _ => PathBase::Project,
        }
    }

    /// The candidates that are files.
    fn existing(&mut self, candidates: Vec<FileCandidate>) -> Vec<FileCandidate> {
        let is_there = |one: &FileCandidate| match (self.exists, &one.in_top, &one.in_project) {
            (Some(exists), Some(path), _) => exists(path),
            (None, _, Some(path)) => self.text(path).is_some(),
            _ => false,
        };
        candidates.into_iter().filter(is_there).collect()
    }

    /// The analyzed file of a location, or a sentence that tells why there is none.
    fn locate(&mut self, location: &ArtifactLocation, run: &SarifRun) -> Result<String, String> {
        let readings = self.root.files(location, run).map_err(|why| one_line(&why.to_string(), MAX_SENTENCE_CHARS))?;
        let elsewhere =
            |this: &Self| one_line(&this.root.not_in_project(location, run).to_string(), MAX_SENTENCE_CHARS);
        for reading in readings.clone() {
            let existing = self.existing(reading);
            let preferred = existing.iter().find(|one| one.base == self.preferred_base).or(existing.first());
            match preferred.map(|one| one.in_project.clone()) {
                None => {}
                // A file of the repository outside the project.
                Some(None) => return Err(elsewhere(self)),
                Some(Some(path)) if self.text(&path).is_some() => return Ok(path),
                Some(Some(path)) => {
                    return Err(format!("{} is no file that is looked at", one_line(&path, MAX_SENTENCE_CHARS)));
                }
            }
        }
        // Without a file of that name, a text before a colon is a URI scheme.
        let why = self.root.not_in_project(location, run);
        if matches!(why, NotInProject::Foreign(_)) {
            return Err(one_line(&why.to_string(), MAX_SENTENCE_CHARS));
        }
        let first = readings.iter().flatten().find(|one| one.in_project.is_some());
        let Some(path) = first.and_then(|one| one.in_project.as_deref()) else { return Err(elsewhere(self)) };
        let path = one_line(path, MAX_SENTENCE_CHARS);
        match readings.iter().flatten().any(|one| one.base == PathBase::Top) {
            true => {
                Err(format!("{path} is no file that is looked at, relative to the project or to the repository's top"))
            }
            false => Err(format!("{path} is no file that is looked at")),
        }
    }

    fn text(&mut self, path: &str) -> Option<&IndexedText> {
        if !self.texts.contains_key(path) {
            let text = (self.source)(path).map(|text| IndexedText::new(text, &self.counting));
            self.texts.insert(path.to_owned(), text);
        }
        self.texts.get(path)?.as_ref()
    }

    /// The line and column of a region; the beginning of the file without a region.
    fn place(&mut self, path: &str, region: Option<&SarifRegion>) -> (u64, u64) {
        let column = self.counting.column;
        let text = self.text(path);
        text.zip(region).map_or((1, 1), |(text, region)| text.place(region, column))
    }

    /// The edits of the first fix that only changes this file. Further fixes are alternatives (§3.55).
    fn read_fix(&mut self, fixes: &[SarifFix], path: &str, run: &SarifRun) -> Result<Vec<Edit>, String> {
        let mut other = None;
        for fix in fixes {
            let changes: Vec<&ArtifactChange> = fix.artifact_changes.iter().flatten().collect();
            let elsewhere = changes.iter().find_map(|change| {
                let found = change.artifact_location.as_ref().map(|location| self.locate(location, run));
                match found {
                    Some(Ok(found)) if found == path => None,
                    Some(Ok(found)) => Some(format!("it changes {} too", one_line(&found, MAX_SENTENCE_CHARS))),
                    Some(Err(why)) => Some(format!("it changes another file: {why}")),
                    None => Some("it does not say what it changes".to_owned()),
                }
            });
            match elsewhere {
                Some(why) => _ = other.get_or_insert(why),
                None if changes.is_empty() => {}
                None => return self.edits(&changes, path),
            }
        }
        Err(other.unwrap_or_else(|| "it changes nothing".to_owned()))
    }

    fn edits(&mut self, changes: &[&ArtifactChange], path: &str) -> Result<Vec<Edit>, String> {
        let (column, inserts_whole_lines) = (self.counting.column, self.counting.inserts_whole_lines);
        let Some(text) = self.text(path) else { return Ok(Vec::new()) };
        let mut edits = Vec::new();
        for replacement in changes.iter().flat_map(|change| change.replacements.iter().flatten()) {
            let no_region = SarifRegion::default();
            let region = replacement.deleted_region.as_ref().unwrap_or(&no_region);
            let range = text.range(region, column).map_err(|why| why.to_string())?;
            // Missing or empty content is a deletion (§3.57.4).
            let content = replacement.inserted_content.as_ref();
            let mut new = content.and_then(|content| content.text.as_deref()).unwrap_or_default();
            if new.is_empty() && content.is_some_and(|content| some(&content.binary).is_some()) {
                return Err("it inserts bytes instead of text".to_owned());
            }
            if inserts_whole_lines {
                let (before, after) = text.around(&range);
                let inner = new.strip_prefix(before).and_then(|new| new.strip_suffix(after));
                new = inner.ok_or("what it inserts is not the lines with the match replaced")?;
            }
            if !(range.is_empty() && new.is_empty()) {
                edits.push(Edit { range, text: new.to_owned() });
            }
        }
        join_adjacent(edits).ok_or_else(|| "its replacements overlap".to_owned())
    }
}

/// Joins edits that begin at one place: insertions apply in their order, and before a replacement there (§3.57.1).
/// `None` if two overlap.
fn join_adjacent(mut edits: Vec<Edit>) -> Option<Vec<Edit>> {
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let mut joined: Vec<Edit> = Vec::with_capacity(edits.len());
    for edit in edits {
        match joined.last_mut() {
            Some(last) if edit.range.start < last.range.end => return None,
            Some(last) if edit.range.start == last.range.start => {
                last.range.end = edit.range.end;
                last.text.push_str(&edit.text);
            }
            _ => joined.push(edit),
        }
    }
    Some(joined)
}

/// Whether a result is suppressed. Only accepted suppressions count (§3.27.23, §3.35.3).
fn is_suppressed(result: &SarifResult) -> bool {
    let is_accepted = |status: &Option<String>| matches!(some(status), None | Some("accepted"));
    let all = result.suppressions.as_deref().unwrap_or_default();
    !all.is_empty() && all.iter().all(|one| is_accepted(&one.status))
}

/// The first physical location.
fn first(locations: &Option<Vec<SarifLocation>>) -> Option<(&ArtifactLocation, Option<&SarifRegion>)> {
    let mut all = locations.iter().flatten().filter_map(|location| location.physical_location.as_ref());
    all.find_map(|place| Some((place.artifact_location.as_ref()?, place.region.as_ref())))
}
