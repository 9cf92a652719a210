//! A patch prepared for display: hunks, lines, and spans that look alike.
//!
//! Field names are short in JSON, since a large patch has a hundred thousand spans.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A change of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchView {
    /// Relative to the project.
    pub path: String,
    pub added: u64,
    pub removed: u64,
    /// In the order of the file.
    pub hunks: Vec<Hunk>,
}

/// A hunk, with its context lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hunk {
    /// `o` in JSON: the number of its first line in the old file; 0 if there is none.
    #[serde(rename = "o")]
    pub old_start: u64,
    /// `n` in JSON: the number of its first line in the new file; 0 if there is none.
    #[serde(rename = "n")]
    pub new_start: u64,
    /// `t` in JSON: the text after `@@ … @@`, usually the enclosing function; empty if there is none.
    #[serde(rename = "t", default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// `l` in JSON.
    #[serde(rename = "l")]
    pub lines: Vec<DiffLine>,
}

/// A line of a diff.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffLine {
    /// `c` in JSON, left out for context lines.
    #[serde(rename = "c", default, skip_serializing_if = "LineChange::is_same")]
    pub change: LineChange,
    /// `o` in JSON: its number in the old file; `None` if it was added.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub old: Option<u64>,
    /// `n` in JSON: its number in the new file; `None` if it was removed.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub new: Option<u64>,
    /// `p` in JSON: its text without the line break. No span is empty, and adjacent spans look different; an empty
    /// line has none. A CR before the line break is part of the text.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<DiffSpan>,
    /// `x` in JSON: it is the last line of a file that does not end with a line break.
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    pub no_newline: bool,
}

/// On which sides of a diff a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LineChange {
    /// `=` in JSON: both.
    #[default]
    #[serde(rename = "=")]
    Same,
    /// `-` in JSON: only the old one.
    #[serde(rename = "-")]
    Removed,
    /// `+` in JSON: only the new one.
    #[serde(rename = "+")]
    Added,
}

impl LineChange {
    /// Whether it is a context line.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
    pub fn is_same(&self) -> bool {
        *self == Self::Same
    }
}

/// A part of a line that looks the same throughout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffSpan {
    /// `t` in JSON. Not empty.
    #[serde(rename = "t")]
    pub text: String,
    /// `k` in JSON. `None` for text in the ordinary color.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SyntaxClass>,
    /// `d` in JSON: it is what changed within the line.
    #[serde(rename = "d", default, skip_serializing_if = "std::ops::Not::not")]
    pub changed: bool,
}

/// The syntax class of a word, for highlighting. Brackets, commas and names of ordinary variables have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyntaxClass {
    Keyword,
    /// A string or character literal, or a regular expression.
    String,
    Comment,
    Number,
    /// A function, method or macro, where it is defined or called.
    Function,
    /// A type, a constructor or a lifetime.
    Type,
    /// A constant, `true`, `null`, or an escape in a string.
    Constant,
    /// A field.
    Property,
    Operator,
    /// An attribute of an item in Rust, or of an element in JSX.
    Attribute,
    /// A parameter where it is declared, or a variable of the language: `self`, `this`, `window`.
    Variable,
    /// A JSX element.
    Tag,
}

/// Removed lines and the lines added in their place. One of the two may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeBlock {
    /// Indices in the hunk.
    pub removed: Range<usize>,
    /// Indices in the hunk.
    pub added: Range<usize>,
}

/// The blocks of a hunk whose lines have these changes, in order.
pub fn change_blocks(changes: &[LineChange]) -> Vec<ChangeBlock> {
    let end = |from: usize, change| {
        from + changes.get(from..).map_or(0, |rest| rest.iter().take_while(|each| **each == change).count())
    };
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < changes.len() {
        let same = end(at, LineChange::Same);
        let removed = end(same, LineChange::Removed);
        at = end(removed, LineChange::Added);
        if same < at {
            blocks.push(ChangeBlock { removed: same..removed, added: removed..at });
        }
    }
    blocks
}

