//! The possible spellings of secrets in the output of a command.
//!
//! A pattern is a sequence of letters, and a letter is a set of spellings: plain, percent-encoded, escaped as in JSON,
//! C or a shell, or as an HTML entity. So a secret is found with any mix of encodings. Base64 has separate patterns for
//! the three offsets at which a secret can begin within a group of three bytes. Its first and last letters also encode
//! bits of neighboring bytes, so they are sets of all letters with the known bits.

use std::collections::HashMap;

/// Shorter lines of a multi-line secret are not masked by themselves.
const MIN_LINE_BYTES: usize = 6;

/// The letters of base64, by value.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The spellings of one letter.
type Letter = Vec<Box<[u8]>>;

/// A sequence of letters.
#[derive(Debug)]
pub(super) struct SecretPattern {
    letters: Vec<u32>,
    /// Whether line breaks may occur between letters, as in wrapped base64.
    pub wraps: bool,
}

/// The spellings of some secrets. `Debug` does not reveal them.
pub struct Patterns {
    letters: Vec<Letter>,
    patterns: Vec<SecretPattern>,
    /// By byte: the patterns that may begin with it, and the matching spelling of their first letter.
    starts: Vec<Vec<(u32, u16)>>,
}

impl std::fmt::Debug for Patterns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Patterns({})", self.patterns.len())
    }
}

impl Patterns {
    /// The patterns of these secrets. Surrounding white space is not part of a secret, and empty ones are skipped. Each
    /// line of a multi-line secret counts as a secret too if it has at least 6 bytes.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut builder = Builder::default();
        for secret in secrets {
            let secret = secret.replace("\r\n", "\n");
            let secret = secret.trim();
            if secret.is_empty() {
                continue;
            }
            builder.add_text(secret);
            builder.add_base64(secret.as_bytes());
            if secret.contains('\n') {
                let lines = secret.lines().map(str::trim).filter(|line| line.len() >= MIN_LINE_BYTES);
                lines.for_each(|line| builder.add_text(line));
            }
        }
        builder.build()
    }

    /// Whether there is nothing to mask.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    pub(super) fn starts(&self, byte: u8) -> &[(u32, u16)] {
        &self.starts[usize::from(byte)]
    }

    pub(super) fn pattern(&self, pattern: u32) -> &SecretPattern {
        &self.patterns[pattern as usize]
    }

    pub(super) fn spellings(&self, pattern: u32, letter: u32) -> &Letter {
        &self.letters[self.pattern(pattern).letters[letter as usize] as usize]
    }

    /// The number of letters of a pattern.
    pub(super) fn length(&self, pattern: u32) -> u32 {
        u32::try_from(self.pattern(pattern).letters.len()).unwrap_or(u32::MAX)
    }
}

#[derive(Default)]
struct Builder {
    letters: Vec<Letter>,
    of_chars: HashMap<char, u32>,
    /// By the known bits and a mask of which bits are known.
    of_bits: HashMap<(u8, u8), u32>,
    patterns: Vec<SecretPattern>,
}

impl Builder {
    fn add(&mut self, letter: Letter) -> u32 {
        self.letters.push(letter);
        u32::try_from(self.letters.len() - 1).unwrap_or(u32::MAX)
    }

    fn add_text(&mut self, secret: &str) {
        let mut letters = Vec::with_capacity(secret.len());
        for letter in secret.chars() {
            let known = self.of_chars.get(&letter).copied();
            letters.push(known.unwrap_or_else(|| {
                let id = self.add(spellings(letter));
                self.of_chars.insert(letter, id);
                id
            }));
        }
        self.patterns.push(SecretPattern { letters, wraps: false });
    }

