//! What becomes of a file when its findings are fixed. Pure.

use serde::{Deserialize, Serialize};

use super::analysis::Found;
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

/// The file with its findings fixed. In a language that is not known, nobody can say whether it parses.
///
/// # Errors
/// A sentence: why it is left as it is.
pub fn rewrite(grammar: Option<Grammar>, text: &str, file: &InFile) -> Result<Made, String> {
    let edits = Edits::choose(file.found.iter().map(|found| found.edits.clone()).collect());
    if edits.kept().next().is_none() {
        return Err("nothing of what was found in it can be rewritten".to_owned());
    }
    let new = edits.apply(text).ok_or("it has changed since it was searched")?;
    if new == text {
        return Err("the rewrite changes nothing".to_owned());
    }
    if let Some(grammar) = grammar {
        let (before, after) = (faults(grammar, text), faults(grammar, &new));
        if after > before {
            return Err(format!("the rewrite would break it: {after} places would not parse, {before} do not now"));
        }
    }
    let patch = patch(&file.path, text, &new);
    if patch.diff.len() > LONGEST_DIFF {
        return Err(format!("its patch is longer than {} KiB, which cannot be shown", LONGEST_DIFF >> 10));
    }
    let dropped: Vec<_> = edits.dropped.iter().map(|(left, kept)| (place(text, left), place(text, kept))).collect();
    let fixable = file.found.iter().filter(|found| found.is_fixable()).count();
    let fixed = fixable - dropped.len();
    Ok(Made { dropped, patch, rewritten: Rewritten { path: file.path.clone(), text: new, fixed } })
}

/// Where an edit begins, for people.
fn place(text: &str, edit: &Edit) -> String {
    let before = &text[..edit.range.start];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}")
}
