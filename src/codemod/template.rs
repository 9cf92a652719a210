//! What a rewrite makes of a match: a template whose metavariables are replaced by what they stand for, indented as its place in
//! the file is. Pure.
//!
//! ast-grep makes such texts too, but counts blanks only, so tabs are lost, and moves what is inside strings.

use std::collections::HashSet;
use std::ops::Range;

use ast_grep_core::tree_sitter::{LanguageExt, StrDoc};
use ast_grep_core::{AstGrep, Language, Node, NodeMatch};

use super::indent::{blanks, converted, indentation_at, line_end_at, moved, own_step, step};
use super::language::Grammar;

/// The nodes whose lines are their content: other blanks would be another text.
const STRINGS: [&str; 5] =
    ["string", "template_string", "string_literal", "raw_string_literal", "interpreted_string_literal"];

/// Code as it is parsed.
type Doc = StrDoc<Grammar>;

/// See the module's comment.
#[derive(Debug)]
pub struct Template {
    lines: Vec<Line>,
    /// How many blanks one step of its indentation has.
    step: usize,
}

#[derive(Debug)]
struct Line {
    /// The blanks that it begins with.
    blanks: String,
    parts: Vec<Part>,
    /// Whether it begins inside a string of the template.
    is_verbatim: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// One node, `$A`.
    One(String),
    /// Any number of them, `$$$A`.
    Many(String),
    /// What a rule's `transform` makes.
    Made(String),
}

impl Part {
    /// The metavariable's name, if it is one.
    fn name(&self) -> Option<&str> {
        match self {
            Self::Text(_) => None,
            Self::One(name) | Self::Many(name) | Self::Made(name) => Some(name),
        }
    }
}

impl Line {
    /// Whether it begins with the indentation of its place, which a rule has made for it: ast-grep itself has none with tabs.
    fn indents_itself(&self, found: &NodeMatch<'_, Doc>, base: &str) -> bool {
        let Some(Part::Made(name)) = self.parts.first() else { return false };
        base.contains('\t')
            && found.get_env().get_transformed(name).is_some_and(|made| made.starts_with(base.as_bytes()))
    }
}

impl Template {
    /// Reads a template. `made` are the names of what the rule transforms.
    pub fn new(template: &str, grammar: Grammar, made: &[String]) -> Self {
        let template = template.replace("\r\n", "\n");
        let verbatim = lines_in_strings(&grammar.ast_grep(&*grammar.pre_process_pattern(&template)));
        let line = |(number, line): (usize, &str)| {
            let is_verbatim = verbatim.contains(&number);
            let own = if is_verbatim { "" } else { blanks(line) };
            Line {
                blanks: own.to_owned(),
                parts: parts(&line[own.len()..], grammar.meta_var_char(), made),
                is_verbatim,
            }
        };
        let step = own_step(template.split('\n').skip(1));
        Self { lines: template.split('\n').enumerate().map(line).collect(), step }
    }

    /// The names that it uses.
    pub fn used(&self) -> HashSet<&str> {
        self.lines.iter().flat_map(|line| &line.parts).filter_map(Part::name).collect()
    }

    /// What takes the place of this range of a text for a match in it.
    pub fn fill(&self, text: &str, found: &NodeMatch<'_, Doc>, range: &Range<usize>) -> String {
        let base = indentation_at(text, range.start);
        let file_step = step(text, base);
        let line_end = line_end_at(text, range.start);
        let goes_on = !text[range.end..].trim_start_matches([' ', '\t', '\r']).starts_with('\n');
        let mut out = String::new();
        for (number, line) in self.lines.iter().enumerate() {
            let mut indentation = base.to_owned();
            if number == 0 {
                out.push_str(&line.blanks);
            } else {
                out.push_str(line_end);
                indentation.push_str(&converted(&line.blanks, self.step, file_step.as_deref()));
                // An empty line stays so, unless the text goes on in it.
                let is_last = number + 1 == self.lines.len();
                if !line.is_verbatim
                    && !line.indents_itself(found, base)
                    && (!line.parts.is_empty() || (is_last && goes_on))
                {
                    out.push_str(&indentation);
                }
            }
            for part in &line.parts {
                self.put(part, text, found, &indentation, &mut out);
            }
        }
        out
    }

