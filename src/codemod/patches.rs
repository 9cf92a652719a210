//! What becomes of a file when its findings are fixed. Pure.

use std::convert::Infallible;
use std::ops::Range;

use futures::FutureExt;
use serde::{Deserialize, Serialize};

use super::analysis::Found;
use super::check::good_ones;
use super::diff::patch;
use super::edits::{Edit, Edits};
use super::language::Grammar;
use super::search::Faults;
use crate::model::kinds::Patch;

/// The longest diff that a frame can carry, in bytes, with what JSON adds to it.
const LONGEST_DIFF: usize = 1 << 20;

/// What was found in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFile {
    /// Relative to the folder that is searched.
    pub path: String,
    /// In the order of their places.
    pub found: Vec<Found>,
}

/// A file as it is to be.
#[derive(Clone, Serialize, Deserialize)]
pub struct Rewritten {
    /// Relative to the folder that is searched.
    pub path: String,
    /// All of it.
    pub text: String,
    /// How many of its findings this takes away.
    pub fixed: usize,
}

/// What a fix has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    rule: String,
    /// Where in the text.
    range: Range<usize>,
    /// What the rule had found inside of the match besides, without blanks. That is left to be fixed.
    inside: Vec<String>,
}

/// Whether a finding in this text is what the fix of its own rule has made, so that it would be found for ever. `own` is what fixes
/// have made, the earliest first.
pub fn is_own(own: &[Own], text: &str, found: &Found) -> bool {
    let touches = |made: &Own| {
        found.edits.iter().any(|edit| edit.range.start <= made.range.end && made.range.start <= edit.range.end)
    };
    let matched = matched(text, found);
    let is_made_by = |made: &Own| made.rule == found.rule && touches(made) && !made.inside.contains(&matched);
    let Some(at) = own.iter().rposition(is_made_by) else { return false };
    // A later fix of another rule may have made it.
    let has_all = |made: &Own| {
        found.edits.iter().all(|edit| made.range.start <= edit.range.start && edit.range.end <= made.range.end)
    };
    !own[at + 1..].iter().any(|made| made.rule != found.rule && has_all(made))
}

/// What a finding's fix replaces, without blanks: those change with its place.
pub fn matched(text: &str, found: &Found) -> String {
    let parts = found.edits.iter().filter_map(|edit| text.get(edit.range.clone()));
    parts.flat_map(|part| part.chars().filter(|c| !c.is_whitespace())).collect()
}

/// What becomes of one file.
pub struct Made {
    /// Findings that are left, each with what is fixed in its place.
    dropped: Vec<(String, String)>,
    /// Findings that are left since the file would parse worse with their fix.
    broke: Vec<String>,
    /// The rules of what is fixed, once for each finding.
    pub fixed: Vec<String>,
    /// Whether one of its fixes needs a review.
    pub needs_review: bool,
    /// What its fixes have made, and those before.
    pub own: Vec<Own>,
    /// What people are shown.
    pub patch: Patch,
    /// What is written.
    pub rewritten: Rewritten,
}

impl Made {
    /// The end of several passes: this patch, which makes this text and fixes so many findings.
    pub fn new(patch: Patch, text: String, fixed: usize) -> Self {
        let rewritten = Rewritten { path: patch.path.clone(), text, fixed };
        Self {
            dropped: Vec::new(),
            broke: Vec::new(),
            fixed: Vec::new(),
            needs_review: false,
            own: Vec::new(),
            patch,
            rewritten,
        }
    }

    /// What is left of what was found, in sentences: `match …`, and why.
    pub fn notes(&self) -> Vec<String> {
        let overlap =
            |(left, kept): &(String, String)| format!("match {left} overlaps with {kept}, which is rewritten");
        let broke = |left: &String| format!("match {left} would not parse any more");
        self.dropped.iter().map(overlap).chain(self.broke.iter().map(broke)).collect()
    }
}

