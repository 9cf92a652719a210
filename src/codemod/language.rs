//! The languages that code is searched in: those whose grammars are in the program.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use ast_grep_core::Language as _;

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

/// The language of a file of this name, if it is one of [`LANGUAGES`].
pub fn of(path: impl AsRef<Path>) -> Option<Grammar> {
    Grammar::from_path(path).filter(|grammar| is_known(*grammar))
}

/// Whether it is one of [`LANGUAGES`].
pub fn is_known(grammar: Grammar) -> bool {
    LANGUAGES.iter().any(|(_, known)| *known == grammar)
}

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
    Grammar::from_str(name.trim())
        .ok()
        .filter(|grammar| is_known(*grammar))
        .ok_or_else(|| UnknownLanguage(name.to_owned()))
}
