//! The supported languages: those whose grammars are built in.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use ast_grep_core::Language as _;

pub use ast_grep_language::SupportLang as Grammar;

/// All languages with their names, in the order of the form.
pub const LANGUAGES: [(&str, Grammar); 6] = [
    ("rust", Grammar::Rust),
    ("python", Grammar::Python),
    ("typescript", Grammar::TypeScript),
    ("tsx", Grammar::Tsx),
    ("javascript", Grammar::JavaScript),
    ("go", Grammar::Go),
];

/// The language of a file by its name, if it is one of [`LANGUAGES`].
pub fn of(path: impl AsRef<Path>) -> Option<Grammar> {
    Grammar::from_path(path).filter(|grammar| is_known(*grammar))
}

pub fn is_known(grammar: Grammar) -> bool {
    LANGUAGES.iter().any(|(_, known)| *known == grammar)
}

/// The text to parse. Python and JavaScript also end lines at a lone CR, which their grammars do not support: it is
/// replaced by LF, so that all offsets stay the same.
pub fn to_parse(grammar: Grammar, text: &str) -> Cow<'_, str> {
    let has_lines = matches!(grammar, Grammar::Python | Grammar::JavaScript | Grammar::TypeScript | Grammar::Tsx);
    if !has_lines || !text.contains('\r') || text.matches('\r').count() == text.matches("\r\n").count() {
        return Cow::Borrowed(text);
    }
    let mut rest = text.chars().peekable();
    let mut converted = String::with_capacity(text.len());
    while let Some(c) = rest.next() {
        converted.push(if c == '\r' && rest.peek() != Some(&'\n') { '\n' } else { c });
    }
    Cow::Owned(converted)
}

/// Code that was made for [`to_parse`], with the line ends of the original text.
pub fn with_line_ends_of(text: &str, code: String) -> String {
    if text.contains('\n') || !text.contains('\r') { code } else { code.replace('\n', "\r") }
}

/// A language that is not one of [`LANGUAGES`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The language `{0}` is unknown. Known are {list}.", list = KnownLanguages)]
pub struct UnknownLanguage(pub String);

/// The names of all languages, for a sentence.
struct KnownLanguages;

impl fmt::Display for KnownLanguages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = LANGUAGES.map(|(name, _)| name);
        f.write_str(&names.join(", "))
    }
}

/// The language with this name or one of its usual aliases.
///
/// # Errors
/// [`UnknownLanguage`].
pub fn find(name: &str) -> Result<Grammar, UnknownLanguage> {
    Grammar::from_str(name.trim())
        .ok()
        .filter(|grammar| is_known(*grammar))
        .ok_or_else(|| UnknownLanguage(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_cr_ends_a_line_where_the_language_allows_it() {
        assert_eq!(to_parse(Grammar::Python, "a\rb\r\nc\r"), "a\nb\r\nc\n");
        assert_eq!(to_parse(Grammar::JavaScript, "ä\r\rb"), "ä\n\nb");
        assert_eq!(to_parse(Grammar::Go, "a\rb"), "a\rb");
        assert!(matches!(to_parse(Grammar::Python, "a\r\nb\r\n"), Cow::Borrowed(_)));
        assert_eq!(with_line_ends_of("a\rb", "x\ny".into()), "x\ry");
        assert_eq!(with_line_ends_of("a\r\nb", "x\r\ny".into()), "x\r\ny");
        assert_eq!(with_line_ends_of("a", "x\ny".into()), "x\ny");
    }
}
