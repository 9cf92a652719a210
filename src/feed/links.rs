//! Finds URLs in text, and decides which may be opened from a log.

use std::ops::Range;

/// Whether a URL may be opened from a log: only http and https, not `javascript:`, `data:`, `file:` or anything else.
pub fn is_safe(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    is_web && rest.starts_with(|c: char| c.is_alphanumeric() || c == '[') && !rest.contains(is_delimiter)
}

/// Whether a character ends a URL.
fn is_delimiter(char: char) -> bool {
    char.is_whitespace()
        || char.is_control()
        || crate::model::visible::is_invisible(char)
        || matches!(char, '"' | '<' | '>' | '`' | '\\' | '^' | '{' | '}' | '|')
}

/// The ranges of the URLs in a text.
pub fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(offset) = text[from..].find("://") {
        let place = from + offset;
        from = place + 3;
        let scheme = &text[..place];
        let start = ["https", "http"].into_iter().find_map(|name| {
            let start = place.checked_sub(name.len())?;
            let is_there = scheme.get(start..).is_some_and(|scheme| scheme.eq_ignore_ascii_case(name));
            is_there.then_some(start)
        });
        let Some(start) = start.filter(|&start| !text[..start].ends_with(char::is_alphanumeric)) else { continue };
        let end = text[from..].find(is_delimiter).map_or(text.len(), |end| from + end);
        let end = start + trim_punctuation(&text[start..end]).len();
        if is_safe(&text[start..end]) {
            found.push(start..end);
            from = end;
        }
    }
    found
}

/// The URL without the punctuation of the sentence around it.
fn trim_punctuation(mut url: &str) -> &str {
    while let Some(last) = url.chars().last() {
        let opens = match last {
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '…' => None,
            ')' => Some('('),
            ']' => Some('['),
            _ => break,
        };
        if let Some(open) = opens
            && url.matches(open).count() >= url.matches(last).count()
        {
            break;
        }
        url = &url[..url.len() - last.len_utf8()];
    }
    url
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn find_returns_urls_without_punctuation() {
        for (text, expected) in [
            ("see https://a.test/x?y=1#z.", vec!["https://a.test/x?y=1#z"]),
            ("(http://a.test/b(c)) http://[::1]:80/", vec!["http://a.test/b(c)", "http://[::1]:80/"]),
            ("HTTPS://A.test, \"http://b.test\"", vec!["HTTPS://A.test", "http://b.test"]),
            ("javascript:alert(1) data:text/html,x file:///etc/passwd ftp://a.test xhttp://a.test", vec![]),
            ("http:// https://, http://\u{202e}a.test", vec![]),
            ("http://a.test\u{200b}b", vec!["http://a.test"]),
            ("é://https://日本.test/é)", vec!["https://日本.test/é"]),
        ] {
            let found: Vec<_> = find(text).into_iter().map(|range| &text[range]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn is_safe_allows_only_http_and_https() {
        for url in ["https://a.test", "http://127.0.0.1:3000/x", "HTTP://a.test"] {
            assert!(is_safe(url), "{url}");
        }
        for url in [
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
            assert!(!is_safe(url), "{url}");
        }
    }

    proptest! {
        #[test]
        fn find_returns_disjoint_safe_ranges(text in "(https?://|[a-z.)(\\]\\[ é'\"]|\u{202e}){0,30}") {
            let mut last = 0;
            for range in find(&text) {
                prop_assert!(range.start >= last && is_safe(&text[range.clone()]));
                last = range.end;
            }
        }
    }
}
