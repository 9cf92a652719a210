//! Draws a diff, unified or side by side.

use leptos::prelude::*;

use crate::model::patch_view::{DiffLine, DiffSpan, Hunk, LineChange, PatchView, SyntaxClass, side_by_side};
use crate::model::visible::plain;
use crate::ui::components::invisible::mark_invisible;

/// Draws the first `limit` lines. Rows with a line of the old file have ids, so that findings can link to them: see
/// [`row_id`].
pub fn draw(seq: u64, patch: &PatchView, split: bool, limit: usize) -> impl IntoView + use<> {
    let mut left = limit;
    let mut hunks = Vec::new();
    for hunk in &patch.hunks {
        let lines = hunk.lines.get(..left).unwrap_or(&hunk.lines);
        left -= lines.len();
        hunks.push(if split {
            split_rows(seq, hunk, lines).into_any()
        } else {
            unified_rows(seq, hunk, lines).into_any()
        });
        if left == 0 {
            break;
        }
    }
    let name = plain(&format!("Changes to {}", patch.path));
    // A fixed table layout takes its columns from the first row, which is a heading.
    let columns = split.then(|| {
        let side = || view! { <col class="diff-column-number"/><col class="diff-column-sign"/><col/> };
        view! { <colgroup>{side()}{side()}</colgroup> }
    });
    view! { <table class="diff" aria-label=name data-layout=if split { "split" } else { "unified" }>{columns}{hunks}</table> }
}

/// The id of the row with this line of the old file, in the patch with this seq.
pub fn row_id(seq: u64, line: u64) -> String {
    format!("p{seq}-{line}")
}

/// The line of the old file in the patch that is closest to `line`.
pub fn nearest(patch: &PatchView, line: u64) -> Option<u64> {
    let shown = patch.hunks.iter().flat_map(|hunk| &hunk.lines).filter_map(|line| line.old);
    shown.min_by_key(|shown| shown.abs_diff(line))
}

fn head(hunk: &Hunk, columns: &'static str) -> impl IntoView + use<> {
    let place = format!("Line {}", hunk.old_start.max(1));
    let title = mark_invisible(&hunk.title);
    view! {
        <tr class="diff-head">
            <td colspan=columns>{place}<code class="pl-3">{title}</code></td>
        </tr>
    }
}

fn unified_rows(seq: u64, hunk: &Hunk, lines: &[DiffLine]) -> impl IntoView + use<> {
    let rows = lines.iter().map(|line| {
        view! {
            <tr data-change=word(line.change) id=line.old.map(|old| row_id(seq, old))>
                <td class="diff-number" data-number=line.old></td>
                <td class="diff-number" data-number=line.new></td>
                {code(Some(line))}
            </tr>
        }
    });
    let rows: Vec<_> = rows.collect();
    view! { <tbody>{head(hunk, "4")}{rows}</tbody> }
}

fn split_rows(seq: u64, hunk: &Hunk, lines: &[DiffLine]) -> impl IntoView + use<> {
    let side = |line: Option<&DiffLine>, number: Option<u64>| {
        // On the cells: the two sides of a row differ.
        let change = line.map_or("none", |line| word(line.change));
        view! {
            <td class="diff-number" data-change=change data-number=number></td>
            {code(line)}
        }
    };
    let rows = side_by_side(lines).into_iter().map(|(before, after)| {
        let (before, after) = (before.and_then(|at| lines.get(at)), after.and_then(|at| lines.get(at)));
        let (old, new) = (before.and_then(|line| line.old), after.and_then(|line| line.new));
        view! { <tr id=old.map(|old| row_id(seq, old))>{side(before, old)}{side(after, new)}</tr> }
    });
    let rows: Vec<_> = rows.collect();
    view! { <tbody>{head(hunk, "6")}{rows}</tbody> }
}

const fn word(change: LineChange) -> &'static str {
    match change {
        LineChange::Same => "same",
        LineChange::Removed => "removed",
        LineChange::Added => "added",
    }
}

/// The cells with the sign and the text of a line.
fn code(line: Option<&DiffLine>) -> impl IntoView + use<> {
    let change = line.map_or("none", |line| word(line.change));
    let sign = match line.map(|line| line.change) {
        Some(LineChange::Removed) => "−",
        Some(LineChange::Added) => "+",
        Some(LineChange::Same) | None => "",
    };
    let spans: Vec<_> = line.into_iter().flat_map(|line| &line.spans).map(piece).collect();
    let end = line.is_some_and(|line| line.no_newline).then(|| {
        view! { <span class="diff-end" title="No newline at end of file">"⊘"</span> }
    });
    view! {
        <td class="diff-sign" data-change=change>{sign}</td>
        <td class="diff-code" data-change=change>{spans}{end}</td>
    }
}

fn piece(piece: &DiffSpan) -> impl IntoView + use<> {
    // CR is marked only where it changes.
    let text = piece.text.replace('\r', if piece.changed { "␍" } else { "" });
    let token = piece.token.map(class);
    let class = match (token, piece.changed) {
        (None, false) => return mark_invisible(&text).into_any(),
        (Some(token), false) => token.to_owned(),
        (None, true) => "diff-word".to_owned(),
        (Some(token), true) => format!("{token} diff-word"),
    };
    view! { <span class=class>{mark_invisible(&text)}</span> }.into_any()
}

const fn class(token: SyntaxClass) -> &'static str {
    match token {
        SyntaxClass::Keyword => "t-keyword",
        SyntaxClass::String => "t-string",
        SyntaxClass::Comment => "t-comment",
        SyntaxClass::Number | SyntaxClass::Constant => "t-constant",
        SyntaxClass::Function => "t-function",
        SyntaxClass::Type => "t-type",
        SyntaxClass::Property => "t-property",
        SyntaxClass::Operator => "t-operator",
        SyntaxClass::Attribute => "t-attribute",
        SyntaxClass::Variable => "t-variable",
        SyntaxClass::Tag => "t-tag",
    }
}
