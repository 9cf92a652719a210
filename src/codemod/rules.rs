//! The built-in packs of rules, and the project's own rules.
//!
//! A pack is a folder in `rules/`. Each file has an ast-grep rule and, after `---`, the cases that it is tested with.

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

use super::commit_files::CommitFiles;
use super::edits::Edit;
use super::files;
use super::finding::{Finding, Severity};
use super::language::{self, Grammar};
use super::supported_versions::{SupportedVersions, Toolchain, Version};
use super::template::Template;
use crate::model::kinds::FixSafety;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/src/codemod/rules"]
struct Packs;

/// The packs: their folders, and the default languages of their rules.
pub const PACKS: [(&str, &[Grammar]); 4] = [
    ("rust", &[Grammar::Rust]),
    ("python", &[Grammar::Python]),
    ("javascript", &[Grammar::JavaScript, Grammar::TypeScript, Grammar::Tsx]),
    ("go", &[Grammar::Go]),
];

/// Why a rule without a severity is skipped.
const HINT: &str =
    "without a severity it is a hint, and this run leaves hints out: give it one (severity: warning), or ask for hints";

/// The ast-grep configuration of a project.
const PROJECT_CONFIG: &str = "sgconfig.yml";

/// Why rules cannot be used. The texts are shown to users.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A built-in rule is invalid, which is a bug.
    #[error("the rule {0} of this program cannot be used: {1}")]
    Pack(String, String),
    #[error("{PROJECT_CONFIG} cannot be read: {0}")]
    Project(String),
    /// ast-grep rejects the combination.
    #[error("the rules cannot be used together: {0}")]
    Conflict(String),
}

/// Rules that are matched together.
pub struct RuleSet {
    collection: RuleCollection<Grammar>,
    /// The fix of each rule, by the address of the rule in the collection.
    fixes: HashMap<usize, RuleFix>,
    /// The versions that the project supports.
    supported: SupportedVersions,
}

/// What a rule's file tells about its fix.
struct RuleFix {
    template: Option<Template>,
    safety: FixSafety,
    /// The first version of the language that the fixed code works with.
    since: Option<Version>,
}

impl RuleFix {
    fn of(rule: &AstRule) -> Self {
        Self { template: template(rule), safety: fix_safety(rule).unwrap_or_default(), since: since(rule) }
    }
}

/// Identifies a rule: it does not move as long as its collection lives.
fn address(rule: &AstRule) -> usize {
    std::ptr::from_ref(rule).addr()
}

/// An ast-grep rule.
type AstRule = RuleConfig<Grammar>;

impl RuleSet {
    /// # Errors
    /// A glob of a rule is invalid.
    pub fn new(rules: Vec<AstRule>) -> Result<Self, RulesError> {
        let collection = RuleCollection::try_new(rules).map_err(|error| RulesError::Conflict(error.to_string()))?;
        let mut fixes = HashMap::new();
        collection.for_each_rule(|rule| drop(fixes.insert(address(rule), RuleFix::of(rule))));
        Ok(Self { collection, fixes, supported: SupportedVersions::default() })
    }

    /// Omits fixes that need a later version than the project supports.
    pub fn supporting(self, supported: SupportedVersions) -> Self {
        Self { supported, ..self }
    }

    /// The rules whose fixes need a later version than this one, each with that version.
    pub fn fixes_for_newer(&self, toolchain: Toolchain, version: Version) -> BTreeMap<String, Version> {
        let mut newer = BTreeMap::new();
        self.collection.for_each_rule(|rule| {
            let since = self.fixes.get(&address(rule)).and_then(|fix| fix.since);
            if let Some(since) = since.filter(|since| *since > version)
                && Toolchain::of(rule.language) == Some(toolchain)
            {
                newer.insert(rule.id.clone(), since);
            }
        });
        newer
    }

