//! Holds the rules of all packs to their cases and to the documentation.

use super::super::edits::Edits;
use super::super::search::SyntaxFaults;
use super::*;

#[derive(Deserialize)]
struct RuleCases {
    valid: Vec<String>,
    invalid: Vec<RuleCase>,
}

#[derive(Deserialize)]
struct RuleCase {
    before: String,
    after: Option<String>,
}

/// Every rule of every pack in each of its languages, with its cases.
fn all() -> Vec<(String, RuleSet, Grammar, bool, RuleCases)> {
    let mut all = Vec::new();
    for (pack_name, _) in PACKS {
        let mut cases: HashMap<String, RuleCases> = HashMap::new();
        for file in Packs::iter().filter(|file| file.split('/').next() == Some(pack_name)) {
            let text = String::from_utf8(Packs::get(&file).unwrap().data.into_owned()).unwrap();
            let (rule, rest) = text.split_once("\n---\n").unwrap();
            let id = from_str::<SerializableRuleConfig<Grammar>>(rule).unwrap().id;
            assert_eq!(*file, format!("{pack_name}/{id}.yml"), "a file is named after its rule");
            cases.insert(id, from_str(rest).unwrap_or_else(|error| panic!("{file}: {error}")));
        }
        for rule in pack(pack_name, Severity::Hint).unwrap() {
            let text = &cases[&rule.id];
            let invalid =
                text.invalid.iter().map(|case| RuleCase { before: case.before.clone(), after: case.after.clone() });
            let copy = RuleCases { valid: text.valid.clone(), invalid: invalid.collect() };
            let (id, grammar, fixes) = (rule.id.clone(), rule.language, rule.fix.is_some());
            all.push((id, RuleSet::new(vec![rule]).unwrap(), grammar, fixes, copy));
        }
    }
    all
}

#[test]
fn rules_match_and_fix_exactly_their_cases() {
    for (id, rules, grammar, fixes, cases) in all() {
        assert!(cases.valid.len() >= 2 && cases.invalid.len() >= 2, "{id}: too few cases");
        for code in &cases.valid {
            assert_eq!(rules.analyze(grammar, "x", code), [], "{id} ({grammar}) finds something in:\n{code}");
        }
        for RuleCase { before, after } in &cases.invalid {
            let found = rules.analyze(grammar, "x", before);
            assert!(!found.is_empty(), "{id} ({grammar}) finds nothing in:\n{before}");
            assert_eq!(fixes, after.is_some(), "{id}: a rule that fixes says what comes of it");
            let Some(after) = after else { continue };
            // Nested findings are fixed by the next pass.
            let mut fixed = before.clone();
            for _ in 0..3 {
                let edits = rules.analyze(grammar, "x", &fixed).into_iter().map(|found| found.edits).collect();
                fixed = Edits::choose(edits).apply(&fixed).unwrap();
            }
            assert_eq!(&fixed, after, "{id} ({grammar})");
            assert_eq!(rules.analyze(grammar, "x", &fixed), [], "{id} ({grammar}) is not done with:\n{fixed}");
            let [was, is] = [before, &fixed].map(|text| SyntaxFaults::of(grammar, text));
            assert!(!is.is_worse_than(&was), "{id} ({grammar}) breaks:\n{before}");
        }
    }
}

#[test]
fn fixes_for_later_versions_are_omitted() {
    let code = "fn f() -> u8 {\n    std::u8::MAX\n}\n";
    let fixes = |version: &str| {
        let text = format!("[package]\nrust-version = \"{version}\"\n");
        let declared =
            SupportedVersions::read(&[Toolchain::Rust], ["a/Cargo.toml"].into_iter(), |_| Some(text.clone()));
        let rules = RuleSet::new(pack("rust", Severity::Info).unwrap()).unwrap().supporting(declared);
        ["a/x.rs", "x.rs"].map(|path| {
            let found = rules.analyze(Grammar::Rust, path, code);
            assert_eq!(found.len(), 1, "{path}");
            found[0].is_fixable()
        })
    };
    assert_eq!(fixes("1.42"), [false, true]);
    assert_eq!(fixes("1.43"), [true, true]);
    let rules = RuleSet::new(pack("go", Severity::Info).unwrap()).unwrap();
    let newer = rules.fixes_for_newer(Toolchain::Go, Version::parse("1.11").unwrap());
    assert_eq!(newer, [("replace-without-limit".to_owned(), Version::parse("1.12").unwrap())].into());
}

#[test]
fn certificate_rules_skip_test_files() {
    let go = "package p\n\nvar c = &tls.Config{InsecureSkipVerify: true}\n";
    let js = "get(url, { rejectUnauthorized: false });\n";
    for (pack_name, grammar, code, path, test) in [
        ("go", Grammar::Go, go, "net/client.go", "net/client_test.go"),
        ("javascript", Grammar::JavaScript, js, "lib/client.js", "test/client.js"),
        ("javascript", Grammar::JavaScript, js, "client.js", "src/client.spec.js"),
    ] {
        let rules = RuleSet::new(pack(pack_name, Severity::Error).unwrap()).unwrap();
        assert_eq!(rules.analyze(grammar, path, code).len(), 1, "{path}");
        assert_eq!(rules.analyze(grammar, test, code), [], "{test}");
    }
}

#[test]
fn packs_have_twelve_documented_rules_per_language() {
    for (name, grammars) in PACKS {
        let rules = pack(name, Severity::Hint).unwrap();
        for grammar in grammars {
            let of_it = rules.iter().filter(|rule| rule.language == *grammar).count();
            assert!(of_it >= 12, "{name} has {of_it} for {grammar}");
        }
        for rule in &rules {
            assert_eq!(rule.fix.is_some(), fix_safety(rule).is_some(), "{}: is its fix safe?", rule.id);
            let says_since = rule
                .metadata
                .as_ref()
                .is_some_and(|metadata| serde_json::to_value(metadata).unwrap().get("since").is_some());
            assert_eq!(says_since, since(rule).is_some(), "{}: which version does its fix need?", rule.id);
            assert!(!rule.message.is_empty() && rule.note.is_some(), "{} says nothing", rule.id);
        }
        let severe = pack(name, Severity::Error).unwrap();
        assert!(severe.len() < rules.len() && severe.iter().all(|rule| rule.severity == Level::Error));
    }
}

#[test]
fn docs_list_every_rule() {
    let docs = include_str!("../../docs/autofix.md");
    for (name, _) in PACKS {
        for rule in pack(name, Severity::Hint).unwrap() {
            let fix = match fix_safety(&rule) {
                Some(FixSafety::Safe) => "safe",
                Some(FixSafety::Review) => "review",
                None => "none",
            };
            let row = format!("| `{}` | {} | {fix} |", rule.id, severity(&rule.severity).as_str());
            assert!(docs.contains(&row), "docs/autofix.md lacks the row {row}");
            if let Some(since) = since(&rule) {
                let version = format!("`{}` ({since})", rule.id);
                assert!(docs.contains(&version), "docs/autofix.md lacks {version}");
            }
        }
    }
}
