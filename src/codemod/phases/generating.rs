//! The third phase: makes one patch per file.
//!
//! AutoFix works in passes until nothing is left to fix. A pass starts from the texts of the previous one, so it also
//! fixes findings that earlier fixes made possible, or that were nested in a fixed match. No pass leaves a file that
//! parses worse, and the check, if there is one, must pass after each.

use std::collections::{BTreeMap, BTreeSet};

use super::super::analysis::Analysis;
use super::super::check::Check;
use super::super::commit_files::CommitFiles;
use super::super::diff::patch;
use super::super::error::PhaseError;
use super::super::finding::FileFindings;
use super::super::language;
use super::super::linter_runs;
use super::super::linters;
use super::super::parallel::in_order;
use super::super::patches::{FileRewrite, FixTrace, is_own_output, matched_text, rewrite};
use super::super::phase_log::{PhaseLog, count};
use super::super::task::Task;
use super::super::trial::{ChangedObjects, Trial};
use super::handover;
use super::unreadable::fail_if_damaged;
use crate::model::Linter;
use crate::model::kinds::FixSafety;

const MAX_PASSES: usize = 10;

/// Numbers of findings or fixes, by rule.
type RuleCounts = BTreeMap<String, usize>;

/// The progress of one file.
#[derive(Default)]
struct FileState {
    /// The committed text; empty until the file is rewritten.
    base: String,
    /// The text after the passes so far.
    text: String,
    /// All texts so far, to notice fixes that undo each other.
    seen: BTreeSet<String>,
    /// The findings of the analysis.
    found: RuleCounts,
    fixed: RuleCounts,
    /// Whether one of the fixes needs a review.
    needs_review: bool,
    /// The findings in the current text, if it was analyzed.
    left: Option<RuleCounts>,
    /// The output of the fixes so far, which their own rules do not fix again.
    traces: Vec<FixTrace>,
    /// Matches that are known to be a rule's own output: the rule, and the text that its fix would replace.
    own_output: BTreeSet<(String, String)>,
    /// Sentences on the findings that the last pass that changed the file did not fix.
    notes: Vec<String>,
    /// Whether no further pass works on the file.
    is_done: bool,
}

struct Passes<'a> {
    commit: &'a CommitFiles,
    analysis: &'a dyn Analysis,
    linters: Vec<Linter>,
    check: Option<Check>,
    /// `None` without linters and check.
    trial: Option<Trial<'a>>,
    states: BTreeMap<String, FileState>,
    /// The files that differ from the commit in the checkout.
    accepted: ChangedObjects,
    /// The last report of the linters.
    reported: Vec<FileFindings>,
}

/// Makes the patches, shows them, and leaves them to the last phase.
///
/// # Errors
/// [`PhaseError`].
pub async fn run(
    task: &Task,
    analysis: &mut dyn Analysis,
    check: Option<Check>,
    log: &mut PhaseLog,
) -> Result<(), PhaseError> {
    let patches = make_patches(task, analysis, check, log).await?;
    let mut rewritten = Vec::with_capacity(patches.len());
    for file in patches {
        log.patch(file.patch)?;
        rewritten.push(file.rewritten);
    }
    Ok(task.workspace.save(handover::PATCHES, &rewritten)?)
}

async fn make_patches(
    task: &Task,
    analysis: &mut dyn Analysis,
    check: Option<Check>,
    log: &mut PhaseLog,
) -> Result<Vec<FileRewrite>, PhaseError> {
    let repositories = task.workspace.repositories()?;
    let commit = CommitFiles::of(&repositories).await?;
    analysis.prepare(&commit, None)?;
    let analysis = &*analysis;
    let linters = if analysis.repeats() { linters::from_env()? } else { Vec::new() };
    let mut files: Vec<FileFindings> = task.workspace.load(handover::FINDINGS)?;
    let needs_checkout = (check.is_some() || !linters.is_empty()) && files.iter().any(is_fixable);
    let trial = if needs_checkout { Some(Trial::open(&task.workspace, &repositories, &commit).await?) } else { None };
    let reported = if linters.is_empty() { Vec::new() } else { task.workspace.load(handover::LINTER_FINDINGS)? };
    let found = |file: &FileFindings| FileState { found: counts(file), ..FileState::default() };
    let states = files.iter().map(|file| (file.path.clone(), found(file))).collect();
    let accepted = ChangedObjects::new();
    let mut passes = Passes { commit: &commit, analysis, linters, check, trial, states, accepted, reported };
    files.retain(is_fixable);
    for pass in 1.. {
        let rewrites = passes.rewrite(pass, &files, log)?;
        if rewrites.is_empty() {
            break;
        }
        if pass > 1 {
            let fixes = rewrites.iter().map(|file| file.fixed.len()).sum();
            let (fixes, files) = (count(fixes, "more fix"), count(rewrites.len(), "file"));
            log.line(&format!("pass {pass}: {fixes} in {files}"))?;
            log.flush()?;
        }
        let changed = passes.accept(pass, rewrites, log).await?;
        if !analysis.repeats() || changed.is_empty() {
            break;
        }
        files = passes.analyze(&changed, log).await?;
        files.retain(is_fixable);
        if pass == MAX_PASSES {
            if !files.is_empty() {
                let left = count(files.len(), "file");
                log.line(&format!("stopped after {MAX_PASSES} passes; there is more to fix in {left}"))?;
            }
            break;
        }
    }
    passes.finish(log)
}

