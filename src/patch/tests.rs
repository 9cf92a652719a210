//! Diffs as `codemod::diff` writes them, viewed.

use proptest::prelude::*;
use similar::{ChangeTag, TextDiff};

use super::*;
use crate::model::patch_view::{LineChange, side_by_side};

/// As `codemod::diff::patch` does it.
fn patch(path: &str, old: &str, new: &str) -> (String, u64, u64) {
    let [old, new] = [old, new].map(|text| text.split_inclusive('\n').collect::<Vec<_>>());
    let changes = TextDiff::from_slices(&old, &new);
    let mut diff = format!("diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n");
    let (mut added, mut removed) = (0, 0);
    for hunk in changes.unified_diff().context_radius(3).iter_hunks() {
        diff.push_str(&format!("{}\n", hunk.header()));
        for change in hunk.iter_changes() {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Insert => {
                    added += 1;
                    '+'
                }
                ChangeTag::Delete => {
                    removed += 1;
                    '-'
                }
            };
            diff.push(sign);
            diff.push_str(change.value());
            if !change.value().ends_with('\n') {
                diff.push_str("\n\\ No newline at end of file\n");
            }
        }
    }
    (diff, added, removed)
}

fn text(line: &DiffLine) -> String {
    line.spans.iter().map(|piece| piece.text.as_str()).collect()
}

/// Pieces that are not empty and look different from their neighbours.
fn well_cut(line: &DiffLine) -> bool {
    line.spans.iter().all(|piece| !piece.text.is_empty())
        && line.spans.windows(2).all(|two| (two[0].token, two[0].changed) != (two[1].token, two[1].changed))
}

#[test]
fn view_combines_words_and_colors() {
    let (diff, ..) = patch("a.rs", "fn a() {}\nlet x = \"one two\";\n", "fn a() {}\nlet x = \"one zwei\";\n");
    let view = view("a.rs", &diff, 1, 1).unwrap();
    let show = |piece: &DiffSpan| {
        let token = piece.token.map(|token| format!("{token:?} ")).unwrap_or_default();
        format!("{token}{}{}", piece.text, if piece.changed { "!" } else { "" })
    };
    let shown: Vec<_> =
        view.hunks[0].lines.iter().map(|line| line.spans.iter().map(show).collect::<Vec<_>>()).collect();
    assert_eq!(shown[0], ["Keyword fn", " ", "Function a", "() {}"]);
    assert_eq!(shown[1], ["Keyword let", " x ", "Operator =", " ", "String \"one ", "String two!", "String \"", ";"]);
    assert_eq!(shown[2], ["Keyword let", " x ", "Operator =", " ", "String \"one ", "String zwei!", "String \"", ";"]);
}

#[test]
fn view_counts_lines_without_counts() {
    let (diff, ..) = patch("a", "1\n2\n", "1\nzwei\ndrei\n");
    let counts = |added, removed| view("a", &diff, added, removed).map(|view| (view.added, view.removed)).unwrap();
    assert_eq!(counts(0, 0), (2, 1));
    assert_eq!(counts(7, 0), (7, 0));
}

#[test]
fn view_of_an_empty_line_has_no_piece() {
    let (diff, ..) = patch("a", "1\n", "1\n\n");
    assert_eq!(view("a", &diff, 1, 0).unwrap().hunks[0].lines[1].spans, []);
}

#[test]
fn view_never_splits_characters() {
    let spans =
        spans("aéb", &[(0..2, SyntaxClass::Keyword), (2..9, SyntaxClass::String)], std::slice::from_ref(&(1..2)));
    assert_eq!(spans.iter().map(|piece| piece.text.as_str()).collect::<String>(), "aéb");
}

/// A text of few different lines, so that diffs have hunks, and lines that look like a diff's own.
fn texts() -> impl Strategy<Value = String> {
    let line = r#"(-- a|\+\+ b|@@ -1 \+1 @@|\\ x|diff --git| |)|[ab]{0,2}|fn [ab]\([a-c]{0,3}\) \{|  let [ab] = "[a-cé€]{0,3}";|/\*|\*/|\PC{0,6}"#;
    let line = (line, "\n|\r\n|\n|\r").prop_map(|(line, end)| line + &end);
    (prop::collection::vec(line, 0..40), "[ab]{0,1}").prop_map(|(lines, end)| lines.concat() + &end)
}

proptest! {
    /// The hunks' lines are the files' lines of these numbers, on both sides, and no change is missing.
    #[test]
    fn view_has_the_lines_of_both_files(
        old in texts(),
        new in texts(),
        path in prop::sample::select(vec!["a.rs", "a.py", "a.tsx", "a.go", "a.txt"]),
    ) {
        prop_assume!(old != new);
        let (diff, added, removed) = patch(path, &old, &new);
        let view = view(path, &diff, 0, 0).unwrap();
        prop_assert_eq!((view.added, view.removed), (added, removed));
        let lines = |text: &str| text.split_inclusive('\n').map(str::to_owned).collect::<Vec<_>>();
        let (old, new) = (lines(&old), lines(&new));
        let mut next = (1, 1);
        for hunk in &view.hunks {
            for line in &hunk.lines {
                prop_assert!(well_cut(line), "{line:?}");
                let whole = text(line) + if line.no_newline { "" } else { "\n" };
                if let Some(number) = line.old {
                    // What is between hunks is the same on both sides.
                    let skipped = number - next.0;
                    for (a, b) in (next.0..number).zip(next.1..) {
                        prop_assert_eq!(&old[a as usize - 1], &new[b as usize - 1]);
                    }
                    next = (number, next.1 + skipped);
                    prop_assert_eq!(&old[number as usize - 1], &whole);
                    next.0 += 1;
                }
                if let Some(number) = line.new {
                    let skipped = number - next.1;
                    prop_assert!(line.old.is_none() || skipped == 0);
                    next = (next.0 + skipped, number);
                    prop_assert_eq!(&new[number as usize - 1], &whole);
                    next.1 += 1;
                }
                let on = match line.change {
                    LineChange::Same => (true, true),
                    LineChange::Removed => (true, false),
                    LineChange::Added => (false, true),
                };
                prop_assert_eq!((line.old.is_some(), line.new.is_some()), on);
            }
            let first = |number: fn(&DiffLine) -> Option<u64>| hunk.lines.iter().find_map(number);
            prop_assert_eq!(first(|line| line.old).unwrap_or(hunk.old_start), hunk.old_start);
            prop_assert_eq!(first(|line| line.new).unwrap_or(hunk.new_start), hunk.new_start);
            prop_assert!(side_by_side(&hunk.lines).iter().all(|(a, b)| a.is_some() || b.is_some()));
        }
        let rest = |next: u64, lines: &[String]| lines.get(next as usize - 1..).unwrap_or_default().to_vec();
        prop_assert_eq!(rest(next.0, &old), rest(next.1, &new));
        let json = serde_json::to_string(&view).unwrap();
        prop_assert_eq!(serde_json::from_str::<PatchView>(&json).unwrap(), view);
    }

    #[test]
    fn view_takes_any_text(
        path in prop::sample::select(vec!["a.rs", "a.py", "a.js", "a.ts", "a.tsx", "a.go", ""]),
        head in "|@@ -1,9 \\+1,9 @@\n",
        body in r"([-+ ]?(\PC{0,9}|[\x00-\x7f]{0,9})\n){0,20}|\PC*",
    ) {
        if let Ok(view) = view(path, &(head + &body), 0, 0) {
            prop_assert!(view.hunks.iter().flat_map(|hunk| &hunk.lines).all(well_cut));
        }
    }
}
