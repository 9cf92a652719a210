//! Logs by the sections of the specification; `tools`: logs of common linters; `any`: arbitrary logs.

#![allow(clippy::unwrap_used)]

mod any;
mod locations;
mod tools;

use std::path::Path;

use serde_json::{Value, json};

use super::super::edits::Edit;
use super::super::finding::Severity::{self, Error, Hint, Info, Warning};
use super::{ProjectPaths, SarifError, SarifFinding};

/// Reads a log of a project that is a whole repository.
fn read(
    text: &str,
    root: &Path,
    source: impl FnMut(&str) -> Option<String>,
) -> Result<(Vec<SarifFinding>, Vec<String>), SarifError> {
    super::read(text, ProjectPaths { root, top: root, exists: None }, source)
}

/// Reads a log of a project at `/p` that has these files.
fn read_with(log: &Value, files: &[(&str, &str)]) -> (Vec<SarifFinding>, Vec<String>) {
    let source = |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
    read(&log.to_string(), Path::new("/p"), source).unwrap()
}

/// The one finding of a log.
fn only(log: &Value, files: &[(&str, &str)]) -> SarifFinding {
    let (mut found, skipped) = read_with(log, files);
    assert_eq!((found.len(), &skipped), (1, &Vec::new()), "{found:?}");
    found.remove(0)
}

/// A log with one run.
fn run(tool: &str, more: Value) -> Value {
    let mut run = json!({"tool": {"driver": {"name": tool}}});
    run.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"version": "2.1.0", "runs": [run]})
}

fn result(uri: &str, region: Value) -> Value {
    json!({
        "ruleId": "r", "message": {"text": "m"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}],
    })
}

fn change(uri: &str, replacements: Value) -> Value {
    json!({"artifactLocation": {"uri": uri}, "replacements": replacements})
}

fn fixed(changes: Value) -> Value {
    let mut result = result("a", json!({"startLine": 1}));
    result["fixes"] = json!([{"artifactChanges": changes}]);
    result
}

/// The text after the edits.
fn apply(text: &str, edits: &[Edit]) -> String {
    let mut text = text.to_owned();
    for edit in edits.iter().rev() {
        text.replace_range(edit.range.clone(), &edit.text);
    }
    text
}

/// The examples of §3.30.2, and regions outside of the text.
#[test]
fn regions_follow_the_specification() {
    const TEXT: &str = "abcd\r\nefg\r\nhijk\r\nlmn\r\n";
    let cases = [
        (json!({"startLine": 1, "startColumn": 2, "endLine": 1, "endColumn": 4}), Ok(1..3)),
        (json!({"charOffset": 1, "charLength": 2}), Ok(1..3)),
        (json!({"startLine": 2}), Ok(6..9)),
        (json!({"startLine": 2, "startColumn": 0, "endLine": 0, "endColumn": -1, "charOffset": -1}), Ok(6..9)),
        (json!({"startLine": 2, "endLine": 3}), Ok(6..15)),
        (json!({"startLine": 2, "endLine": 3, "endColumn": 1}), Ok(6..11)),
        (json!({"startLine": 1, "startColumn": 2, "endColumn": 2}), Ok(1..1)),
        (json!({"charOffset": 1, "charLength": 0}), Ok(1..1)),
        (json!({"charOffset": 0}), Ok(0..0)),
        (json!({"startLine": 4, "startColumn": 6, "endColumn": 6}), Ok(22..22)),
        (json!({"startLine": 5}), Ok(22..22)),
        (json!({"charOffset": 22, "charLength": 0}), Ok(22..22)),
        (json!({"byteOffset": 22}), Ok(22..22)),
        (json!({"byteOffset": 6, "byteLength": 3}), Ok(6..9)),
        (json!({"startLine": 4, "startColumn": 7, "endColumn": 7}), Err("it is not inside the file")),
        (json!({"startLine": 6}), Err("it is not inside the file")),
        (json!({"startLine": 1, "endLine": 9}), Err("it is not inside the file")),
        (json!({"startLine": i64::MAX, "startColumn": i64::MAX}), Err("it is not inside the file")),
        (json!({"charOffset": 22, "charLength": 1}), Err("it is not inside the file")),
        (json!({"byteOffset": 22, "byteLength": i64::MAX}), Err("it is not inside the file")),
        (json!({"startLine": 2, "endLine": 1}), Err("it ends before it begins")),
        (json!({"startLine": 0, "startColumn": 3}), Err("it does not say where it is")),
        (Value::Null, Err("it does not say where it is")),
    ];
    for (region, expected) in cases {
        let changes = json!([change("a", json!([{"deletedRegion": region, "insertedContent": {"text": "-"}}]))]);
        let (found, skipped) = read_with(&run("x", json!({"results": [fixed(changes)]})), &[("a", TEXT)]);
        match expected {
            Ok(range) => assert_eq!(found[0].edits, [Edit { range, text: "-".to_owned() }], "{region}"),
            Err(why) => {
                assert_eq!(found[0].edits, [], "{region}");
                assert_eq!(skipped, [format!("left a:1 without the fix of r: {why}")], "{region}");
            }
        }
    }
}

