//! A line of a log as text with styles: colours and the like (SGR) and links (OSC 8) are kept, all other escape sequences dropped.
//!
//! Each line stands for itself: the engine journals it with the style in force at its beginning (`terminal`). Control characters
//! stay in the text, to be shown as marks ([`super::visible`]). The result is text, class names and addresses, never markup.

use super::links;

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Its colour: a place in the palette of 256.
    pub foreground: Option<u8>,
    /// The colour behind it.
    pub background: Option<u8>,
    /// Bold.
    pub bold: bool,
    /// Faint.
    pub dim: bool,
    /// Italic.
    pub italic: bool,
    /// Underlined.
    pub underline: bool,
    /// Struck through.
    pub strike: bool,
    /// The two colours change places.
    pub inverse: bool,
}

/// A piece of text of one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span<'a> {
    /// The text, without escape sequences. Other control characters are in it.
    pub text: &'a str,
    /// Its style.
    pub style: Style,
    /// Where it leads to, if that is a web page.
    pub link: Option<&'a str>,
}

impl Style {
    /// The classes for it (`style/ansi.css`), divided by spaces.
    pub fn classes(self) -> String {
        let mut classes = Vec::new();
        let flags = [
            (self.bold, "a-b"),
            (self.dim, "a-d"),
            (self.italic, "a-i"),
            (self.underline && self.strike, "a-us"),
            (self.underline && !self.strike, "a-u"),
            (self.strike && !self.underline, "a-s"),
        ];
        classes.extend(flags.into_iter().filter(|(on, _)| *on).map(|(_, class)| class.to_owned()));
        let (foreground, background) =
            if self.inverse { (self.background, self.foreground) } else { (self.foreground, self.background) };
        match foreground {
            Some(colour) => classes.push(format!("a-f{colour}")),
            None if self.inverse => classes.push("a-fx".to_owned()),
            None => {}
        }
        match background {
            Some(colour) => classes.push(format!("a-g{colour}")),
            None if self.inverse => classes.push("a-gx".to_owned()),
            None => {}
        }
        classes.join(" ")
    }

    fn set(&mut self, parameters: &str) {
        let mut codes = parameters.split(';');
        while let Some(code) = codes.next() {
            let mut parts = code.split(':');
            // A code left out is 0.
            let number = parts.next().map_or(Some(0), |text| if text.is_empty() { Some(0) } else { text.parse().ok() });
            match number {
                Some(0) => *self = Self::default(),
                Some(1) => self.bold = true,
                Some(2) => self.dim = true,
                Some(3) => self.italic = true,
                Some(4) => self.underline = parts.next() != Some("0"),
                Some(7) => self.inverse = true,
                Some(9) => self.strike = true,
                Some(21) => self.underline = true,
                Some(22) => (self.bold, self.dim) = (false, false),
                Some(23) => self.italic = false,
                Some(24) => self.underline = false,
                Some(27) => self.inverse = false,
                Some(29) => self.strike = false,
                Some(code @ 30..=37) => self.foreground = Some(code - 30),
                Some(38) => self.foreground = extended(code, &mut codes).or(self.foreground),
                Some(39) => self.foreground = None,
                Some(code @ 40..=47) => self.background = Some(code - 40),
                Some(48) => self.background = extended(code, &mut codes).or(self.background),
                Some(49) => self.background = None,
                // The colour of the underline: read, so that its parts are not taken for codes.
                Some(58) => drop(extended(code, &mut codes)),
                Some(code @ 90..=97) => self.foreground = Some(code - 90 + 8),
                Some(code @ 100..=107) => self.background = Some(code - 100 + 8),
                Some(_) | None => {}
            }
        }
    }
}

/// The colour of `38;5;n`, `38;2;r;g;b` and their forms with colons, as a place in the palette.
fn extended<'a>(code: &'a str, codes: &mut impl Iterator<Item = &'a str>) -> Option<u8> {
    if code.contains(':') {
        let parts: Vec<&str> = code.split(':').collect();
        return match parts.get(1).copied()? {
            "5" => parts.get(2)?.parse().ok(),
            // With or without the colour space that the standard has before the three.
            "2" => nearest(parts.get(parts.len().checked_sub(3).filter(|&start| start >= 2)?..)?.iter().copied()),
            _ => None,
        };
    }
    match codes.next()? {
        "5" => codes.next()?.parse().ok(),
        "2" => nearest([codes.next()?, codes.next()?, codes.next()?].into_iter()),
        _ => None,
    }
}

