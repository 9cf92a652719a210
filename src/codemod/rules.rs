//! Rules: the packs that are in the program, and the project's own.
//!
//! A pack is a folder of `rules/`, a rule a file: an ast-grep rule, and behind `---` its cases, which the tests hold it to.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use ast_grep_config::{
    CombinedScan, GlobalRules, RuleCollection, RuleConfig, SerializableRuleConfig, Severity as Level, from_multiple,
    from_str,
};
use ast_grep_core::replacer::Replacer;
use ast_grep_core::tree_sitter::LanguageExt;
use rust_embed::RustEmbed;
use serde::Deserialize;

use super::analysis::{Found, Severity};
use super::code::Code;
use super::declared::{Declared, Tool, Version};
use super::edits::Edit;
use super::files;
use super::language::{self, Grammar};
use super::template::Template;
use crate::model::kinds::FixSafety;

/// The packs' files.
#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/src/codemod/rules"]
struct Packs;

/// The packs by name: their folder, and the languages that a rule of theirs is for unless it says so itself.
pub const PACKS: [(&str, &[Grammar]); 4] = [
    ("rust", &[Grammar::Rust]),
    ("python", &[Grammar::Python]),
    ("javascript", &[Grammar::JavaScript, Grammar::TypeScript, Grammar::Tsx]),
    ("go", &[Grammar::Go]),
];

/// Why a rule that says nothing of its severity is left out.
const HINT: &str =
    "without a severity it is a hint, and this run leaves hints out: give it one (severity: warning), or ask for hints";

/// A project's configuration of ast-grep.
const PROJECT: &str = "sgconfig.yml";

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadRules {
    /// One of our own: a mistake of this program's.
    #[error("the rule {0} of this program cannot be used: {1}")]
    Pack(String, String),
    /// The project's configuration.
    #[error("{PROJECT} cannot be read: {0}")]
    Project(String),
    /// Two rules cannot be told apart.
    #[error("the rules cannot be used together: {0}")]
    Together(String),
}

/// Rules that are looked for together.
pub struct Rules {
    collection: RuleCollection<Grammar>,
    /// What the fix of each rule is made of, by the address of the rule in the collection.
    fixes: HashMap<usize, Fix>,
    /// The versions that the project supports.
    declared: Declared,
}

/// What is known of a rule's fix before it is used.
struct Fix {
    template: Option<Template>,
    safety: FixSafety,
    /// The first version of its language that has what it writes.
    since: Option<Version>,
}

impl Fix {
    fn of(rule: &Rule) -> Self {
        Self { template: template(rule), safety: fix_safety(rule).unwrap_or_default(), since: since(rule) }
    }
}

/// A rule stays where it is as long as its collection lives.
fn address(rule: &Rule) -> usize {
    std::ptr::from_ref(rule).addr()
}

/// A rule and the files it is for.
type Rule = RuleConfig<Grammar>;

impl Rules {
    /// These rules.
    ///
    /// # Errors
    /// A glob of one of them cannot be read.
    pub fn new(rules: Vec<Rule>) -> Result<Self, BadRules> {
        let collection = RuleCollection::try_new(rules).map_err(|error| BadRules::Together(error.to_string()))?;
        let mut fixes = HashMap::new();
        collection.for_each_rule(|rule| drop(fixes.insert(address(rule), Fix::of(rule))));
        Ok(Self { collection, fixes, declared: Declared::default() })
    }

    /// The same for a project that supports these versions: fixes that need a later one are not made.
    pub fn supporting(self, declared: Declared) -> Self {
        Self { declared, ..self }
    }

    /// The fixes that a version cannot have, by rule, each with the version that it needs.
    pub fn beyond(&self, tool: Tool, version: Version) -> BTreeMap<String, Version> {
        let mut beyond = BTreeMap::new();
        self.collection.for_each_rule(|rule| {
            let since = self.fixes.get(&address(rule)).and_then(|fix| fix.since);
            if let Some(since) = since.filter(|since| *since > version)
                && Tool::of(rule.language) == Some(tool)
            {
                beyond.insert(rule.id.clone(), since);
            }
        });
        beyond
    }

    /// The languages that there are rules for.
    pub fn grammars(&self) -> Vec<Grammar> {
        let mut grammars = Vec::new();
        self.collection.for_each_rule(|rule| {
            if !grammars.contains(&rule.language) {
                grammars.push(rule.language);
            }
        });
        grammars
    }