    fn put(&self, part: &Part, text: &str, found: &NodeMatch<'_, Doc>, to: &str, out: &mut String) {
        let env = found.get_env();
        match part {
            Part::Text(text) => out.push_str(text),
            Part::One(name) => {
                if let Some(node) = env.get_match(name) {
                    put_code(text, node.range(), std::slice::from_ref(node), to, out);
                }
            }
            Part::Many(name) => {
                let nodes = env.get_multiple_matches(name);
                if let (Some(first), Some(last)) = (nodes.first(), nodes.last()) {
                    put_code(text, first.range().start..last.range().end, &nodes, to, out);
                }
            }
            Part::Made(name) => {
                let Some(bytes) = env.get_transformed(name) else { return };
                let made = String::from_utf8_lossy(bytes);
                // ast-grep has taken the blanks away that the code had, but not the tabs.
                let base = indentation_at(text, found.range().start);
                if base.contains('\t') && to == base && made.contains(&format!("\n{base}")) {
                    // It is indented as its place is already, and what is inside its strings stays as it is.
                    out.push_str(&made);
                    return;
                }
                let lines = || made.split('\n').skip(1).filter(|line| !line.trim().is_empty());
                let from = if base.contains('\t') && lines().all(|line| line.starts_with(base)) { base } else { "" };
                put_lines(&made, from, to, |_| false, out);
            }
        }
    }
}