/// The place in the palette (its cube of 6 × 6 × 6 or its greys) that is nearest to this colour.
fn nearest<'a>(parts: impl Iterator<Item = &'a str>) -> Option<u8> {
    const LEVELS: [i32; 6] = [0, 95, 135, 175, 215, 255];
    let parts: Vec<i32> = parts.map(|part| part.parse::<u8>().map(i32::from)).collect::<Result<_, _>>().ok()?;
    let &[red, green, blue] = parts.as_slice() else { return None };
    let distance = |(r, g, b): (i32, i32, i32)| (red - r).pow(2) + (green - g).pow(2) + (blue - b).pow(2);
    let cube = (0..216u8).map(|place| {
        let level = |index: u8| LEVELS[usize::from(index)];
        (16 + place, (level(place / 36), level(place / 6 % 6), level(place % 6)))
    });
    let greys = (0..24u8).map(|step| {
        let level = 8 + 10 * i32::from(step);
        (232 + step, (level, level, level))
    });
    cube.chain(greys).min_by_key(|&(_, colour)| distance(colour)).map(|(place, _)| place)
}

/// A line as pieces of text with styles.
pub fn spans(line: &str) -> Vec<Span<'_>> {
    let mut spans: Vec<Span<'_>> = Vec::new();
    let mut style = Style::default();
    let mut link = None;
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let plain = rest.find(['\u{1b}', '\r']).unwrap_or(rest.len());
        if plain > 0 {
            push(&mut spans, &rest[..plain], style, link);
            rest = &rest[plain..];
            continue;
        }
        rest = &rest[first.len_utf8()..];
        match first {
            '\u{1b}' => rest = escape(rest, &mut style, &mut link),
            // In journals of earlier versions: what follows is written over what was there.
            '\r' if !rest.is_empty() => spans.clear(),
            _ => {}
        }
    }
    spans
}

/// Adds text, its addresses as links of their own.
fn push<'a>(spans: &mut Vec<Span<'a>>, text: &'a str, style: Style, link: Option<&'a str>) {
    let found = if link.is_some() { Vec::new() } else { links::find(text) };
    let mut from = 0;
    for place in found {
        if place.start > from {
            spans.push(Span { text: &text[from..place.start], style, link: None });
        }
        from = place.end;
        let text = &text[place];
        spans.push(Span { text, style, link: Some(text) });
    }
    if from < text.len() {
        spans.push(Span { text: &text[from..], style, link });
    }
}

/// The first `most` characters of a line's pieces, and how many characters are left out.
pub fn cut<'a>(mut spans: Vec<Span<'a>>, most: usize) -> (Vec<Span<'a>>, u64) {
    let mut left = most;
    for place in 0..spans.len() {
        let text = spans[place].text;
        if let Some((end, _)) = text.char_indices().nth(left) {
            let hidden: usize = text[end..].chars().count()
                + spans[place + 1..].iter().map(|span| span.text.chars().count()).sum::<usize>();
            spans[place].text = &text[..end];
            spans.truncate(place + usize::from(end > 0));
            return (spans, hidden as u64);
        }
        left -= text.chars().count();
    }
    (spans, 0)
}

/// A line as text, without any escape sequence.
pub fn plain(line: &str) -> String {
    spans(line).into_iter().map(|span| span.text).collect()
}

