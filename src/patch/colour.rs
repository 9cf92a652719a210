//! Highlights the code in hunks with tree-sitter.
//!
//! The two sides of a hunk are parsed as if they were whole files. If that goes wrong, for example in a hunk that
//! begins inside a comment, some words have the wrong color.

use std::iter::zip;
use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use tree_sitter::{ParseOptions, Parser, QueryCursor, QueryCursorOptions, StreamingIterator as _};

use super::grammars::{CaptureStyle, Grammar};
use super::read::HunkLine;
use crate::model::patch_view::{LineChange, SyntaxClass};

/// Larger hunks are not highlighted.
const MAX_BYTES: usize = 256 * 1024;

/// Highlighting stops after this time. Code takes a hundredth of it, but a text of only brackets takes quadratic time.
const MAX_TIME: Duration = Duration::from_secs(1);

/// The tokens of each line as byte ranges, sorted.
pub type Tokens = Vec<Vec<(Range<usize>, SyntaxClass)>>;

/// Highlights the hunks of one file.
pub struct Colours {
    grammar: Option<&'static Grammar>,
    until: Instant,
}

impl Colours {
    /// For the file at this path. [`MAX_TIME`] begins now.
    pub fn of(path: &str) -> Self {
        let grammar = Grammar::of(path);
        Self { grammar, until: Instant::now() + MAX_TIME }
    }

    /// The tokens of a hunk's lines. Unchanged lines have those of the new file.
    pub fn tokens(&self, lines: &[HunkLine]) -> Tokens {
        let mut tokens = vec![Vec::new(); lines.len()];
        let bytes: usize = lines.iter().map(|line| line.text.len() + 1).sum();
        let Some(grammar) = self.grammar.filter(|_| bytes <= MAX_BYTES) else { return tokens };
        for (side, other) in [(LineChange::Removed, LineChange::Added), (LineChange::Added, LineChange::Removed)] {
            let on: Vec<_> = (0..lines.len()).filter(|at| lines[*at].change != other).collect();
            // The old side is only parsed for removed lines.
            if side == LineChange::Removed && on.iter().all(|at| lines[*at].change == LineChange::Same) {
                continue;
            }
            let texts: Vec<_> = on.iter().map(|at| lines[*at].text).collect();
            for (at, found) in zip(on, self.file(grammar, &texts)) {
                tokens[at] = found;
            }
        }
        tokens
    }

    /// The tokens of a file with these lines.
    fn file(&self, grammar: &Grammar, lines: &[&str]) -> Tokens {
        let mut painter = Painter::new(lines);
        let text = lines.join("\n");
        let mut parser = Parser::new();
        if parser.set_language(&grammar.language).is_err() {
            return painter.tokens; // incompatible grammar, which tests exclude
        }
        let in_time = || if Instant::now() < self.until { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
        let mut progress = |_: &_| in_time();
        let options = ParseOptions::new().progress_callback(&mut progress);
        let mut read = |from: usize, _| text.as_bytes().get(from..).unwrap_or_default();
        let Some(tree) = parser.parse_with_options(&mut read, None, Some(options)) else { return painter.tokens };
        let mut cursor = QueryCursor::new();
        let mut progress = |_: &_| in_time();
        let options = QueryCursorOptions::new().progress_callback(&mut progress);
        let mut found = cursor.captures_with_options(&grammar.query, tree.root_node(), text.as_bytes(), options);
        // Captures are sorted by place, outer ones first, and those of one node by pattern. The last one of a node
        // wins.
        let mut last = None;
        while let Some((one, at)) = found.next() {
            if in_time().is_break() {
                break;
            }
            let Some(name) = one.captures().get(*at) else { continue };
            let style = grammar.styles.get(name.index as usize).copied().unwrap_or(CaptureStyle::Inherited);
            if let Some((node, style)) = last.replace((name.node, style))
                && node != name.node
            {
                painter.enter(node.byte_range(), style);
            }
        }
        if let Some((node, style)) = last {
            painter.enter(node.byte_range(), style);
        }
        painter.leave(text.len());
        painter.tokens
    }
}

/// Walks through a text once, and assigns each place the token of the innermost node.
struct Painter<'a> {
    places: LineSplitter<'a>,
    tokens: Tokens,
    /// The end of the processed text.
    done: usize,
    /// The ends and tokens of the surrounding nodes, outer ones first.
    inside: Vec<(usize, Option<SyntaxClass>)>,
}

