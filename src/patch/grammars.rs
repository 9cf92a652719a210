//! The grammars of the languages that have colours, with the names that their queries give to words.

use std::path::Path;
use std::sync::OnceLock;

use tree_sitter::{Language, Query};

use crate::model::view::SyntaxClass;

/// The names in the queries and what they are here. A name stands for all that begin with it and a dot, unless there is a
/// longer one.
const NAMES: [(&str, Look); 20] = [
    ("attribute", Look::Is(SyntaxClass::Attribute)),
    ("comment", Look::Is(SyntaxClass::Comment)),
    ("constant", Look::Is(SyntaxClass::Constant)),
    ("constructor", Look::Is(SyntaxClass::Type)),
    ("embedded", Look::Plain), // code inside a string
    ("escape", Look::Is(SyntaxClass::Constant)),
    ("function", Look::Is(SyntaxClass::Function)),
    ("keyword", Look::Is(SyntaxClass::Keyword)),
    ("label", Look::Is(SyntaxClass::Type)), // lifetimes
    ("module", Look::Is(SyntaxClass::Type)),
    ("number", Look::Is(SyntaxClass::Number)),
    ("operator", Look::Is(SyntaxClass::Operator)),
    ("property", Look::Is(SyntaxClass::Property)),
    ("string", Look::Is(SyntaxClass::String)),
    ("string.escape", Look::Is(SyntaxClass::Constant)),
    ("string.special", Look::Is(SyntaxClass::String)),
    ("tag", Look::Is(SyntaxClass::Tag)),
    ("type", Look::Is(SyntaxClass::Type)),
    ("variable.builtin", Look::Is(SyntaxClass::Variable)),
    ("variable.parameter", Look::Is(SyntaxClass::Variable)),
];

/// What a name in a query makes of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// This.
    Is(SyntaxClass),
    /// Ordinary text, whatever is around it.
    Plain,
    /// What is around it.
    Around,
}

impl Look {
    /// By the longest beginning of the name that is known.
    fn of(name: &str) -> Self {
        let known = |name| NAMES.iter().find(|(known, _)| *known == name).map(|(_, look)| *look);
        let mut names = std::iter::successors(Some(name), |name| Some(name.rsplit_once('.')?.0));
        names.find_map(known).unwrap_or(Self::Around)
    }
}

/// A language's grammar.
pub struct Grammar {
    /// How it is read.
    pub language: Language,
    /// Finds the words.
    pub query: Query,
    /// For each name of the query, what it makes of a word.
    pub looks: Vec<Look>,
}

impl Grammar {
    /// The grammar for a file of this name, made when it is first asked for.
    pub fn of(path: &str) -> Option<&'static Self> {
        // A query that the grammar does not understand is a mistake that the tests find; then there are no colours.
        static MADE: [OnceLock<Option<Grammar>>; 6] = [const { OnceLock::new() }; 6];
        let kind = Kind::of(path)?;
        MADE.get(kind as usize)?.get_or_init(|| kind.make()).as_ref()
    }
}

/// The languages that have colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rust,
    Python,
    JavaScript,
    TypeScript,
    Tsx,
    Go,
}

impl Kind {
    /// By the end of the name.
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

    /// Of the patterns that fit a word the last one decides, so ours stand behind the grammar's own.
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
        let looks = query.capture_names().iter().map(|name| Look::of(name)).collect();
        Some(Grammar { language, query, looks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_a_grammar() {
        for (path, kind) in [
            ("a.rs", Kind::Rust),
            ("a/b.py", Kind::Python),
            ("b.pyi", Kind::Python),
            ("a.b.mjs", Kind::JavaScript),
            ("a.jsx", Kind::JavaScript),
            ("a.cts", Kind::TypeScript),
            ("a.tsx", Kind::Tsx),
            ("a.go", Kind::Go),
        ] {
            assert_eq!(Kind::of(path), Some(kind));
            assert!(Grammar::of(path).is_some(), "{path}");
        }
        for path in ["", "rs", ".rs", "a.txt", "a.rs/b", "Makefile"] {
            assert!(Grammar::of(path).is_none(), "{path}");
        }
    }

    #[test]
    fn a_name_stands_for_longer_ones() {
        for (name, look) in [
            ("function.method.builtin", Look::Is(SyntaxClass::Function)),
            ("string.escape", Look::Is(SyntaxClass::Constant)),
            ("variable", Look::Around),
            ("variable.builtin", Look::Is(SyntaxClass::Variable)),
            ("punctuation.bracket", Look::Around),
            ("", Look::Around),
        ] {
            assert_eq!(Look::of(name), look, "{name}");
        }
    }
}
