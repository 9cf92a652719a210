//! The pipeline `refactor`: a pattern is looked for in the files of one language, and what is found is rewritten.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use serde::{Deserialize, Serialize};

use super::diff::patch;
use super::edits::{Edit, Edits};
use super::files::{self, Wanted};
use super::git::Repository;
use super::language::{self, Grammar};
use super::report::Report;
use super::search::{Match, Search, faults};
use super::{PhaseError, Task};
use crate::model::kinds::{Finding, Outcome};

/// The rule that findings name.
const RULE: &str = "pattern";

/// The longest diff that a frame can carry, in bytes, with what JSON adds to it.
const LONGEST_DIFF: usize = 1 << 20;

/// What a phase leaves to the next, by name.
const FILES: &str = "files.json";
const MATCHES: &str = "matches.json";
const PATCHES: &str = "patches.json";

/// What was found in a file.
#[derive(Serialize, Deserialize)]
struct InFile {
    path: String,
    matches: Vec<Match>,
}

/// A file as it is to be.
#[derive(Serialize, Deserialize)]
struct Rewritten {
    path: String,
    text: String,
    /// How many of its findings this takes away.
    fixed: usize,
}

/// What is asked for.
struct Asked {
    grammar: Grammar,
    search: Search,
    wanted: Wanted,
}

impl Asked {
    fn read(task: &Task) -> Result<Self, PhaseError> {
        let grammar = language::find(task.param("language"))?;
        let rewrite = Some(task.param("rewrite")).filter(|rewrite| !rewrite.is_empty());
        let search = Search::new(grammar, task.param("pattern"), rewrite)?;
        let wanted = Wanted::new(task.param("include"), task.param("exclude"))?;
        Ok(Self { grammar, search, wanted })
    }
}

/// Lists the files.
pub async fn scanning(task: &Task, report: &mut Report) -> Result<(), PhaseError> {
    // What is wrong with it is said before anything is done.
    let asked = Asked::read(task)?;
    let repository = Repository::open(&task.project).await?;
    let at =
        repository.branch.as_deref().map_or_else(|| "a detached head".to_owned(), |branch| format!("branch {branch}"));
    report.line(&format!("{}: commit {} ({at})", repository.top.display(), short(&repository.head)))?;
    let changed = repository.changed().await?;
    if changed > 0 {
        report.line(&format!(
            "{changed} files have changes that are not committed; the commit is worked on, without them"
        ))?;
    }
    for path in repository.submodules().await? {
        report.line(&format!("skipped {path}: a submodule"))?;
    }
    report.flush()?;
    let tree = task.workspace.check_out(repository).await?;
    let found = files::find(&tree.root(), asked.grammar, &asked.wanted);
    for (path, reason) in &found.skipped {
        report.line(&format!("skipped {path}: {reason}"))?;
    }
    report.progress(found.files.len(), found.files.len(), "files")?;
    task.workspace.save(FILES, &found.files)?;
    Ok(())
}

/// Finds every match.
pub fn analyzing(task: &Task, report: &mut Report) -> Result<(), PhaseError> {
    let asked = Asked::read(task)?;
    let root = task.workspace.tree()?.root();
    let paths: Vec<String> = task.workspace.load(FILES)?;
    let mut found = Vec::new();
    let mut count = 0;
    let each = |path: &String| files::read(&root, path).map(|text| asked.search.matches(&text));
    in_order(&paths, each, |done, path, matches| {
        match matches {
            Err(reason) => report.line(&format!("skipped {path}: {reason}"))?,
            Ok(matches) => {
                for place in &matches {
                    report.finding(Finding {
                        path: path.clone(),
                        line: Some(place.line),
                        column: Some(place.column),
                        rule: RULE.to_owned(),
                        severity: "info".to_owned(),
                        message: place.snippet.clone(),
                        fixable: place.edit.is_some(),
                    })?;
                }
                count += matches.len();
                if !matches.is_empty() {
                    found.push(InFile { path: path.clone(), matches });
                }
            }
        }
        report.progress(done, paths.len(), "files")
    })?;
    report.line(&format!("{count} matches in {} of {} files", found.len(), paths.len()))?;
    task.workspace.save(MATCHES, &found)?;
    Ok(())
}

/// Makes one patch a file.
pub fn generating(task: &Task, report: &mut Report) -> Result<(), PhaseError> {
    let asked = Asked::read(task)?;
    let root = task.workspace.tree()?.root();
    let found: Vec<InFile> = task.workspace.load(MATCHES)?;
    let each =
        |file: &InFile| rewrite(asked.grammar, &files::read(&root, &file.path).map_err(|skip| skip.to_string())?, file);
    let mut patches = Vec::new();
    in_order(&found, each, |done, file, made| {
        let path = &file.path;
        match made {
            Err(reason) => report.line(&format!("left {path} as it is: {reason}"))?,
            Ok(Made { dropped, patch, rewritten }) => {
                for (left, kept) in dropped {
                    report.line(&format!(
                        "left a match in {path} as it is: {left} overlaps with {kept}, which is rewritten"
                    ))?;
                }
                report.patch(patch)?;
                patches.push(rewritten);
            }
        }
        report.progress(done, found.len(), "files")
    })?;
    task.workspace.save(PATCHES, &patches)?;
    Ok(())
}

