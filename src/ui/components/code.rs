//! Sentences in which `backticks` stand around names and code.

use leptos::either::Either;
use leptos::prelude::*;

use super::visible::visible;

/// A sentence; what stands between two backticks is drawn as code, without them.
#[component]
pub fn Words(
    /// The sentence.
    #[prop(into)]
    text: String,
) -> impl IntoView {
    pieces(&text)
        .into_iter()
        .map(|(code, piece)| match code {
            true => Either::Left(view! { <code class="font-mono text-[0.92em] break-words">{visible(&piece)}</code> }),
            false => Either::Right(visible(&piece)),
        })
        .collect_view()
}

/// The pieces of a text, each with whether it is code. A backtick without another one after it is a character like any other, and so
/// are two with nothing between them.
fn pieces(text: &str) -> Vec<(bool, String)> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`') {
        plain.push_str(before);
        match after.split_once('`') {
            Some((code, then)) if !code.is_empty() => {
                pieces.extend((!plain.is_empty()).then(|| (false, std::mem::take(&mut plain))));
                pieces.push((true, code.to_owned()));
                rest = then;
            }
            Some((_, then)) => {
                plain.push_str("``");
                rest = then;
            }
            None => {
                plain.push('`');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    pieces.extend((!plain.is_empty()).then_some((false, plain)));
    pieces
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn what_stands_between_backticks_is_code() {
        let cases: [(&str, &[(bool, &str)]); 7] = [
            ("", &[]),
            ("no code", &[(false, "no code")]),
            ("use `a` or `b`.", &[(false, "use "), (true, "a"), (false, " or "), (true, "b"), (false, ".")]),
            ("`all`", &[(true, "all")]),
            ("one ` alone", &[(false, "one ` alone")]),
            ("``empty`` and `x`", &[(false, "``empty`` and "), (true, "x")]),
            ("`a``b`", &[(true, "a"), (true, "b")]),
        ];
        for (text, expected) in cases {
            let found = pieces(text);
            let found: Vec<_> = found.iter().map(|(code, piece)| (*code, piece.as_str())).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
