//! Reads runs: which results are findings, where they are, and what fixes them.

use std::collections::HashMap;

use super::super::edits::Edit;
use super::location::{Base, Candidate, Root};
use super::region::{Counting, Text};
use super::rule::Rules;
use super::shape::{ArtifactChange, ArtifactLocation, Finding, Fix, Location, Notification, Region, Run, some};
use super::{Places, Reported, TOLD, plain};

/// How long what a linter says may be in a sentence, in characters.
const SAID: usize = 300;

/// Tools that name files relative to the repository's top wherever they run, by the beginning of their names: they ask git.
const TOP_TOOLS: [&str; 6] =
    ["gitleaks", "trufflehog", "megalinter", "super-linter", "templateanalyzer", "template analyzer"];

/// What is known while a log is read.
pub struct Reader<'a, S> {
    root: Root,
    exists: Option<&'a dyn Fn(&str) -> bool>,
    source: S,
    /// What paths are relative to that may be read in two ways.
    habit: Base,
    /// How the lines of the texts are counted.
    counting: Counting,
    /// Those asked for; `None` is not looked at.
    texts: HashMap<String, Option<Text>>,
    /// What is found, in the order of the log.
    pub found: Vec<Reported>,
    /// Sentences on what is left out.
    pub skipped: Vec<String>,
}

impl<'a, S: FnMut(&str) -> Option<String>> Reader<'a, S> {
    /// One that has read nothing.
    pub fn new(places: Places<'a>, source: S) -> Self {
        let (root, exists) = (Root::new(places.root, places.top), places.exists);
        let counting = Counting::of(&Run::default());
        let (texts, found, skipped) = (HashMap::new(), Vec::new(), Vec::new());
        Self { root, exists, source, habit: Base::Project, counting, texts, found, skipped }
    }

    /// Reads a run.
    pub fn run(&mut self, run: &Run) {
        let counting = Counting::of(run);
        if !counting.same_lines(&self.counting) {
            self.texts.clear();
        }
        self.counting = counting;
        let rules = Rules::new(run);
        self.habit = self.habit_of(run, rules.tool());
        self.incomplete(run, rules.tool());
        for result in run.results.iter().flatten() {
            // One that is absent was found in an earlier run (§3.27.24).
            if !is_suppressed(result) && some(&result.baseline_state) != Some("absent") {
                let found = self.result(result, run, &rules);
                self.found.extend(found);
            }
        }
    }

    /// Tells of what the linter could not do (appendix I).
    fn incomplete(&mut self, run: &Run, tool: &str) {
        let (tool, told) = (plain(tool, TOLD), self.skipped.len());
        for invocation in run.invocations.iter().flatten() {
            let (execution, configuration) =
                (&invocation.tool_execution_notifications, &invocation.tool_configuration_notifications);
            let all = execution.iter().chain(configuration).flatten();
            for notification in all.filter(|notification| some(&notification.level) == Some("error")) {
                let message =
                    notification.message.as_ref().and_then(|message| some(&message.text)).unwrap_or("an error");
                let message = format!("{tool}{}: {message}", self.notified_at(notification, run));
                self.skipped.push(plain(&message, SAID));
            }
            if invocation.execution_successful == Some(false) && self.skipped.len() == told {
                self.skipped.push(format!("{tool}: it says that it did not succeed"));
            }
        }
        if run.results.is_none() && self.skipped.len() == told {
            self.skipped.push(format!("{tool}: it has no results, not even none; it may not have begun"));
        }
    }

    /// ` in path:line`, if that is known.
    fn notified_at(&mut self, notification: &Notification, run: &Run) -> String {
        let Some((location, region)) = first(&notification.locations) else { return String::new() };
        match self.locate(location, run) {
            Err(_) => String::new(),
            Ok(path) => {
                let (line, _) = self.place(&path, region);
                format!(" in {path}:{line}")
            }
        }
    }