impl<'a> Painter<'a> {
    fn new(lines: &'a [&'a str]) -> Self {
        let tokens = vec![Vec::new(); lines.len()];
        Self { places: LineSplitter { lines, at: 0, start: 0 }, tokens, done: 0, inside: Vec::new() }
    }

    /// Moves to the start of a node.
    fn enter(&mut self, node: Range<usize>, style: CaptureStyle) {
        let token = match style {
            CaptureStyle::Is(token) => Some(token),
            CaptureStyle::Plain => None,
            CaptureStyle::Inherited => return,
        };
        self.leave(node.start);
        self.inside.push((node.end, token));
    }

    /// Moves to a place, out of all nodes that end before it.
    fn leave(&mut self, to: usize) {
        while let Some((end, token)) = self.inside.pop_if(|(end, _)| *end <= to) {
            self.paint(end, token);
        }
        self.paint(to, self.inside.last().and_then(|(_, token)| *token));
    }

    fn paint(&mut self, to: usize, token: Option<SyntaxClass>) {
        if self.done < to {
            if let Some(token) = token {
                self.places.split(self.done..to, |line, range| push(&mut self.tokens[line], range, token));
            }
            self.done = to;
        }
    }
}

/// Appends a token, or extends the last one.
fn push(tokens: &mut Vec<(Range<usize>, SyntaxClass)>, range: Range<usize>, token: SyntaxClass) {
    match tokens.last_mut() {
        Some((last, before)) if *before == token && last.end == range.start => last.end = range.end,
        _ => tokens.push((range, token)),
    }
}

/// Splits ascending ranges of a text into lines.
struct LineSplitter<'a> {
    lines: &'a [&'a str],
    /// The current line, and its start.
    at: usize,
    start: usize,
}