/// Puts code of a text to a place with another indentation. Lines that begin inside of strings stay as they are.
fn put_code(text: &str, range: Range<usize>, nodes: &[Node<'_, Doc>], to: &str, out: &mut String) {
    let from = indentation_at(text, range.start);
    let code = &text[range.clone()];
    if from == to || !code.contains('\n') {
        out.push_str(code);
        return;
    }
    let strings: Vec<Range<usize>> = nodes.iter().flat_map(strings).collect();
    let is_verbatim =
        |at: usize| strings.iter().any(|string| string.start < range.start + at && range.start + at < string.end);
    put_lines(code, from, to, is_verbatim, out);
}

fn put_lines(code: &str, from: &str, to: &str, is_verbatim: impl Fn(usize) -> bool, out: &mut String) {
    let mut at = 0;
    for (number, line) in code.split_inclusive('\n').enumerate() {
        if number == 0 || is_verbatim(at) || line.trim().is_empty() {
            out.push_str(line);
        } else {
            out.push_str(&moved(line, from, to));
            out.push_str(&line[blanks(line).len()..]);
        }
        at += line.len();
    }
}

/// The strings in a node that have several lines.
fn strings<'a>(node: &'a Node<'_, Doc>) -> impl Iterator<Item = Range<usize>> + 'a {
    let is_string =
        |node: &Node<'_, Doc>| STRINGS.contains(&&*node.kind()) && node.start_pos().line() < node.end_pos().line();
    node.dfs().filter(is_string).map(|node| node.range())
}

/// The lines of a template that begin inside of its strings, from 0.
fn lines_in_strings(root: &AstGrep<Doc>) -> HashSet<usize> {
    let top = root.root();
    let multiline = top.dfs().filter(|node| STRINGS.contains(&&*node.kind()));
    multiline.flat_map(|node| node.start_pos().line() + 1..=node.end_pos().line()).collect()
}

/// The parts of a line, as ast-grep reads them.
fn parts(line: &str, sign: char, made: &[String]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(sign) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let signs = rest.chars().take(3).take_while(|c| *c == sign).count();
        let after = &rest[signs * sign.len_utf8()..];
        let is_first = |c: char| c.is_ascii_uppercase() || c == '_';
        let name = &after[..after.find(|c: char| !is_first(c) && !c.is_ascii_digit()).unwrap_or(after.len())];
        if !name.starts_with(is_first) {
            text.push(sign);
            rest = &rest[sign.len_utf8()..];
            continue;
        }
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut text)));
        }
        let owned = name.to_owned();
        parts.push(match signs {
            3 => Part::Many(owned),
            _ if made.contains(&owned) => Part::Made(owned),
            _ => Part::One(owned),
        });
        rest = &after[name.len()..];
    }
    text.push_str(rest);
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::edits::Edits;
    use super::super::search::{Faults, Search};
    use super::*;

    /// A text with what a rewrite makes of the first match in it.
    fn rewritten(grammar: Grammar, pattern: &str, rewrite: &str, text: &str) -> String {
        let found = Search::new(grammar, pattern, Some(rewrite)).unwrap().matches(text);
        Edits::choose(vec![vec![found[0].edit.clone().unwrap()]]).apply(text).unwrap()
    }

    #[test]
    fn parts_are_those_of_ast_grep() {
        let one = |name: &str| Part::One(name.to_owned());
        let text = |text: &str| Part::Text(text.to_owned());
        assert_eq!(
            parts("f($A, $$$B)$", '$', &[]),
            [text("f("), one("A"), text(", "), Part::Many("B".into()), text(")$")]
        );
        assert_eq!(parts("$5 $a $$A$_B1x", '$', &[]), [text("$5 $a "), one("A"), one("_B1"), text("x")]);
        assert_eq!(parts("$A", '$', &["A".to_owned()]), [Part::Made("A".to_owned())]);
    }

    #[test]
    fn empty_lines_stay_empty_and_carriage_returns_of_a_template_do_not_count() {
        let made = rewritten(Grammar::Python, "a($X)", "if $X:\r\n    b()\r\n\r\n    c()", "def f():\n\ta(1)\n\td()\n");
        assert_eq!(made, "def f():\n\tif 1:\n\t\tb()\n\n\t\tc()\n\td()\n");
    }

    #[test]
    fn strings_of_a_template_keep_their_lines() {
        let made = rewritten(Grammar::Python, "a($X)", "b($X, '''\n  x\n''')", "def f():\n\ta(1)\n");
        assert_eq!(made, "def f():\n\tb(1, '''\n  x\n''')\n");
    }

    /// Blocks in blocks, with calls, strings of several lines and one call of `old` with a block inside.
    fn block(depth: u32) -> BoxedStrategy<Vec<(usize, String)>> {
        let leaf = prop::sample::select(vec!["one()", "two(1,\n   2)", "s = '''\n  a\nb\n'''", "pass"]);
        let line = leaf.prop_map(|leaf| vec![(0, leaf.to_owned())]);
        if depth == 0 {
            return line.boxed();
        }
        let deeper = |block: Vec<(usize, String)>| block.into_iter().map(|(depth, line)| (depth + 1, line));
        let nested = prop::collection::vec(block(depth - 1), 1..3).prop_map(move |parts| {
            let head = std::iter::once((0, "if x:".to_owned()));
            head.chain(deeper(parts.concat())).collect::<Vec<_>>()
        });
        prop_oneof![line, nested].boxed()
    }

    /// The lines of a block, each as deep as it says; what goes on in a line of its own stands where it stands.
    fn print(block: &[(usize, String)], step: &str, line_end: &str) -> String {
        let line = |(depth, line): &(usize, String)| format!("{}{line}{line_end}", step.repeat(*depth));
        block.iter().map(line).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// A block that moves to another depth is the one that would have been written there, but for the lines inside of brackets,
        /// which move along, and those of strings, which do not; and the text parses as well as before.
        #[test]
        fn blocks_keep_their_form(
            body in prop::collection::vec(block(2), 1..3),
            depth in 0_usize..4,
            step in prop::sample::select(vec!["\t", "  ", "    "]),
            line_end in prop::sample::select(vec!["\n", "\r\n"]),
        ) {
            let at = |from: usize, lines: &[(usize, String)]| -> Vec<(usize, String)> {
                lines.iter().map(|(depth, line)| (depth + from, line.clone())).collect()
            };
            let body = body.concat();
            let outer: Vec<(usize, String)> = (0..depth).map(|depth| (depth, "while y:".to_owned())).collect();
            let before = [outer.clone(), vec![(depth, "if old:".to_owned())], at(depth + 1, &body), vec![(depth, "z()".to_owned())]].concat();
            let after = [
                outer,
                vec![(depth, "with new:".to_owned()), (depth + 1, "if more:".to_owned())],
                at(depth + 2, &body),
                vec![(depth, "z()".to_owned())],
            ].concat();
            let text = print(&before, step, line_end);
            let made = rewritten(Grammar::Python, "if old: $$$BODY", "with new:\n  if more:\n    $$$BODY", &text);
            let expected = print(&after, step, line_end);
            // Lines inside of brackets move along as far as their blanks allow.
            let plain = |text: &str| text.lines().map(|line| if line.trim() == "2)" { "2)" } else { line }).collect::<Vec<_>>().join("\n");
            prop_assert_eq!(plain(&made), plain(&expected), "{}", text);
            let [was, is] = [&text, &made].map(|text| Faults::of(Grammar::Python, text));
            prop_assert!(was.count == 0 && !is.is_worse_than(&was), "{}", made);
        }
    }
}
