//! The source files of the program, read and parsed.

use std::path::{Path, PathBuf};

/// A Rust file of the repository.
pub struct SourceFile {
    /// Relative to the repository, with `/`.
    pub path: String,
    pub text: String,
    pub syntax: syn::File,
}

/// Files below `src`.
pub fn program() -> Vec<SourceFile> {
    read_all(&["src"])
}

/// Files below `src`, `tests`, `benches` and `fuzz`.
pub fn everything() -> Vec<SourceFile> {
    read_all(&["src", "tests", "benches", "fuzz"])
}

impl SourceFile {
    /// The top-level module: `store` for `src/store/row.rs`, `main` for `src/main.rs`.
    pub fn folder(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let first = inside.split('/').next().unwrap_or(inside);
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Whether the whole file is compiled for tests only, by the names that this repository gives such files.
    pub fn is_test(&self) -> bool {
        !self.path.starts_with("src/")
            || self.path.ends_with("_tests.rs")
            || self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
            || self.path.contains("/interleavings/")
    }
}

/// A file of the repository as text.
pub fn read(path: &str) -> String {
    let whole = root().join(path);
    std::fs::read_to_string(&whole).unwrap_or_else(|error| panic!("{}: {error}", whole.display()))
}

/// The constant items of an enum in the program's source: its variants' names.
pub fn variants(name: &str) -> Vec<String> {
    let files = program();
    let mut found = files.iter().flat_map(|file| &file.syntax.items).filter_map(|item| match item {
        syn::Item::Enum(item) if item.ident == name => Some(item),
        _ => None,
    });
    let item = found.next().unwrap_or_else(|| panic!("no enum {name} in src"));
    assert!(found.next().is_none(), "two enums are named {name}");
    item.variants.iter().map(|variant| variant.ident.to_string()).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read_all(folders: &[&str]) -> Vec<SourceFile> {
    let mut paths = Vec::new();
    for folder in folders {
        collect(&root().join(folder), &mut paths);
    }
    paths.sort();
    paths.iter().map(|path| parse(path)).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            // Build results and installed packages.
            if !["target", "node_modules", "corpus", "artifacts"].contains(&name.as_str()) {
                collect(&path, paths);
            }
        } else if name.ends_with(".rs") {
            paths.push(path);
        }
    }
}

fn parse(path: &Path) -> SourceFile {
    let text = std::fs::read_to_string(path).unwrap();
    let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let path = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
    SourceFile { path, text, syntax }
}
