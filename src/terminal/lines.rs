//! Bytes in, events out.

use memchr::memchr;

use super::parser::{Parser, Step};
use super::screen::{Event, Screen};
use crate::model::FramePayload;
use crate::model::kinds::MAX_LINE_BYTES;

/// How reports begin: see [`FramePayload::parse_report`].
const REPORTS: [&str; 2] = ["::frame ", "::output "];

/// The longest report, in bytes. A longer one is a line like others.
pub const MAX_REPORT: usize = 4 << 20;

/// Turns one output into rows.
///
/// The bytes may come in pieces of any size: the rows are the same, and so are the reports. [`Self::flush`] and
/// [`Self::redraw`] change what is given early, and never what the rows are in the end.
#[derive(Debug)]
pub struct Lines {
    screen: Screen,
    parser: Parser,
    /// A line that may be a report, as far as it has come.
    report: Option<String>,
    reads_reports: bool,
    /// Nothing was printed since the last line end or carriage return.
    is_at_start: bool,
    /// The beginning of a character whose end has not come.
    partial: Vec<u8>,
}

impl Lines {
    /// The rows of an output. `reads_reports`: whether lines can be reports.
    pub fn new(reads_reports: bool) -> Self {
        Self {
            screen: Screen::default(),
            parser: Parser::default(),
            report: None,
            reads_reports,
            is_at_start: true,
            partial: Vec::new(),
        }
    }

    /// Takes what the command has printed. Gives the rows that have their line ends, and reports.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) {
        if self.partial.is_empty() {
            self.decode(bytes, events);
            return;
        }
        let mut all = std::mem::take(&mut self.partial);
        all.extend_from_slice(bytes);
        self.decode(&all, events);
    }

    /// Whether there is something that [`Self::flush`] would give.
    pub fn has_new(&self) -> bool {
        self.screen.has_new()
    }

    /// Gives a line whose end has not come: a prompt, a progress bar. What follows at its end continues it.
    pub fn flush(&mut self, events: &mut Vec<Event>) {
        self.screen.give_new(events);
    }

    /// Whether rows have changed since they were given.
    pub fn has_redraws(&self) -> bool {
        self.screen.has_redraws()
    }

    /// Gives the rows that have changed since they were given, as they are now.
    pub fn redraw(&mut self, events: &mut Vec<Event>) {
        self.screen.give_redraws(events);
    }

    /// Gives what is left when the output has ended.
    pub fn finish(mut self, events: &mut Vec<Event>) {
        if !self.partial.is_empty() {
            self.partial.clear();
            self.read("\u{fffd}", events);
        }
        if let Some(line) = self.report.take() {
            self.end_report(line, events);
        }
        self.screen.finish(events);
    }

    fn decode(&mut self, bytes: &[u8], events: &mut Vec<Event>) {
        let mut left = bytes.len();
        for chunk in bytes.utf8_chunks() {
            self.read(chunk.valid(), events);
            let invalid = chunk.invalid();
            left -= chunk.valid().len() + invalid.len();
            if left == 0 && is_beginning(invalid) {
                self.partial.extend_from_slice(invalid);
            } else if !invalid.is_empty() {
                self.read("\u{fffd}", events);
            }
        }
    }

    /// Takes reports out; all else is for the screen.
    fn read(&mut self, mut text: &str, events: &mut Vec<Event>) {
        while !text.is_empty() {
            if let Some(line) = &mut self.report {
                // One character at a time until it is clear what it is: what comes after another beginning is read like anything else.
                let is_known = REPORTS.iter().any(|report| line.starts_with(report));
                let most = if is_known { (MAX_REPORT + 1).saturating_sub(line.len()) } else { 1 };
                let (piece, rest) = text.split_at(text.ceil_char_boundary(most));
                let end = memchr(b'\n', piece.as_bytes());
                let (piece, rest) = end.map_or((piece, rest), |end| (&text[..end], &text[end + 1..]));
                line.push_str(piece);
                text = rest;
                if !may_be_report(line) || line.len() > MAX_REPORT {
                    let line = self.report.take().unwrap_or_default();
                    self.draw(&line, events);
                    if end.is_some() {
                        self.draw("\n", events);
                    }
                } else if end.is_some() {
                    let line = self.report.take().unwrap_or_default();
                    self.end_report_line(line, events);
                }
                continue;
            }
            let drawn = self.draw_until_report(text, events);
            text = &text[drawn..];
        }
    }

    fn end_report_line(&mut self, mut line: String, events: &mut Vec<Event>) {
        if line.ends_with('\r') {
            line.pop();
        }
        if FramePayload::parse_report(&line).is_some() {
            events.push(Event::Report(line));
        } else {
            self.draw(&line, events);
            self.draw("\n", events);
        }
    }

    fn end_report(&mut self, line: String, events: &mut Vec<Event>) {
        if FramePayload::parse_report(&line).is_some() {
            events.push(Event::Report(line));
        } else {
            self.draw(&line, events);
        }
    }

    /// Draws text up to where a report may begin, and then holds that.
    fn draw_until_report(&mut self, text: &str, events: &mut Vec<Event>) -> usize {
        let mut drawn = 0;
        while drawn < text.len() {
            let rest = &text[drawn..];
            if self.reads_reports && self.is_at_start && rest.starts_with(':') && self.parser.is_ground() {
                let known = rest.len().min(2);
                if rest.as_bytes()[..known] == b"::"[..known] {
                    self.report = Some(String::new());
                    return drawn;
                }
            }
            drawn += self.draw_some(rest, events);
        }
        drawn
    }

    fn draw(&mut self, text: &str, events: &mut Vec<Event>) {
        let mut drawn = 0;
        while drawn < text.len() {
            drawn += self.draw_some(&text[drawn..], events);
        }
    }

    /// Draws the next piece of a text: at most up to where a row may begin. Returns its length, which is not 0.
    fn draw_some(&mut self, text: &str, events: &mut Vec<Event>) -> usize {
        if !self.parser.is_ground() {
            return self.continue_sequence(text, events);
        }
        if self.screen.is_fresh()
            && let Some(end) = memchr(b'\n', text.as_bytes())
        {
            let line = text[..end].strip_suffix('\r').unwrap_or(&text[..end]);
            if line.len() <= MAX_LINE_BYTES && find_control(line) == line.len() {
                self.screen.plain_line(line, events);
                self.is_at_start = true;
                return end + 1;
            }
        }
        let plain = find_control(text);
        if plain > 0 {
            self.print(&text[..plain], events);
            return plain;
        }
        let Some(char) = text.chars().next() else { return 0 };
        match char {
            '\x1b' => drop(self.parser.take(0x1b)),
            '\0'..'\x20' => self.execute(char as u8, events),
            // The 8-bit forms of ESC and a letter.
            _ => {
                self.parser.take(0x1b);
                self.parser.take((u32::from(char) as u8) - 0x40);
            }
        }
        char.len_utf8()
    }

    fn continue_sequence(&mut self, text: &str, events: &mut Vec<Event>) -> usize {
        let Some(char) = text.chars().next() else { return 0 };
        let Ok(byte) = u8::try_from(char).map_err(|_| ()).and_then(|byte| if byte < 0x80 { Ok(byte) } else { Err(()) })
        else {
            return if self.parser.take_char(char) { char.len_utf8() } else { 0 };
        };
        match self.parser.take(byte) {
            Step::None => {}
            Step::Control(control) => self.execute(control, events),
            Step::Csi(last) => {
                if let Ok(parameters) = std::str::from_utf8(self.parser.bytes()) {
                    self.screen.control(parameters, last, events);
                }
            }
            Step::Escape(last) => self.screen.escape(self.parser.bytes(), last, events),
            Step::Osc => self.screen.string(self.parser.bytes()),
        }
        1
    }

    fn print(&mut self, text: &str, events: &mut Vec<Event>) {
        self.is_at_start = false;
        self.screen.print(text, events);
    }

    fn execute(&mut self, control: u8, events: &mut Vec<Event>) {
        match control {
            b'\n' | 0x0b | 0x0c => self.screen.line_feed(events),
            b'\r' => self.screen.carriage_return(),
            0x08 => self.screen.backspace(),
            b'\t' => self.screen.tab(),
            // Other character sets are not known in UTF-8.
            0x0e | 0x0f => {}
            _ => self.print(char::from(control).encode_utf8(&mut [0; 4]), events),
        }
        self.is_at_start |= matches!(control, b'\n' | b'\r');
    }
}