impl Passes<'_> {
    /// Applies the fixes of one pass to each file.
    fn rewrite(
        &mut self,
        pass: usize,
        files: &[FileFindings],
        log: &mut PhaseLog,
    ) -> Result<Vec<FileRewrite>, PhaseError> {
        let (states, commit) = (&self.states, self.commit);
        let rewrite_file = |file: &FileFindings| {
            let state = states.get(&file.path).filter(|state| !state.text.is_empty());
            if state.is_some_and(|state| state.is_done) {
                return Err(String::new());
            }
            let (base, text) = match state {
                Some(state) => (state.base.clone(), state.text.clone()),
                None => {
                    let text = commit.text(&file.path).map_err(|reason| reason.to_string())?;
                    (text.clone(), text)
                }
            };
            let traces = states.get(&file.path).map_or(&[][..], |state| &state.traces);
            Ok((rewrite(language::of(&file.path), &base, &text, file, traces)?, base))
        };
        let mut all = Vec::new();
        let mut notes = Vec::new();
        in_order(files, rewrite_file, |done, file, result| {
            match result {
                Err(reason) if pass == 1 => notes.push((file.path.clone(), vec![reason])),
                // The notes of the previous pass still apply.
                Err(_) => {}
                Ok((rewritten, base)) => {
                    notes.push((file.path.clone(), rewritten.notes()));
                    all.push((rewritten, base));
                }
            }
            if pass == 1 { log.progress(done, files.len(), "files") } else { Ok(()) }
        })?;
        fail_if_damaged(self.commit)?;
        for (path, notes) in notes {
            self.states.entry(path).or_default().notes = notes;
        }
        let mut rewrites = Vec::new();
        for (file, base) in all {
            let state = self.states.entry(file.rewritten.path.clone()).or_default();
            if state.text.is_empty() {
                state.seen.insert(base.clone());
                (state.base, state.text) = (base.clone(), base);
            }
            if state.seen.insert(file.rewritten.text.clone()) {
                rewrites.push(file);
            } else {
                state.is_done = true;
                state.notes = vec!["its fixes undo each other".to_owned()];
            }
        }
        Ok(rewrites)
    }

    /// Accepts the rewritten files with which the check passes; the paths of the files that changed.
    async fn accept(
        &mut self,
        pass: usize,
        rewrites: Vec<FileRewrite>,
        log: &mut PhaseLog,
    ) -> Result<Vec<String>, PhaseError> {
        let proposed: Vec<String> = rewrites.iter().map(|file| file.rewritten.path.clone()).collect();
        let accepted = match (&self.check, &mut self.trial) {
            (Some(check), Some(trial)) => {
                if pass == 1 {
                    check.require_pass(trial, log).await?;
                }
                check.select_patches(trial, &mut self.accepted, rewrites, log).await?
            }
            _ => rewrites,
        };
        let mut changed = Vec::new();
        for file in accepted {
            let path = file.rewritten.path;
            let state = self.states.entry(path.clone()).or_default();
            for rule in file.fixed {
                *state.fixed.entry(rule).or_default() += 1;
            }
            state.needs_review |= file.needs_review;
            (state.text, state.traces, state.left) = (file.rewritten.text, file.traces, None);
            changed.push(path);
        }
        // Another pass would make the same rejected patch.
        for path in proposed.iter().filter(|path| !changed.contains(path)) {
            self.states.entry(path.clone()).or_default().is_done = true;
        }
        if self.check.is_none()
            && let Some(trial) = &mut self.trial
        {
            let texts = changed.iter().filter_map(|path| Some((path, self.states.get(path)?.text.as_str())));
            let (paths, texts): (Vec<&String>, Vec<&str>) = texts.unzip();
            let objects = trial.store_texts(texts.into_iter()).await?;
            self.accepted.extend(paths.into_iter().cloned().zip(objects));
            trial.show(self.accepted.clone()).await?;
        }
        Ok(changed)
    }

    /// The findings now: those of the rules in the changed files, and those of the linters anywhere.
    async fn analyze(&mut self, changed: &[String], log: &mut PhaseLog) -> Result<Vec<FileFindings>, PhaseError> {
        let (states, analysis) = (&self.states, self.analysis);
        let analyze_file = |path: &String| {
            let text = states.get(path).map(|state| state.text.as_str()).unwrap_or_default();
            language::of(path).map_or_else(Vec::new, |grammar| analysis.analyze(grammar, path, text))
        };
        let mut files = Vec::new();
        in_order(changed, analyze_file, |_, path, findings| {
            files.push(FileFindings { path: path.clone(), findings });
            Ok(())
        })?;
        if let (Some(trial), false) = (&self.trial, self.linters.is_empty()) {
            let texts = states.iter().filter(|(_, state)| !state.text.is_empty());
            let texts = texts.map(|(path, state)| (path.clone(), state.text.clone())).collect();
            let reported = linter_runs::run_all(&self.linters, trial, self.commit, &texts, analysis, log).await?;
            if is_same_report(&reported, &self.reported) {
                // Either nothing was fixed, or the linters report cached places that are not those of the files any
                // more.
                log.line("the linters report the same as before the fixes, so their fixes are made no more")?;
                self.linters.clear();
                let mut unfixable = reported.clone();
                unfixable.iter_mut().flat_map(|file| &mut file.findings).for_each(|finding| finding.edits.clear());
                linter_runs::merge(&mut files, unfixable);
            } else {
                linter_runs::merge(&mut files, reported.clone());
            }
            self.reported = reported;
        }
        for file in &mut files {
            self.states.entry(file.path.clone()).or_default().update(file);
        }
        Ok(files)
    }

    /// The patches from the commit to the final texts.
    fn finish(self, log: &mut PhaseLog) -> Result<Vec<FileRewrite>, PhaseError> {
        let mut all = Vec::new();
        for (path, state) in self.states {
            for note in &state.notes {
                log.line(&match note.strip_prefix("match ") {
                    Some(note) => format!("left a match in {path} as it is: {note}"),
                    None => format!("left {path} as it is: {note}"),
                })?;
            }
            if state.text != state.base {
                let fixed = state.fixed_count();
                let mut patch = patch(&path, &state.base, &state.text);
                patch.fix = state.needs_review.then_some(FixSafety::Review);
                all.push(FileRewrite::new(patch, state.text, fixed));
            }
        }
        Ok(all)
    }
}