    /// What they find in a file, in the order of places. A comment `ast-grep-ignore` keeps a place from being found.
    pub fn look(&self, grammar: Grammar, path: &str, text: &str) -> Vec<Found> {
        let rules = self.collection.get_rule_from_lang(Path::new(path), grammar);
        if rules.is_empty() {
            return Vec::new();
        }
        let parsed = &*language::parsed(grammar, text);
        let root = grammar.ast_grep(parsed);
        let supported = self.declared.of(grammar, path);
        let scan = CombinedScan::new(rules);
        let mut found = Vec::new();
        for (rule, matches) in scan.scan(&root, false).matches {
            let Some(Fix { template, safety, since }) = self.fixes.get(&address(rule)) else { continue };
            let is_supported = since.zip(supported).is_none_or(|(since, supported)| since <= supported);
            let template = template.as_ref().filter(|_| is_supported);
            for node in matches {
                let edit = rule.fixer.first().zip(template).map(|(fixer, template)| {
                    let range = fixer.get_replaced_range(&node, &rule.matcher);
                    Edit { text: language::unparsed(text, template.fill(parsed, &node, &range)), range }
                });
                let start = node.start_pos();
                let (place, column) = (node.range(), start.column(node.get_node()) as u64 + 1);
                let one = Found {
                    line: start.line() as u64 + 1,
                    column,
                    rule: rule.id.clone(),
                    severity: severity(&rule.severity),
                    message: rule.get_message(&node),
                    edits: Vec::from_iter(edit),
                    safety: *safety,
                    is_withheld: false,
                };
                found.push((place.start, place.end, one));
            }
        }
        found.sort_by(|(a, b, x), (c, d, y)| (a, b, &x.rule).cmp(&(c, d, &y.rule)));
        // A project's rule may be a copy of one of ours.
        found.dedup_by(|(c, d, y), (a, b, x)| (a, b) == (c, d) && x.rule == y.rule);
        found.into_iter().map(|(_, _, found)| found).collect()
    }
}

/// What a rule says of its fix (`metadata: {fix: safe | review}`). A rule of the project that says nothing is trusted: its
/// authors wrote it for this code. `None` if it says neither.
fn fix_safety(rule: &Rule) -> Option<FixSafety> {
    let metadata = serde_json::to_value(rule.metadata.as_ref()?).ok()?;
    serde_json::from_value(metadata.get("fix")?.clone()).ok()
}

/// The version of its language that the fix of a rule needs (`metadata: {since: "1.43"}`).
fn since(rule: &Rule) -> Option<Version> {
    let metadata = serde_json::to_value(rule.metadata.as_ref()?).ok()?;
    Version::read(metadata.get("since")?.as_str()?)
}

/// What the fix of a rule makes of its matches.
fn template(rule: &Rule) -> Option<Template> {
    // ast-grep keeps it to itself, but not what it would write of it: a text, an object with one, or a list of those.
    let fix = serde_json::to_value(rule.fix.as_ref()?).ok()?;
    let first = fix.as_array().map_or(Some(&fix), |all| all.first())?;
    let template = first.as_str().or_else(|| first.get("template")?.as_str())?;
    let made: Vec<String> = rule.transform.iter().flatten().map(|(name, _)| name.clone()).collect();
    Some(Template::new(template, rule.language, &made))
}

fn severity(level: &Level) -> Severity {
    match level {
        Level::Error => Severity::Error,
        Level::Warning => Severity::Warning,
        Level::Info => Severity::Info,
        Level::Hint | Level::Off => Severity::Hint,
    }
}