    /// The languages of the rules.
    pub fn grammars(&self) -> Vec<Grammar> {
        let mut grammars = Vec::new();
        self.collection.for_each_rule(|rule| {
            if !grammars.contains(&rule.language) {
                grammars.push(rule.language);
            }
        });
        grammars
    }

    /// The findings in a file, in the order of their places. A comment `ast-grep-ignore` suppresses a finding.
    pub fn analyze(&self, grammar: Grammar, path: &str, text: &str) -> Vec<Finding> {
        let rules = self.collection.get_rule_from_lang(Path::new(path), grammar);
        if rules.is_empty() {
            return Vec::new();
        }
        let parsed = &*language::to_parse(grammar, text);
        let root = grammar.ast_grep(parsed);
        let supported = self.supported.of(grammar, path);
        let scan = CombinedScan::new(rules);
        let mut found = Vec::new();
        for (rule, matches) in scan.scan(&root, false).matches {
            let Some(RuleFix { template, safety, since }) = self.fixes.get(&address(rule)) else { continue };
            let is_supported = since.zip(supported).is_none_or(|(since, supported)| since <= supported);
            let template = template.as_ref().filter(|_| is_supported);
            for node in matches {
                let edit = rule.fixer.first().zip(template).map(|(fixer, template)| {
                    let range = fixer.get_replaced_range(&node, &rule.matcher);
                    Edit { text: language::with_line_ends_of(text, template.fill(parsed, &node, &range)), range }
                });
                let start = node.start_pos();
                let (place, column) = (node.range(), start.column(node.get_node()) as u64 + 1);
                let one = Finding {
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
        // A project may have a copy of a built-in rule.
        found.dedup_by(|(c, d, y), (a, b, x)| (a, b) == (c, d) && x.rule == y.rule);
        found.into_iter().map(|(_, _, found)| found).collect()
    }
}

/// The safety of a rule's fix (`metadata: {fix: safe | review}`); `None` if the rule does not tell. A rule of the
/// project then counts as safe, since it was written for this code.
fn fix_safety(rule: &AstRule) -> Option<FixSafety> {
    let metadata = serde_json::to_value(rule.metadata.as_ref()?).ok()?;
    serde_json::from_value(metadata.get("fix")?.clone()).ok()
}

/// The version that a rule's fix needs (`metadata: {since: "1.43"}`).
fn since(rule: &AstRule) -> Option<Version> {
    let metadata = serde_json::to_value(rule.metadata.as_ref()?).ok()?;
    Version::parse(metadata.get("since")?.as_str()?)
}

/// The template of a rule's fix.
fn template(rule: &AstRule) -> Option<Template> {
    // ast-grep does not expose the template, but it serializes: as a text, an object with one, or a list of those.
    let fix = serde_json::to_value(rule.fix.as_ref()?).ok()?;
    let first = fix.as_array().map_or(Some(&fix), |all| all.first())?;
    let template = first.as_str().or_else(|| first.get("template")?.as_str())?;
    let transformed: Vec<String> = rule.transform.iter().flatten().map(|(name, _)| name.clone()).collect();
    Some(Template::new(template, rule.language, &transformed))
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
/// A rule is invalid, which is a bug.
pub fn pack(name: &str, min_severity: Severity) -> Result<Vec<AstRule>, RulesError> {
    let (_, grammars) = PACKS.iter().find(|(known, _)| *known == name).copied().unwrap_or((name, &[]));
    let mut rules = Vec::new();
    for file in Packs::iter().filter(|file| file.split('/').next() == Some(name)) {
        let bad = |error: String| RulesError::Pack(file.to_string(), error);
        let text = Packs::get(&file).map(|file| file.data).unwrap_or_default();
        let text = std::str::from_utf8(&text).map_err(|error| bad(error.to_string()))?;
        let (rule, _) = text.split_once("\n---\n").ok_or_else(|| bad("it has no cases".to_owned()))?;
        for grammar in languages_of(rule).map_err(bad)?.unwrap_or_else(|| grammars.to_vec()) {
            let mut rule: SerializableRuleConfig<Grammar> = from_str(rule).map_err(|error| bad(error.to_string()))?;
            rule.language = grammar;
            let rule = RuleConfig::try_from(rule, &GlobalRules::default()).map_err(|error| bad(chain(&error)))?;
            if severity(&rule.severity) >= min_severity {
                rules.push(rule);
            }
        }
    }
    Ok(rules)
}

/// The languages that a rule of a pack names: `metadata: {languages: […]}`.
fn languages_of(rule: &str) -> Result<Option<Vec<Grammar>>, String> {
    #[derive(Deserialize)]
    struct RuleHeader {
        metadata: Option<Metadata>,
    }
    #[derive(Deserialize)]
    struct Metadata {
        languages: Option<Vec<String>>,
    }
    let header: RuleHeader = from_str(rule).map_err(|error| error.to_string())?;
    let names = header.metadata.and_then(|metadata| metadata.languages);
    let find = |name: String| language::find(&name).map_err(|error| error.to_string());
    names.map(|names| names.into_iter().map(find).collect()).transpose()
}

/// The ast-grep rules of a project, and sentences on those that are skipped.
///
/// # Errors
/// `sgconfig.yml` is invalid.
pub fn of_project(commit: &CommitFiles, min_severity: Severity) -> Result<(Vec<AstRule>, Vec<String>), RulesError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct ProjectConfig {
        #[serde(default)]
        rule_dirs: Vec<PathBuf>,
        #[serde(default)]
        util_dirs: Option<Vec<PathBuf>>,
    }
    let Ok(text) = commit.text(PROJECT_CONFIG) else { return Ok(Default::default()) };
    let config: ProjectConfig = from_str(&text).map_err(|error| RulesError::Project(error.to_string()))?;
    let mut faults = Vec::new();
    if config.util_dirs.is_some() {
        faults.push(format!("{PROJECT_CONFIG}: utilDirs are not read, so rules that use them are left out"));
    }
    let mut rules = Vec::new();
    for path in config.rule_dirs.iter().flat_map(|folder| files::yaml_files(commit, folder)) {
        let text = commit.text(&path).map_err(|reason| reason.to_string());
        match text.and_then(|text| parse_rules(&text)) {
            Err(error) => faults.push(format!("{path}: {error}")),
            Ok(parsed) => {
                for (rule, has_severity) in parsed {
                    let id = rule.id.clone();
                    match compile(rule) {
                        Ok(rule) if rule.severity != Level::Off && severity(&rule.severity) >= min_severity => {
                            rules.push(rule);
                        }
                        Ok(_) if !has_severity => faults.push(format!("{path}: the rule {id}: {HINT}")),
                        Ok(_) => {}
                        Err(error) => faults.push(format!("{path}: the rule {id}: {error}")),
                    }
                }
            }
        }
    }
    Ok((rules, faults))
}

/// The rules of a file, and whether each has a severity.
fn parse_rules(text: &str) -> Result<Vec<(SerializableRuleConfig<Grammar>, bool)>, String> {
    /// ast-grep's own type has a default severity.
    #[derive(Deserialize)]
    struct SeverityHeader {
        severity: Option<Level>,
    }
    let rules = from_multiple::<SerializableRuleConfig<Grammar>>(text).map_err(|error| error.to_string())?;
    let headers = from_multiple::<SeverityHeader>(text).map_err(|error| error.to_string())?;
    Ok(rules.into_iter().zip(headers.into_iter().map(|header| header.severity.is_some())).collect())
}

fn compile(rule: SerializableRuleConfig<Grammar>) -> Result<AstRule, String> {
    // ast-grep panics if a grammar is missing, so the language is checked first.
    if !language::is_known(rule.language) {
        return Err(language::UnknownLanguage(rule.language.to_string()).to_string());
    }
    RuleConfig::try_from(rule, &GlobalRules::default()).map_err(|error| chain(&error))
}

/// The text of an error with those of its sources.
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
#[path = "rules_tests.rs"]
mod tests;
