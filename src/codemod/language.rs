//! The languages that code is searched in: those whose grammars are in the program.

use std::fmt;
use std::str::FromStr;

pub use ast_grep_language::SupportLang as Grammar;

/// Every language with its name, in the order that people are shown them.
pub const LANGUAGES: [(&str, Grammar); 6] = [
    ("rust", Grammar::Rust),
    ("python", Grammar::Python),
    ("typescript", Grammar::TypeScript),
    ("tsx", Grammar::Tsx),
    ("javascript", Grammar::JavaScript),
    ("go", Grammar::Go),
];

/// Not one of [`LANGUAGES`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The language `{0}` is unknown. Known are {list}.", list = Known)]
pub struct UnknownLanguage(pub String);

/// The names, for a sentence.
struct Known;

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = LANGUAGES.map(|(name, _)| name);
        f.write_str(&names.join(", "))
    }
}

/// The language of this name; its usual short names are taken too.
///
/// # Errors
/// [`UnknownLanguage`].
pub fn find(name: &str) -> Result<Grammar, UnknownLanguage> {
    let known = |grammar: &Grammar| LANGUAGES.iter().any(|(_, known)| known == grammar);
    Grammar::from_str(name.trim()).ok().filter(known).ok_or_else(|| UnknownLanguage(name.to_owned()))
}