/// Reads an escape sequence whose ESC is read already; gives what comes after it.
fn escape<'a>(text: &'a str, style: &mut Style, link: &mut Option<&'a str>) -> &'a str {
    let Some(first) = text.chars().next() else { return text };
    let after = &text[first.len_utf8()..];
    match first {
        '[' => {
            let end = after.find(|c: char| !matches!(c, '\u{20}'..='\u{3f}')).unwrap_or(after.len());
            let (parameters, rest) = after.split_at(end);
            match rest.chars().next() {
                Some('m') => {
                    if !parameters.contains(|c: char| !matches!(c, '0'..='9' | ';' | ':')) {
                        style.set(parameters);
                    }
                    &rest[1..]
                }
                Some('\u{40}'..='\u{7e}') => &rest[1..],
                // Cut short, or no sequence: what comes next is text again.
                _ => rest,
            }
        }
        // Strings for the terminal (links, titles): links are heeded, all are dropped with their end. Without an end it is text.
        ']' | 'P' | 'X' | '^' | '_' => match after.find(['\u{07}', '\u{1b}', '\u{9c}']) {
            Some(end) => {
                let rest = &after[end..];
                let address = after[..end].strip_prefix("8;").and_then(|link| link.split_once(';'));
                if let (']', Some((_, address))) = (first, address) {
                    *link = Some(address).filter(|address| links::is_safe(address));
                }
                rest.strip_prefix("\u{1b}\\")
                    .or_else(|| rest.strip_prefix('\u{07}'))
                    .or_else(|| rest.strip_prefix('\u{9c}'))
                    .unwrap_or(rest)
            }
            None => after,
        },
        '\u{20}'..='\u{2f}' => {
            let end = after.find(|c: char| !matches!(c, '\u{20}'..='\u{2f}')).unwrap_or(after.len());
            let rest = &after[end..];
            rest.strip_prefix(|c: char| matches!(c, '\u{30}'..='\u{7e}')).unwrap_or(rest)
        }
        '\u{30}'..='\u{7e}' => after,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn classes(line: &str) -> Vec<(String, String)> {
        spans(line).into_iter().map(|span| (span.text.to_owned(), span.style.classes())).collect()
    }

    fn one(codes: &str) -> String {
        let line = format!("\u{1b}[{codes}mx");
        let mut spans = classes(&line);
        assert_eq!(spans.len(), 1, "{codes}");
        spans.remove(0).1
    }

    #[test]
    fn text_without_escapes_is_one_piece() {
        assert_eq!(classes("hello\tworld"), [("hello\tworld".into(), String::new())]);
        assert_eq!(classes(""), []);
    }

    #[test]
    fn styles_begin_and_end() {
        let line = "a\u{1b}[1;31mred\u{1b}[0m b \u{1b}[3;4mi\u{1b}[23mu\u{1b}[m.";
        let expected = [("a", ""), ("red", "a-b a-f1"), (" b ", ""), ("i", "a-i a-u"), ("u", "a-u"), (".", "")];
        assert_eq!(classes(line), expected.map(|(text, class)| (text.to_owned(), class.to_owned())));
    }

    #[test]
    fn each_code_has_its_class() {
        let cases = [
            ("1", "a-b"),
            ("2", "a-d"),
            ("1;2;22", ""),
            ("4", "a-u"),
            ("4:3", "a-u"),
            ("4:0", ""),
            ("9", "a-s"),
            ("4;9", "a-us"),
            ("30", "a-f0"),
            ("97", "a-f15"),
            ("41", "a-g1"),
            ("107", "a-g15"),
            ("31;39", ""),
            ("41;49", ""),
            ("7", "a-fx a-gx"),
            ("31;7", "a-fx a-g1"),
            ("31;42;7", "a-f2 a-g1"),
            ("7;27", ""),
            ("38;5;208", "a-f208"),
            ("48;5;17;1", "a-b a-g17"),
            ("38:5:99", "a-f99"),
            ("38;2;255;0;0", "a-f196"),
            ("38:2:255:0:0", "a-f196"),
            ("38:2::255:0:0", "a-f196"),
            ("48;2;8;8;8", "a-g232"),
            ("38;2;255;255;255", "a-f231"),
            ("58;5;3;31", "a-f1"),
            ("31;38;5", "a-f1"),
            ("31;38;2;1;2", "a-f1"),
            ("38;5;256", ""),
            ("38;2;300;0;0", ""),
            ("999;1", "a-b"),
            (";1", "a-b"),
            ("1;", ""),
            ("", ""),
        ];
        for (codes, class) in cases {
            assert_eq!(one(codes), class, "{codes}");
        }
    }

    #[test]
    fn other_sequences_are_dropped() {
        let cases = [
            ("a\u{1b}[2Kb", "ab"),
            ("a\u{1b}[?25lb", "ab"),
            ("a\u{1b}[>4;1mb", "ab"),
            ("\u{1b}]0;title\u{7}a", "a"),
            ("\u{1b}]8;;https://x.test\u{1b}\\link\u{1b}]8;;\u{1b}\\ a", "link a"),
            ("\u{1b}(Ba", "a"),
            ("\u{1b}7a\u{1b}8", "a"),
            ("\u{1b}Pq#0\u{1b}\\a", "a"),
            ("a\u{8}\u{0}b\u{7f}\u{85}", "a\u{8}\u{0}b\u{7f}\u{85}"),
            ("a\u{1b}", "a"),
            ("a\u{1b}[31", "a"),
            ("a\u{1b}[3é", "aé"),
            ("a\u{1b}]no end", "ano end"),
            ("10%\r20%\r30%", "30%"),
            ("done\r", "done"),
            ("<b>&amp;</b>", "<b>&amp;</b>"),
        ];
        for (line, text) in cases {
            assert_eq!(plain(line), text, "{line:?}");
        }
    }

    #[test]
    fn links_lead_to_web_pages_only() {
        fn links(line: &str) -> Vec<(&str, Option<&str>)> {
            spans(line).into_iter().map(|span| (span.text, span.link)).collect()
        }
        let open = |address: &str| format!("\u{1b}]8;;{address}\u{1b}\\PR 12\u{1b}]8;;\u{7} ok");
        let line = open("https://ci.test/r/12");
        assert_eq!(links(&line), [("PR 12", Some("https://ci.test/r/12")), (" ok", None)]);
        for address in
            ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//a.test", "https://a\u{202e}"]
        {
            let line = open(address);
            assert_eq!(links(&line), [("PR 12", None), (" ok", None)], "{address}");
        }
        let plain = "see https://a.test/x, or \u{1b}[1mhttp://b.test\u{1b}[0m.";
        let a = Some("https://a.test/x");
        let expected = [
            ("see ", None),
            ("https://a.test/x", a),
            (", or ", None),
            ("http://b.test", Some("http://b.test")),
            (".", None),
        ];
        assert_eq!(links(plain), expected);
    }

    #[test]
    fn cut_counts_what_is_seen() {
        let line = "\u{1b}[31mab\u{1b}[0mcdé";
        let cut = |most| {
            let (spans, hidden) = cut(spans(line), most);
            (spans.into_iter().map(|span| span.text).collect::<Vec<_>>(), hidden)
        };
        assert_eq!(cut(9), (vec!["ab", "cdé"], 0));
        assert_eq!(cut(5), (vec!["ab", "cdé"], 0));
        assert_eq!(cut(4), (vec!["ab", "cd"], 1));
        assert_eq!(cut(2), (vec!["ab"], 3));
        assert_eq!(cut(0), (vec![], 5));
    }

    #[test]
    fn nothing_leaks_over_lines() {
        assert_eq!(classes("\u{1b}[31m"), []);
        assert_eq!(classes("plain"), [("plain".into(), String::new())]);
    }

    proptest! {
        #[test]
        fn never_panics_and_shows_no_escape_sequence(line in prop_oneof![
            any::<String>(),
            "(\u{1b}\\[[0-9;:?]{0,12}[a-zA-Zé]?|[ -~]|\u{1b}[\\]P(_#]|\u{7}|\r|é|\u{9b}){0,40}",
        ]) {
            for span in spans(&line) {
                prop_assert!(!span.text.is_empty());
                prop_assert!(!span.text.contains(['\x1b', '\r']));
                prop_assert!(span.link.is_none_or(links::is_safe));
                prop_assert!(!span.style.classes().contains(['"', '<', '>']));
            }
        }

        #[test]
        fn text_without_control_characters_stays_as_it_is(line in "[^\\p{Cc}]*") {
            prop_assert_eq!(plain(&line), line);
        }
    }
}
