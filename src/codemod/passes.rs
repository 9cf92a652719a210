//! Makes the patches: in one pass, or in passes until nothing is left to fix. A pass works on what the ones before have made, so it
//! also fixes what those make possible and what was inside of a match. Each pass leaves no file that parses worse, and each is
//! proved by the check, if there is one.

use std::collections::{BTreeMap, BTreeSet};

use super::analysis::{Analysis, FOUND, REPORTED};
use super::check::Check;
use super::code::Code;
use super::diff::patch;
use super::language;
use super::linters::{self, Linter};
use super::parallel::in_order;
use super::patches::{InFile, Made, Own, is_own, matched, rewrite};
use super::report::{Report, count};
use super::trial::{Changed, Trial};
use super::{PhaseError, Task};
use crate::model::kinds::FixSafety;

/// How many passes are made at most.
const MOST: usize = 10;

/// How often something was found or fixed, by rule.
type Counts = BTreeMap<String, usize>;

/// What becomes of a file.
#[derive(Default)]
struct State {
    /// The text that is committed.
    base: String,
    /// The text that the passes so far have made.
    text: String,
    /// All texts that there have been: fixes may undo each other.
    seen: BTreeSet<String>,
    /// What the rules found at first.
    found: Counts,
    /// What has been fixed.
    fixed: Counts,
    /// Whether one of the fixes needs a review.
    needs_review: bool,
    /// What they find now, if that is known.
    left: Option<Counts>,
    /// What fixes have made, which their own rules are not asked to fix again.
    own: Vec<Own>,
    /// What was found to be so: rule, what its fix would replace.
    ended: BTreeSet<(String, String)>,
    /// What the last pass that changed it has left, in sentences.
    notes: Vec<String>,
    /// Nothing more is tried.
    is_done: bool,
}

/// What is needed for passes.
struct Passes<'a> {
    code: &'a Code,
    analysis: &'a dyn Analysis,
    linters: Vec<Linter>,
    check: Option<Check>,
    /// If there are linters or a check.
    trial: Option<Trial<'a>>,
    states: BTreeMap<String, State>,
    /// What the files are in the checkout.
    accepted: Changed,
    /// What the linters reported last.
    reported: Vec<InFile>,
}

/// Makes one patch a file, proved by the check.
///
/// # Errors
/// [`PhaseError`].
pub async fn generating(
    task: &Task,
    analysis: &mut dyn Analysis,
    check: Option<Check>,
    report: &mut Report,
) -> Result<Vec<Made>, PhaseError> {
    let tree = task.workspace.tree()?;
    let code = Code::of(&tree).await?;
    analysis.prepare(&code, None)?;
    let analysis = &*analysis;
    let linters = if analysis.repeats() { linters::told()? } else { Vec::new() };
    let mut found: Vec<InFile> = task.workspace.load(FOUND)?;
    let is_fixable = |file: &InFile| file.found.iter().any(|found| found.is_fixable());
    let needs_files = (check.is_some() || !linters.is_empty()) && found.iter().any(is_fixable);
    let trial = if needs_files { Some(Trial::open(&task.workspace, &tree, &code).await?) } else { None };
    let (states, accepted) = (BTreeMap::new(), Changed::new());
    let reported = if linters.is_empty() { Vec::new() } else { task.workspace.load(REPORTED)? };
    let mut passes = Passes { code: &code, analysis, linters, check, trial, states, accepted, reported };
    for file in &found {
        passes.states.insert(file.path.clone(), State { found: counts(file), ..State::default() });
    }
    found.retain(is_fixable);
    for pass in 1.. {
        let made = passes.rewrite(pass, &found, report)?;
        if made.is_empty() {
            break;
        }
        if pass > 1 {
            let fixes = made.iter().map(|made| made.fixed.len()).sum();
            let (fixes, files) = (count(fixes, "more fix"), count(made.len(), "file"));
            report.line(&format!("pass {pass}: {fixes} in {files}"))?;
            report.flush()?;
        }
        let changed = passes.prove(pass, made, report).await?;
        if !analysis.repeats() || changed.is_empty() {
            break;
        }
        found = passes.look(&changed, report).await?;
        if pass == MOST {
            let left = found.iter().filter(|file| is_fixable(file)).count();
            if left > 0 {
                report
                    .line(&format!("stopped after {MOST} passes; there is more to fix in {}", count(left, "file")))?;
            }
            break;
        }
        found.retain(is_fixable);
    }
    passes.finish(report)
}

