//! Logs as the usual linters write them, each with its habits.

use super::*;

/// What Ruff 0.17 prints: URIs of files, and columns in code points without a word on that.
#[test]
fn ruff() {
    let at = |uri: &str| json!({"uri": format!("file:///p/{uri}")});
    let result = |uri: &str, rule: &str, message: &str, region: Value, replacement: Value| {
        json!({
            "fixes": [{"artifactChanges": [{"artifactLocation": at(uri), "replacements": [replacement]}],
                       "description": {"text": "…"}}],
            "level": "error",
            "locations": [{"physicalLocation": {"artifactLocation": at(uri), "region": region}}],
            "message": {"text": message},
            "ruleId": rule,
        })
    };
    let f = json!({"endColumn": 18, "endLine": 4, "startColumn": 14, "startLine": 4});
    let os = json!({"endColumn": 10, "endLine": 1, "startColumn": 8, "startLine": 1});
    let first = json!({"endColumn": 1, "endLine": 2, "startColumn": 1, "startLine": 1});
    let encoded = "src%20dir/a%25%2520b.py";
    let log = run(
        "ruff",
        json!({"results": [
            result(encoded, "F541", "f-string without any placeholders", f.clone(),
                json!({"deletedRegion": f, "insertedContent": {"text": "\"a\""}})),
            result("bom.py", "F401", "`os` imported but unused", os, json!({"deletedRegion": first})),
        ]}),
    );
    let (text, bom) = ("import os\nimport sys\n\nx = \"😀\"; y = f\"a\"\n", "\u{feff}import os\r\nx = 1\r\n");
    let (found, skipped) = read_with(&log, &[("src dir/a%%20b.py", text), ("bom.py", bom)]);
    assert_eq!(skipped, Vec::<String>::new());
    let [f, os] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((f.path.as_str(), f.line, f.column), ("src dir/a%%20b.py", 4, 14));
    assert_eq!((f.rule.as_str(), f.severity), ("F541", Error));
    assert_eq!(f.message, "f-string without any placeholders");
    assert_eq!(apply(text, &f.edits), "import os\nimport sys\n\nx = \"😀\"; y = \"a\"\n");
    assert_eq!((os.line, os.column), (1, 8));
    assert_eq!(apply(bom, &os.edits), "\u{feff}x = 1\r\n");
}

/// What clippy-sarif 0.8 prints: rustc's paths, every span as a result of its own, and no rule for what the compiler
/// says.
#[test]
fn clippy() {
    let span = |line: u64, start: u64, end: u64| {
        json!([{"physicalLocation": {
            "artifactLocation": {"uri": "src/main.rs"},
            "region": {"byteLength": end - start, "byteOffset": 12, "endColumn": end, "endLine": line, "startColumn": start,
                       "startLine": line},
        }}])
    };
    let result = |rule: &str, index: u64, level: &str, text: &str, locations: Value| {
        json!({"level": level, "locations": locations, "message": {"text": text}, "relatedLocations": [],
               "ruleId": rule, "ruleIndex": index})
    };
    let outside = json!([{"physicalLocation": {"artifactLocation": {"uri": "/rust/library/core/src/lib.rs"}}}]);
    let needless = "this expression creates a reference which is immediately dereferenced by the compiler {}";
    let rules = json!([{"id": "clippy::needless_borrow", "fullDescription": {"text": "for further information visit …"}},
                       {"id": "", "fullDescription": {"text": ""}}]);
    let log = json!({
        "$schema": "https://schemastore.azurewebsites.net/schemas/json/sarif-2.1.0.json",
        "runs": [{
            "results": [
                result("clippy::needless_borrow", 0, "warning", needless, span(2, 10, 12)),
                result("clippy::needless_borrow", 0, "warning", needless, span(2, 10, 12)),
                result("", 1, "error", "expected `;`", span(2, 13, 14)),
                result("", 1, "error", "expected `;`", outside),
            ],
            "tool": {"driver": {"informationUri": "https://rust-lang.github.io/rust-clippy/", "name": "clippy", "rules": rules}},
        }],
        "version": "2.1.0",
    });
    let (found, skipped) = read_with(&log, &[("src/main.rs", "fn main() {\n  let ü = &x\n}\n")]);
    let said = |severity, rule: &str, message: &str, column| SarifFinding {
        path: "src/main.rs".to_owned(),
        line: 2,
        column,
        rule: rule.to_owned(),
        severity,
        message: message.to_owned(),
        edits: Vec::new(),
    };
    assert_eq!(
        found,
        [said(Warning, "clippy::needless_borrow", needless, 10), said(Error, "clippy", "expected `;`", 13)]
    );
    assert_eq!(skipped, ["skipped findings of clippy: /rust/library/core/src/lib.rs is outside the project"]);
}