#[test]
fn edits_at_ambiguous_places_are_dropped() {
    const COLUMNS: &str =
        "the tool does not say how it counts columns, and there are characters before it that are not ASCII";
    const LINES: &str = "the tool does not say what ends a line, and there are unusual line breaks before it";
    let (utf16, points) = (json!({"columnKind": "utf16CodeUnits"}), json!({"columnKind": "unicodeCodePoints"}));
    let column = |column: u64| json!({"startLine": 1, "startColumn": column, "endColumn": column});
    let cr = json!({"newlineSequences": ["\r\n", "\n", "\r"]});
    let cases = [
        ("x", json!({}), "aä", column(2), Ok(1)),
        ("x", json!({}), "aä", column(3), Err(COLUMNS)),
        ("x", points.clone(), "aä", column(3), Ok(3)),
        ("x", utf16.clone(), "😀b", column(3), Ok(4)),
        ("x", utf16, "😀b", column(2), Err("it cuts a character")),
        ("ruff", json!({}), "😀b", column(2), Ok(4)),
        ("ESLint", json!({}), "😀b", column(3), Ok(4)),
        ("ESLint", points, "😀b", column(2), Ok(4)),
        ("staticcheck", json!({}), "😀b", column(5), Ok(4)),
        ("x", json!({}), "😀\nb", json!({"charOffset": 2}), Err(COLUMNS)),
        ("ruff", json!({}), "😀\nb", json!({"charOffset": 2}), Ok(5)),
        ("ESLint", json!({}), "😀\nb", json!({"charOffset": 3}), Ok(5)),
        ("x", json!({}), "😀\nb", json!({"byteOffset": 5}), Ok(5)),
        ("x", json!({}), "😀\nb", json!({"byteOffset": 3}), Err("it cuts a character")),
        ("x", json!({}), "a\rb\nc", json!({"startLine": 2, "endColumn": 1}), Err(LINES)),
        ("x", json!({}), "a\nb\rc", json!({"startLine": 2, "endColumn": 1}), Ok(2)),
        ("x", cr, "a\rb\nc", json!({"startLine": 3, "endColumn": 1}), Ok(4)),
        ("ruff", json!({}), "a\rb\nc", json!({"startLine": 3, "endColumn": 1}), Ok(4)),
        ("ruff", json!({}), "a\u{2028}b\nc", json!({"startLine": 2, "endColumn": 1}), Ok(6)),
        ("ESLint", json!({}), "a\u{2028}b\nc", json!({"startLine": 3, "endColumn": 1}), Ok(6)),
        ("clippy", json!({}), "a\rb\nc", json!({"startLine": 2, "endColumn": 1}), Ok(4)),
    ];
    for (tool, mut more, text, region, expected) in cases {
        let said = format!("{tool} {more} {text:?} {region}");
        let changes = json!([change("a", json!([{"deletedRegion": region, "insertedContent": {"text": "-"}}]))]);
        more["results"] = json!([fixed(changes)]);
        let (found, skipped) = read_with(&run(tool, more), &[("a", text)]);
        match expected {
            Ok(at) => assert_eq!((found[0].edits[0].range.clone(), skipped), (at..at, vec![]), "{said}"),
            Err(why) => assert_eq!(skipped, [format!("left a:1 without the fix of r: {why}")], "{said}"),
        }
    }
}

