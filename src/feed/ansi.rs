//! Parses a log line into styled text: colors and text attributes (SGR) and links (OSC 8) are kept, other escape
//! sequences are dropped.
//!
//! Each line is complete in itself: the engine journals it with the style in force at its start (`terminal`). Control
//! characters stay in the text and are shown as marks ([`crate::model::visible`]). The result is text, class names and
//! URLs, never markup.
//!
//! `anstyle-parse` would not shorten this: the sequence parser is a fifth of the file, and the crate yields characters
//! instead of slices of the line and swallows a sequence without an end, whose text is shown here.

use super::links;

/// The style of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// An index into the palette of 256 colors.
    pub foreground: Option<u8>,
    pub background: Option<u8>,
    pub bold: bool,
    pub dim: bool,
    pub italic: bool,
    pub underline: bool,
    pub strike: bool,
    /// Foreground and background are swapped.
    pub inverse: bool,
}

/// Text of one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span<'a> {
    /// Has no escape sequences, but may have other control characters.
    pub text: &'a str,
    pub style: Style,
    /// The URL, if it is safe to open.
    pub link: Option<&'a str>,
}

impl Style {
    /// The CSS classes (`style/ansi.css`), separated by spaces.
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
            Some(color) => classes.push(format!("a-f{color}")),
            None if self.inverse => classes.push("a-fx".to_owned()),
            None => {}
        }
        match background {
            Some(color) => classes.push(format!("a-g{color}")),
            None if self.inverse => classes.push("a-gx".to_owned()),
            None => {}
        }
        classes.join(" ")
    }

    fn apply_sgr(&mut self, parameters: &str) {
        let mut codes = parameters.split(';');
        while let Some(code) = codes.next() {
            let mut parts = code.split(':');
            // An omitted code is 0.
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
                Some(38) => self.foreground = parse_color(code, &mut codes).or(self.foreground),
                Some(39) => self.foreground = None,
                Some(code @ 40..=47) => self.background = Some(code - 40),
                Some(48) => self.background = parse_color(code, &mut codes).or(self.background),
                Some(49) => self.background = None,
                // The underline's color: parsed so that its parts are not taken for codes.
                Some(58) => drop(parse_color(code, &mut codes)),
                Some(code @ 90..=97) => self.foreground = Some(code - 90 + 8),
                Some(code @ 100..=107) => self.background = Some(code - 100 + 8),
                Some(_) | None => {}
            }
        }
    }
}

/// The palette index of `38;5;n`, `38;2;r;g;b` and their forms with colons.
fn parse_color<'a>(code: &'a str, codes: &mut impl Iterator<Item = &'a str>) -> Option<u8> {
    if code.contains(':') {
        let parts: Vec<&str> = code.split(':').collect();
        return match parts.get(1).copied()? {
            "5" => parts.get(2)?.parse().ok(),
            // With or without the color space that the standard puts before the three.
            "2" => nearest_index(parts.get(parts.len().checked_sub(3).filter(|&start| start >= 2)?..)?.iter().copied()),
            _ => None,
        };
    }
    match codes.next()? {
        "5" => codes.next()?.parse().ok(),
        "2" => nearest_index([codes.next()?, codes.next()?, codes.next()?].into_iter()),
        _ => None,
    }
}

/// The index of the nearest color in the palette's 6 × 6 × 6 cube or its grays.
fn nearest_index<'a>(parts: impl Iterator<Item = &'a str>) -> Option<u8> {
    const LEVELS: [i32; 6] = [0, 95, 135, 175, 215, 255];
    let parts: Vec<i32> = parts.map(|part| part.parse::<u8>().map(i32::from)).collect::<Result<_, _>>().ok()?;
    let &[red, green, blue] = parts.as_slice() else { return None };
    let distance = |(r, g, b): (i32, i32, i32)| (red - r).pow(2) + (green - g).pow(2) + (blue - b).pow(2);
    let cube = (0..216u8).map(|place| {
        let level = |index: u8| LEVELS[usize::from(index)];
        (16 + place, (level(place / 36), level(place / 6 % 6), level(place % 6)))
    });
    let grays = (0..24u8).map(|step| {
        let level = 8 + 10 * i32::from(step);
        (232 + step, (level, level, level))
    });
    cube.chain(grays).min_by_key(|&(_, color)| distance(color)).map(|(place, _)| place)
}

/// Parses a line into spans.
pub fn spans(line: &str) -> Vec<Span<'_>> {
    let mut spans: Vec<Span<'_>> = Vec::new();
    let mut style = Style::default();
    let mut link = None;
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let plain = rest.find(['\u{1b}', '\r']).unwrap_or(rest.len());
        if plain > 0 {
            push_text(&mut spans, &rest[..plain], style, link);
            rest = &rest[plain..];
            continue;
        }
        rest = &rest[first.len_utf8()..];
        match first {
            '\u{1b}' => rest = parse_escape(rest, &mut style, &mut link),
            // In journals of earlier versions a carriage return overwrites the line.
            '\r' if !rest.is_empty() => spans.clear(),
            _ => {}
        }
    }
    spans
}

/// Adds text. URLs in it become links of their own.
fn push_text<'a>(spans: &mut Vec<Span<'a>>, text: &'a str, style: Style, link: Option<&'a str>) {
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

/// The first `most` characters of the spans, and how many characters are left out.
pub fn truncate<'a>(mut spans: Vec<Span<'a>>, most: usize) -> (Vec<Span<'a>>, u64) {
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

/// The line's text without escape sequences.
pub fn strip_escapes(line: &str) -> String {
    spans(line).into_iter().map(|span| span.text).collect()
}

/// Parses an escape sequence whose ESC is consumed already. Returns the text after it.
fn parse_escape<'a>(text: &'a str, style: &mut Style, link: &mut Option<&'a str>) -> &'a str {
    let Some(first) = text.chars().next() else { return text };
    let after = &text[first.len_utf8()..];
    match first {
        '[' => {
            let end = after.find(|c: char| !matches!(c, '\u{20}'..='\u{3f}')).unwrap_or(after.len());
            let (parameters, rest) = after.split_at(end);
            match rest.chars().next() {
                Some('m') => {
                    if !parameters.contains(|c: char| !matches!(c, '0'..='9' | ';' | ':')) {
                        style.apply_sgr(parameters);
                    }
                    &rest[1..]
                }
                Some('\u{40}'..='\u{7e}') => &rest[1..],
                // Incomplete, or no sequence: what follows is text.
                _ => rest,
            }
        }
        // Strings for the terminal (links, titles) are dropped up to their end, and links noted. Without an end it is
        // text.
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
#[path = "ansi_tests.rs"]
mod tests;