/// What @microsoft/eslint-formatter-sarif 3.1 prints of ESLint 10: suppressed findings too, and no fixes.
#[test]
fn eslint() {
    let location = |start: u64, end: u64| {
        json!([{"physicalLocation": {
            "artifactLocation": {"uri": "file:///p/s%20p/x.js", "index": 1},
            "region": {"startLine": 1, "startColumn": start, "endLine": 1, "endColumn": end},
        }}])
    };
    let result = |text: &str, start: u64, suppressions: Value| {
        json!({"level": "warning", "message": {"text": text}, "locations": location(start, start + 1),
               "ruleId": "prefer-const", "ruleIndex": 0, "suppressions": suppressions})
    };
    let wrong = json!({
        "level": "error",
        "message": {"text": "Parsing error: The keyword 'let' is reserved"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": "file:///p/bad.js", "index": 0},
                                            "region": {"startLine": 3, "startColumn": 1}}}],
        "descriptor": {"id": "ESL0999"},
    });
    let log = run(
        "ESLint",
        json!({
            "artifacts": [{"location": {"uri": "file:///p/bad.js"}}, {"location": {"uri": "file:///p/s%20p/x.js"}}],
            "results": [
                result("'b' is never reassigned. Use 'const' instead.", 19, json!([])),
                result("'c' is never reassigned. Use 'const' instead.", 5, json!([{"kind": "inSource", "justification": ""}])),
            ],
            "invocations": [{"toolConfigurationNotifications": [wrong], "executionSuccessful": false}],
        }),
    );
    let (found, skipped) = read_with(&log, &[("s p/x.js", "let a = \"😀\"; let b = 2\n"), ("bad.js", "\n\nlet = ;\n")]);
    let [one] = found.as_slice() else { panic!("{found:?}") };
    // UTF-16 code units there, characters here.
    assert_eq!((one.path.as_str(), one.line, one.column, one.severity), ("s p/x.js", 1, 18, Warning));
    assert_eq!(skipped, ["ESLint in bad.js:3: Parsing error: The keyword 'let' is reserved"]);
}

/// What Semgrep 1.182 prints with `--autofix --dryrun`: columns in bytes, and whole lines in place of a match.
#[test]
fn semgrep() {
    let region = |start: u64, end: u64| json!({"endColumn": end, "endLine": 2, "startColumn": start, "startLine": 2});
    let result = |uri: &str, region: Value, text: &str| {
        json!({
            "fingerprints": {"matchBasedId/v1": "requires login"},
            "fixes": [{"artifactChanges": [change(uri, json!([{"deletedRegion": region, "insertedContent": {"text": text}}]))]}],
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"}, "region": region}}],
            "message": {"text": "use is"}, "properties": {}, "ruleId": "eqeq",
        })
    };
    let mut ignored = result("t.py", region(1, 2), "");
    ignored["suppressions"] = json!([{"kind": "inSource"}]);
    let rule = json!({"id": "eqeq", "defaultConfiguration": {"level": "warning"}, "shortDescription": {"text": "Semgrep Finding: eqeq"}});
    let log = run(
        "",
        json!({
            "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": []}],
            "results": [
                result("t.py", region(22, 31), "    return \"😀ä\", (a is None), 1"),
                result("crlf.py", region(9, 18), "    b = (a is None)"),
                result("crlf.py", region(9, 17), "    b = (a is None)"),
                ignored,
            ],
            "tool": {"driver": {"name": "Semgrep OSS", "rules": [rule], "semanticVersion": "1.182.0"}},
        }),
    );
    let (t, crlf) = ("def f(a):\n    return \"😀ä\", a == None, 1\n", "def f(a):\r\n    b = a == None\r\n");
    let (found, skipped) = read_with(&log, &[("t.py", t), ("crlf.py", crlf)]);
    let [first, second] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((first.line, first.column, first.severity, first.message.as_str()), (2, 18, Warning, "use is"));
    assert_eq!(apply(t, &first.edits), "def f(a):\n    return \"😀ä\", (a is None), 1\n");
    assert_eq!(apply(crlf, &second.edits), "def f(a):\r\n    b = (a is None)\r\n");
    let why = "what it inserts is not the lines with the match replaced";
    assert_eq!(skipped, [format!("left crlf.py:2 without the fix of eqeq: {why}")]);
}

/// What golangci-lint printed at one time or another: zeros and null for what is absent, and levels of its own.
#[test]
fn golangci_lint() {
    let log = |results: Value| run("golangci-lint", json!({ "results": results }));
    let result = json!({
        "ruleId": "errcheck", "level": "high", "message": {"text": "Error return value is not checked"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": "cmd\\a%20b.go", "index": 0},
                                            "region": {"startLine": 2, "startColumn": 0}}}],
    });
    let one = only(&log(json!([result])), &[("cmd/a%20b.go", "package a\nfunc f() {}\n")]);
    assert_eq!((one.path.as_str(), one.line, one.column, one.severity), ("cmd/a%20b.go", 2, 1, Warning));
    let (found, skipped) = read_with(&log(Value::Null), &[]);
    assert_eq!(found, []);
    assert_eq!(skipped, ["golangci-lint: it has no results, not even none; it may not have begun"]);
}
