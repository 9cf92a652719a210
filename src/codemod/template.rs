//! Fills the template of a rewrite with the variables of a match, and indents it like its place in the file. Pure.
//!
//! ast-grep's own templates only count spaces, so they lose tabs, and they indent the lines of multi-line strings.

use std::collections::HashSet;
use std::ops::Range;

use ast_grep_core::tree_sitter::{LanguageExt, StrDoc};
use ast_grep_core::{AstGrep, Language, Node, NodeMatch};

use super::indent::{blanks, converted, indentation_at, line_end_at, moved, own_step, step};
use super::language::Grammar;

/// The nodes whose line indentation is part of their value.
const STRINGS: [&str; 5] =
    ["string", "template_string", "string_literal", "raw_string_literal", "interpreted_string_literal"];

type Doc = StrDoc<Grammar>;

/// A parsed template.
#[derive(Debug)]
pub struct Template {
    lines: Vec<TemplateLine>,
    /// The number of spaces of one indentation level in the template.
    step: usize,
}

#[derive(Debug)]
struct TemplateLine {
    /// Its indentation.
    blanks: String,
    parts: Vec<TemplatePart>,
    /// Whether the line begins inside a string.
    is_verbatim: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum TemplatePart {
    Text(String),
    /// `$A`: a single node.
    One(String),
    /// `$$$A`: any number of nodes.
    Many(String),
    /// The result of a rule's `transform`.
    Transformed(String),
}

impl TemplatePart {
    /// The name of the variable.
    fn name(&self) -> Option<&str> {
        match self {
            Self::Text(_) => None,
            Self::One(name) | Self::Many(name) | Self::Transformed(name) => Some(name),
        }
    }
}

impl TemplateLine {
    /// Whether the line begins with a transformed text that already has the indentation `base`: rules do that for tabs,
    /// which ast-grep does not insert.
    fn indents_itself(&self, found: &NodeMatch<'_, Doc>, base: &str) -> bool {
        let Some(TemplatePart::Transformed(name)) = self.parts.first() else { return false };
        base.contains('\t')
            && found.get_env().get_transformed(name).is_some_and(|made| made.starts_with(base.as_bytes()))
    }
}

impl Template {
    /// Parses a template. `transformed` are the variables that the rule's `transform` defines.
    pub fn new(template: &str, grammar: Grammar, transformed: &[String]) -> Self {
        let template = template.replace("\r\n", "\n");
        let verbatim = lines_in_strings(&grammar.ast_grep(&*grammar.pre_process_pattern(&template)));
        let line = |(number, line): (usize, &str)| {
            let is_verbatim = verbatim.contains(&number);
            let own = if is_verbatim { "" } else { blanks(line) };
            TemplateLine {
                blanks: own.to_owned(),
                parts: parts(&line[own.len()..], grammar.meta_var_char(), transformed),
                is_verbatim,
            }
        };
        let step = own_step(template.split('\n').skip(1));
        Self { lines: template.split('\n').enumerate().map(line).collect(), step }
    }

    /// The names of its variables.
    pub fn variables(&self) -> HashSet<&str> {
        self.lines.iter().flat_map(|line| &line.parts).filter_map(TemplatePart::name).collect()
    }

