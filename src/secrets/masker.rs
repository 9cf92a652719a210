//! Replaces secrets in a stream of bytes that arrives in arbitrary chunks.
//!
//! Each offset at which a secret may have begun is a partial match, which is advanced letter by letter. Bytes are
//! released once no partial match covers them, so only possible beginnings of secrets are held back.

use std::borrow::Borrow;

use serde_json::Value;

use super::patterns::Patterns;

/// The replacement of a secret.
pub const MASK: &str = "***";

/// A partial match of so many letters is held back until it is decided, even across flushes.
const LIKELY_LETTERS: u32 = 4;

/// The longest escape sequence or line break between two letters of a secret.
const MAX_GAP_BYTES: u8 = 48;

/// With more partial matches than this, those in the same state are merged.
const MAX_UNMERGED: usize = 64;

/// A secret that may have begun, and how far it has matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PartialMatch {
    pattern: u32,
    /// The current or next letter.
    letter: u32,
    state: MatchState,
    /// Its first byte, as an offset in the stream.
    start: u64,
}

/// Where in or between letters a match is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum MatchState {
    /// Before the letter.
    Between,
    /// After so many bytes of this spelling.
    Inside(u16, u16),
    /// After a line break and so many bytes of white space.
    Wrapped(u8),
    /// After a CR, before its LF.
    Cr,
    /// After ESC.
    Escape,
    /// After so many bytes of a terminal control sequence.
    Control(u8),
}

/// Masks secrets in a stream of bytes. `P` owns or borrows the patterns.
#[derive(Debug)]
pub struct Masker<P> {
    patterns: P,
    matches: Vec<PartialMatch>,
    /// The matches after the current byte. Kept to reuse its memory.
    next: Vec<PartialMatch>,
    /// Bytes that are not released yet.
    held: Vec<u8>,
    /// The offset of the first held byte.
    base: u64,
    /// The ranges of secrets that were found.
    found: Vec<(u64, u64)>,
    /// Whether the last released byte was part of a secret.
    in_mask: bool,
    has_masked: bool,
}

impl<P: Borrow<Patterns>> Masker<P> {
    pub fn new(patterns: P) -> Self {
        Self {
            patterns,
            matches: Vec::new(),
            next: Vec::new(),
            held: Vec::new(),
            base: 0,
            found: Vec::new(),
            in_mask: false,
            has_masked: false,
        }
    }

    /// Processes bytes, and appends to `out` what cannot be part of a secret.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let from = self.base + self.held.len() as u64;
        self.held.extend_from_slice(bytes);
        for (&byte, place) in bytes.iter().zip(from..) {
            self.step(byte, place);
        }
        // A line is released at its end, unless it ends with what is most likely a secret in base64.
        let is_held = |partial: &&PartialMatch| {
            partial.letter >= LIKELY_LETTERS || !matches!(partial.state, MatchState::Wrapped(_) | MatchState::Cr)
        };
        let first = self.matches.iter().filter(is_held).map(|partial| partial.start).min();
        self.release(first.unwrap_or(u64::MAX), out);
    }

    /// Releases held bytes, except those of a match that is most likely a secret. If a released beginning turns out to
    /// be a secret, its remaining bytes are masked.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.release(self.first_likely(), out);
    }

    /// Releases everything at the end of the stream.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.matches.clear();
        self.release(u64::MAX, out);
    }

    /// Whether [`Self::flush`] would release something.
    pub fn holds(&self) -> bool {
        !self.held.is_empty() && self.first_likely() > self.base
    }

    /// Whether a secret was masked.
    pub fn has_masked(&self) -> bool {
        self.has_masked
    }

    /// The start of the first match that is most likely a secret.
    fn first_likely(&self) -> u64 {
        let likely = self.matches.iter().filter(|partial| partial.letter >= LIKELY_LETTERS);
        likely.map(|partial| partial.start).min().unwrap_or(u64::MAX)
    }

    fn step(&mut self, byte: u8, place: u64) {
        let patterns = self.patterns.borrow();
        let starts = patterns.starts(byte);
        if starts.is_empty() && self.matches.is_empty() {
            return;
        }
        let mut step = MatchStep { patterns, byte, place, next: &mut self.next, found: &mut self.found };
        for &partial in &self.matches {
            step.advance(partial);
        }
        for &(pattern, spelling) in starts {
            step.settle(PartialMatch { pattern, letter: 0, state: MatchState::Inside(spelling, 1), start: place });
        }
        self.matches.clear();
        std::mem::swap(&mut self.matches, &mut self.next);
        if self.matches.len() > MAX_UNMERGED {
            // Of the matches in the same state the one that began first sorts first and stays.
            self.matches.sort_unstable();
            self.matches.dedup_by_key(|partial| (partial.pattern, partial.letter, partial.state));
        }
    }

    /// Releases the held bytes before this offset, with secrets masked.
    fn release(&mut self, until: u64, out: &mut Vec<u8>) {
        let end = self.base + self.held.len() as u64;
        let until = until.clamp(self.base, end);
        let index = |place: u64| usize::try_from(place - self.base).unwrap_or(usize::MAX);
        self.found.sort_unstable();
        let mut place = self.base;
        for &(from, to) in &self.found {
            let (from, to) = (from.clamp(place, until), to.clamp(place, until));
            if from == to {
                continue;
            }
            if from > place {
                out.extend_from_slice(&self.held[index(place)..index(from)]);
                self.in_mask = false;
            }
            if !std::mem::replace(&mut self.in_mask, true) {
                out.extend_from_slice(MASK.as_bytes());
            }
            self.has_masked = true;
            place = to;
        }
        if until > place {
            out.extend_from_slice(&self.held[index(place)..index(until)]);
            self.in_mask = false;
        }
        self.found.retain(|(_, to)| *to > until);
        self.held.drain(..index(until));
        self.base = until;
    }
}

