//! The languages that code is searched in: those whose grammars are in the program.

use std::borrow::Cow;
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

/// A text as it is parsed. Python and JavaScript also end a line at a CR without LF, which their grammars do not know: it becomes a line
/// feed here, so that all places stay.
pub fn parsed(grammar: Grammar, text: &str) -> Cow<'_, str> {
    let has_lines = matches!(grammar, Grammar::Python | Grammar::JavaScript | Grammar::TypeScript | Grammar::Tsx);
    if !has_lines || !text.contains('\r') || text.matches('\r').count() == text.matches("\r\n").count() {
        return Cow::Borrowed(text);
    }
    let mut rest = text.chars().peekable();
    let mut parsed = String::with_capacity(text.len());
    while let Some(c) = rest.next() {
        parsed.push(if c == '\r' && rest.peek() != Some(&'\n') { '\n' } else { c });
    }
    Cow::Owned(parsed)
}

/// What goes into a text in place of code that was made for it as it is parsed: with its own line ends.
pub fn unparsed(text: &str, made: String) -> String {
    if text.contains('\n') || !text.contains('\r') { made } else { made.replace('\n', "\r") }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_cr_ends_a_line_where_the_language_says_so() {
        assert_eq!(parsed(Grammar::Python, "a\rb\r\nc\r"), "a\nb\r\nc\n");
        assert_eq!(parsed(Grammar::JavaScript, "ä\r\rb"), "ä\n\nb");
        assert_eq!(parsed(Grammar::Go, "a\rb"), "a\rb");
        assert!(matches!(parsed(Grammar::Python, "a\r\nb\r\n"), Cow::Borrowed(_)));
        assert_eq!(unparsed("a\rb", "x\ny".into()), "x\ry");
        assert_eq!(unparsed("a\r\nb", "x\r\ny".into()), "x\r\ny");
        assert_eq!(unparsed("a", "x\ny".into()), "x\ny");
    }
}
