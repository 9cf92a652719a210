//! What each top-level folder imports.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;

use crate::exceptions::{Exceptions, IMPORTS};
use crate::source::{SourceFile, program};
use crate::{assert_none, layers};

/// One use of another top-level folder.
struct Import {
    line: usize,
    folder: String,
}

#[test]
fn imports_follow_the_declared_direction() {
    let exceptions = Exceptions::new(IMPORTS);
    let mut violations = Vec::new();
    for file in program().iter().filter(|file| !file.is_test()) {
        let Some(allowed) = layers::may_import(file.folder()) else {
            violations.push(format!("{}: the folder is not in tests/architecture/layers.rs", file.path));
            continue;
        };
        for import in imports(file) {
            let is_allowed = import.folder == file.folder() || allowed.contains(&import.folder.as_str());
            if !is_allowed && !exceptions.allow(&format!("{}: {}", file.path, import.folder)) {
                let (path, line, to) = (&file.path, import.line, &import.folder);
                violations.push(format!(
                    "{path}:{line} imports {to}; {} may import {}",
                    file.folder(),
                    allowed.join(", ")
                ));
            }
        }
    }
    exceptions.assert_all_needed();
    assert_none("Folders import only those below them (tests/architecture/layers.rs):", &violations);
}

#[test]
fn declared_directions_have_no_cycle() {
    fn visit<'a>(folder: &'a str, path: &mut Vec<&'a str>, done: &mut BTreeSet<&'a str>) {
        assert!(!path.contains(&folder), "layers.rs has a cycle: {} → {folder}", path.join(" → "));
        if done.contains(folder) {
            return;
        }
        path.push(folder);
        for next in layers::may_import(folder).unwrap_or_else(|| panic!("{folder} is not in layers.rs")) {
            visit(next, path, done);
        }
        path.pop();
        done.insert(folder);
    }
    let mut done = BTreeSet::new();
    for (folder, _) in layers::LAYERS {
        visit(folder, &mut Vec::new(), &mut done);
    }
}

#[test]
fn declared_folders_exist() {
    let files = program();
    let folders: BTreeSet<&str> = files.iter().map(SourceFile::folder).collect();
    let declared: BTreeSet<&str> = layers::LAYERS.iter().map(|(folder, _)| *folder).collect();
    assert_eq!(folders, declared, "folders of src, and those of tests/architecture/layers.rs");
}

#[test]
fn libraries_stay_in_their_folders() {
    let mut violations = Vec::new();
    for file in &program() {
        let names = outside_names(file.syntax.to_token_stream());
        for (library, folders) in layers::LIBRARIES {
            if let Some(line) = names.get(*library)
                && !folders.contains(&file.folder())
            {
                violations.push(format!("{}:{line} names {library}; only {} may", file.path, folders.join(", ")));
            }
        }
    }
    assert_none("Some libraries are known to one folder only:", &violations);
}

/// The other top-level folders that the code of a file names, outside of its tests.
fn imports(file: &SourceFile) -> Vec<Import> {
    let mut found = Vec::new();
    // How many modules deep the file is below `src`: `super` leads up one of them.
    let inside = file.path.strip_prefix("src/").unwrap_or(&file.path);
    let is_module_file = inside.ends_with("/mod.rs") || inside == "main.rs" || inside == "lib.rs";
    let depth = inside.matches('/').count() + usize::from(!is_module_file);
    for item in &file.syntax.items {
        if !is_test_item(item) {
            walk(item.to_token_stream(), depth, &mut found);
        }
    }
    found
}

/// Whether an item is compiled for tests only.
pub fn is_test_item(item: &syn::Item) -> bool {
    let attrs = match item {
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => return false,
    };
    attrs.iter().any(|attr| attr.to_token_stream().to_string().contains("cfg (test)"))
}

/// Finds `crate::name`, `crate::{name, …}` and chains of `super` that lead to the root, in macros too.
fn walk(tokens: TokenStream, depth: usize, found: &mut Vec<Import>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => {
                walk(group.stream(), depth, found);
                at += 1;
            }
            TokenTree::Ident(ident) if *ident == "crate" || *ident == "super" => {
                let mut ups = usize::from(*ident == "super");
                let is_crate = *ident == "crate";
                at += 1;
                while is_path(&tokens, at)
                    && matches!(tokens.get(at + 2), Some(TokenTree::Ident(next)) if *next == "super")
                {
                    ups += 1;
                    at += 3;
                }
                // Modules inside of a file make this one too many at worst, so a root is never missed.
                if (is_crate || ups >= depth) && is_path(&tokens, at) {
                    root_names(tokens.get(at + 2), found);
                }
            }
            _ => at += 1,
        }
    }
}

fn is_path(tokens: &[TokenTree], at: usize) -> bool {
    let colon = |tree: Option<&TokenTree>| matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    colon(tokens.get(at)) && colon(tokens.get(at + 1))
}

/// The name, or the first names of a braced list.
fn root_names(tree: Option<&TokenTree>, found: &mut Vec<Import>) {
    match tree {
        Some(TokenTree::Ident(name)) => {
            found.push(Import { line: name.span().start().line, folder: name.to_string() });
        }
        Some(TokenTree::Group(group)) => {
            let mut is_first = true;
            for tree in group.stream() {
                match tree {
                    TokenTree::Punct(punct) if punct.as_char() == ',' => is_first = true,
                    TokenTree::Ident(name) if is_first => {
                        found.push(Import { line: name.span().start().line, folder: name.to_string() });
                        is_first = false;
                    }
                    _ => is_first = false,
                }
            }
        }
        _ => {}
    }
}

/// Names that begin a path, each with the first line that has it.
fn outside_names(tokens: TokenStream) -> BTreeMap<String, usize> {
    fn visit(tokens: TokenStream, names: &mut BTreeMap<String, usize>) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (at, tree) in tokens.iter().enumerate() {
            match tree {
                TokenTree::Group(group) => visit(group.stream(), names),
                TokenTree::Ident(name) if is_path(&tokens, at + 1) && !(at >= 2 && is_path(&tokens, at - 2)) => {
                    names.entry(name.to_string()).or_insert(name.span().start().line);
                }
                _ => {}
            }
        }
    }
    let mut names = BTreeMap::new();
    visit(tokens, &mut names);
    names
}