#[test]
fn places_of_findings_are_guessed_if_ambiguous() {
    let cases = [
        (json!({"startLine": 2, "startColumn": 3}), (2, 3)),
        (json!({"startLine": 2, "startColumn": 99}), (2, 4)),
        (json!({"startLine": 9, "startColumn": 2}), (9, 1)),
        (json!({"charOffset": 6}), (2, 2)),
        (json!({"byteOffset": 7}), (2, 2)),
        (json!({"byteOffset": 6}), (1, 1)),
        (json!({}), (1, 1)),
    ];
    for (region, place) in cases {
        let (found, _) =
            read_with(&run("x", json!({"results": [result("a", region.clone())]})), &[("a", "abcd\nä😀c\n")]);
        assert_eq!((found[0].line, found[0].column), place, "{region}");
    }
}

#[test]
fn fixes_are_complete_or_dropped() {
    let at = |start: u64, end: u64, text: &str| json!({"deletedRegion": {"startLine": 1, "startColumn": start, "endColumn": end}, "insertedContent": {"text": text}});
    let cases = [
        (json!([change("a", json!([at(5, 6, "E"), at(1, 2, "A")]))]), Ok("AbcdE")),
        (json!([change("a", json!([at(1, 2, "A")])), change("./a", json!([at(2, 3, "B")]))]), Ok("ABcde")),
        // Insertions at one place, and before what is replaced there.
        (json!([change("a", json!([at(2, 3, "3"), at(2, 2, "1"), at(2, 2, "2"), at(3, 3, "4")]))]), Ok("a1234cde")),
        (json!([change("a", json!([{"deletedRegion": {"startLine": 1, "startColumn": 4}}]))]), Ok("abc")),
        (json!([change("a", json!([{"deletedRegion": {"startLine": 1}, "insertedContent": {"text": null}}]))]), Ok("")),
        (json!([change("a", json!([at(2, 2, "")]))]), Ok("abcde")),
        (json!([change("a", json!([at(1, 3, "A"), at(2, 4, "B")]))]), Err("its replacements overlap")),
        (json!([change("a", json!([at(1, 2, "A")])), change("b", json!([at(1, 2, "B")]))]), Err("it changes b too")),
        (json!([change("../c", json!([at(1, 2, "A")]))]), Err("it changes another file: ../c is outside the project")),
        (json!([{"replacements": [at(1, 2, "A")]}]), Err("it does not say what it changes")),
        (json!([]), Err("it changes nothing")),
        (
            json!([change("a", json!([{"deletedRegion": {"byteOffset": 1}, "insertedContent": {"binary": "AA=="}}]))]),
            Err("it inserts bytes instead of text"),
        ),
    ];
    for (changes, expected) in cases {
        let log = run("x", json!({"results": [fixed(changes.clone())]}));
        let (found, skipped) = read_with(&log, &[("a", "abcde"), ("b", "")]);
        match expected {
            Ok(text) => assert_eq!((apply("abcde", &found[0].edits).as_str(), skipped), (text, vec![]), "{changes}"),
            Err(why) => {
                assert_eq!(found[0].edits, [], "{changes}");
                assert_eq!(skipped, [format!("left a:1 without the fix of r: {why}")], "{changes}");
            }
        }
    }
    // The first that is about this file alone.
    let mut result = fixed(json!([change("b", json!([at(1, 2, "B")]))]));
    for text in ["1", "2"] {
        let fix = json!({"artifactChanges": [change("a", json!([at(1, 2, text)]))]});
        result["fixes"].as_array_mut().unwrap().push(fix);
    }
    let one = only(&run("x", json!({"results": [result]})), &[("a", "abcde"), ("b", "")]);
    assert_eq!(apply("abcde", &one.edits), "1bcde");
}

