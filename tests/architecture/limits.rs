//! Sizes that keep files and functions readable, and constants that are the same in tests and in the program.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::assert_none;
use crate::exceptions::{Exceptions, LONG_FILES, LONG_FUNCTIONS, TEST_SWITCHES};
use crate::source::{everything, program};

const MAX_FILE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 80;
const MAX_COMMENT_COLUMNS: usize = 120;

#[test]
fn files_have_at_most_400_lines() {
    let exceptions = Exceptions::new(LONG_FILES);
    let mut violations = Vec::new();
    for file in &everything() {
        let lines = file.text.lines().count();
        if lines > MAX_FILE_LINES && !exceptions.allow(&file.path) {
            violations.push(format!("{} has {lines} lines", file.path));
        }
    }
    exceptions.assert_all_needed();
    assert_none("A file has at most 400 lines; split it by subject:", &violations);
}

#[test]
fn functions_have_at_most_80_lines() {
    struct Functions<'a> {
        path: &'a str,
        exceptions: &'a Exceptions,
        violations: Vec<String>,
    }
    impl Functions<'_> {
        fn check(&mut self, name: &syn::Ident, whole: proc_macro2::Span) {
            let lines = whole.end().line - whole.start().line + 1;
            if lines > MAX_FUNCTION_LINES && !self.exceptions.allow(&format!("{}: {name}", self.path)) {
                self.violations.push(format!("{}:{} `{name}` has {lines} lines", self.path, whole.start().line));
            }
        }
    }
    impl<'ast> Visit<'ast> for Functions<'_> {
        fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
            self.check(&item.sig.ident, item.sig.span().join(item.block.span()).unwrap_or(item.block.span()));
            visit::visit_item_fn(self, item);
        }
        fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
            self.check(&item.sig.ident, item.sig.span().join(item.block.span()).unwrap_or(item.block.span()));
            visit::visit_impl_item_fn(self, item);
        }
    }
    let exceptions = Exceptions::new(LONG_FUNCTIONS);
    let mut violations = Vec::new();
    for file in &everything() {
        let mut functions = Functions { path: &file.path, exceptions: &exceptions, violations: Vec::new() };
        functions.visit_file(&file.syntax);
        violations.append(&mut functions.violations);
    }
    exceptions.assert_all_needed();
    assert_none("A function has at most 80 lines; give its steps names:", &violations);
}

#[test]
fn comments_fit_in_120_columns() {
    let mut violations = Vec::new();
    for file in &everything() {
        for (index, line) in file.text.lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            if is_comment && line.chars().count() > MAX_COMMENT_COLUMNS {
                violations.push(format!("{}:{} has {} columns", file.path, index + 1, line.chars().count()));
            }
        }
    }
    assert_none("A comment line has at most 120 columns:", &violations);
}

#[test]
fn constants_are_the_same_in_tests() {
    let exceptions = Exceptions::new(TEST_SWITCHES);
    let mut violations = Vec::new();
    for file in program().iter().filter(|file| !file.is_test()) {
        for line in test_switches(file.syntax.to_token_stream()) {
            if !exceptions.allow(&file.path) {
                violations.push(format!("{}:{line}", file.path));
            }
        }
    }
    exceptions.assert_all_needed();
    assert_none("Production code does not depend on cfg!(test) or cfg(not(test)); pass sizes in:", &violations);
}

/// Lines with `cfg!(test)` or `cfg(not(test))`.
fn test_switches(tokens: TokenStream) -> Vec<usize> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut lines = Vec::new();
    for (at, tree) in tokens.iter().enumerate() {
        if let TokenTree::Ident(name) = tree
            && (name == "cfg" || name == "cfg_attr")
        {
            let is_macro = matches!(tokens.get(at + 1), Some(TokenTree::Punct(punct)) if punct.as_char() == '!');
            if let Some(TokenTree::Group(group)) = tokens.get(at + 1 + usize::from(is_macro)) {
                let condition = group.stream().to_string();
                if condition.contains("not (test)") || (is_macro && condition == "test") {
                    lines.push(name.span().start().line);
                }
            }
        }
        if let TokenTree::Group(group) = tree {
            lines.extend(test_switches(group.stream()));
        }
    }
    lines
}