/// Commits the patches to a new branch.
pub async fn applying(task: &Task, report: &mut Report) -> Result<(), PhaseError> {
    let tree = task.workspace.tree()?;
    let files: Vec<String> = task.workspace.load(FILES)?;
    let found: Vec<InFile> = task.workspace.load(MATCHES)?;
    let patches: Vec<Rewritten> = task.workspace.load(PATCHES)?;
    let findings = found.iter().map(|file| file.matches.len()).sum::<usize>();
    let fixed = patches.iter().map(|patch| patch.fixed).sum::<usize>();
    let mut outcome = Outcome {
        message: String::new(),
        files: files.len() as u64,
        findings: findings as u64,
        fixed: fixed as u64,
        left: (findings - fixed) as u64,
        branch: None,
        commit: None,
        base: Some(tree.repository.head.clone()),
    };
    if patches.is_empty() {
        outcome.message = match findings {
            0 => format!("Nothing to do: the pattern is in none of {} files.", files.len()),
            _ if task.param("rewrite").is_empty() => {
                format!("{findings} matches; no rewrite was given, so nothing changes.")
            }
            _ => format!("Nothing to do: none of {findings} matches can be rewritten."),
        };
        report.line(&outcome.message)?;
        return Ok(report.outcome(outcome)?);
    }
    let root = tree.root();
    for patch in &patches {
        std::fs::write(root.join(&patch.path), &patch.text)?;
    }
    let paths: Vec<String> = patches.into_iter().map(|patch| patch.path).collect();
    let title = format!("Refactor: {} places in {} files", fixed, paths.len());
    let message = format!(
        "{title}\n\nPattern: {}\nRewrite: {}\nLanguage: {}\nRuntrail-Run: {}\nRuntrail-Attempt: {}\n",
        task.param("pattern"),
        task.param("rewrite"),
        task.param("language"),
        task.run,
        task.attempt
    );
    let commit = tree.repository.commit(&root, &paths, &message).await?;
    let branch = format!("runtrail/{}-{}", task.run, task.attempt);
    tree.repository.add_branch(&branch, &commit).await?;
    outcome.message = format!("{fixed} places in {} files are rewritten on branch {branch}.", paths.len());
    (outcome.branch, outcome.commit) = (Some(branch), Some(commit));
    report.line(&outcome.message)?;
    Ok(report.outcome(outcome)?)
}

/// What becomes of one file.
struct Made {
    /// Matches that are left, each with the one that is in its way.
    dropped: Vec<(String, String)>,
    patch: crate::model::kinds::Patch,
    rewritten: Rewritten,
}

/// The file with its matches rewritten.
///
/// # Errors
/// A sentence: why it is left as it is.
fn rewrite(grammar: Grammar, text: &str, file: &InFile) -> Result<Made, String> {
    let edits = Edits::choose(file.matches.iter().filter_map(|found| found.edit.clone()).collect());
    if edits.kept.is_empty() {
        return Err("there is no rewrite".to_owned());
    }
    let new = edits.apply(text).ok_or("it has changed since it was searched")?;
    if new == text {
        return Err("the rewrite changes nothing".to_owned());
    }
    let (before, after) = (faults(grammar, text), faults(grammar, &new));
    if after > before {
        return Err(format!("the rewrite would break it: {after} places would not parse, {before} do not now"));
    }
    let patch = patch(&file.path, text, &new);
    if patch.diff.len() > LONGEST_DIFF {
        return Err(format!("its patch is longer than {} KiB, which cannot be shown", LONGEST_DIFF >> 10));
    }
    let place = |edit: &Edit| {
        let before = &text[..edit.range.start];
        let line = before.matches('\n').count() + 1;
        format!("line {line}, column {}", before.chars().rev().take_while(|c| *c != '\n').count() + 1)
    };
    let dropped = edits.dropped.iter().map(|(left, kept)| (place(left), place(kept))).collect::<Vec<_>>();
    let fixed = file.matches.len() - dropped.len();
    Ok(Made { dropped, patch, rewritten: Rewritten { path: file.path.clone(), text: new, fixed } })
}

/// Does something with each item on all cores, and takes the results in the order of the items, as soon as they are there.
fn in_order<T: Sync, R: Send>(
    items: &[T],
    each: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(usize, &T, R) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len().max(1));
    std::thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for _ in 0..threads {
            let (sender, next, each) = (sender.clone(), &next, &each);
            scope.spawn(move || {
                while let Some((index, item)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|index| Some((index, items.get(index)?)))
                {
                    if sender.send((index, each(item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = std::collections::BTreeMap::new();
        let mut due = 0;
        for (index, result) in results {
            early.insert(index, result);
            while let Some(result) = early.remove(&due) {
                take(due + 1, &items[due], result)?;
                due += 1;
            }
        }
        Ok(())
    })
}

/// A commit as people write it.
fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}