/// The rules of a pack that are at least this severe.
///
/// # Errors
/// One of them cannot be read, which is a mistake of this program's.
pub fn pack(name: &str, floor: Severity) -> Result<Vec<Rule>, BadRules> {
    let (_, grammars) = PACKS.iter().find(|(known, _)| *known == name).copied().unwrap_or((name, &[]));
    let mut rules = Vec::new();
    for file in Packs::iter().filter(|file| file.split('/').next() == Some(name)) {
        let bad = |error: String| BadRules::Pack(file.to_string(), error);
        let text = Packs::get(&file).map(|file| file.data).unwrap_or_default();
        let text = std::str::from_utf8(&text).map_err(|error| bad(error.to_string()))?;
        let (rule, _) = text.split_once("\n---\n").ok_or_else(|| bad("it has no cases".to_owned()))?;
        for grammar in of_rule(rule).map_err(bad)?.unwrap_or_else(|| grammars.to_vec()) {
            let mut rule: SerializableRuleConfig<Grammar> = from_str(rule).map_err(|error| bad(error.to_string()))?;
            rule.language = grammar;
            let rule = RuleConfig::try_from(rule, &GlobalRules::default()).map_err(|error| bad(chain(&error)))?;
            if severity(&rule.severity) >= floor {
                rules.push(rule);
            }
        }
    }
    Ok(rules)
}

/// The languages that a rule of a pack names for itself: `metadata: {languages: […]}`.
fn of_rule(rule: &str) -> Result<Option<Vec<Grammar>>, String> {
    #[derive(Deserialize)]
    struct Head {
        metadata: Option<Metadata>,
    }
    #[derive(Deserialize)]
    struct Metadata {
        languages: Option<Vec<String>>,
    }
    let head: Head = from_str(rule).map_err(|error| error.to_string())?;
    let names = head.metadata.and_then(|metadata| metadata.languages);
    let find = |name: String| language::find(&name).map_err(|error| error.to_string());
    names.map(|names| names.into_iter().map(find).collect()).transpose()
}

