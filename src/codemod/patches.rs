//! Applies the fixes of a file's findings. Pure.

use std::convert::Infallible;
use std::ops::Range;

use futures::FutureExt;
use serde::{Deserialize, Serialize};

use super::bisect::bisect;
use super::diff::patch;
use super::edits::{Edit, Edits};
use super::finding::{FileFindings, Finding};
use super::language::Grammar;
use super::search::SyntaxFaults;
use crate::model::kinds::Patch;

/// The longest diff that fits into a frame, with JSON's escapes.
const MAX_DIFF_BYTES: usize = 1 << 20;

/// A file with its fixes applied.
#[derive(Clone, Serialize, Deserialize)]
pub struct RewrittenFile {
    /// Relative to the searched folder.
    pub path: String,
    pub text: String,
    /// The number of findings that the fixes remove.
    pub fixed: usize,
}

/// Text that a fix has produced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixTrace {
    rule: String,
    range: Range<usize>,
    /// The rule's other matches inside the fixed one, without white space. Those may still be fixed.
    nested: Vec<String>,
}

/// Whether a finding is in text that a fix of the same rule has produced: such a rule would match its own output
/// forever. `traces` begins with the earliest fix.
pub fn is_own_output(traces: &[FixTrace], text: &str, finding: &Finding) -> bool {
    let touches = |trace: &FixTrace| {
        finding.edits.iter().any(|edit| edit.range.start <= trace.range.end && trace.range.start <= edit.range.end)
    };
    let matched = matched_text(text, finding);
    let is_producer =
        |trace: &FixTrace| trace.rule == finding.rule && touches(trace) && !trace.nested.contains(&matched);
    let Some(at) = traces.iter().rposition(is_producer) else { return false };
    // A later fix of another rule may have produced it.
    let covers = |trace: &FixTrace| {
        finding.edits.iter().all(|edit| trace.range.start <= edit.range.start && edit.range.end <= trace.range.end)
    };
    !traces[at + 1..].iter().any(|trace| trace.rule != finding.rule && covers(trace))
}

/// The text that a finding's fix replaces, without white space, which depends on the indentation.
pub fn matched_text(text: &str, finding: &Finding) -> String {
    let parts = finding.edits.iter().filter_map(|edit| text.get(edit.range.clone()));
    parts.flat_map(|part| part.chars().filter(|c| !c.is_whitespace())).collect()
}

/// A rewritten file, its patch, and what was not fixed.
pub struct FileRewrite {
    /// Findings whose fix overlaps with another one: their places and those of the other one.
    overlapping: Vec<(String, String)>,
    /// The places of findings whose fix would break the syntax.
    breaking: Vec<String>,
    /// The rule of each fixed finding.
    pub fixed: Vec<String>,
    /// Whether one of the fixes needs a review.
    pub needs_review: bool,
    /// The output of the fixes so far.
    pub traces: Vec<FixTrace>,
    pub patch: Patch,
    pub rewritten: RewrittenFile,
}

impl FileRewrite {
    /// The result of several passes.
    pub fn new(patch: Patch, text: String, fixed: usize) -> Self {
        let rewritten = RewrittenFile { path: patch.path.clone(), text, fixed };
        Self {
            overlapping: Vec::new(),
            breaking: Vec::new(),
            fixed: Vec::new(),
            needs_review: false,
            traces: Vec::new(),
            patch,
            rewritten,
        }
    }

    /// Sentences on the findings that were not fixed: `match …`, and why.
    pub fn notes(&self) -> Vec<String> {
        let overlap =
            |(left, made): &(String, String)| format!("match {left} overlaps with {made}, which is rewritten");
        let breaking = |left: &String| format!("match {left} would not parse any more");
        self.overlapping.iter().map(overlap).chain(self.breaking.iter().map(breaking)).collect()
    }
}