/// Where the first control character is that does something, but for tabs.
fn find_control(text: &str) -> usize {
    const ACTS: [bool; 256] = {
        let mut acts = [false; 256];
        let list = b"\n\x0b\x0c\r\x08\x0e\x0f\x1b\xc2";
        let mut place = 0;
        while place < list.len() {
            acts[list[place] as usize] = true;
            place += 1;
        }
        acts
    };
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(place) = bytes[from..].iter().position(|&byte| ACTS[usize::from(byte)]) {
        let place = from + place;
        // U+0090, U+0098, U+009B, U+009D to U+009F begin sequences, other characters with this first byte do not.
        let begins = |next: &u8| matches!(next, 0x90 | 0x98 | 0x9b | 0x9d..=0x9f);
        if bytes[place] != 0xc2 || bytes.get(place + 1).is_some_and(begins) {
            return place;
        }
        from = place + 1;
    }
    bytes.len()
}

/// Whether a line is a report, or may become one, as far as it has come.
fn may_be_report(line: &str) -> bool {
    REPORTS.iter().any(|report| line.starts_with(report) || report.starts_with(line))
}

/// Whether these bytes that are no character may become one.
fn is_beginning(bytes: &[u8]) -> bool {
    let length = match bytes.first() {
        Some(0xC2..=0xDF) => 2,
        Some(0xE0..=0xEF) => 3,
        Some(0xF0..=0xF4) => 4,
        _ => return false,
    };
    bytes.len() < length
}
