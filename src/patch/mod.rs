//! Renders patches: the lines of a diff with the changed words and the colors of the language. Pure, with bounded time
//! and size, since a command may report any diff.

use std::iter::zip;
use std::ops::Range;

use crate::model::patch_view::{
    ChangeBlock, DiffLine, DiffSpan, Hunk, LineChange, PatchView, SyntaxClass, change_blocks,
};
use colour::Colours;
pub use read::DiffError;

mod colour;
mod grammars;
mod read;
mod words;

/// The diff of one file for the page. If `added` and `removed` are 0, the lines are counted.
///
/// # Errors
/// [`DiffError`]; the page then shows the text itself.
pub fn view(path: &str, diff: &str, added: u64, removed: u64) -> Result<PatchView, DiffError> {
    let colours = Colours::of(path);
    let hunks: Vec<_> = read::hunks(diff)?.iter().map(|read| hunk(read, &colours)).collect();
    let count = |change| {
        let lines = hunks.iter().flat_map(|hunk| &hunk.lines);
        lines.filter(|line| line.change == change).count() as u64
    };
    let (added, removed) = match (added, removed) {
        (0, 0) => (count(LineChange::Added), count(LineChange::Removed)),
        counted => counted,
    };
    Ok(PatchView { path: path.to_owned(), added, removed, hunks })
}

fn hunk(read: &read::DiffHunk, colours: &Colours) -> Hunk {
    let tokens = colours.tokens(&read.lines);
    let lines = zip(zip(&read.lines, &tokens), marks(&read.lines));
    let lines = lines.map(|((line, tokens), marks)| DiffLine {
        change: line.change,
        old: line.old,
        new: line.new,
        spans: spans(line.text, tokens, &marks),
        no_newline: line.no_newline,
    });
    let lines = lines.collect();
    Hunk { old_start: read.old_start, new_start: read.new_start, title: read.title.to_owned(), lines }
}

/// The changed ranges in each line of a hunk.
fn marks(lines: &[read::HunkLine]) -> words::Marks {
    let changes: Vec<_> = lines.iter().map(|line| line.change).collect();
    let mut marks = vec![Vec::new(); lines.len()];
    for ChangeBlock { removed, added } in change_blocks(&changes) {
        let texts = |range: &Range<usize>| lines[range.clone()].iter().map(|line| line.text).collect::<Vec<_>>();
        let (old, new) = words::changed(&texts(&removed), &texts(&added));
        for (at, found) in zip(removed.chain(added), old.into_iter().chain(new)) {
            marks[at] = found;
        }
    }
    marks
}

/// The text of a line, split wherever its style changes. Tokens and marks are sorted.
fn spans(text: &str, tokens: &[(Range<usize>, SyntaxClass)], marks: &[Range<usize>]) -> Vec<DiffSpan> {
    let mut cuts: Vec<_> = tokens.iter().map(|(range, _)| range).chain(marks).flat_map(|r| [r.start, r.end]).collect();
    // Only split between characters.
    cuts.retain(|at| text.is_char_boundary(*at));
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    cuts.dedup();
    let (mut tokens, mut marks) = (tokens.iter().peekable(), marks.iter().peekable());
    let mut spans: Vec<DiffSpan> = Vec::new();
    for (start, end) in zip(&cuts, cuts.iter().skip(1)) {
        while tokens.next_if(|(range, _)| range.end <= *start).is_some() {}
        while marks.next_if(|range| range.end <= *start).is_some() {}
        let token = tokens.peek().filter(|(range, _)| range.contains(start)).map(|(_, token)| *token);
        let changed = marks.peek().is_some_and(|range| range.contains(start));
        let text = text.get(*start..*end).unwrap_or_default();
        match spans.last_mut() {
            Some(last) if (last.token, last.changed) == (token, changed) => last.text.push_str(text),
            _ => spans.push(DiffSpan { text: text.to_owned(), token, changed }),
        }
    }
    spans
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
