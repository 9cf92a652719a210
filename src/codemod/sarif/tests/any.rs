//! Property tests with arbitrary texts, places and logs.

use proptest::prelude::*;

use super::*;

/// Texts with all line breaks and characters of all widths.
fn texts() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "a", "b ", "\t", "ä", "\u{300}", "€", "😀", "\r\n", "\n", "\r", "\u{2028}", "\u{feff}",
    ]);
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

/// The lines of a text with their line breaks, by another algorithm than the program's.
fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    while let Some(at) = rest.find(['\r', '\n']) {
        let end = at + if rest[at..].starts_with("\r\n") { 2 } else { 1 };
        lines.push(&rest[..end]);
        rest = &rest[end..];
    }
    lines.push(rest);
    lines
}

/// Measures a text in some unit.
type Units = fn(&str) -> usize;

/// The line and column of an offset.
fn position(text: &str, mut at: usize, units: Units) -> (usize, usize) {
    let all = lines(text);
    at -= text.len() - all.iter().map(|line| line.len()).sum::<usize>();
    for (index, line) in all.iter().enumerate() {
        if at < line.len() || index + 1 == all.len() {
            return (index + 1, units(&line[..at]) + 1);
        }
        at -= line.len();
    }
    unreachable!()
}

proptest! {
    /// A place yields the same range in any notation.
    #[test]
    fn regions_round_trip(text in texts(), a in 0usize..100, b in 0usize..100) {
        let mark = if text.starts_with('\u{feff}') { 3 } else { 0 };
        let edges: Vec<usize> = (mark..=text.len()).filter(|at| text.is_char_boundary(*at)).collect();
        let (a, b) = (edges[a % edges.len()], edges[b % edges.len()]);
        let (start, end) = (a.min(b), a.max(b));
        let kinds: [(&str, Units); 2] = [
            ("utf16CodeUnits", |text| text.encode_utf16().count()),
            ("unicodeCodePoints", |text| text.chars().count()),
        ];
        for (kind, units) in kinds {
            let (from, to) = (position(&text, start, units), position(&text, end, units));
            let regions = [
                json!({"startLine": from.0, "startColumn": from.1, "endLine": to.0, "endColumn": to.1}),
                json!({"charOffset": units(&text[mark..start]), "charLength": units(&text[start..end])}),
                json!({"byteOffset": start, "byteLength": end - start}),
            ];
            for region in regions {
                let mut result = result("a", region.clone());
                let replacement = json!([{"deletedRegion": region, "insertedContent": {"text": "-"}}]);
                result["fixes"] = json!([{"artifactChanges": [change("a", replacement)]}]);
                let breaks = ["\r\n", "\n", "\r"];
                let log = run("x", json!({"columnKind": kind, "newlineSequences": breaks, "results": [result]}));
                let one = only(&log, &[("a", &text)]);
                prop_assert_eq!(&one.edits[0].range, &(start..end), "{} {}", kind, region);
                let place = position(&text, start, |text| text.chars().count());
                prop_assert_eq!((one.line as usize, one.column as usize), place);
            }
        }
    }

    /// If a tool omits its counting rules, a place is either unaffected or dropped.
    #[test]
    fn absent_properties_have_defaults(text in texts(), line in 1usize..6, column in 1usize..8) {
        let region = json!({"startLine": line, "startColumn": column, "endColumn": column});
        let changes = json!([change("a", json!([{"deletedRegion": region, "insertedContent": {"text": "-"}}]))]);
        let edits = |more: Value| {
            let mut more = more;
            more["results"] = json!([fixed(changes.clone())]);
            read_with(&run("x", more), &[("a", &text)]).0.remove(0).edits
        };
        let unsaid = edits(json!({}));
        if !unsaid.is_empty() {
            for kind in ["utf16CodeUnits", "unicodeCodePoints"] {
                for breaks in [&["\r\n", "\n"][..], &["\r\n", "\n", "\r", "\u{2028}"]] {
                    prop_assert_eq!(&edits(json!({"columnKind": kind, "newlineSequences": breaks})), &unsaid);
                }
            }
        }
    }

    #[test]
    fn reader_takes_any_text(text in any::<String>()) {
        let _ = read(&text, Path::new("/p"), |_| None);
        let _ = read(&format!("{{\"version\": \"2.1.0\", {text}"), Path::new("/p"), |_| None);
    }

    /// JSON of the words that are known, in any order.
    #[test]
    fn reader_takes_any_json(value in values(), text in texts()) {
        let logs = [value.clone(), json!({"version": "2.1.0", "runs": value}), json!({"version": "2.1.0", "runs": [value]})];
        for log in logs {
            let _ = read(&log.to_string(), Path::new("/p"), |_| Some(text.clone()));
        }
    }

    /// Logs of the right form, with any numbers and texts in them.
    #[test]
    fn reader_takes_any_log(
        text in texts(),
        numbers in prop::collection::vec(numbers(), 16),
        (uri, message) in (any::<String>(), any::<String>()),
        (tool, inserted) in (prop::sample::select(vec!["ruff", "semgrep", "eslint", "x"]), texts()),
        breaks in prop::collection::vec(prop::sample::select(vec!["", "\n", "\r\n", "a", "😀"]), 0..3),
    ) {
        const NAMES: [&str; 8] =
            ["startLine", "startColumn", "endLine", "endColumn", "charOffset", "charLength", "byteOffset", "byteLength"];
        let region = |numbers: &[Option<i64>]| Value::from_iter(NAMES.into_iter().zip(numbers.iter().copied()));
        let mut result = result("a", region(&numbers[..8]));
        let replacements = json!([{"deletedRegion": region(&numbers[8..]), "insertedContent": {"text": inserted}},
                                  {"deletedRegion": region(&numbers[4..12])}]);
        result["fixes"] = json!([{"artifactChanges": [change("a", replacements)]}]);
        result["message"] = json!({"text": message, "arguments": ["x", uri]});
        let elsewhere = json!({"locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}}}]});
        let log = run(tool, json!({"newlineSequences": breaks, "results": [result, elsewhere]})).to_string();
        let (found, _) = read(&log, Path::new("/p"), |path| {
            assert!(!path.is_empty() && !path.starts_with('/') && path.split('/').all(|part| part != ".."), "{path}");
            (path == "a").then(|| text.clone())
        }).unwrap();
        for edit in &found[0].edits {
            prop_assert!(text.get(edit.range.clone()).is_some());
        }
        prop_assert!(found[0].edits.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
        prop_assert!(found[0].line > 0 && found[0].column > 0);
    }
}

fn numbers() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![Just(None), (-2i64..12).prop_map(Some), any::<i64>().prop_map(Some)]
}

fn values() -> impl Strategy<Value = Value> {
    let words = vec![
        "tool",
        "driver",
        "extensions",
        "rules",
        "results",
        "invocations",
        "artifacts",
        "location",
        "locations",
        "uri",
        "index",
        "physicalLocation",
        "artifactLocation",
        "region",
        "startLine",
        "endColumn",
        "fixes",
        "artifactChanges",
        "replacements",
        "deletedRegion",
        "message",
        "text",
        "id",
        "kind",
        "level",
        "ruleId",
        "ruleIndex",
        "rule",
        "version",
        "runs",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0i64..3).prop_map(Value::from),
        prop::sample::select(vec!["a", "2.1.0", "file:///p/a", "{0}", "\u{0}"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 5, move |inner| {
        let word = prop::sample::select(words.clone());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word, inner), 0..5).prop_map(Value::from_iter),
        ]
    })
}