impl AsRef<Rewritten> for Rewritten {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl AsRef<Rewritten> for Made {
    fn as_ref(&self) -> &Rewritten {
        &self.rewritten
    }
}

/// The file with its findings fixed, but for those whose fix would make it parse worse. In a language that is not known, nobody can
/// say whether it parses. `base` is the text that is committed, `text` the one that was looked at; `own` is what earlier fixes have
/// made in that.
///
/// # Errors
/// A sentence: why it is left as it is.
pub fn rewrite(grammar: Option<Grammar>, base: &str, text: &str, file: &InFile, own: &[Own]) -> Result<Made, String> {
    let fixes: Vec<&Found> = file.found.iter().filter(|found| found.is_fixable()).collect();
    let make = |chosen: &[usize]| {
        let edits = Edits::choose(chosen.iter().filter_map(|at| fixes.get(*at)).map(|fix| fix.edits.clone()).collect());
        let new = edits.apply(text)?;
        Some((edits, new))
    };
    let mut chosen: Vec<usize> = (0..fixes.len()).collect();
    let (mut edits, mut new) = make(&chosen).ok_or("it has changed since it was searched")?;
    if edits.kept().next().is_none() {
        return Err("nothing of what was found in it can be rewritten".to_owned());
    }
    let mut broke = Vec::new();
    if let Some(grammar) = grammar {
        let (before, after) = (Faults::of(grammar, text), Faults::of(grammar, &new));
        if after.is_worse_than(&before) {
            let is_bad = |new: &str| Faults::of(grammar, new).is_worse_than(&before);
            let bad = |chosen: &[usize]| make(chosen).is_none_or(|(_, new)| is_bad(&new));
            // Nothing here waits for anything, so it is ready at once.
            let found = good_ones(fixes.len(), async |chosen: &[usize]| Ok::<_, Infallible>(bad(chosen).then_some(())));
            let Some(Ok((good, left))) = found.now_or_never() else { return Err("it cannot be tried".to_owned()) };
            if good.is_empty() {
                return Err(format!(
                    "the rewrite would break it: {} places would not parse, {} do not now",
                    after.count, before.count
                ));
            }
            let first = |at: &usize| fixes.get(*at)?.edits.first();
            broke = left.iter().filter_map(|(at, ())| first(at)).map(|edit| place(text, edit)).collect();
            chosen = good;
            (edits, new) = make(&chosen).ok_or("it has changed since it was searched")?;
        }
    }
    if new == text {
        return Err("the rewrite changes nothing".to_owned());
    }
    let patch = patch(&file.path, base, &new);
    if patch.diff.len() > LONGEST_DIFF {
        return Err(format!("its patch is longer than {} KiB, which cannot be shown", LONGEST_DIFF >> 10));
    }
    let dropped: Vec<_> = edits.dropped.iter().map(|(left, kept)| (place(text, left), place(text, kept))).collect();
    // Which those are: each is known by its first edit.
    let mut fixed: Vec<&Found> = chosen.iter().filter_map(|at| fixes.get(*at).copied()).collect();
    for (left, _) in &edits.dropped {
        if let Some(at) = fixed.iter().position(|found| found.edits.first() == Some(left)) {
            fixed.remove(at);
        }
    }
    let own = made_by(&fixed, &fixes, text, &edits, own);
    let rewritten = Rewritten { path: file.path.clone(), text: new, fixed: fixed.len() };
    let needs_review = fixed.iter().any(|found| found.needs_review());
    let fixed = fixed.iter().map(|found| found.rule.clone()).collect();
    Ok(Made { dropped, broke, fixed, needs_review, own, patch, rewritten })
}

/// What these fixes make, and where that is which earlier ones have made.
fn made_by(fixed: &[&Found], all: &[&Found], text: &str, edits: &Edits, before: &[Own]) -> Vec<Own> {
    let mut own: Vec<Own> = before.iter().map(|own| Own { range: edits.moved(&own.range), ..own.clone() }).collect();
    for found in fixed {
        for edit in &found.edits {
            let is_inside = |other: &&&Found| {
                let within = |inner: &Edit| edit.range.start <= inner.range.start && inner.range.end <= edit.range.end;
                other.rule == found.rule && other.edits != found.edits && other.edits.iter().all(within)
            };
            let mut inside: Vec<String> = all.iter().filter(is_inside).map(|other| matched(text, other)).collect();
            // What was left inside of an earlier match may be inside of this one.
            let earlier = before.iter().filter(|own| own.rule == found.rule && edit.range.start <= own.range.end);
            inside.extend(earlier.filter(|own| own.range.start <= edit.range.end).flat_map(|own| own.inside.clone()));
            own.push(Own { rule: found.rule.clone(), range: edits.moved(&edit.range), inside });
        }
    }
    own
}

/// Where an edit begins, for people.
fn place(text: &str, edit: &Edit) -> String {
    let before = &text[..edit.range.start];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}")
}