impl AsRef<RewrittenFile> for RewrittenFile {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl AsRef<RewrittenFile> for FileRewrite {
    fn as_ref(&self) -> &RewrittenFile {
        &self.rewritten
    }
}

/// Applies the fixes of a file, except those that would make it parse worse. `base` is the committed text, `text` the
/// analyzed one, `traces` the output of earlier fixes. Without a grammar the syntax is not checked.
///
/// # Errors
/// A sentence that tells why the file is not changed.
pub fn rewrite(
    grammar: Option<Grammar>,
    base: &str,
    text: &str,
    file: &FileFindings,
    traces: &[FixTrace],
) -> Result<FileRewrite, String> {
    let fixes: Vec<&Finding> = file.findings.iter().filter(|finding| finding.is_fixable()).collect();
    let apply = |chosen: &[usize]| {
        let edits = Edits::choose(chosen.iter().filter_map(|at| fixes.get(*at)).map(|fix| fix.edits.clone()).collect());
        let new = edits.apply(text)?;
        Some((edits, new))
    };
    let mut chosen: Vec<usize> = (0..fixes.len()).collect();
    let (mut edits, mut new) = apply(&chosen).ok_or(OUTDATED)?;
    if edits.applied().next().is_none() {
        return Err("nothing of what was found in it can be rewritten".to_owned());
    }
    let mut breaking = Vec::new();
    let faults = grammar.map(|grammar| (grammar, SyntaxFaults::of(grammar, text), SyntaxFaults::of(grammar, &new)));
    if let Some((grammar, before, after)) = faults
        && after.is_worse_than(&before)
    {
        let is_worse = |new: &str| SyntaxFaults::of(grammar, new).is_worse_than(&before);
        let breaks = |chosen: &[usize]| apply(chosen).is_none_or(|(_, new)| is_worse(&new));
        let (good, bad) = split_fixes(fixes.len(), breaks)?;
        if good.is_empty() {
            return Err(format!(
                "the rewrite would break it: {} places would not parse, {} do not now",
                after.count, before.count
            ));
        }
        let first = |at: &usize| fixes.get(*at)?.edits.first();
        breaking = bad.iter().filter_map(first).map(|edit| place(text, edit)).collect();
        chosen = good;
        (edits, new) = apply(&chosen).ok_or(OUTDATED)?;
    }
    if new == text {
        return Err("the rewrite changes nothing".to_owned());
    }
    let patch = patch(&file.path, base, &new);
    if patch.diff.len() > MAX_DIFF_BYTES {
        return Err(format!("its patch is longer than {} KiB, which cannot be shown", MAX_DIFF_BYTES >> 10));
    }
    let overlapping = edits.dropped.iter().map(|(left, made)| (place(text, left), place(text, made))).collect();
    let fixed = fixed_findings(&chosen, &fixes, &edits);
    let traces = trace_fixes(&fixed, &fixes, text, &edits, traces);
    let rewritten = RewrittenFile { path: file.path.clone(), text: new, fixed: fixed.len() };
    let needs_review = fixed.iter().any(|finding| finding.needs_review());
    let fixed = fixed.iter().map(|finding| finding.rule.clone()).collect();
    Ok(FileRewrite { overlapping, breaking, fixed, needs_review, traces, patch, rewritten })
}

/// Why edits do not apply.
const OUTDATED: &str = "it has changed since it was searched";

/// The indices of the fixes that can be applied together without breaking the syntax, and of the others.
fn split_fixes(count: usize, breaks: impl Fn(&[usize]) -> bool) -> Result<(Vec<usize>, Vec<usize>), String> {
    // Nothing in it waits, so the future is ready at once.
    let split = bisect(count, async |chosen: &[usize]| Ok::<_, Infallible>(breaks(chosen).then_some(())));
    let Some(Ok((good, bad))) = split.now_or_never() else { return Err("it cannot be tried".to_owned()) };
    Ok((good, bad.into_iter().map(|(at, ())| at).collect()))
}

/// The chosen findings without those whose edits were dropped. A finding is identified by its first edit.
fn fixed_findings<'a>(chosen: &[usize], fixes: &[&'a Finding], edits: &Edits) -> Vec<&'a Finding> {
    let mut fixed: Vec<&Finding> = chosen.iter().filter_map(|at| fixes.get(*at).copied()).collect();
    for (dropped, _) in &edits.dropped {
        if let Some(at) = fixed.iter().position(|finding| finding.edits.first() == Some(dropped)) {
            fixed.remove(at);
        }
    }
    fixed
}

/// The traces of earlier fixes at their new places, and those of these fixes.
fn trace_fixes(fixed: &[&Finding], all: &[&Finding], text: &str, edits: &Edits, earlier: &[FixTrace]) -> Vec<FixTrace> {
    let moved = |trace: &FixTrace| FixTrace { range: edits.moved(&trace.range), ..trace.clone() };
    let mut traces: Vec<FixTrace> = earlier.iter().map(moved).collect();
    for finding in fixed {
        for edit in &finding.edits {
            let is_nested = |other: &&&Finding| {
                let within = |inner: &Edit| edit.range.start <= inner.range.start && inner.range.end <= edit.range.end;
                other.rule == finding.rule && other.edits != finding.edits && other.edits.iter().all(within)
            };
            let mut nested: Vec<String> = all.iter().filter(is_nested).map(|other| matched_text(text, other)).collect();
            // Matches nested in an earlier match may be nested in this one.
            let same_rule = earlier.iter().filter(|trace| trace.rule == finding.rule);
            let touching =
                same_rule.filter(|trace| edit.range.start <= trace.range.end && trace.range.start <= edit.range.end);
            nested.extend(touching.flat_map(|trace| trace.nested.clone()));
            traces.push(FixTrace { rule: finding.rule.clone(), range: edits.moved(&edit.range), nested });
        }
    }
    traces
}

/// The line and column at which an edit begins, for messages.
fn place(text: &str, edit: &Edit) -> String {
    let before = &text[..edit.range.start];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}")
}