    /// One finding, if it is one, and is of a file that is looked at.
    fn result(&mut self, result: &Finding, run: &Run, rules: &Rules) -> Option<Reported> {
        // Whether there is a problem, the tool says only of `fail`, which is also what absence means. On `review` and `open` it
        // wants somebody to look, but not to change anything (§3.27.9).
        let certain = match some(&result.kind) {
            Some("pass" | "informational" | "notApplicable") => return None,
            Some("review" | "open") => false,
            _ => true,
        };
        let rule = rules.of(result);
        let (id, severity, message) = (rule.id().to_owned(), rule.severity(certain), rule.message());
        let called = plain(&id, TOLD);
        let Some((location, region)) = first(&result.locations) else {
            self.skipped.push(format!("skipped a finding of {called}: it is in no file"));
            return None;
        };
        let path = match self.locate(location, run) {
            Ok(path) => path,
            Err(why) => {
                self.skipped.push(format!("skipped findings of {called}: {why}"));
                return None;
            }
        };
        let (line, column) = self.place(&path, region);
        let fixes = result.fixes.as_deref().filter(|fixes| certain && !fixes.is_empty());
        let edits = fixes.map_or(Ok(Vec::new()), |fixes| self.fix(fixes, &path, run)).unwrap_or_else(|why| {
            let place = plain(&format!("{path}:{line}"), SAID);
            self.skipped.push(format!("left {place} without the fix of {called}: {why}"));
            Vec::new()
        });
        Some(Reported { path, line, column, rule: id, severity, message, edits })
    }

    /// What the tool's paths are relative to where that is not certain: what they are where it is, or else what is known of it.
    fn habit_of(&mut self, run: &Run, tool: &str) -> Base {
        let mut votes = HashMap::new();
        let results = run.results.iter().flatten().flat_map(|result| result.locations.iter().flatten());
        for location in results.filter_map(|location| location.physical_location.as_ref()?.artifact_location.as_ref()) {
            let Ok(readings) = self.root.files(location, run) else { continue };
            let there = readings.into_iter().map(|reading| self.existing(reading)).find(|there| !there.is_empty());
            if let Some([only]) = there.as_deref() {
                *votes.entry(only.base).or_insert(0_usize) += 1;
            }
        }
        let count = |base| votes.get(&base).copied().unwrap_or(0);
        let tool = tool.to_ascii_lowercase();
        match count(Base::Top).cmp(&count(Base::Project)) {
            std::cmp::Ordering::Greater => Base::Top,
            std::cmp::Ordering::Equal if TOP_TOOLS.iter().any(|known| tool.starts_with(known)) => Base::Top,
            _ => Base::Project,
        }
    }

    /// Those that are files.
    fn existing(&mut self, candidates: Vec<Candidate>) -> Vec<Candidate> {
        let is_there = |one: &Candidate| match (self.exists, &one.in_top, &one.in_project) {
            (Some(exists), Some(path), _) => exists(path),
            (None, _, Some(path)) => self.text(path).is_some(),
            _ => false,
        };
        candidates.into_iter().filter(is_there).collect()
    }

    /// The file that a location is, of those that are looked at; or why there is none, for people.
    fn locate(&mut self, location: &ArtifactLocation, run: &Run) -> Result<String, String> {
        let readings = self.root.files(location, run).map_err(|why| plain(&why.to_string(), SAID))?;
        let elsewhere = |this: &Self| plain(&this.root.elsewhere(location, run).to_string(), SAID);
        for reading in readings.clone() {
            let there = self.existing(reading);
            let by_habit = there.iter().find(|one| one.base == self.habit).or(there.first());
            match by_habit.map(|one| one.in_project.clone()) {
                None => {}
                // It is a file of the repository, and not of the project.
                Some(None) => return Err(elsewhere(self)),
                Some(Some(path)) if self.text(&path).is_some() => return Ok(path),
                Some(Some(path)) => return Err(format!("{} is no file that is looked at", plain(&path, SAID))),
            }
        }
        // A scheme that is not a file's is one, if there is no file of that name.
        let why = self.root.elsewhere(location, run);
        if matches!(why, super::location::Elsewhere::Foreign(_)) {
            return Err(plain(&why.to_string(), SAID));
        }
        let first = readings.iter().flatten().find(|one| one.in_project.is_some());
        let Some(path) = first.and_then(|one| one.in_project.as_deref()) else { return Err(elsewhere(self)) };
        let path = plain(path, SAID);
        match readings.iter().flatten().any(|one| one.base == Base::Top) {
            true => {
                Err(format!("{path} is no file that is looked at, relative to the project or to the repository's top"))
            }
            false => Err(format!("{path} is no file that is looked at")),
        }
    }