impl FileState {
    /// Records the findings in the current text, and drops the fixes of those that are a rule's own output.
    fn update(&mut self, file: &mut FileFindings) {
        self.left = Some(counts(file));
        for finding in file.findings.iter_mut().filter(|finding| finding.is_fixable()) {
            let key = (finding.rule.clone(), matched_text(&self.text, finding));
            if self.own_output.contains(&key) || is_own_output(&self.traces, &self.text, finding) {
                self.own_output.insert(key);
                finding.edits.clear();
            }
        }
        if file.findings.is_empty() {
            self.notes.clear();
        }
    }

    /// The number of original findings that are fixed: those whose fix was made, and those that are no longer found.
    fn fixed_count(&self) -> usize {
        let by_rule = self.found.iter().map(|(rule, found)| {
            let fixed = self.fixed.get(rule).copied().unwrap_or(0).min(*found);
            let left = self.left.as_ref().map(|left| left.get(rule).copied().unwrap_or(0));
            left.map_or(fixed, |left| fixed.max(found.saturating_sub(left)))
        });
        by_rule.sum()
    }
}

fn is_fixable(file: &FileFindings) -> bool {
    file.findings.iter().any(|finding| finding.is_fixable())
}

/// Whether two reports have the same findings, regardless of their fixes.
fn is_same_report(a: &[FileFindings], b: &[FileFindings]) -> bool {
    let key = |all: &[FileFindings]| {
        let file_key = |file: &FileFindings| {
            let findings =
                file.findings.iter().map(|one| (one.line, one.column, one.rule.clone(), one.message.clone()));
            (file.path.clone(), findings.collect::<Vec<_>>())
        };
        all.iter().map(file_key).collect::<Vec<_>>()
    };
    !a.is_empty() && key(a) == key(b)
}

fn counts(file: &FileFindings) -> RuleCounts {
    let mut counts = RuleCounts::new();
    for finding in &file.findings {
        *counts.entry(finding.rule.clone()).or_default() += 1;
    }
    counts
}