#[test]
fn results_that_are_no_problems_are_skipped() {
    let fix = json!([change("a", json!([{"deletedRegion": {"startLine": 1}}]))]);
    let cases: [(Value, Option<(Severity, usize)>); 16] = [
        (json!({}), Some((Info, 1))),
        (json!({"level": "error"}), Some((Error, 1))),
        (json!({"level": "none"}), Some((Hint, 1))),
        (json!({"level": "bad"}), Some((Info, 1))),
        (json!({"kind": "fail", "level": null}), Some((Info, 1))),
        (json!({"kind": "review"}), Some((Hint, 0))),
        (json!({"kind": "open", "level": "none"}), Some((Hint, 0))),
        (json!({"kind": "pass"}), None),
        (json!({"kind": "informational"}), None),
        (json!({"kind": "notApplicable"}), None),
        (json!({"baselineState": "unchanged"}), Some((Info, 1))),
        (json!({"baselineState": "absent"}), None),
        (json!({"suppressions": null}), Some((Info, 1))),
        (json!({"suppressions": [{"kind": "external", "status": "accepted"}]}), None),
        (json!({"suppressions": [{"status": "underReview"}]}), Some((Info, 1))),
        (json!({"suppressions": [{}, {"status": "rejected"}]}), Some((Info, 1))),
    ];
    for (more, expected) in cases {
        let mut result = fixed(fix.clone());
        result.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let rules = json!([{"id": "r", "defaultConfiguration": {"level": "note"}}]);
        let log = run("x", json!({"results": [result], "tool": {"driver": {"rules": rules}}}));
        let (found, skipped) = read_with(&log, &[("a", "abc")]);
        let found: Vec<_> = found.iter().map(|one| (one.severity, one.edits.len())).collect();
        assert_eq!((found, skipped), (Vec::from_iter(expected), vec![]), "{more}");
    }
    let (found, skipped) = read_with(&run("x", json!({"results": [{"ruleId": "r1"}]})), &[]);
    assert_eq!((found, skipped), (vec![], vec!["skipped a finding of r1: it is in no file".to_owned()]));
}

#[test]
fn rules_and_messages_are_looked_up() {
    let tool = json!({
        "driver": {
            "name": "d",
            "globalMessageStrings": {"all": {"text": "for all"}},
            "rules": [
                {"id": "one", "shortDescription": {"text": "the first"}, "messageStrings": {"default": {"text": "{0} in {1}, {{0}} {2}"}}},
                {"id": "two", "defaultConfiguration": {"level": "error"}},
            ],
        },
        "extensions": [{"name": "e", "rules": [{"id": "three", "defaultConfiguration": {"level": "note"}}]}],
    });
    let cases = [
        (json!({"ruleId": "one", "message": {"text": "a {0} {}"}}), ("one", Warning, "a {0} {}")),
        (
            json!({"ruleId": "one", "message": {"text": "a {0} {} {{", "arguments": ["x"]}}),
            ("one", Warning, "a x {} {"),
        ),
        (
            json!({"ruleId": "one", "message": {"id": "default", "arguments": ["x", "y"]}}),
            ("one", Warning, "x in y, {0} {2}"),
        ),
        (json!({"ruleIndex": 0, "message": {"id": "all"}}), ("one", Warning, "for all")),
        (json!({"rule": {"id": "one"}}), ("one", Warning, "the first")),
        (json!({"ruleId": "one", "message": {"id": "unknown"}}), ("one", Warning, "the first")),
        (json!({"ruleId": "one", "message": {"text": null, "markdown": "`m`"}}), ("one", Warning, "`m`")),
        (json!({"ruleId": "two/more", "ruleIndex": 1}), ("two/more", Error, "two/more")),
        (json!({"ruleId": "two/more"}), ("two/more", Error, "two/more")),
        // Another index than the name's is a mistake.
        (json!({"ruleId": "two", "ruleIndex": 0}), ("two", Error, "two")),
        (json!({"ruleId": "twofold", "ruleIndex": 1}), ("twofold", Warning, "twofold")),
        (json!({"rule": {"index": 0, "toolComponent": {"index": 0}}}), ("three", Info, "three")),
        (json!({"ruleId": "three"}), ("three", Info, "three")),
        (json!({"ruleIndex": 99}), ("d", Warning, "d")),
        (json!({"ruleIndex": -1, "message": null}), ("d", Warning, "d")),
    ];
    for (mut result, (rule, severity, message)) in cases {
        result["locations"] = json!([{"physicalLocation": {"artifactLocation": {"uri": "a"}}}]);
        let one = only(&run("", json!({"tool": tool, "results": [result]})), &[("a", "")]);
        assert_eq!((one.rule.as_str(), one.severity, one.message.as_str()), (rule, severity, message), "{result}");
    }
}

