//! Text styles: colors, attributes and links, read from and written as escape sequences. `anstyle-parse` splits
//! sequences but does not interpret their codes.

use std::fmt::Write as _;
use std::sync::Arc;

/// Longer addresses of links are dropped.
const MAX_LINK_BYTES: usize = 2048;

/// A color.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// The terminal's default.
    #[default]
    Default,
    /// An index in the palette of 256 colors.
    Indexed(u8),
    /// Red, green and blue.
    Rgb(u8, u8, u8),
}

/// The codes of attributes. Each has one bit, in this order.
const ATTRIBUTES: [u8; 7] = [1, 2, 3, 4, 5, 7, 9];
const BOLD_AND_DIM: u8 = 0b11;

/// A text style.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pen {
    foreground: Color,
    background: Color,
    /// A bit for each of [`ATTRIBUTES`].
    attributes: u8,
    link: Option<Arc<str>>,
}

impl Pen {
    pub fn is_default(&self) -> bool {
        !self.has_style() && self.link.is_none()
    }

    fn has_style(&self) -> bool {
        (self.foreground, self.background, self.attributes) != (Color::Default, Color::Default, 0)
    }

    fn is_styled_as(&self, other: &Self) -> bool {
        (self.foreground, self.background, self.attributes) == (other.foreground, other.background, other.attributes)
    }

    /// Reads the parameters of an SGR sequence.
    pub fn set(&mut self, parameters: &str) {
        let mut codes = parameters.split(';');
        while let Some(code) = codes.next() {
            let mut parts = code.split(':');
            // A code left out is 0.
            let number = parts.next().map_or(Some(0), |text| if text.is_empty() { Some(0) } else { text.parse().ok() });
            match number {
                Some(0) => *self = Self { link: self.link.take(), ..Self::default() },
                Some(4) if parts.next() == Some("0") => self.clear(4),
                Some(21) => self.attributes |= bit(4),
                Some(22) => self.attributes &= !BOLD_AND_DIM,
                Some(6) => self.attributes |= bit(5),
                Some(code @ (1..=5 | 7 | 9)) => self.attributes |= bit(code),
                Some(code @ (23..=25 | 27 | 29)) => self.clear(code - 20),
                Some(code @ 30..=37) => self.foreground = Color::Indexed(code - 30),
                Some(38) => self.foreground = extended(code, &mut codes).unwrap_or(self.foreground),
                Some(39) => self.foreground = Color::Default,
                Some(code @ 40..=47) => self.background = Color::Indexed(code - 40),
                Some(48) => self.background = extended(code, &mut codes).unwrap_or(self.background),
                Some(49) => self.background = Color::Default,
                // The color of the underline is skipped, so that its parts are not read as codes.
                Some(58) => drop(extended(code, &mut codes)),
                Some(code @ 90..=97) => self.foreground = Color::Indexed(code - 90 + 8),
                Some(code @ 100..=107) => self.background = Color::Indexed(code - 100 + 8),
                Some(_) | None => {}
            }
        }
    }

    fn clear(&mut self, code: u8) {
        self.attributes &= !bit(code);
    }

    /// Processes an OSC string: a link (OSC 8) begins or ends; others have no effect.
    pub fn set_link(&mut self, string: &[u8]) {
        let Some(rest) = string.strip_prefix(b"8;") else { return };
        let Some(place) = rest.iter().position(|&byte| byte == b';') else { return };
        let address = &rest[place + 1..];
        let is_plain = address.len() <= MAX_LINK_BYTES && address.iter().all(|byte| matches!(byte, b'!'..=b'~'));
        let address = std::str::from_utf8(address).ok().filter(|address| is_plain && !address.is_empty());
        self.link = address.map(Into::into);
    }

    /// Writes the sequences that turn `before` into this.
    pub fn write_change(&self, before: &Self, out: &mut String) {
        if self.link != before.link {
            let address = self.link.as_deref().unwrap_or_default();
            // Writing to a String never fails.
            let _ = write!(out, "\x1b]8;;{address}\x1b\\");
        }
        if self.is_styled_as(before) {
            return;
        }
        let mut sign = '[';
        out.push('\x1b');
        let mut code = |text: std::fmt::Arguments<'_>| {
            out.push(std::mem::replace(&mut sign, ';'));
            let _ = out.write_fmt(text);
        };
        if before.has_style() || !self.has_style() {
            code(format_args!("0"));
        }
        for attribute in ATTRIBUTES.into_iter().filter(|&attribute| self.attributes & bit(attribute) != 0) {
            code(format_args!("{attribute}"));
        }
        for (color, base) in [(self.foreground, 30u8), (self.background, 40)] {
            match color {
                Color::Default => {}
                Color::Indexed(place @ 0..8) => code(format_args!("{}", base + place)),
                Color::Indexed(place @ 8..16) => code(format_args!("{}", base + 60 + place - 8)),
                Color::Indexed(place) => code(format_args!("{};5;{place}", base + 8)),
                Color::Rgb(red, green, blue) => code(format_args!("{};2;{red};{green};{blue}", base + 8)),
            }
        }
        out.push('m');
    }

    /// Writes the sequences that reset this style.
    pub fn write_end(&self, out: &mut String) {
        if !self.is_default() {
            Self::default().write_change(self, out);
        }
    }

    /// How many bytes [`Self::write_end`] writes.
    pub fn end_length(&self) -> usize {
        let link = if self.link.is_some() { "\x1b]8;;\x1b\\".len() } else { 0 };
        link + if self.has_style() { "\x1b[0m".len() } else { 0 }
    }
}

const fn bit(code: u8) -> u8 {
    match code {
        1..=5 => 1 << (code - 1),
        7 => 1 << 5,
        9 => 1 << 6,
        _ => 0,
    }
}

/// The color of `38;5;n`, `38;2;r;g;b` and their forms with colons.
fn extended<'a>(code: &'a str, codes: &mut impl Iterator<Item = &'a str>) -> Option<Color> {
    let rgb = |parts: [Option<&str>; 3]| {
        let [red, green, blue] = parts.map(|part| part.and_then(|part| part.parse().ok()));
        Some(Color::Rgb(red?, green?, blue?))
    };
    if code.contains(':') {
        let parts: Vec<&str> = code.split(':').collect();
        return match parts.get(1).copied()? {
            "5" => Some(Color::Indexed(parts.get(2)?.parse().ok()?)),
            // With or without the color space that the standard puts before the components.
            "2" => {
                let start = parts.len().checked_sub(3).filter(|&start| start >= 2)?;
                rgb([parts.get(start).copied(), parts.get(start + 1).copied(), parts.get(start + 2).copied()])
            }
            _ => None,
        };
    }
    match codes.next()? {
        "5" => Some(Color::Indexed(codes.next()?.parse().ok()?)),
        "2" => rgb([codes.next(), codes.next(), codes.next()]),
        _ => None,
    }
}