/// The rules that a project has for ast-grep itself, and which of them are left out, with the reason.
///
/// # Errors
/// Its `sgconfig.yml` cannot be read.
pub fn of_project(code: &Code, floor: Severity) -> Result<(Vec<Rule>, Vec<String>), BadRules> {
    /// What of a rule its own type does not tell: whether it has a severity.
    #[derive(Deserialize)]
    struct Head {
        severity: Option<Level>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Project {
        #[serde(default)]
        rule_dirs: Vec<PathBuf>,
        #[serde(default)]
        util_dirs: Option<Vec<PathBuf>>,
    }
    let Ok(text) = code.text(PROJECT) else { return Ok(Default::default()) };
    let project: Project = from_str(&text).map_err(|error| BadRules::Project(error.to_string()))?;
    let mut faults = Vec::new();
    if project.util_dirs.is_some() {
        faults.push(format!("{PROJECT}: utilDirs are not read, so rules that use them are left out"));
    }
    let mut rules = Vec::new();
    for folder in &project.rule_dirs {
        for path in files::rules(code, folder) {
            let read = code.text(&path).map_err(|skip| skip.to_string());
            let read = read.and_then(|text| {
                let rules =
                    from_multiple::<SerializableRuleConfig<Grammar>>(&text).map_err(|error| error.to_string())?;
                let heads = from_multiple::<Head>(&text).map_err(|error| error.to_string())?;
                Ok(rules.into_iter().zip(heads))
            });
            match read {
                Err(error) => faults.push(format!("{path}: {error}")),
                Ok(all) => {
                    for (rule, head) in all {
                        let id = rule.id.clone();
                        match usable(rule) {
                            Ok(rule) if rule.severity != Level::Off && severity(&rule.severity) >= floor => {
                                rules.push(rule);
                            }
                            Ok(_) if head.severity.is_none() => faults.push(format!("{path}: the rule {id}: {HINT}")),
                            Ok(_) => {}
                            Err(error) => faults.push(format!("{path}: the rule {id}: {error}")),
                        }
                    }
                }
            }
        }
    }
    Ok((rules, faults))
}

fn usable(rule: SerializableRuleConfig<Grammar>) -> Result<Rule, String> {
    // Before the grammar is asked for, which is not in the program.
    if !language::is_known(rule.language) {
        return Err(language::UnknownLanguage(rule.language.to_string()).to_string());
    }
    RuleConfig::try_from(rule, &GlobalRules::default()).map_err(|error| chain(&error))
}

/// An error with all that is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::edits::Edits;
    use super::super::search::Faults;
    use super::*;

    #[derive(Deserialize)]
    struct Cases {
        valid: Vec<String>,
        invalid: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        before: String,
        after: Option<String>,
    }

    /// Every rule of every pack, in every language it is for, with its cases.
    fn all() -> Vec<(String, Rules, Grammar, bool, Cases)> {
        let mut all = Vec::new();
        for (pack_name, _) in PACKS {
            let mut cases: HashMap<String, Cases> = HashMap::new();
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
                    text.invalid.iter().map(|case| Case { before: case.before.clone(), after: case.after.clone() });
                let copy = Cases { valid: text.valid.clone(), invalid: invalid.collect() };
                let (id, grammar, fixes) = (rule.id.clone(), rule.language, rule.fix.is_some());
                all.push((id, Rules::new(vec![rule]).unwrap(), grammar, fixes, copy));
            }
        }
        all
    }

    #[test]
    fn every_rule_finds_and_fixes_what_its_cases_say_and_nothing_else() {
        for (id, rules, grammar, fixes, cases) in all() {
            assert!(cases.valid.len() >= 2 && cases.invalid.len() >= 2, "{id}: too few cases");
            for code in &cases.valid {
                assert_eq!(rules.look(grammar, "x", code), [], "{id} ({grammar}) finds something in:\n{code}");
            }
            for Case { before, after } in &cases.invalid {
                let found = rules.look(grammar, "x", before);
                assert!(!found.is_empty(), "{id} ({grammar}) finds nothing in:\n{before}");
                assert_eq!(fixes, after.is_some(), "{id}: a rule that fixes says what comes of it");
                let Some(after) = after else { continue };
                // A finding inside another one is left to the next run.
                let mut fixed = before.clone();
                for _ in 0..3 {
                    let edits = rules.look(grammar, "x", &fixed).into_iter().map(|found| found.edits).collect();
                    fixed = Edits::choose(edits).apply(&fixed).unwrap();
                }
                assert_eq!(&fixed, after, "{id} ({grammar})");
                assert_eq!(rules.look(grammar, "x", &fixed), [], "{id} ({grammar}) is not done with:\n{fixed}");
                let [was, is] = [before, &fixed].map(|text| Faults::of(grammar, text));
                assert!(!is.is_worse_than(&was), "{id} ({grammar}) breaks:\n{before}");
            }
        }
    }

    #[test]
    fn fix_that_needs_a_later_version_than_the_project_supports_is_not_made() {
        let code = "fn f() -> u8 {\n    std::u8::MAX\n}\n";
        let fixes = |version: &str| {
            let text = format!("[package]\nrust-version = \"{version}\"\n");
            let declared = Declared::read(&[Tool::Rust], ["a/Cargo.toml"].into_iter(), |_| Some(text.clone()));
            let rules = Rules::new(pack("rust", Severity::Info).unwrap()).unwrap().supporting(declared);
            ["a/x.rs", "x.rs"].map(|path| {
                let found = rules.look(Grammar::Rust, path, code);
                assert_eq!(found.len(), 1, "{path}");
                found[0].is_fixable()
            })
        };
        assert_eq!(fixes("1.42"), [false, true]);
        assert_eq!(fixes("1.43"), [true, true]);
        let rules = Rules::new(pack("go", Severity::Info).unwrap()).unwrap();
        let beyond = rules.beyond(Tool::Go, Version::read("1.11").unwrap());
        assert_eq!(beyond, [("replace-without-limit".to_owned(), Version::read("1.12").unwrap())].into());
    }

    #[test]
    fn tests_may_connect_without_a_certificate() {
        let go = "package p\n\nvar c = &tls.Config{InsecureSkipVerify: true}\n";
        let js = "get(url, { rejectUnauthorized: false });\n";
        for (pack_name, grammar, code, path, test) in [
            ("go", Grammar::Go, go, "net/client.go", "net/client_test.go"),
            ("javascript", Grammar::JavaScript, js, "lib/client.js", "test/client.js"),
            ("javascript", Grammar::JavaScript, js, "client.js", "src/client.spec.js"),
        ] {
            let rules = Rules::new(pack(pack_name, Severity::Error).unwrap()).unwrap();
            assert_eq!(rules.look(grammar, path, code).len(), 1, "{path}");
            assert_eq!(rules.look(grammar, test, code), [], "{test}");
        }
    }

    #[test]
    fn every_pack_has_at_least_twelve_rules_that_say_what_is_wrong() {
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
    fn docs_list_every_rule_with_its_severity_and_fix() {
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
}