#[test]
fn unreadable_logs_have_a_reason() {
    let long = "x".repeat(200);
    let cases = [
        ("", "the linter printed nothing"),
        ("\u{feff} \n", "the linter printed nothing"),
        ("error: no such file\nor", "(expected value at line 1 column 1); it begins: error: no such file or"),
        ("[INFO] begin\n{\"version\": \"2.1.0\"}", "it begins: [INFO] begin {\"version\": \"2.1.0\"}"),
        ("[{\"filePath\": \"a.js\"}]", "it begins: [{\"filePath\": \"a.js\"}]"),
        (&long, &format!("it begins: {}", "x".repeat(80))),
        ("{\"version\": \"2.1.0\",\n \"runs\": [", "cannot be read: EOF while parsing a list at line 2 column 10"),
        ("{\"version\": \"2.1.0\"}\nDone.", "cannot be read: trailing characters at line 2 column 1"),
        ("{\"version\": \"2.1.0\", \"runs\": 1}", "invalid type: integer `1`, expected a sequence at line 1 column 30"),
        ("{\"version\": \"1.0.0\", \"runs\": {}}", "the linter's SARIF is of version 1.0.0; 2.1.0 can be read"),
        ("{\"version\": \"2.0.0\", \"runs\": []}", "the linter's SARIF is of version 2.0.0; 2.1.0 can be read"),
        ("{}", "the linter printed JSON that is no SARIF: it has no version"),
        ("[]", "the linter printed JSON that is no SARIF: it has no version"),
        ("{\"runs\": 1}", "the linter printed JSON that is no SARIF: it has no version"),
    ];
    for (text, expected) in cases {
        let error = read(text, Path::new("/p"), |_| None).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{text:?}: {error}");
    }
    let empty = "\u{feff}\n{\"version\": \"2.1.0\", \"runs\": null, \"x\": [[]]}\n";
    assert_eq!(read(empty, Path::new("/p"), |_| None).unwrap(), (vec![], vec![]));
}

#[test]
fn runs_have_their_own_line_breaks() {
    let mut runs = Vec::new();
    for tool in ["ESLint", "ESLint", "clippy"] {
        let all = json!({"results": [result("a", json!({"charOffset": 2})), result("a", json!({"startLine": 2}))]});
        runs.push(run(tool, all)["runs"][0].take());
    }
    let log = json!({"version": "2.1.0", "runs": runs}).to_string();
    let mut reads = 0;
    let source = |_: &str| {
        reads += 1;
        Some("a\rb\n".to_owned())
    };
    let (found, _) = read(&log, Path::new("/p"), source).unwrap();
    let places: Vec<_> = found.iter().map(|one| (one.line, one.column)).collect();
    assert_eq!((places, reads), (vec![(2, 1), (1, 3)], 2));
}
