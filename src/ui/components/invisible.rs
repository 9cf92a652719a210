//! Untrusted text, with visible marks in place of invisible characters.

use std::collections::BTreeSet;

use leptos::either::Either;
use leptos::prelude::*;

use crate::model::visible::{TextSegment, is_directional, name, segments, symbol};

/// Renders a text with a mark for each invisible character.
pub fn mark_invisible(text: &str) -> impl IntoView + use<> {
    let segments: Vec<_> = segments(text).collect();
    if let [TextSegment::Text(only)] = segments.as_slice() {
        return Either::Left((*only).to_owned());
    }
    let draw = |segment: TextSegment<'_>| match segment {
        TextSegment::Text(text) => Either::Left(text.to_owned()),
        TextSegment::Invisible(char) => Either::Right(mark(char)),
    };
    Either::Right(segments.into_iter().map(draw).collect_view())
}

fn mark(char: char) -> impl IntoView + use<> {
    let name = name(char);
    let tone = is_directional(char).then_some("bad");
    view! {
        <span class="char-mark" role="img" title=name.clone() aria-label=name data-testid="char-mark" data-tone=tone>
            {symbol(char)}
        </span>
    }
}

/// The warning on a patch that contains these characters, which change the text direction; nothing if there are none.
pub fn direction_warning(found: BTreeSet<char>) -> Option<impl IntoView + use<>> {
    let names = found.into_iter().map(name).collect::<Vec<_>>().join("; ");
    (!names.is_empty()).then(|| {
        view! {
            <p class="border-b border-line bg-bad-wash px-4 py-2 text-xs text-bad" role="alert" data-testid="direction-warning">
                <strong class="font-semibold">"This patch contains characters that change text direction. "</strong>
                {format!("Other viewers may display it misleadingly. They are marked here: {names}.")}
            </p>
        }
    })
}