    fn add_base64(&mut self, secret: &[u8]) {
        for before in 0..3 {
            // In bits from the beginning of a group of three bytes.
            let (begin, end) = (before * 8, (before + secret.len()) * 8);
            let bit = |at: usize| match at {
                at if at < begin || at >= end => None,
                at => Some((secret[(at - begin) / 8] >> (7 - at % 8)) & 1),
            };
            let mut letters = Vec::new();
            for place in begin / 6..end.div_ceil(6) {
                let (mut bits, mut known) = (0, 0);
                for at in place * 6..place * 6 + 6 {
                    bits = (bits << 1) | bit(at).unwrap_or(0);
                    known = (known << 1) | u8::from(bit(at).is_some());
                }
                let there = self.of_bits.get(&(bits, known)).copied();
                letters.push(there.unwrap_or_else(|| {
                    let id = self.add(base64_spellings(bits, known));
                    self.of_bits.insert((bits, known), id);
                    id
                }));
            }
            self.patterns.push(SecretPattern { letters, wraps: true });
        }
    }

    fn build(self) -> Patterns {
        let Self { letters, patterns, .. } = self;
        let mut starts = vec![Vec::new(); 256];
        for (pattern, number) in patterns.iter().zip(0..) {
            let first = pattern.letters.first().map(|&letter| &letters[letter as usize]);
            for (spelling, place) in first.into_iter().flatten().zip(0..) {
                starts[usize::from(spelling[0])].push((number, place));
            }
        }
        Patterns { letters, patterns, starts }
    }
}

/// The letters of base64 and its URL-safe alphabet with these known bits.
fn base64_spellings(bits: u8, known: u8) -> Letter {
    let mut spellings: Vec<&[u8]> = Vec::new();
    for (value, letter) in (0..).zip(BASE64.chunks(1)) {
        if value & known != bits {
            continue;
        }
        spellings.push(letter);
        match letter {
            b"+" => spellings.extend([&b"-"[..], b"%2B", b"%2b"]),
            b"/" => spellings.extend([&b"_"[..], b"%2F", b"%2f", b"\\/"]),
            _ => {}
        }
    }
    spellings.into_iter().map(Box::from).collect()
}

/// The spellings of a character.
fn spellings(letter: char) -> Letter {
    let mut buffer = [0; 4];
    let raw = letter.encode_utf8(&mut buffer).as_bytes();
    let each = |write: &dyn Fn(u8) -> String| raw.iter().map(|byte| write(*byte)).collect::<String>();
    let mut units = [0; 2];
    let unicode =
        |write: &dyn Fn(u16) -> String, units: &[u16]| units.iter().map(|unit| write(*unit)).collect::<String>();
    let units = letter.encode_utf16(&mut units);
    let mut texts = vec![
        String::from(letter),
        // URLs and forms.
        each(&|byte| format!("%{byte:02X}")),
        each(&|byte| format!("%{byte:02x}")),
        // JSON, JavaScript.
        unicode(&|unit| format!("\\u{unit:04x}"), units),
        unicode(&|unit| format!("\\u{unit:04X}"), units),
        // C and shells: $'…' of bash, repr() of Python.
        each(&|byte| format!("\\{byte:03o}")),
        each(&|byte| format!("\\x{byte:02x}")),
        each(&|byte| format!("\\x{byte:02X}")),
    ];
    let more: &[&str] = match letter {
        '\n' => &["\r\n", "%0D%0A", "%0d%0a", "\\n", "\\r\\n"],
        '\r' => &["\\r"],
        '\t' => &["\\t"],
        '\x08' => &["\\b"],
        '\x0c' => &["\\f"],
        '\x1b' => &["\\e", "\\E"],
        ' ' => &["+", "\\ "],
        '\'' => &["'\\''", "'\"'\"'", "&#39;", "&#x27;", "&apos;"],
        '"' => &["&quot;", "&#34;"],
        '&' => &["&amp;"],
        '<' => &["&lt;"],
        '>' => &["&gt;"],
        _ => &[],
    };
    texts.extend(more.iter().map(|text| (*text).to_owned()));
    if letter.is_ascii_punctuation() {
        texts.push(format!("\\{letter}"));
    }
    // JSON inside a JSON string, as in logs of requests: backslashes and quotes are escaped twice.
    let again = |text: &String| text.replace('\\', "\\\\").replace('"', "\\\"");
    let nested: Vec<_> = texts.iter().filter(|text| text.contains('\\')).map(again).collect();
    texts.extend(nested);
    texts.sort();
    texts.dedup();
    texts.into_iter().map(|text| text.into_bytes().into_boxed_slice()).collect()
}
