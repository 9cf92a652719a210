//! Replaces secrets in a stream of bytes, wherever the stream is cut.
//!
//! Each place at which a secret may have begun is followed letter by letter. Bytes are given once no such place is before them: so what is
//! held back is only what may be the beginning of a secret.

use std::borrow::Borrow;

use super::patterns::Patterns;

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// A beginning of so many letters is held back until it is known what follows, however long that takes.
const SURE_LETTERS: u32 = 4;

/// The longest escape sequence or line break between two letters of a secret, in bytes.
const MAX_GAP: u8 = 48;

/// With more places than this, those that have come to the same point are taken together.
const MANY: usize = 64;

/// A place at which a secret may have begun, and how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    pattern: u32,
    /// The letter that is next, or that is being read.
    letter: u32,
    at: At,
    /// Where it began, in bytes from the beginning of the stream.
    start: u64,
}

/// Where inside a letter, or between two letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    /// Before the letter.
    Between,
    /// Inside this spelling, so many bytes of it were read.
    Inside(u16, u16),
    /// After a line end, and so many bytes of blanks.
    Wrapped(u8),
    /// After a CR, before its LF.
    Cr,
    /// After ESC.
    Escape,
    /// In a control sequence of a terminal, so many bytes of it.
    Control(u8),
}

/// Masks secrets in a stream of bytes. `P` is how it holds the patterns.
#[derive(Debug)]
pub struct Masker<P> {
    patterns: P,
    candidates: Vec<Candidate>,
    /// For the next step; kept for its memory.
    next: Vec<Candidate>,
    /// What was not given yet.
    held: Vec<u8>,
    /// The place of the first byte held.
    base: u64,
    /// The places of secrets that were found, from and to.
    found: Vec<(u64, u64)>,
    /// The byte given last was of a secret.
    in_mask: bool,
    has_masked: bool,
}

impl<P: Borrow<Patterns>> Masker<P> {
    /// A masker at the beginning of a stream.
    pub fn new(patterns: P) -> Self {
        Self {
            patterns,
            candidates: Vec::new(),
            next: Vec::new(),
            held: Vec::new(),
            base: 0,
            found: Vec::new(),
            in_mask: false,
            has_masked: false,
        }
    }

    /// Takes bytes, and appends what is known to be no secret to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let from = self.base + self.held.len() as u64;
        self.held.extend_from_slice(bytes);
        for (&byte, place) in bytes.iter().zip(from..) {
            self.step(byte, place);
        }
        // A line is given when it ends, unless what it ends with is most likely a secret in base64.
        let waits = |candidate: &&Candidate| {
            candidate.letter >= SURE_LETTERS || !matches!(candidate.at, At::Wrapped(_) | At::Cr)
        };
        let first = self.candidates.iter().filter(waits).map(|candidate| candidate.start).min();
        self.give(first.unwrap_or(u64::MAX), out);
    }

    /// Gives what is held back although it may be the beginning of a secret, unless it is most likely one. The rest of a secret that goes on
    /// after this is masked.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.give(self.sure(), out);
    }

    /// Gives all that is left at the end of the stream.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.candidates.clear();
        self.give(u64::MAX, out);
    }

    /// Whether something is held that [`Self::flush`] would give.
    pub fn holds(&self) -> bool {
        !self.held.is_empty() && self.sure() > self.base
    }

    /// Whether a secret was masked.
    pub fn has_masked(&self) -> bool {
        self.has_masked
    }

    /// Where the first secret has begun that is most likely one.
    fn sure(&self) -> u64 {
        let sure = self.candidates.iter().filter(|candidate| candidate.letter >= SURE_LETTERS);
        sure.map(|candidate| candidate.start).min().unwrap_or(u64::MAX)
    }

    fn step(&mut self, byte: u8, place: u64) {
        let patterns = self.patterns.borrow();
        let starts = patterns.starts(byte);
        if starts.is_empty() && self.candidates.is_empty() {
            return;
        }
        let mut step = Step { patterns, byte, place, next: &mut self.next, found: &mut self.found };
        for &candidate in &self.candidates {
            step.advance(candidate);
        }
        for &(pattern, spelling) in starts {
            step.settle(Candidate { pattern, letter: 0, at: At::Inside(spelling, 1), start: place });
        }
        self.candidates.clear();
        std::mem::swap(&mut self.candidates, &mut self.next);
        if self.candidates.len() > MANY {
            // Of those at the same point the one that began first comes first.
            self.candidates.sort_unstable();
            self.candidates.dedup_by_key(|candidate| (candidate.pattern, candidate.letter, candidate.at));
        }
    }

    /// Gives what is held before this place, secrets masked.
    fn give(&mut self, until: u64, out: &mut Vec<u8>) {
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

/// One byte, and what comes of it.
struct Step<'a> {
    patterns: &'a Patterns,
    byte: u8,
    place: u64,
    next: &'a mut Vec<Candidate>,
    found: &'a mut Vec<(u64, u64)>,
}