impl LineSplitter<'_> {
    /// Calls `each` with each line's part of a range, in bytes of the line, without line ends.
    fn split(&mut self, range: Range<usize>, mut each: impl FnMut(usize, Range<usize>)) {
        while let Some(line) = self.lines.get(self.at) {
            let end = self.start + line.len();
            let part = range.start.max(self.start)..range.end.min(end);
            if !part.is_empty() {
                each(self.at, part.start - self.start..part.end - self.start);
            }
            if range.end <= end {
                return;
            }
            (self.at, self.start) = (self.at + 1, end + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [&str; 6] = ["a.rs", "a.py", "a.jsx", "a.ts", "a.tsx", "a.go"];

    fn tokens(path: &str, lines: &[&str]) -> Tokens {
        let same = |text| HunkLine { change: LineChange::Same, text, old: None, new: None, no_newline: false };
        Colours::of(path).tokens(&lines.iter().map(|text| same(*text)).collect::<Vec<_>>())
    }

    /// The words of a text that are tokens.
    fn shown(path: &str, text: &str) -> Vec<String> {
        let lines: Vec<_> = text.split('\n').collect();
        let tokens = tokens(path, &lines);
        let show = |(line, tokens): (&&str, &Vec<(Range<usize>, SyntaxClass)>)| {
            tokens.iter().map(|(range, token)| format!("{token:?} {}", &line[range.clone()])).collect::<Vec<_>>()
        };
        lines.iter().zip(&tokens).flat_map(show).collect()
    }

    #[test]
    fn each_language_is_highlighted() {
        for (path, text, expected) in [
            (
                "a.rs",
                "/// Doc\n#[derive(Debug)]\npub fn f<'a>(x: &'a Foo) -> u8 { Some(MAX).g(\"s\\n\", 1) == self.y; vec![2] }",
                "Comment /// Doc|Attribute #[derive(|Type Debug|Attribute )]|Keyword pub|Keyword fn|Function f|Type 'a|\
                 Variable x|Operator &|Type 'a|Type Foo|Operator ->|Type u8|Type Some|Constant MAX|Function g|String \"s|\
                 Constant \\n|String \"|Number 1|Operator ==|Variable self|Property y|Function vec!|Number 2",
            ),
            (
                "a.py",
                "@dec\nclass A(B):\n    def f(self, x: int) -> str: # c\n        return f\"a{x.y}b\" if not None else MAX.g(A(1))",
                "Function @dec|Keyword class|Type A|Type B|Keyword def|Function f|Variable self|Type int|Operator ->|Type str|\
                 Comment # c|Keyword return|String f\"a|Property y|String b\"|Keyword if|Keyword not|Constant None|Keyword else|\
                 Constant MAX|Function g|Type A|Number 1",
            ),
            (
                "a.jsx",
                "// c\nclass A {}\nconst f = (x) => <div id={`a${x.y}`}>{this.g(/r/, 1, null, MAX)}</div>;",
                "Comment // c|Keyword class|Type A|Keyword const|Function f|Operator =|Variable x|Operator =>|Tag div|\
                 Attribute id|Operator =|String `a|Property y|String `|Variable this|Function g|String /r/|Number 1|\
                 Constant null|Constant MAX|Tag div",
            ),
            (
                "a.ts",
                "export interface A<T> { readonly x: string }\nfunction f(a: A<number>, b?: T): Foo { return MAX.y as unknown; }",
                "Keyword export|Keyword interface|Type A|Type T|Keyword readonly|Property x|Type string|Keyword function|\
                 Function f|Variable a|Type A|Type number|Variable b|Type T|Type Foo|Keyword return|Constant MAX|Property y|\
                 Keyword as|Type unknown",
            ),
            (
                "a.tsx",
                "export const F = (p: Props) => <B.C a=\"1\" {...p}><i>t</i></B.C>;",
                "Keyword export|Keyword const|Type F|Operator =|Variable p|Type Props|Operator =>|Type B|Property C|Attribute a|\
                 Operator =|String \"1\"|Tag i|Tag i|Type B|Property C",
            ),
            (
                "a.go",
                "package a\n\n// c\nfunc (t *T) F(x int) error { return fmt.Errorf(\"a\\n\", len(x), nil, t.y+1) }\nconst Max = 'a'",
                "Keyword package|Comment // c|Keyword func|Variable t|Operator *|Type T|Function F|Variable x|Type int|Type error|\
                 Keyword return|Function Errorf|String \"a|Constant \\n|String \"|Function len|Constant nil|Property y|\
                 Operator +|Number 1|Keyword const|Constant Max|Operator =|String 'a'",
            ),
        ] {
            assert_eq!(shown(path, text).join("|"), expected, "{path}");
        }
    }

    #[test]
    fn multi_line_tokens_are_in_each_line() {
        assert_eq!(shown("a.rs", "a /* b\n\nc */ d"), ["Comment /* b", "Comment c */"]);
        assert_eq!(shown("a.py", "'''a\r\nb'''\r"), ["String '''a\r", "String b'''"]);
    }

    #[test]
    fn sides_are_highlighted_separately() {
        let line = |change, text| HunkLine { change, text, old: None, new: None, no_newline: false };
        let lines = [
            line(LineChange::Removed, "/*"),
            line(LineChange::Same, "fn a() {}"),
            line(LineChange::Added, "fn b() {}"),
            line(LineChange::Removed, "*/"),
        ];
        let kinds = |tokens: Tokens| tokens.iter().map(|line| line.first().map(|first| first.1)).collect::<Vec<_>>();
        let expected = [
            Some(SyntaxClass::Comment),
            Some(SyntaxClass::Keyword),
            Some(SyntaxClass::Keyword),
            Some(SyntaxClass::Comment),
        ];
        assert_eq!(kinds(Colours::of("a.rs").tokens(&lines)), expected);
    }

    #[test]
    fn large_or_slow_hunks_are_not_highlighted() {
        assert_eq!(tokens("a.rs", &[&"fn ".repeat(MAX_BYTES / 3 + 1)]), [[]]);
        assert_eq!(tokens("a.txt", &["fn a() {}"]), [[]]);
        let line = HunkLine { change: LineChange::Same, text: "fn a() {}", old: None, new: None, no_newline: false };
        let late = Colours { until: Instant::now(), ..Colours::of("a.rs") };
        assert_eq!(late.tokens(&[line]), [[]]);
    }

    #[test]
    fn quadratic_hunks_time_out() {
        for (path, unit) in [("a.rs", "("), ("a.rs", "!"), ("a.py", "["), ("a.tsx", "`${"), ("a.go", "-")] {
            let text = unit.repeat(200_000 / unit.len());
            let line = HunkLine { change: LineChange::Same, text: &text, old: None, new: None, no_newline: false };
            let begun = Instant::now();
            Colours { until: begun + Duration::from_millis(100), ..Colours::of(path) }.tokens(&[line]);
            // Without a limit it is half a minute.
            assert!(begun.elapsed() < Duration::from_secs(5), "{path} {unit} {:?}", begun.elapsed());
        }
    }

    proptest! {
        /// Ranges in order, within the lines, and of whole characters.
        #[test]
        fn colours_any_text(
            path in prop::sample::select(ALL.to_vec()),
            text in r#"(\PC{0,8}|[\x00-\x7f\u{80}-\u{ff}]{0,6}|fn |class |def |let |import|type |\{|\}|\(|\)|<|>|/\*|\*/|`|\$\{|"|'|#|\r?\n {0,4}|=>|r#"|€|é){0,60}"#,
        ) {
            let lines: Vec<_> = text.split('\n').collect();
            let tokens = tokens(path, &lines);
            prop_assert_eq!(tokens.len(), lines.len());
            for (line, tokens) in lines.iter().zip(&tokens) {
                prop_assert!(tokens.windows(2).all(|two| two[0].0.end <= two[1].0.start));
                prop_assert!(tokens.iter().all(|(range, _)| line.get(range.clone()).is_some_and(|text| !text.is_empty())));
            }
        }
    }
}