impl Passes<'_> {
    /// What the fixes of one pass make of each file.
    fn rewrite(&mut self, pass: usize, found: &[InFile], report: &mut Report) -> Result<Vec<Made>, PhaseError> {
        let (states, code) = (&self.states, self.code);
        let each = |file: &InFile| {
            let state = states.get(&file.path).filter(|state| !state.text.is_empty());
            if state.is_some_and(|state| state.is_done) {
                return Err(String::new());
            }
            let (base, text) = match state {
                Some(state) => (state.base.clone(), state.text.clone()),
                None => {
                    let text = code.text(&file.path).map_err(|skip| skip.to_string())?;
                    (text.clone(), text)
                }
            };
            let own = states.get(&file.path).map_or(&[][..], |state| &state.own);
            Ok((rewrite(language::of(&file.path), &base, &text, file, own)?, base))
        };
        let mut all = Vec::new();
        let mut notes = Vec::new();
        in_order(found, each, |done, file, result| {
            match result {
                Err(reason) if pass == 1 => notes.push((file.path.clone(), vec![reason])),
                // What was said of it before still holds.
                Err(_) => {}
                Ok((made, base)) => {
                    notes.push((file.path.clone(), made.notes()));
                    all.push((made, base));
                }
            }
            if pass == 1 { report.progress(done, found.len(), "files") } else { Ok(()) }
        })?;
        super::analysis::fail_if_lost(self.code)?;
        for (path, notes) in notes {
            self.states.entry(path).or_default().notes = notes;
        }
        let mut made = Vec::new();
        for (one, base) in all {
            let state = self.states.entry(one.rewritten.path.clone()).or_default();
            if state.text.is_empty() {
                state.seen.insert(base.clone());
                (state.base, state.text) = (base.clone(), base);
            }
            if state.seen.insert(one.rewritten.text.clone()) {
                made.push(one);
            } else {
                state.is_done = true;
                state.notes = vec!["its fixes undo each other".to_owned()];
            }
        }
        Ok(made)
    }

    /// Takes what a pass has made, as far as the check passes with it; the files that have changed.
    async fn prove(&mut self, pass: usize, made: Vec<Made>, report: &mut Report) -> Result<Vec<String>, PhaseError> {
        let tried: Vec<String> = made.iter().map(|made| made.rewritten.path.clone()).collect();
        let made = match (&self.check, &mut self.trial) {
            (Some(check), Some(trial)) => {
                if pass == 1 {
                    check.passes_before(trial, report).await?;
                }
                check.prove(trial, &mut self.accepted, made, report).await?
            }
            _ => made,
        };
        let mut changed = Vec::new();
        for one in made {
            let path = one.rewritten.path;
            let state = self.states.entry(path.clone()).or_default();
            for rule in one.fixed {
                *state.fixed.entry(rule).or_default() += 1;
            }
            state.needs_review |= one.needs_review;
            (state.text, state.own, state.left) = (one.rewritten.text, one.own, None);
            changed.push(path);
        }
        // What the check is against would be made again.
        for path in tried.iter().filter(|path| !changed.contains(path)) {
            self.states.entry(path.clone()).or_default().is_done = true;
        }
        if self.check.is_none()
            && let Some(trial) = &mut self.trial
        {
            let texts = changed.iter().filter_map(|path| Some((path, self.states.get(path)?.text.as_str())));
            let (paths, texts): (Vec<&String>, Vec<&str>) = texts.unzip();
            let objects = trial.keep(texts.into_iter()).await?;
            self.accepted.extend(paths.into_iter().cloned().zip(objects));
            trial.show(self.accepted.clone()).await?;
        }
        Ok(changed)
    }

    /// What there is to find now: in these files by the rules, and anywhere by linters.
    async fn look(&mut self, changed: &[String], report: &mut Report) -> Result<Vec<InFile>, PhaseError> {
        let (states, analysis) = (&self.states, self.analysis);
        let each = |path: &String| {
            let text = states.get(path).map(|state| state.text.as_str()).unwrap_or_default();
            language::of(path).map_or_else(Vec::new, |grammar| analysis.look(grammar, path, text))
        };
        let mut found = Vec::new();
        in_order(changed, each, |_, path, one| {
            found.push(InFile { path: path.clone(), found: one });
            Ok(())
        })?;
        if let (Some(trial), false) = (&self.trial, self.linters.is_empty()) {
            let texts = states.iter().filter(|(_, state)| !state.text.is_empty());
            let texts = texts.map(|(path, state)| (path.clone(), state.text.clone())).collect();
            let reported = linters::look(&self.linters, trial, self.code, &texts, analysis, report).await?;
            if is_same(&reported, &self.reported) {
                // It reports what was there before, or what it has kept: its places are not those of the files.
                report.line("the linters report the same as before the fixes, so their fixes are made no more")?;
                self.linters.clear();
                let mut unfixable = reported.clone();
                unfixable.iter_mut().flat_map(|file| &mut file.found).for_each(|found| found.edits.clear());
                linters::merge(&mut found, unfixable);
            } else {
                linters::merge(&mut found, reported.clone());
            }
            self.reported = reported;
        }
        for file in &mut found {
            let state = self.states.entry(file.path.clone()).or_default();
            state.left = Some(counts(file));
            for found in &mut file.found {
                let is_ended = |state: &State| {
                    let key = (found.rule.clone(), matched(&state.text, found));
                    (state.ended.contains(&key) || is_own(&state.own, &state.text, found)).then_some(key)
                };
                if found.is_fixable()
                    && let Some(key) = is_ended(state)
                {
                    state.ended.insert(key);
                    found.edits.clear();
                }
            }
            if file.found.is_empty() {
                state.notes.clear();
            }
        }
        Ok(found)
    }

    /// The patches from the commit to what the passes have made.
    fn finish(self, report: &mut Report) -> Result<Vec<Made>, PhaseError> {
        let mut all = Vec::new();
        for (path, state) in self.states {
            for note in &state.notes {
                report.line(&match note.strip_prefix("match ") {
                    Some(note) => format!("left a match in {path} as it is: {note}"),
                    None => format!("left {path} as it is: {note}"),
                })?;
            }
            if state.text != state.base {
                let fixed = state.fixed();
                let mut patch = patch(&path, &state.base, &state.text);
                patch.fix = state.needs_review.then_some(FixSafety::Review);
                all.push(Made::new(patch, state.text, fixed));
            }
        }
        Ok(all)
    }
}

impl State {
    /// How many of its first findings are fixed: those whose fixes were made, and those that are found no more.
    fn fixed(&self) -> usize {
        let each = self.found.iter().map(|(rule, found)| {
            let fixed = self.fixed.get(rule).copied().unwrap_or(0).min(*found);
            let left = self.left.as_ref().map(|left| left.get(rule).copied().unwrap_or(0));
            left.map_or(fixed, |left| fixed.max(found.saturating_sub(left)))
        });
        each.sum()
    }
}

/// Whether two reports say the same of the same places, whatever their fixes would replace there.
fn is_same(a: &[InFile], b: &[InFile]) -> bool {
    let key = |all: &[InFile]| {
        let each = |file: &InFile| {
            let found = file.found.iter().map(|one| (one.line, one.column, one.rule.clone(), one.message.clone()));
            (file.path.clone(), found.collect::<Vec<_>>())
        };
        all.iter().map(each).collect::<Vec<_>>()
    };
    !a.is_empty() && key(a) == key(b)
}

fn counts(file: &InFile) -> Counts {
    let mut counts = Counts::new();
    for found in &file.found {
        *counts.entry(found.rule.clone()).or_default() += 1;
    }
    counts
}
