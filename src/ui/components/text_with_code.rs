//! Text with code between `backticks`.

use leptos::either::Either;
use leptos::prelude::*;

use super::invisible::mark_invisible;

/// Renders the parts between two backticks as code.
#[component]
pub fn TextWithCode(#[prop(into)] text: String) -> impl IntoView {
    split(&text)
        .into_iter()
        .map(|(code, piece)| match code {
            true => Either::Left(
                view! { <code class="font-mono text-[0.92em] break-words">{mark_invisible(&piece)}</code> },
            ),
            false => Either::Right(mark_invisible(&piece)),
        })
        .collect_view()
}

/// Splits a text into parts, each with whether it is code. A backtick without a second one is plain text, and so is an
/// empty pair.
fn split(text: &str) -> Vec<(bool, String)> {
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
    use super::split;

    #[test]
    fn split_finds_code_between_backticks() {
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
            let found = split(text);
            let found: Vec<_> = found.iter().map(|(code, piece)| (*code, piece.as_str())).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
