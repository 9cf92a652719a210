//! What the built-in pipelines have in common: the four phases. They differ in what they look for.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use serde::{Deserialize, Serialize};

use super::checkout::{Checkout, blob};
use super::code::{Code, Entry};
use super::edits::Edit;
use super::files::{self, Wanted};
use super::git::{GitError, parts};
use super::language::{self, Grammar};
use super::linters;
use super::parallel::in_order;
use super::patches::{InFile, Made, Rewritten};
use super::report::{Report, count};
use super::repository::Repository;
use super::trial::Trial;
use super::workspace::Tree;
use super::{Lost, PhaseError, Task};
use crate::model::kinds::{Finding, FixSafety, Outcome};

/// What a phase leaves to the next, by name.
const FILES: &str = "files.json";
pub const FOUND: &str = "found.json";

/// What the linters alone have found.
pub const REPORTED: &str = "reported.json";
const PATCHES: &str = "patches.json";

/// What to do about fixes that were left out.
const NEEDS_REVIEW: &str = "a fix marked review needs a check, or \"Ask before applying\"";
/// Files that cannot be read are named up to this many, and no more are tried.
const MOST_LOST: usize = 10;

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1, in characters.
    pub column: u64,
    /// The rule's name.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, or what was found.
    pub message: String,
    /// What fixes it, all of it together, in the order of places; empty if nothing does.
    #[serde(default)]
    pub edits: Vec<Edit>,
    /// How far its fix can be trusted. Without meaning if nothing fixes it.
    #[serde(default)]
    pub safety: FixSafety,
    /// Whether its fix is left out of this run, because nothing would verify it.
    #[serde(default)]
    pub is_withheld: bool,
}

impl Found {
    /// Whether there is something that fixes it.
    pub fn is_fixable(&self) -> bool {
        !self.edits.is_empty()
    }

    /// Whether it has a fix that a check or a person must verify.
    pub fn needs_review(&self) -> bool {
        self.is_fixable() && self.safety == FixSafety::Review
    }

    /// Drops the fix if it needs a review: for runs in which neither a check nor a person looks at it.
    pub fn withhold_unverified(&mut self) {
        if self.needs_review() {
            self.edits.clear();
            self.is_withheld = true;
        }
    }

    /// The safety of its fix, if it has one.
    fn fix(&self) -> Option<FixSafety> {
        (self.is_fixable() || self.is_withheld).then_some(self.safety)
    }

    /// Whether both say the same of the same place, in the same words or with the same fix.
    pub fn is_same(&self, other: &Self) -> bool {
        let fix = self.is_fixable() && self.edits == other.edits;
        (self.line, self.column) == (other.line, other.column) && (fix || self.message == other.message)
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Style.
    Hint,
    /// Better otherwise.
    Info,
    /// Likely wrong.
    Warning,
    /// Wrong.
    Error,
}

impl Severity {
    /// The word as frames have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hint => "hint",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What a pipeline looks for.
pub trait Analysis: Sync {
    /// Learns what the project itself has to say; tells people of it if there is a report.
    ///
    /// # Errors
    /// The disk, or what it says cannot be used.
    fn prepare(&mut self, _code: &Code, _report: Option<&mut Report>) -> Result<(), PhaseError> {
        Ok(())
    }

    /// The languages it looks at.
    fn grammars(&self) -> Vec<Grammar>;

    /// The files it looks at.
    fn wanted(&self) -> &Wanted;

    /// What is there to find in a file, in the order of places.
    fn look(&self, grammar: Grammar, path: &str, text: &str) -> Vec<Found>;

    /// Whether it looks for nothing in a file, because a program has written it.
    fn leaves_out(&self, _grammar: Grammar, _text: &str) -> bool {
        false
    }

    /// The commit's message, for so many findings fixed in so many files.
    fn message(&self, fixed: usize, files: usize) -> String;

    /// Why nothing changes, for so many files and findings.
    fn nothing(&self, files: usize, findings: usize) -> String;

    /// Findings that are less severe are left out.
    fn floor(&self) -> Severity {
        Severity::Hint
    }

    /// Whether a check, or a person before anything is committed, verifies the patches.
    fn is_verified(&self) -> bool {
        true
    }

