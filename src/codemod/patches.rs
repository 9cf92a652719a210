//! What becomes of a file when its findings are fixed. Pure.

use std::convert::Infallible;

use futures::FutureExt;
use serde::{Deserialize, Serialize};

use super::analysis::Found;
use super::check::good_ones;
use super::diff::patch;
use super::edits::{Edit, Edits};
use super::language::Grammar;
use super::search::faults;
use crate::model::kinds::Patch;

/// The longest diff that a frame can carry, in bytes, with what JSON adds to it.
const LONGEST_DIFF: usize = 1 << 20;

/// What was found in a file.
#[derive(Serialize, Deserialize)]
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

/// What becomes of one file.
pub struct Made {
    /// Findings that are left, each with what is fixed in its place.
    pub dropped: Vec<(String, String)>,
    /// Findings that are left since the file would parse worse with their fix.
    pub broke: Vec<String>,
    /// What people are shown.
    pub patch: Patch,
    /// What is written.
    pub rewritten: Rewritten,
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
/// say whether it parses.
///
/// # Errors
/// A sentence: why it is left as it is.
pub fn rewrite(grammar: Option<Grammar>, text: &str, file: &InFile) -> Result<Made, String> {
    let fixes: Vec<&Vec<Edit>> = file.found.iter().map(|found| &found.edits).filter(|fix| !fix.is_empty()).collect();
    let make = |chosen: &[usize]| {
        let edits = Edits::choose(chosen.iter().filter_map(|at| fixes.get(*at)).map(|fix| (*fix).clone()).collect());
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
        let (before, after) = (faults(grammar, text), faults(grammar, &new));
        if after > before {
            let bad = |chosen: &[usize]| make(chosen).is_none_or(|(_, new)| faults(grammar, &new) > before);
            // Nothing here waits for anything, so it is ready at once.
            let found = good_ones(fixes.len(), async |chosen: &[usize]| Ok::<_, Infallible>(bad(chosen).then_some(())));
            let Some(Ok((good, left))) = found.now_or_never() else { return Err("it cannot be tried".to_owned()) };
            if good.is_empty() {
                return Err(format!("the rewrite would break it: {after} places would not parse, {before} do not now"));
            }
            broke = left.iter().filter_map(|(at, ())| fixes.get(*at)?.first()).map(|edit| place(text, edit)).collect();
            chosen = good;
            (edits, new) = make(&chosen).ok_or("it has changed since it was searched")?;
        }
    }
    if new == text {
        return Err("the rewrite changes nothing".to_owned());
    }
    let patch = patch(&file.path, text, &new);
    if patch.diff.len() > LONGEST_DIFF {
        return Err(format!("its patch is longer than {} KiB, which cannot be shown", LONGEST_DIFF >> 10));
    }
    let dropped: Vec<_> = edits.dropped.iter().map(|(left, kept)| (place(text, left), place(text, kept))).collect();
    let fixed = chosen.len() - dropped.len();
    Ok(Made { dropped, broke, patch, rewritten: Rewritten { path: file.path.clone(), text: new, fixed } })
}

/// Where an edit begins, for people.
fn place(text: &str, edit: &Edit) -> String {
    let before = &text[..edit.range.start];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}")
}
