//! The masker masks every spelling of a secret in any chunks, and nothing else.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use proptest::prelude::*;

use super::*;

fn masked(secrets: &[&str], pieces: &[&[u8]]) -> String {
    masked_by(&Patterns::new(secrets.iter().copied()), pieces)
}

fn masked_by(patterns: &Patterns, pieces: &[&[u8]]) -> String {
    let mut masker = Masker::new(patterns);
    let mut out = Vec::new();
    for piece in pieces {
        masker.push(piece, &mut out);
    }
    masker.finish(&mut out);
    String::from_utf8(out).unwrap()
}

fn percent(text: &str, keep: &str, space_is_plus: bool, upper: bool) -> String {
    let write = |byte: u8| match char::from(byte) {
        ' ' if space_is_plus => "+".to_owned(),
        letter if letter.is_ascii_alphanumeric() || keep.contains(letter) => letter.to_string(),
        _ if upper => format!("%{byte:02X}"),
        _ => format!("%{byte:02x}"),
    };
    text.bytes().map(write).collect()
}

/// Escaped as inside a JSON string.
fn json(text: &str) -> String {
    let json = serde_json::to_string(text).unwrap();
    json[1..json.len() - 1].to_owned()
}

/// The encodings that the documentation lists.
fn encodings(secret: &str) -> Vec<String> {
    let mut all = vec![
        secret.to_owned(),
        percent(secret, "-_.~", false, true),
        percent(secret, "-_.~", false, false),
        percent(secret, "-_.!~*'()", false, true),
        percent(secret, "*-._", true, true),
        percent(secret, "/_.-~", false, true),
        percent(secret, "", false, true),
        json(secret),
        secret.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
        secret.replace('\'', "'\\''"),
        secret.replace('\'', "'\"'\"'"),
        secret.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("\\{c}") }).collect(),
        secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
    ];
    // JSON restricted to ASCII.
    let ascii = |c: char| {
        if c.is_ascii() {
            c.to_string()
        } else {
            c.encode_utf16(&mut [0; 2]).iter().map(|u| format!("\\u{u:04x}")).collect()
        }
    };
    all.push(secret.chars().map(ascii).collect());
    if secret.contains(|c: char| !c.is_ascii_alphanumeric() && !c.is_ascii_punctuation()) {
        // A backslash before a multi-byte character or a line break is not an escape.
        all.remove(11);
    }
    // JSON inside a JSON string, as in logs.
    all.push(json(&json(secret)));
    all.push(json(&json(secret).chars().map(ascii).collect::<String>()));
    all
}

fn base64s(secret: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (alphabet, padded) in [(STANDARD, true), (URL_SAFE, false)] {
        let engine = GeneralPurpose::new(&alphabet, GeneralPurposeConfig::new().with_encode_padding(padded));
        for before in ["", "u", "ü", "ü:x"] {
            for after in ["", "\n", "!!"] {
                all.push(engine.encode(format!("{before}{secret}{after}")));
            }
        }
    }
    all
}

#[test]
fn masker_keeps_the_text_around_a_secret() {
    let secret = "hunter-Ü-2";
    assert_eq!(
        masked(&[secret], &["user hunter-Ü-2, again hunter-Ü-2hunter-Ü-2.\n".as_bytes()]),
        "user ***, again ***.\n"
    );
    assert_eq!(masked(&[secret], &[b"hunter-", "Ü-1 hunter".as_bytes()]), "hunter-Ü-1 hunter");
    // curl -u user:secret, which curl itself encodes.
    assert_eq!(masked(&[secret], &[b"Basic dTpodW50ZXItw5wtMg=="]), "Basic dT***==");
    assert_eq!(masked(&["abcde", "cdefg"], &[b"xabcdefgx abcd cdefg"]), "x***x abcd ***");
    assert_eq!(masked(&[""], &[b"nothing"]), "nothing");
}

#[test]
fn masker_sees_through_colors_and_line_breaks() {
    assert_eq!(masked(&["hunter22"], &[b"hun\x1b[1;31mter\x1b[0m22."]), "***.");
    let long = "a long secret that base64 breaks into several lines, as it does by itself after 76 letters";
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("user:{long}"));
    let lines: Vec<&str> = encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    for line_end in ["\n", "\r\n", "\n    "] {
        let out = masked(&[long], &[lines.join(line_end).as_bytes()]);
        assert!(out.starts_with("dXNlc") && out.len() < 16 && out.contains(MASK), "{out}");
    }
}

#[test]
fn masker_masks_each_line_of_a_secret() {
    let key = "-----BEGIN KEY-----\r\nMIIEpAIBAAKCAQEA\nab\n  indented line\n-----END KEY-----\n";
    let patterns = ["MIIEpAIBAAKCAQEA", "-----BEGIN KEY-----", "indented line", "-----END KEY-----"];
    for line in patterns {
        assert_eq!(masked(&[key], &[format!("+ {line}\n").as_bytes()]), "+ ***\n");
    }
    assert_eq!(masked(&[key], &[b"ab abc"]), "ab abc");
    // Printed plainly, and by `set -x`.
    assert_eq!(masked(&[key], &[key.as_bytes()]), "***\n");
    assert_eq!(masked(&["one\ntwo"], &[b"$'one\\ntwo' one%0D%0Atwo one\r\ntwo"]), "$'***' *** ***");
}