    /// Whether the patches are only shown.
    fn only_shows(&self) -> bool {
        false
    }

    /// Whether it may make a commit.
    fn commits(&self) -> bool {
        !self.only_shows()
    }

    /// Whether what its fixes have made is looked at again, until nothing is left to fix.
    fn repeats(&self) -> bool {
        false
    }
}

/// Lists the files.
///
/// # Errors
/// [`PhaseError`].
pub async fn scanning(
    task: &Task,
    analysis: &mut dyn Analysis,
    files_needed: bool,
    report: &mut Report,
) -> Result<(), PhaseError> {
    let repository = Repository::open(&task.project, task.workspace.allowed()).await?;
    let branch = repository.branch.as_deref();
    let at = branch.map_or_else(|| "a detached head".to_owned(), |branch| format!("branch {branch}"));
    report.line(&format!("{}: commit {} ({at})", repository.top.path().display(), short(&repository.head)))?;
    report.flush()?;
    if analysis.commits() {
        // Nobody looks through patches for half an hour that cannot be committed.
        repository.check_branch(&task.branch()).await?;
    }
    let tree = task.workspace.make_tree(repository).await?;
    let code = Code::of(&tree).await?;
    // An index that git reads in no repository but its own says nothing.
    if let Ok(changed @ 1..) = tree.store.changed(&tree.repository).await {
        let files = count(changed, "file");
        report.line(&format!("the commit is worked on, without changes in {files} that are not committed"))?;
    }
    for (path, _) in code.entries().filter(|(_, entry)| entry.is_submodule()) {
        report.line(&format!("skipped {path}: a submodule"))?;
    }
    analysis.prepare(&code, Some(report))?;
    let found = files::find(&code, &analysis.grammars(), analysis.wanted());
    fail_if_lost(&code)?;
    let missing = code.missing(found.files.iter().map(String::as_str)).await?;
    fail_if_missing(&tree, missing).await?;
    for (path, reason) in &found.skipped {
        report.line(&format!("skipped {path}: {reason}"))?;
    }
    if files_needed {
        check_out(task, &tree, report).await?;
    }
    report.progress(found.files.len(), found.files.len(), "files")?;
    Ok(task.workspace.save(FILES, &found.files)?)
}

/// Makes the checkout, and tells what it lacks.
async fn check_out(task: &Task, tree: &Tree, report: &mut Report) -> Result<(), PhaseError> {
    let list = tree.store.list("".as_ref()).await?;
    let lost = tree.store.missing(parts(&list).filter_map(blob)).await?;
    if !lost.is_empty() {
        let lost: std::collections::HashSet<String> = lost.into_iter().collect();
        let path = |line: &[u8]| {
            let path = line.splitn(2, |byte| *byte == b'\t').nth(1).unwrap_or_default();
            String::from_utf8_lossy(path).into_owned()
        };
        let lines = parts(&list).filter(|line| blob(line).is_some_and(|object| lost.contains(object)));
        fail_if_missing(tree, lines.map(path).collect()).await?;
    }
    report.line("checking all files out for the check and the linters")?;
    report.flush()?;
    let checkout = match Checkout::make(&task.workspace, tree).await {
        Err(PhaseError::Git(error)) => return Err(damaged(tree, &list, error)),
        checkout => checkout?,
    };
    for missing in &checkout.missing {
        report.line(&format!("the checkout lacks {}: {}", missing.path, missing.reason))?;
    }
    Ok(report.flush()?)
}

/// What git says of a checkout that it could not make, with the file whose object it names.
fn damaged(tree: &Tree, list: &[u8], error: GitError) -> PhaseError {
    let message = error.to_string();
    let named = parts(list).find(|line| blob(line).is_some_and(|object| message.contains(object)));
    let Some(path) = named.and_then(|line| line.splitn(2, |byte| *byte == b'\t').nth(1)) else { return error.into() };
    let said = message.lines().last().unwrap_or_default();
    let first = format!("{}: {said}", String::from_utf8_lossy(path));
    PhaseError::Lost(Lost::Damaged { files: 1, first, folder: tree.repository.top.path().to_owned() })
}

/// That git could read all files that it was asked for.
///
/// # Errors
/// [`PhaseError::Lost`].
pub fn fail_if_lost(code: &Code) -> Result<(), PhaseError> {
    let lost = code.lost();
    let Some((path, reason)) = lost.first() else { return Ok(()) };
    let first = format!("{path}: {reason}");
    Err(PhaseError::Lost(Lost::Damaged { files: lost.len(), first, folder: code.folder().to_owned() }))
}

/// That all these files are there.
async fn fail_if_missing(tree: &Tree, paths: Vec<String>) -> Result<(), PhaseError> {
    if paths.is_empty() {
        return Ok(());
    }
    let folder = tree.repository.top.path().to_owned();
    let commit = short(&tree.repository.head).to_owned();
    let lost = match tree.repository.is_partial().await {
        true => Lost::Partial { paths, commit, folder },
        false => Lost::Missing { paths, commit, folder },
    };
    Err(PhaseError::Lost(lost))
}

/// Finds everything.
///
/// # Errors
/// [`PhaseError`].
pub async fn analyzing(task: &Task, analysis: &mut dyn Analysis, report: &mut Report) -> Result<(), PhaseError> {
    let tree = task.workspace.tree()?;
    let code = Code::of(&tree).await?;
    analysis.prepare(&code, None)?;
    let analysis = &*analysis;
    let mut paths: Vec<String> = task.workspace.load(FILES)?;
    let mut all = Vec::new();
    let each = |path: &String| {
        let text = code.text(path)?;
        let Some(grammar) = language::of(path) else { return Ok(Vec::new()) };
        if analysis.leaves_out(grammar, &text) {
            return Err(files::Skip::Generated);
        }
        Ok(analysis.look(grammar, path, &text))
    };
    let (mut lost, mut generated) = (0, 0);
    let looked = in_order(&paths, each, |done, path, found: Result<_, files::Skip>| {
        match found {
            Err(files::Skip::Unreadable(_)) => {
                lost += 1;
                // The rest would be the same.
                if lost == MOST_LOST {
                    return Err(ErrorKind::Interrupted.into());
                }
            }
            // There may be thousands.
            Err(files::Skip::Generated) => generated += 1,
            Err(reason) => report.line(&format!("skipped {path}: {reason}"))?,
            Ok(found) if found.is_empty() => {}
            Ok(found) => all.push(InFile { path: path.clone(), found }),
        }
        report.progress(done, paths.len(), "files")
    });
    fail_if_lost(&code)?;
    looked?;
    if generated > 0 {
        report.line(&format!(
            "skipped {}: programs have written them, as their first comments say",
            count(generated, "file")
        ))?;
    }
    let linters = linters::told()?;
    if !linters.is_empty() {
        let trial = Trial::open(&task.workspace, &tree, &code).await?;
        let reported = linters::look(&linters, &trial, &code, &BTreeMap::new(), analysis, report).await?;
        task.workspace.save(REPORTED, &reported)?;
        linters::merge(&mut all, reported);
        // They look at more than our rules do.
        paths.extend(all.iter().map(|file| file.path.clone()));
        paths.sort_unstable();
        paths.dedup();
        task.workspace.save(FILES, &paths)?;
    }
    // What is worst comes first.
    let mut ranked: Vec<(&str, &Found)> = Vec::new();
    for file in &all {
        ranked.extend(file.found.iter().map(|found| (file.path.as_str(), found)));
    }
    ranked.sort_by_key(|(_, found)| std::cmp::Reverse(found.severity));
    for (path, found) in &ranked {
        report.finding(Finding {
            path: (*path).to_owned(),
            line: Some(found.line),
            column: Some(found.column),
            rule: found.rule.clone(),
            severity: found.severity.as_str().to_owned(),
            message: found.message.clone(),
            fixable: found.fix().is_some(),
            fix: found.fix(),
        })?;
    }
    let fixable = ranked.iter().filter(|(_, found)| found.fix().is_some()).count();
    let withheld = ranked.iter().filter(|(_, found)| found.is_withheld).count();
    let (findings, files) = (count(ranked.len(), "finding"), count(paths.len(), "file"));
    report.line(&format!("{findings} in {} of {files}, {fixable} of them fixable", all.len()))?;
    if withheld > 0 {
        report.line(&format!("left out {}: {NEEDS_REVIEW}", count(withheld, "fix")))?;
    }
    Ok(task.workspace.save(FOUND, &all)?)
}

/// Shows the patches, and leaves them to the next phase.
///
/// # Errors
/// [`PhaseError`].
pub fn show(task: &Task, patches: Vec<Made>, report: &mut Report) -> Result<(), PhaseError> {
    let mut rewritten = Vec::with_capacity(patches.len());
    for made in patches {
        report.patch(made.patch)?;
        rewritten.push(made.rewritten);
    }
    Ok(task.workspace.save(PATCHES, &rewritten)?)
}

/// The patches that were shown.
///
/// # Errors
/// [`PhaseError`].
pub fn shown(task: &Task) -> Result<Vec<Rewritten>, PhaseError> {
    Ok(task.workspace.load(PATCHES)?)
}

/// Takes out the patches that whoever approved them has left out, if anybody was asked. Whether there were any.
///
/// # Errors
/// [`PhaseError`].
pub fn leave_out(task: &Task, patches: &mut Vec<Rewritten>, report: &mut Report) -> Result<bool, PhaseError> {
    let exclude = task.workspace.answer().map_or(&[][..], |answer| &answer.exclude);
    for path in exclude {
        report.line(&format!("left {path} as it is: its patch was left out"))?;
    }
    patches.retain(|patch| !exclude.contains(&patch.path));
    Ok(!exclude.is_empty())
}

/// Commits the patches to a new branch.
///
/// # Errors
/// [`PhaseError`].
pub async fn applying(
    task: &Task,
    analysis: &dyn Analysis,
    patches: Vec<Rewritten>,
    left_out: bool,
    report: &mut Report,
) -> Result<(), PhaseError> {
    let tree = task.workspace.tree()?;
    let files = task.workspace.load::<Vec<String>>(FILES)?.len();
    let found: Vec<InFile> = task.workspace.load(FOUND)?;
    let findings = found.iter().map(|file| file.found.len()).sum::<usize>();
    let fixed = patches.iter().map(|patch| patch.fixed).sum::<usize>();
    let withheld = found.iter().flat_map(|file| &file.found).filter(|found| found.is_withheld).count();
    let mut outcome = Outcome {
        message: String::new(),
        files: files as u64,
        findings: findings as u64,
        fixed: fixed as u64,
        left: (findings - fixed) as u64,
        branch: None,
        commit: None,
        base: Some(tree.repository.head.clone()),
    };
    if patches.is_empty() && left_out {
        outcome.message =
            "Nothing changes: every patch was left out, or failed the check without the others.".to_owned();
    } else if patches.is_empty() {
        outcome.message = analysis.nothing(files, findings);
    } else if analysis.only_shows() {
        let (patches, findings) = (count(patches.len(), "patch"), count(findings, "finding"));
        outcome.message = format!("A dry run: {patches} would fix {fixed} of {findings}.");
        (outcome.fixed, outcome.left) = (0, outcome.findings);
    } else {
        let trailers = format!("Runtrail-Run: {}\nRuntrail-Attempt: {}\n", task.run, task.attempt);
        let message = format!("{}\n\n{trailers}", analysis.message(fixed, patches.len()));
        let code = Code::of(&tree).await?;
        let mode = |path: &str| code.entry(path).map_or("100644", |entry: &Entry| entry.mode.as_str());
        let path = |path: &str| tree.repository.prefix.join(path);
        let files: Vec<_> =
            patches.iter().map(|patch| (mode(&patch.path), path(&patch.path), patch.text.as_str())).collect();
        let commit = tree.store.commit(&tree.repository, &files, &message).await?;
        let branch = task.branch();
        tree.repository.add_branch(&branch, &commit).await?;
        let (findings, files) = (count(findings, "finding"), count(patches.len(), "file"));
        outcome.message = format!("{fixed} of {findings} fixed in {files}, on branch {branch}.");
        (outcome.branch, outcome.commit) = (Some(branch), Some(commit));
    }
    if withheld > 0 {
        outcome.message += &format!(" {} left out: {NEEDS_REVIEW}.", count(withheld, "fix"));
    }
    Ok(report.outcome(outcome)?)
}

/// A commit as people write it.
fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}
