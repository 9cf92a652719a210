//! Makes invisible characters visible: control characters, characters without a width, and those that change the
//! direction of text. Everything that others have written and people read goes through [`segments`], above all patches
//! before they are approved.

use std::collections::BTreeSet;

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextSegment<'a> {
    /// Shown as it is.
    Text(&'a str),
    /// Shown as a mark: see [`symbol`] and [`name`].
    Invisible(char),
}

/// Whether a character is shown as a mark. Tabs and line ends are layout, and are not.
pub const fn is_invisible(char: char) -> bool {
    if char.is_ascii() {
        return char.is_ascii_control() && char != '\t' && char != '\n';
    }
    matches!(
        char,
        '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Whether a character changes the direction of the text around it, which can make text read differently from what it
/// is.
pub const fn is_directional(char: char) -> bool {
    matches!(char, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The directional characters in these texts.
pub fn directions<'a>(texts: impl IntoIterator<Item = &'a str>) -> BTreeSet<char> {
    texts.into_iter().flat_map(str::chars).filter(|char| is_directional(*char)).collect()
}

/// The segments of a text, in order. A joiner or selector within an emoji is visible as a part of it, and is no mark.
pub fn segments(text: &str) -> impl Iterator<Item = TextSegment<'_>> {
    let mut rest = text;
    let mut before = None;
    std::iter::from_fn(move || {
        let mut end = rest.len();
        for (place, char) in rest.char_indices() {
            if is_invisible(char) {
                let after = rest[place + char.len_utf8()..].chars().next();
                if !is_in_emoji(before, char, after) {
                    end = place;
                    break;
                }
            }
            before = Some(char);
        }
        if end > 0 {
            let (text, after) = rest.split_at(end);
            rest = after;
            return Some(TextSegment::Text(text));
        }
        let char = rest.chars().next()?;
        before = Some(char);
        rest = &rest[char.len_utf8()..];
        Some(TextSegment::Invisible(char))
    })
}

fn is_in_emoji(before: Option<char>, char: char, after: Option<char>) -> bool {
    let is_emoji = |char: char| matches!(char, '\u{231a}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}' | '\u{fe0f}');
    match char {
        '\u{200d}' => before.is_some_and(is_emoji) && after.is_some_and(is_emoji),
        '\u{fe0e}' | '\u{fe0f}' => before.is_some_and(|before| {
            before != '\u{fe0f}'
                && (is_emoji(before) || matches!(before, '#' | '*' | '0'..='9' | '©' | '®' | '\u{2000}'..='\u{3300}'))
        }),
        _ => false,
    }
}

/// Whether a text has invisible characters.
pub fn has_marks(text: &str) -> bool {
    segments(text).any(|segment| matches!(segment, TextSegment::Invisible(_)))
}

/// The text with its marks written out, for places without markup: a page's title, an attribute, a terminal.
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for segment in segments(text) {
        match segment {
            TextSegment::Text(text) => shown.push_str(text),
            TextSegment::Invisible(char) => {
                shown.push('‹');
                shown.push_str(&code_point(char));
                shown.push('›');
            }
        }
    }
    shown
}

/// A mark's text: the Unicode picture of a control character, or the code point.
pub fn symbol(char: char) -> String {
    match char {
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(char)).map_or_else(|| code_point(char), String::from),
        '\u{7f}' => "\u{2421}".to_owned(),
        _ => code_point(char),
    }
}

/// A character's code point and name: `U+202E, right-to-left override`.
pub fn name(char: char) -> String {
    let known = match char {
        '\0' => "NUL",
        '\u{7}' => "bell",
        '\u{8}' => "backspace",
        '\r' => "carriage return",
        '\u{1b}' => "escape",
        '\u{7f}' => "delete",
        '\u{85}' => "next line",
        '\u{ad}' => "soft hyphen",
        '\u{61c}' => "Arabic letter mark",
        '\u{200b}' => "zero-width space",
        '\u{200c}' => "zero-width non-joiner",
        '\u{200d}' => "zero-width joiner",
        '\u{200e}' => "left-to-right mark",
        '\u{200f}' => "right-to-left mark",
        '\u{2028}' => "line separator",
        '\u{2029}' => "paragraph separator",
        '\u{202a}' => "left-to-right embedding",
        '\u{202b}' => "right-to-left embedding",
        '\u{202c}' => "end of direction (PDF)",
        '\u{202d}' => "left-to-right override",
        '\u{202e}' => "right-to-left override",
        '\u{2060}' => "word joiner",
        '\u{2066}' => "left-to-right isolate",
        '\u{2067}' => "right-to-left isolate",
        '\u{2068}' => "first strong isolate",
        '\u{2069}' => "end of isolate (PDI)",
        '\u{feff}' => "zero-width no-break space (byte order mark)",
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => "variation selector",
        '\u{e0000}'..='\u{e007f}' => "tag",
        _ if char.is_control() => "control character",
        _ => "invisible character",
    };
    format!("{}, {known}", code_point(char))
}

fn code_point(char: char) -> String {
    format!("U+{:04X}", u32::from(char))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn segments_mark_invisible_characters() {
        for char in [
            '\0',
            '\u{1}',
            '\u{7}',
            '\r',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{ad}',
            '\u{61c}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{fff9}',
            '\u{e0041}',
            '\u{e0101}',
        ] {
            let text = format!("a{char}b");
            assert_eq!(
                segments(&text).collect::<Vec<_>>(),
                [TextSegment::Text("a"), TextSegment::Invisible(char), TextSegment::Text("b")],
                "{char:?}"
            );
            assert!(has_marks(&text) && name(char).starts_with("U+"));
            assert!(!symbol(char).chars().chain(name(char).chars()).any(is_invisible));
        }
        assert_eq!((symbol('\0').as_str(), symbol('\u{202e}').as_str()), ("␀", "U+202E"));
        assert_eq!(name('\u{202e}'), "U+202E, right-to-left override");
        assert_eq!(plain("a\u{202e}b"), "a‹U+202E›b");
    }

    #[test]
    fn segments_keep_visible_characters() {
        for text in [
            "",
            "plain\ttext\n",
            "é e\u{301} 日本 \u{a0}",
            "שלום",
            "👨\u{200d}👩\u{200d}👧",
            "❤\u{fe0f}",
            "1\u{fe0f}\u{20e3}",
        ] {
            assert!(!has_marks(text), "{text:?}");
            assert_eq!(plain(text), text);
        }
        // Selectors in a row carry data; an emoji has one.
        assert!(has_marks("❤\u{fe0f}\u{fe0f}") && has_marks("a\u{fe0f}") && has_marks("a\u{200d}b"));
    }

    proptest! {
        #[test]
        fn segments_add_up_to_the_text(text in any::<String>()) {
            let mut joined = String::new();
            for segment in segments(&text) {
                match segment {
                    TextSegment::Text(text) => {
                        prop_assert!(!text.is_empty());
                        prop_assert!(!text.contains(|c: char| is_directional(c) || c.is_control() && c != '\t' && c != '\n'));
                        joined.push_str(text);
                    }
                    TextSegment::Invisible(char) => joined.push(char),
                }
            }
            prop_assert_eq!(joined, text);
        }
    }
}