    /// The replacement of this range of the text, for a match in it.
    pub fn fill(&self, text: &str, found: &NodeMatch<'_, Doc>, range: &Range<usize>) -> String {
        let base = indentation_at(text, range.start);
        let file_step = step(text, base);
        let line_end = line_end_at(text, range.start);
        let has_code_after = !text[range.end..].trim_start_matches([' ', '\t', '\r']).starts_with('\n');
        let mut out = String::new();
        for (number, line) in self.lines.iter().enumerate() {
            let mut indentation = base.to_owned();
            if number == 0 {
                out.push_str(&line.blanks);
            } else {
                out.push_str(line_end);
                indentation.push_str(&converted(&line.blanks, self.step, file_step.as_deref()));
                // Empty lines stay empty, unless code follows on them.
                let is_last = number + 1 == self.lines.len();
                if !line.is_verbatim
                    && !line.indents_itself(found, base)
                    && (!line.parts.is_empty() || (is_last && has_code_after))
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

    fn put(&self, part: &TemplatePart, text: &str, found: &NodeMatch<'_, Doc>, to: &str, out: &mut String) {
        let env = found.get_env();
        match part {
            TemplatePart::Text(text) => out.push_str(text),
            TemplatePart::One(name) => {
                if let Some(node) = env.get_match(name) {
                    put_code(text, node.range(), std::slice::from_ref(node), to, out);
                }
            }
            TemplatePart::Many(name) => {
                let nodes = env.get_multiple_matches(name);
                if let (Some(first), Some(last)) = (nodes.first(), nodes.last()) {
                    put_code(text, first.range().start..last.range().end, &nodes, to, out);
                }
            }
            TemplatePart::Transformed(name) => {
                let Some(bytes) = env.get_transformed(name) else { return };
                let made = String::from_utf8_lossy(bytes);
                // ast-grep has removed the code's indentation by spaces, but not by tabs.
                let base = indentation_at(text, found.range().start);
                if base.contains('\t') && to == base && made.contains(&format!("\n{base}")) {
                    // It already has the indentation of its place.
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

/// Writes code of the text with another indentation. Lines that begin inside strings are not changed.
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

/// The ranges of multi-line strings in a node.
fn strings<'a>(node: &'a Node<'_, Doc>) -> impl Iterator<Item = Range<usize>> + 'a {
    let is_string =
        |node: &Node<'_, Doc>| STRINGS.contains(&&*node.kind()) && node.start_pos().line() < node.end_pos().line();
    node.dfs().filter(is_string).map(|node| node.range())
}

/// The lines of a template, from 0, that begin inside strings.
fn lines_in_strings(root: &AstGrep<Doc>) -> HashSet<usize> {
    let top = root.root();
    let multiline = top.dfs().filter(|node| STRINGS.contains(&&*node.kind()));
    multiline.flat_map(|node| node.start_pos().line() + 1..=node.end_pos().line()).collect()
}

/// Splits a line like ast-grep does.
fn parts(line: &str, sign: char, transformed: &[String]) -> Vec<TemplatePart> {
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
            parts.push(TemplatePart::Text(std::mem::take(&mut text)));
        }
        let owned = name.to_owned();
        parts.push(match signs {
            3 => TemplatePart::Many(owned),
            _ if transformed.contains(&owned) => TemplatePart::Transformed(owned),
            _ => TemplatePart::One(owned),
        });
        rest = &after[name.len()..];
    }
    text.push_str(rest);
    if !text.is_empty() {
        parts.push(TemplatePart::Text(text));
    }
    parts
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::edits::Edits;
    use super::super::search::{Search, SyntaxFaults};
    use super::*;

    /// The text with its first match rewritten.
    fn rewritten(grammar: Grammar, pattern: &str, rewrite: &str, text: &str) -> String {
        let found = Search::new(grammar, pattern, Some(rewrite)).unwrap().matches(text);
        Edits::choose(vec![vec![found[0].edit.clone().unwrap()]]).apply(text).unwrap()
    }

    #[test]
    fn template_parts_match_ast_grep() {
        let one = |name: &str| TemplatePart::One(name.to_owned());
        let text = |text: &str| TemplatePart::Text(text.to_owned());
        assert_eq!(
            parts("f($A, $$$B)$", '$', &[]),
            [text("f("), one("A"), text(", "), TemplatePart::Many("B".into()), text(")$")]
        );
        assert_eq!(parts("$5 $a $$A$_B1x", '$', &[]), [text("$5 $a "), one("A"), one("_B1"), text("x")]);
        assert_eq!(parts("$A", '$', &["A".to_owned()]), [TemplatePart::Transformed("A".to_owned())]);
    }

    #[test]
    fn template_ignores_its_carriage_returns_and_keeps_empty_lines() {
        let made = rewritten(Grammar::Python, "a($X)", "if $X:\r\n    b()\r\n\r\n    c()", "def f():\n\ta(1)\n\td()\n");
        assert_eq!(made, "def f():\n\tif 1:\n\t\tb()\n\n\t\tc()\n\td()\n");
    }

    #[test]
    fn template_strings_keep_their_lines() {
        let made = rewritten(Grammar::Python, "a($X)", "b($X, '''\n  x\n''')", "def f():\n\ta(1)\n");
        assert_eq!(made, "def f():\n\tb(1, '''\n  x\n''')\n");
    }

    /// Nested blocks with calls and multi-line strings.
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

    /// The lines of a block, indented by their depths. Continuation lines are printed as they are.
    fn print(block: &[(usize, String)], step: &str, line_end: &str) -> String {
        let line = |(depth, line): &(usize, String)| format!("{}{line}{line_end}", step.repeat(*depth));
        block.iter().map(line).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// A block that moves to another depth looks as if it had been written there, apart from lines inside brackets,
        /// which move along, and those of strings, which do not. The text parses as well as before.
        #[test]
        fn template_moves_blocks_to_another_depth(
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
            // Lines inside brackets move along as far as their indentation allows.
            let plain = |text: &str| text.lines().map(|line| if line.trim() == "2)" { "2)" } else { line }).collect::<Vec<_>>().join("\n");
            prop_assert_eq!(plain(&made), plain(&expected), "{}", text);
            let [was, is] = [&text, &made].map(|text| SyntaxFaults::of(Grammar::Python, text));
            prop_assert!(was.count == 0 && !is.is_worse_than(&was), "{}", made);
        }
    }
}
