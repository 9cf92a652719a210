//! The grammars of the highlighted languages, and the styles of their query captures.

use std::path::Path;
use std::sync::OnceLock;

use tree_sitter::{Language, Query};

use crate::model::patch_view::SyntaxClass;

/// The styles of capture names. A name applies to all that begin with it and a dot, unless a longer one matches.
const CAPTURES: [(&str, CaptureStyle); 20] = [
    ("attribute", CaptureStyle::Is(SyntaxClass::Attribute)),
    ("comment", CaptureStyle::Is(SyntaxClass::Comment)),
    ("constant", CaptureStyle::Is(SyntaxClass::Constant)),
    ("constructor", CaptureStyle::Is(SyntaxClass::Type)),
    ("embedded", CaptureStyle::Plain), // code inside a string
    ("escape", CaptureStyle::Is(SyntaxClass::Constant)),
    ("function", CaptureStyle::Is(SyntaxClass::Function)),
    ("keyword", CaptureStyle::Is(SyntaxClass::Keyword)),
    ("label", CaptureStyle::Is(SyntaxClass::Type)), // lifetimes
    ("module", CaptureStyle::Is(SyntaxClass::Type)),
    ("number", CaptureStyle::Is(SyntaxClass::Number)),
    ("operator", CaptureStyle::Is(SyntaxClass::Operator)),
    ("property", CaptureStyle::Is(SyntaxClass::Property)),
    ("string", CaptureStyle::Is(SyntaxClass::String)),
    ("string.escape", CaptureStyle::Is(SyntaxClass::Constant)),
    ("string.special", CaptureStyle::Is(SyntaxClass::String)),
    ("tag", CaptureStyle::Is(SyntaxClass::Tag)),
    ("type", CaptureStyle::Is(SyntaxClass::Type)),
    ("variable.builtin", CaptureStyle::Is(SyntaxClass::Variable)),
    ("variable.parameter", CaptureStyle::Is(SyntaxClass::Variable)),
];

/// The style of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureStyle {
    Is(SyntaxClass),
    /// Ordinary text, whatever is around it.
    Plain,
    /// The style of the surrounding node.
    Inherited,
}

impl CaptureStyle {
    /// The style of the longest known prefix of the name.
    fn of(name: &str) -> Self {
        let known = |name| CAPTURES.iter().find(|(known, _)| *known == name).map(|(_, style)| *style);
        let mut names = std::iter::successors(Some(name), |name| Some(name.rsplit_once('.')?.0));
        names.find_map(known).unwrap_or(Self::Inherited)
    }
}

/// The grammar of a language.
pub struct Grammar {
    pub language: Language,
    /// Finds the tokens.
    pub query: Query,
    /// The style of each capture of the query.
    pub styles: Vec<CaptureStyle>,
}

impl Grammar {
    /// The grammar for a file with this name. It is created on first use.
    pub fn of(path: &str) -> Option<&'static Self> {
        // Tests ensure that queries match their grammars; a query that does not is not used.
        static MADE: [OnceLock<Option<Grammar>>; 6] = [const { OnceLock::new() }; 6];
        let kind = ColouredLanguage::of(path)?;
        MADE.get(kind as usize)?.get_or_init(|| kind.make()).as_ref()
    }
}

/// The highlighted languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColouredLanguage {
    Rust,
    Python,
    JavaScript,
    TypeScript,
    Tsx,
    Go,
}

impl ColouredLanguage {
    /// By the extension of the file name.
    fn of(path: &str) -> Option<Self> {
        Some(match Path::new(path).extension()?.to_str()? {
            "rs" => Self::Rust,
            "py" | "pyi" => Self::Python,
            "js" | "mjs" | "cjs" | "jsx" => Self::JavaScript,
            "ts" | "mts" | "cts" => Self::TypeScript,
            "tsx" => Self::Tsx,
            "go" => Self::Go,
            _ => return None,
        })
    }

    /// The last matching pattern of a query wins, so Runtrail's follow those of the grammar.
    fn make(self) -> Option<Grammar> {
        use tree_sitter_javascript::{HIGHLIGHT_QUERY as JAVASCRIPT, JSX_HIGHLIGHT_QUERY as JSX};
        use tree_sitter_typescript::HIGHLIGHTS_QUERY as TYPESCRIPT;
        const MORE_JAVASCRIPT: &str = include_str!("queries/javascript.scm");
        const MORE_TYPESCRIPT: &str = include_str!("queries/typescript.scm");
        let (language, queries): (_, &[&str]) = match self {
            Self::Rust => {
                (tree_sitter_rust::LANGUAGE, &[tree_sitter_rust::HIGHLIGHTS_QUERY, include_str!("queries/rust.scm")])
            }
            Self::Python => (
                tree_sitter_python::LANGUAGE,
                &[tree_sitter_python::HIGHLIGHTS_QUERY, include_str!("queries/python.scm")],
            ),
            Self::JavaScript => (tree_sitter_javascript::LANGUAGE, &[JAVASCRIPT, MORE_JAVASCRIPT, JSX]),
            Self::TypeScript => {
                (tree_sitter_typescript::LANGUAGE_TYPESCRIPT, &[JAVASCRIPT, TYPESCRIPT, MORE_TYPESCRIPT])
            }
            Self::Tsx => (tree_sitter_typescript::LANGUAGE_TSX, &[JAVASCRIPT, TYPESCRIPT, MORE_TYPESCRIPT, JSX]),
            Self::Go => (tree_sitter_go::LANGUAGE, &[tree_sitter_go::HIGHLIGHTS_QUERY, include_str!("queries/go.scm")]),
        };
        let language: Language = language.into();
        let query = Query::new(&language, &queries.join("\n")).ok()?;
        let styles = query.capture_names().iter().map(|name| CaptureStyle::of(name)).collect();
        Some(Grammar { language, query, styles })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_have_grammars() {
        for (path, kind) in [
            ("a.rs", ColouredLanguage::Rust),
            ("a/b.py", ColouredLanguage::Python),
            ("b.pyi", ColouredLanguage::Python),
            ("a.b.mjs", ColouredLanguage::JavaScript),
            ("a.jsx", ColouredLanguage::JavaScript),
            ("a.cts", ColouredLanguage::TypeScript),
            ("a.tsx", ColouredLanguage::Tsx),
            ("a.go", ColouredLanguage::Go),
        ] {
            assert_eq!(ColouredLanguage::of(path), Some(kind));
            assert!(Grammar::of(path).is_some(), "{path}");
        }
        for path in ["", "rs", ".rs", "a.txt", "a.rs/b", "Makefile"] {
            assert!(Grammar::of(path).is_none(), "{path}");
        }
    }

    #[test]
    fn capture_prefixes_match() {
        for (name, style) in [
            ("function.method.builtin", CaptureStyle::Is(SyntaxClass::Function)),
            ("string.escape", CaptureStyle::Is(SyntaxClass::Constant)),
            ("variable", CaptureStyle::Inherited),
            ("variable.builtin", CaptureStyle::Is(SyntaxClass::Variable)),
            ("punctuation.bracket", CaptureStyle::Inherited),
            ("", CaptureStyle::Inherited),
        ] {
            assert_eq!(CaptureStyle::of(name), style, "{name}");
        }
    }
}