    fn text(&mut self, path: &str) -> Option<&Text> {
        if !self.texts.contains_key(path) {
            let text = (self.source)(path).map(|text| Text::new(text, &self.counting));
            self.texts.insert(path.to_owned(), text);
        }
        self.texts.get(path)?.as_ref()
    }

    /// Line and column. A finding without a region is about the file.
    fn place(&mut self, path: &str, region: Option<&Region>) -> (u64, u64) {
        let column = self.counting.column;
        let text = self.text(path);
        text.zip(region).map_or((1, 1), |(text, region)| text.place(region, column))
    }

    /// The edits of the first fix that is about this file alone. The others are other ways to fix the same (§3.55).
    fn fix(&mut self, fixes: &[Fix], path: &str, run: &Run) -> Result<Vec<Edit>, String> {
        let mut other = None;
        for fix in fixes {
            let changes: Vec<&ArtifactChange> = fix.artifact_changes.iter().flatten().collect();
            let elsewhere = changes.iter().find_map(|change| {
                let found = change.artifact_location.as_ref().map(|location| self.locate(location, run));
                match found {
                    Some(Ok(found)) if found == path => None,
                    Some(Ok(found)) => Some(format!("it changes {} too", plain(&found, SAID))),
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
        let (column, whole_lines) = (self.counting.column, self.counting.whole_lines);
        let Some(text) = self.text(path) else { return Ok(Vec::new()) };
        let mut edits = Vec::new();
        for replacement in changes.iter().flat_map(|change| change.replacements.iter().flatten()) {
            let nowhere = Region::default();
            let region = replacement.deleted_region.as_ref().unwrap_or(&nowhere);
            let range = text.range(region, column).map_err(|why| why.to_string())?;
            // No content, or none of it, is a deletion (§3.57.4).
            let content = replacement.inserted_content.as_ref();
            let mut new = content.and_then(|content| content.text.as_deref()).unwrap_or_default();
            if new.is_empty() && content.is_some_and(|content| some(&content.binary).is_some()) {
                return Err("it inserts bytes instead of text".to_owned());
            }
            if whole_lines {
                let (before, after) = text.around(&range);
                let inner = new.strip_prefix(before).and_then(|new| new.strip_suffix(after));
                new = inner.ok_or("what it inserts is not the lines with the match replaced")?;
            }
            if !(range.is_empty() && new.is_empty()) {
                edits.push(Edit { range, text: new.to_owned() });
            }
        }
        together(edits).ok_or_else(|| "its replacements overlap".to_owned())
    }
}

/// Makes one edit of those that begin at one place: several insertions are made in their order, and before what is replaced
/// there (§3.57.1). `None` if two overlap.
fn together(mut edits: Vec<Edit>) -> Option<Vec<Edit>> {
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let mut apart: Vec<Edit> = Vec::with_capacity(edits.len());
    for edit in edits {
        match apart.last_mut() {
            Some(last) if edit.range.start < last.range.end => return None,
            Some(last) if edit.range.start == last.range.start => {
                last.range.end = edit.range.end;
                last.text.push_str(&edit.text);
            }
            _ => apart.push(edit),
        }
    }
    Some(apart)
}

/// Whether nobody wants to hear of it. A suppression that is not accepted is none yet (§3.27.23, §3.35.3).
fn is_suppressed(result: &Finding) -> bool {
    let is_accepted = |status: &Option<String>| matches!(some(status), None | Some("accepted"));
    let all = result.suppressions.as_deref().unwrap_or_default();
    !all.is_empty() && all.iter().all(|one| is_accepted(&one.status))
}

/// The first place of several.
fn first(locations: &Option<Vec<Location>>) -> Option<(&ArtifactLocation, Option<&Region>)> {
    let mut all = locations.iter().flatten().filter_map(|location| location.physical_location.as_ref());
    all.find_map(|place| Some((place.artifact_location.as_ref()?, place.region.as_ref())))
}
