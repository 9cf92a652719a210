//! Addresses in text: which of them are links, and where one begins and ends.

use std::ops::Range;

/// Whether an address may be opened from a log: only web pages. Not `javascript:`, `data:`, `file:` or anything else.
pub fn is_safe(address: &str) -> bool {
    let Some((scheme, rest)) = address.split_once("://") else { return false };
    let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    is_web && rest.starts_with(|c: char| c.is_alphanumeric() || c == '[') && !rest.contains(ends)
}

/// Whether a character cannot be in an address.
fn ends(char: char) -> bool {
    char.is_whitespace()
        || char.is_control()
        || super::visible::is_invisible(char)
        || matches!(char, '"' | '<' | '>' | '`' | '\\' | '^' | '{' | '}' | '|')
}

/// The places of the addresses in a text.
pub fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(place) = text[from..].find("://") {
        let place = from + place;
        from = place + 3;
        let scheme = &text[..place];
        let start = ["https", "http"].into_iter().find_map(|name| {
            let start = place.checked_sub(name.len())?;
            let is_there = scheme.get(start..).is_some_and(|scheme| scheme.eq_ignore_ascii_case(name));
            is_there.then_some(start)
        });
        let Some(start) = start.filter(|&start| !text[..start].ends_with(char::is_alphanumeric)) else { continue };
        let end = text[from..].find(ends).map_or(text.len(), |end| from + end);
        let end = start + without_punctuation(&text[start..end]).len();
        if is_safe(&text[start..end]) {
            found.push(start..end);
            from = end;
        }
    }
    found
}

/// An address without the punctuation of the sentence around it.
fn without_punctuation(mut address: &str) -> &str {
    while let Some(last) = address.chars().last() {
        let opens = match last {
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '…' => None,
            ')' => Some('('),
            ']' => Some('['),
            _ => break,
        };
        if let Some(open) = opens
            && address.matches(open).count() >= address.matches(last).count()
        {
            break;
        }
        address = &address[..address.len() - last.len_utf8()];
    }
    address
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_found() {
        for (text, expected) in [
            ("see https://a.test/x?y=1#z.", vec!["https://a.test/x?y=1#z"]),
            ("(http://a.test/b(c)) http://[::1]:80/", vec!["http://a.test/b(c)", "http://[::1]:80/"]),
            ("HTTPS://A.test, \"http://b.test\"", vec!["HTTPS://A.test", "http://b.test"]),
            ("javascript:alert(1) data:text/html,x file:///etc/passwd ftp://a.test xhttp://a.test", vec![]),
            ("http:// https://, http://\u{202e}a.test", vec![]),
            ("http://a.test\u{200b}b", vec!["http://a.test"]),
            ("é://https://日本.test/é)", vec!["https://日本.test/é"]),
        ] {
            let found: Vec<_> = find(text).into_iter().map(|place| &text[place]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn only_web_pages_are_safe() {
        for address in ["https://a.test", "http://127.0.0.1:3000/x", "HTTP://a.test"] {
            assert!(is_safe(address), "{address}");
        }
        for address in [
            "",
            "a.test",
            "javascript:alert(1)",
            "javascript://a.test/%0aalert(1)",
            "data:text/html,x",
            "//a.test",
            "mailto:a@b.test",
            "https:/a",
            "https://a b",
            " https://a",
        ] {
            assert!(!is_safe(address), "{address}");
        }
    }

    proptest! {
        #[test]
        fn addresses_are_within_the_text(text in "(https?://|[a-z.)(\\]\\[ é'\"]|\u{202e}){0,30}") {
            let mut last = 0;
            for place in find(&text) {
                prop_assert!(place.start >= last && is_safe(&text[place.clone()]));
                last = place.end;
            }
        }
    }
}