#[test]
fn flush_releases_all_but_likely_secrets() {
    let mut masker = Masker::new(Patterns::new(["hunter22"]));
    let mut out = Vec::new();
    masker.push(b"Go on? [h", &mut out);
    assert_eq!(out, b"Go on? [");
    assert!(masker.holds());
    masker.flush(&mut out);
    assert_eq!(out, b"Go on? [h");
    assert!(!masker.holds());
    // The remaining letters are not released, however many flushes happen.
    for letter in "unter22]".chars() {
        masker.push(letter.to_string().as_bytes(), &mut out);
        masker.flush(&mut out);
    }
    assert_eq!(String::from_utf8_lossy(&out), "Go on? [hun***]");
}

#[test]
fn masker_releases_lines_at_their_end() {
    for line_end in ["\n", "\r\n", "\x1b[0m\n"] {
        for last in ('0'..='z').filter(char::is_ascii_alphanumeric) {
            let mut masker = Masker::new(Patterns::new(["hunter22", "a key\nof two lines"]));
            let mut out = Vec::new();
            let line = format!("ends with {last}{line_end}");
            masker.push(line.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), line);
            // The rest on the next line is masked.
            out.clear();
            masker.push(b"HVudGVyMjI=\n", &mut out);
            let expected = if last == 'a' { "***=\n" } else { "HVudGVyMjI=\n" };
            assert_eq!(String::from_utf8_lossy(&out), expected, "{last}");
        }
    }
}

#[test]
fn masked_json_is_valid_json() {
    let patterns = Patterns::new(["say \"hi\"\\"]);
    let json = serde_json::json!({"a": ["x say \"hi\"\\ y", 1, null], "say": {"b": "say"}}).to_string();
    let masked = mask_json(&patterns, &json).unwrap();
    assert_eq!(masked, r#"{"a":["x *** y",1,null],"say":{"b":"say"}}"#);
    assert_eq!(mask_json(&patterns, r#"{"a":"hi"}"#), None);
}

#[test]
fn masker_is_fast_with_repetitive_secrets() {
    let secret = "a".repeat(500);
    let text = "a".repeat(5_000);
    assert_eq!(masked(&[&secret, &format!("{secret}b")], &[text.as_bytes()]), MASK);
}

/// Splits a text at these places.
fn cut<'a>(text: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..8)
}

proptest! {
    #[test]
    fn masker_masks_all_encodings(
        secrets in prop::collection::vec("[a-zA-Z0-9 /+=&<>'\"\\\\:;%$é€😀\n-]{4,24}", 1..4),
        before in "[ x.,]{0,4}",
        after in "[ y.,]{0,4}",
        cuts in cuts(),
    ) {
        let secrets: Vec<&str> = secrets.iter().map(|secret| secret.trim()).filter(|secret| secret.len() >= 4).collect();
        let patterns = Patterns::new(secrets.iter().copied());
        for &secret in &secrets {
            for encoded in encodings(secret) {
                let text = format!("{before}{encoded}{after}");
                let out = masked_by(&patterns, &cut(text.as_bytes(), &cuts));
                prop_assert!(!out.contains(&encoded) && !out.contains(secret) && out.contains(MASK), "{text:?}: {out:?}");
            }
            for encoded in base64s(secret) {
                let out = masked_by(&patterns, &cut(encoded.as_bytes(), &cuts));
                // Only letters that encode neighboring bytes remain.
                let left = out.replace(MASK, "").len();
                prop_assert!(out.contains(MASK) && left <= 10, "{secret:?} {encoded:?}: {out:?}");
            }
        }
    }

    /// Text with many beginnings of secrets is masked the same in any chunks, and text without a secret does not
    /// change.
    #[test]
    fn masker_ignores_chunk_boundaries(
        secrets in prop::collection::vec("[ab!][ab! ]{2,5}[ab!]", 1..4),
        text in "[ab! ]{0,60}",
        cuts in cuts(),
    ) {
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let whole = masked(&secrets, &[text.as_bytes()]);
        let pieces = cut(text.as_bytes(), &cuts);
        prop_assert_eq!(&masked(&secrets, &pieces), &whole);
        let there = secrets.iter().any(|secret| text.contains(secret));
        // These texts are too short for base64.
        prop_assert_eq!(whole != text, there);

        let mut masker = Masker::new(Patterns::new(secrets.iter().copied()));
        let mut out = Vec::new();
        for piece in pieces {
            masker.push(piece, &mut out);
            masker.flush(&mut out);
        }
        masker.finish(&mut out);
        let out = String::from_utf8(out).unwrap();
        prop_assert!(secrets.iter().all(|secret| !out.contains(secret)), "{out:?}");
        if !there {
            prop_assert_eq!(out, text);
        }
    }

    #[test]
    fn mask_text_equals_mask_json(secret in "[a-z\"\\\\é ]{4,8}", text in "[a-z\"\\\\é ]{0,20}") {
        prop_assume!(secret.trim().len() >= 4);
        let patterns = Patterns::new([secret.as_str()]);
        for text in [text.clone(), format!("{text}{secret}{text}")] {
            let json = serde_json::to_string(&text).unwrap();
            let masked = mask_json(&patterns, &json).map(|json| serde_json::from_str::<String>(&json).unwrap());
            prop_assert_eq!(masked, mask_text(&patterns, &text));
        }
    }
}
