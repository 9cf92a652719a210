//! A change of one file as the page draws it: hunks, lines, and the spans of a line that look alike.
//!
//! The names of fields are short in JSON: a large patch has a hundred thousand spans.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A change of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchView {
    /// The file, relative to the project.
    pub path: String,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
    /// The places of the change, from the file's beginning to its end.
    pub hunks: Vec<Hunk>,
}

/// One place of a change, with the lines around it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hunk {
    /// The number of its first line in the file before: `o` in JSON. 0 if there was no line.
    #[serde(rename = "o")]
    pub old_start: u64,
    /// The number of its first line in the file after: `n` in JSON. 0 if there is no line.
    #[serde(rename = "n")]
    pub new_start: u64,
    /// What stands behind `@@ … @@`, which mostly is the function around it: `t` in JSON. Without one: empty.
    #[serde(rename = "t", default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Its lines: `l` in JSON.
    #[serde(rename = "l")]
    pub lines: Vec<DiffLine>,
}

/// One line of the diff.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffLine {
    /// On which side it is: `c` in JSON, which a line of both sides goes without.
    #[serde(rename = "c", default, skip_serializing_if = "LineChange::is_same")]
    pub change: LineChange,
    /// Its number in the file before: `o` in JSON. `None` if it was added.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub old: Option<u64>,
    /// Its number in the file after: `n` in JSON. `None` if it was removed.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub new: Option<u64>,
    /// Its text without the line's end, in order: `p` in JSON. No piece is empty, and neighbours look different; an empty
    /// line has none. A CR before the line's end is part of the text.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<DiffSpan>,
    /// It is a file's last line and has no line end: `x` in JSON.
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    pub no_newline: bool,
}

/// On which side of a diff a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LineChange {
    /// On both: `=` in JSON.
    #[default]
    #[serde(rename = "=")]
    Same,
    /// Before: `-` in JSON.
    #[serde(rename = "-")]
    Removed,
    /// After: `+` in JSON.
    #[serde(rename = "+")]
    Added,
}

impl LineChange {
    /// Whether the line is on both sides.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
    pub fn is_same(&self) -> bool {
        *self == Self::Same
    }
}

/// Part of a line that looks the same from its first character to its last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffSpan {
    /// The text: `t` in JSON. Not empty.
    #[serde(rename = "t")]
    pub text: String,
    /// What it is in the file's language: `k` in JSON. `None` is text in the ordinary colour.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SyntaxClass>,
    /// It is what changed in a line that else stayed: `d` in JSON.
    #[serde(rename = "d", default, skip_serializing_if = "std::ops::Not::not")]
    pub changed: bool,
}

/// What a word is in a programming language. Brackets, commas, and ordinary names of variables are none of these: they have the
/// ordinary colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyntaxClass {
    /// A word of the language.
    Keyword,
    /// A text or a character in quotes, or a regular expression.
    String,
    /// A comment.
    Comment,
    /// A number.
    Number,
    /// A function, a method, or a macro, where it is made and where it is called.
    Function,
    /// A type, a constructor, or a lifetime.
    Type,
    /// A constant, `true`, `null`, or an escape in a string.
    Constant,
    /// A field of something.
    Property,
    /// An operator.
    Operator,
    /// An attribute: of an item in Rust, of an element in JSX.
    Attribute,
    /// A parameter where it is named, or a variable that the language gives: `self`, `this`, `window`.
    Variable,
    /// An element in JSX.
    Tag,
}

/// Lines that were removed, and the lines right behind them that took their place. One of the two may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeBlock {
    /// The removed lines' places in the hunk.
    pub removed: Range<usize>,
    /// The added lines' places in the hunk.
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

/// The rows of a hunk with the file before on the left and the file after on the right, as places in `lines`. A line of both
/// stands on both sides; the first line removed faces the first one added in its place, and so on.
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
    fn a_replacement_faces_what_it_replaces() {
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
    fn json_is_short() {
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
        /// Each line once on each side that it is on, from top to bottom.
        #[test]
        fn every_line_has_its_row(signs in "[-+=]{0,40}") {
            let lines = lines(&signs);
            let rows = side_by_side(&lines);
            let on = |side: LineChange| (0..lines.len()).filter(|at| lines[*at].change != side).collect::<Vec<_>>();
            prop_assert_eq!(rows.iter().filter_map(|row| row.0).collect::<Vec<_>>(), on(LineChange::Added));
            prop_assert_eq!(rows.iter().filter_map(|row| row.1).collect::<Vec<_>>(), on(LineChange::Removed));
            prop_assert!(rows.iter().all(|row| row.0.is_some() || row.1.is_some()));
        }
    }
}