/// The text with its secrets masked; `None` if it has none.
pub fn mask_text(patterns: &Patterns, text: &str) -> Option<String> {
    let mut masker = Masker::new(patterns);
    let mut out = Vec::new();
    masker.push(text.as_bytes(), &mut out);
    masker.finish(&mut out);
    // Spellings consist of whole characters, so the rest is valid UTF-8.
    masker.has_masked().then(|| String::from_utf8_lossy(&out).into_owned())
}

/// The JSON document with secrets masked in its texts; `None` if it has none.
pub fn mask_json(patterns: &Patterns, json: &str) -> Option<String> {
    let mut value = serde_json::from_str(json).ok()?;
    if mask_value(patterns, &mut value) { serde_json::to_string(&value).ok() } else { None }
}

/// Masks each text in a JSON value. Returns whether there was a secret.
fn mask_value(patterns: &Patterns, value: &mut Value) -> bool {
    match value {
        Value::String(text) => match mask_text(patterns, text) {
            Some(masked) => {
                *text = masked;
                true
            }
            None => false,
        },
        Value::Array(values) => values.iter_mut().fold(false, |any, value| mask_value(patterns, value) | any),
        Value::Object(fields) => fields.values_mut().fold(false, |any, value| mask_value(patterns, value) | any),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// One step of all matches.
struct MatchStep<'a> {
    patterns: &'a Patterns,
    byte: u8,
    place: u64,
    next: &'a mut Vec<PartialMatch>,
    found: &'a mut Vec<(u64, u64)>,
}

impl MatchStep<'_> {
    /// Advances a match by the byte. It may continue in several states, or end.
    fn advance(&mut self, partial: PartialMatch) {
        let PartialMatch { pattern, letter, state, .. } = partial;
        let (patterns, byte) = (self.patterns, self.byte);
        match state {
            MatchState::Inside(spelling, read) => {
                let text = &patterns.spellings(pattern, letter)[usize::from(spelling)];
                if text.get(usize::from(read)) == Some(&byte) {
                    self.settle(PartialMatch { state: MatchState::Inside(spelling, read + 1), ..partial });
                }
            }
            MatchState::Between | MatchState::Wrapped(_) => {
                for (text, spelling) in patterns.spellings(pattern, letter).iter().zip(0..) {
                    if text.first() == Some(&byte) {
                        self.settle(PartialMatch { state: MatchState::Inside(spelling, 1), ..partial });
                    }
                }
                let wraps = patterns.pattern(pattern).wraps;
                let gap = match (byte, state) {
                    (b'\x1b', _) => Some(MatchState::Escape),
                    (b'\n', MatchState::Between) if wraps => Some(MatchState::Wrapped(0)),
                    (b'\r', MatchState::Between) if wraps => Some(MatchState::Cr),
                    (b' ' | b'\t', MatchState::Wrapped(blanks)) if blanks < MAX_GAP_BYTES => {
                        Some(MatchState::Wrapped(blanks + 1))
                    }
                    _ => None,
                };
                self.next.extend(gap.map(|state| PartialMatch { state, ..partial }));
            }
            MatchState::Cr if byte == b'\n' => {
                self.next.push(PartialMatch { state: MatchState::Wrapped(0), ..partial })
            }
            MatchState::Escape if byte == b'[' => {
                self.next.push(PartialMatch { state: MatchState::Control(0), ..partial })
            }
            MatchState::Control(_) if (0x40..=0x7e).contains(&byte) => {
                self.next.push(PartialMatch { state: MatchState::Between, ..partial });
            }
            MatchState::Control(read) if (0x20..0x40).contains(&byte) && read < MAX_GAP_BYTES => {
                self.next.push(PartialMatch { state: MatchState::Control(read + 1), ..partial });
            }
            MatchState::Cr | MatchState::Escape | MatchState::Control(_) => {}
        }
    }

    /// Records a match that has read a byte of a spelling. After the last letter a secret is found.
    fn settle(&mut self, partial: PartialMatch) {
        let PartialMatch { pattern, letter, state, start } = partial;
        let MatchState::Inside(spelling, read) = state else { return };
        if usize::from(read) < self.patterns.spellings(pattern, letter)[usize::from(spelling)].len() {
            self.next.push(partial);
        } else if letter + 1 < self.patterns.length(pattern) {
            self.next.push(PartialMatch { letter: letter + 1, state: MatchState::Between, ..partial });
        } else {
            self.found.push((start, self.place + 1));
        }
    }
}

#[cfg(test)]
#[path = "masker_tests.rs"]
mod tests;