/// The rows of a side-by-side view as indices into `lines`, old file first. Context lines are on both sides; in a
/// block, the first removed line is beside the first added one, and so on.
pub fn side_by_side(lines: &[DiffLine]) -> Vec<(Option<usize>, Option<usize>)> {
    let changes: Vec<_> = lines.iter().map(|line| line.change).collect();
    let mut rows = Vec::with_capacity(lines.len());
    let mut at = 0;
    for ChangeBlock { removed, added } in change_blocks(&changes) {
        rows.extend((at..removed.start).map(|same| (Some(same), Some(same))));
        at = added.end;
        for row in 0..removed.len().max(added.len()) {
            rows.push((removed.clone().nth(row), added.clone().nth(row)));
        }
    }
    rows.extend((at..lines.len()).map(|same| (Some(same), Some(same))));
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(signs: &str) -> Vec<DiffLine> {
        let change = |sign| match sign {
            '-' => LineChange::Removed,
            '+' => LineChange::Added,
            _ => LineChange::Same,
        };
        signs.chars().map(|sign| DiffLine { change: change(sign), ..DiffLine::default() }).collect()
    }

    #[test]
    fn side_by_side_pairs_replacements() {
        let both = |at| (Some(at), Some(at));
        for (signs, expected) in [
            ("", vec![]),
            ("==", vec![both(0), both(1)]),
            ("=--+=", vec![both(0), (Some(1), Some(3)), (Some(2), None), both(4)]),
            ("-++", vec![(Some(0), Some(1)), (None, Some(2))]),
            ("-", vec![(Some(0), None)]),
            ("+", vec![(None, Some(0))]),
            ("+-", vec![(None, Some(0)), (Some(1), None)]),
            ("-+-+", vec![(Some(0), Some(1)), (Some(2), Some(3))]),
        ] {
            assert_eq!(side_by_side(&lines(signs)), expected, "{signs}");
        }
    }

    #[test]
    fn patch_view_json_is_short() {
        let view = PatchView {
            path: "a.rs".into(),
            added: 1,
            removed: 0,
            hunks: vec![Hunk {
                old_start: 1,
                new_start: 1,
                title: String::new(),
                lines: vec![
                    DiffLine { old: Some(1), new: Some(1), ..DiffLine::default() },
                    DiffLine {
                        change: LineChange::Added,
                        new: Some(2),
                        spans: vec![
                            DiffSpan { text: "fn".into(), token: Some(SyntaxClass::Keyword), changed: false },
                            DiffSpan { text: " a".into(), token: None, changed: true },
                        ],
                        no_newline: true,
                        ..DiffLine::default()
                    },
                ],
            }],
        };
        let json = concat!(
            r#"{"path":"a.rs","added":1,"removed":0,"hunks":[{"o":1,"n":1,"l":[{"o":1,"n":1},"#,
            r#"{"c":"+","n":2,"p":[{"t":"fn","k":"keyword"},{"t":" a","d":true}],"x":true}]}]}"#,
        );
        assert_eq!(serde_json::to_string(&view).unwrap(), json);
        assert_eq!(serde_json::from_str::<PatchView>(json).unwrap(), view);
    }

    proptest! {
        /// Each line is once on each of its sides, in order.
        #[test]
        fn side_by_side_keeps_every_line(signs in "[-+=]{0,40}") {
            let lines = lines(&signs);
            let rows = side_by_side(&lines);
            let on = |side: LineChange| (0..lines.len()).filter(|at| lines[*at].change != side).collect::<Vec<_>>();
            prop_assert_eq!(rows.iter().filter_map(|row| row.0).collect::<Vec<_>>(), on(LineChange::Added));
            prop_assert_eq!(rows.iter().filter_map(|row| row.1).collect::<Vec<_>>(), on(LineChange::Removed));
            prop_assert!(rows.iter().all(|row| row.0.is_some() || row.1.is_some()));
        }
    }
}