impl Step<'_> {
    /// Where a candidate is after this byte: at several points, at one or at none.
    fn advance(&mut self, candidate: Candidate) {
        let Candidate { pattern, letter, at, .. } = candidate;
        let (patterns, byte) = (self.patterns, self.byte);
        match at {
            At::Inside(spelling, read) => {
                let text = &patterns.spellings(pattern, letter)[usize::from(spelling)];
                if text.get(usize::from(read)) == Some(&byte) {
                    self.settle(Candidate { at: At::Inside(spelling, read + 1), ..candidate });
                }
            }
            At::Between | At::Wrapped(_) => {
                for (text, spelling) in patterns.spellings(pattern, letter).iter().zip(0..) {
                    if text.first() == Some(&byte) {
                        self.settle(Candidate { at: At::Inside(spelling, 1), ..candidate });
                    }
                }
                let wraps = patterns.pattern(pattern).wraps;
                let gap = match (byte, at) {
                    (b'\x1b', _) => Some(At::Escape),
                    (b'\n', At::Between) if wraps => Some(At::Wrapped(0)),
                    (b'\r', At::Between) if wraps => Some(At::Cr),
                    (b' ' | b'\t', At::Wrapped(blanks)) if blanks < MAX_GAP => Some(At::Wrapped(blanks + 1)),
                    _ => None,
                };
                self.next.extend(gap.map(|at| Candidate { at, ..candidate }));
            }
            At::Cr if byte == b'\n' => self.next.push(Candidate { at: At::Wrapped(0), ..candidate }),
            At::Escape if byte == b'[' => self.next.push(Candidate { at: At::Control(0), ..candidate }),
            At::Control(_) if (0x40..=0x7e).contains(&byte) => {
                self.next.push(Candidate { at: At::Between, ..candidate });
            }
            At::Control(read) if (0x20..0x40).contains(&byte) && read < MAX_GAP => {
                self.next.push(Candidate { at: At::Control(read + 1), ..candidate });
            }
            At::Cr | At::Escape | At::Control(_) => {}
        }
    }

    /// Keeps a candidate that has read a byte of a spelling; at the end of the last letter a secret is found.
    fn settle(&mut self, candidate: Candidate) {
        let Candidate { pattern, letter, at, start } = candidate;
        let At::Inside(spelling, read) = at else { return };
        if usize::from(read) < self.patterns.spellings(pattern, letter)[usize::from(spelling)].len() {
            self.next.push(candidate);
        } else if letter + 1 < self.patterns.length(pattern) {
            self.next.push(Candidate { letter: letter + 1, at: At::Between, ..candidate });
        } else {
            self.found.push((start, self.place + 1));
        }
    }
}

#[cfg(test)]
#[path = "masker_tests.rs"]
mod tests;
