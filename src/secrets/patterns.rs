//! How a secret may be spelled in what a command prints.
//!
//! A pattern is a sequence of letters, and a letter a set of spellings, any of which may stand at its place. So a secret is found however
//! its letters are mixed: as they are, percent-encoded, escaped as in JSON, C or a shell, or as an HTML entity. Base64 is a pattern of its own
//! for each of the three places at which a secret can begin inside a group of three bytes; its first and last letters, which carry bits of
//! what stands beside the secret, are sets of those that fit.

use std::collections::HashMap;

use serde_json::Value;

use super::masker::Masker;

/// The shortest line of a secret of several lines that is masked by itself, in bytes.
const MIN_LINE: usize = 6;

/// The letters of base64, by value.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The spellings of one letter.
type Letter = Vec<Box<[u8]>>;

/// A sequence of letters.
#[derive(Debug)]
pub(super) struct Pattern {
    letters: Vec<u32>,
    /// Whether line ends may stand between its letters, as programs break base64 into lines.
    pub wraps: bool,
}

/// The spellings of some secrets. Says nothing of them in its `Debug` form.
pub struct Patterns {
    letters: Vec<Letter>,
    patterns: Vec<Pattern>,
    /// The patterns that may begin with this byte, and the spelling of their first letter that does.
    starts: Vec<Vec<(u32, u16)>>,
}

impl std::fmt::Debug for Patterns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Patterns({})", self.patterns.len())
    }
}

impl Patterns {
    /// The patterns of these secrets. White space around one is not part of it, and an empty one is none. Of a secret of several lines each
    /// line is one too, if it has at least 6 bytes.
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
                let lines = secret.lines().map(str::trim).filter(|line| line.len() >= MIN_LINE);
                lines.for_each(|line| builder.add_text(line));
            }
        }
        builder.build()
    }

    /// Whether there is nothing to mask.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The text with its secrets masked; `None` if there are none in it.
    pub fn mask_text(&self, text: &str) -> Option<String> {
        let mut masker = Masker::new(self);
        let mut out = Vec::new();
        masker.push(text.as_bytes(), &mut out);
        masker.finish(&mut out);
        // A spelling is made of whole characters, so what is left is too.
        masker.has_masked().then(|| String::from_utf8_lossy(&out).into_owned())
    }

    /// The same of each text in a JSON document.
    pub fn mask_json(&self, json: &str) -> Option<String> {
        let mut value = serde_json::from_str(json).ok()?;
        if self.mask_value(&mut value) { serde_json::to_string(&value).ok() } else { None }
    }

    /// Masks each text in a JSON value. Whether there was a secret in one.
    fn mask_value(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => match self.mask_text(text) {
                Some(masked) => {
                    *text = masked;
                    true
                }
                None => false,
            },
            Value::Array(values) => values.iter_mut().fold(false, |any, value| self.mask_value(value) | any),
            Value::Object(fields) => fields.values_mut().fold(false, |any, value| self.mask_value(value) | any),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    pub(super) fn starts(&self, byte: u8) -> &[(u32, u16)] {
        &self.starts[usize::from(byte)]
    }

    pub(super) fn pattern(&self, pattern: u32) -> &Pattern {
        &self.patterns[pattern as usize]
    }

    /// The spellings of a letter of a pattern.
    pub(super) fn spellings(&self, pattern: u32, letter: u32) -> &Letter {
        &self.letters[self.pattern(pattern).letters[letter as usize] as usize]
    }

    /// How many letters a pattern has.
    pub(super) fn length(&self, pattern: u32) -> u32 {
        u32::try_from(self.pattern(pattern).letters.len()).unwrap_or(u32::MAX)
    }
}

#[derive(Default)]
struct Builder {
    letters: Vec<Letter>,
    of_chars: HashMap<char, u32>,
    /// By known bits and which bits are known.
    of_bits: HashMap<(u8, u8), u32>,
    patterns: Vec<Pattern>,
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
        self.patterns.push(Pattern { letters, wraps: false });
    }

    fn add_base64(&mut self, secret: &[u8]) {
        for before in 0..3 {
            // In bits, from the beginning of a group of three bytes.
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
            self.patterns.push(Pattern { letters, wraps: true });
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

/// The letters of base64, and of its alphabet for addresses, whose known bits are these.
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

/// How a character may be written.
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
        // Addresses and forms.
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
    // A text in JSON that is a text in JSON itself, as in logs of what was sent: each back slash and quote is escaped again.
    let again = |text: &String| text.replace('\\', "\\\\").replace('"', "\\\"");
    let nested: Vec<_> = texts.iter().filter(|text| text.contains('\\')).map(again).collect();
    texts.extend(nested);
    texts.sort();
    texts.dedup();
    texts.into_iter().map(|text| text.into_bytes().into_boxed_slice()).collect()
}
