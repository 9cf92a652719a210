//! docs/CONTRACT.md and the program name the same routes, frame kinds and problem codes.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;

use crate::imports::is_test_item;
use crate::source::{self, program};

const CONTRACT: &str = "docs/CONTRACT.md";

/// Addresses that are no part of the contract: files of the pages and server functions, which belong to one build.
const INTERNAL: [&str; 4] = ["/pkg/", "/favicon", "/fn/", "/login.js"];

#[test]
fn contract_lists_every_route() {
    assert_same("routes", &routes_of_contract(), &routes_of_program());
}

#[test]
fn contract_lists_every_frame_kind() {
    let kinds = source::variants("FramePayload").into_iter().filter(|kind| kind != "Other").map(|kind| snake(&kind));
    let text = section("## Frames");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let listed = rows.flat_map(|row| quoted(row.split('|').nth(1).unwrap_or_default())).collect();
    assert_same("frame kinds", &listed, &kinds.collect());
}

#[test]
fn contract_lists_every_problem_code() {
    // `unreachable` is what a browser says of a server that it cannot reach; no response has it.
    let codes =
        source::variants("ProblemCode").into_iter().map(|code| snake(&code)).filter(|code| code != "unreachable");
    let text = section("### Problem codes");
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let listed = rows.flat_map(|row| quoted(row.split('|').nth(2).unwrap_or_default())).collect();
    assert_same("problem codes", &listed, &codes.collect());
}

fn assert_same(what: &str, contract: &BTreeSet<String>, program: &BTreeSet<String>) {
    let missing: Vec<_> = program.difference(contract).collect();
    let extra: Vec<_> = contract.difference(program).collect();
    assert!(missing.is_empty(), "{CONTRACT} lacks these {what} of the program: {missing:?}");
    assert!(extra.is_empty(), "{CONTRACT} lists {what} that the program does not have: {extra:?}");
    assert!(!program.is_empty(), "no {what} were found in the source");
}

/// The part of the contract from a heading to the next one of the same or a higher level.
fn section(heading: &str) -> String {
    let text = source::read(CONTRACT);
    let level = heading.chars().take_while(|c| *c == '#').count();
    let mut lines = text.lines().skip_while(|line| *line != heading);
    let first = lines.next().unwrap_or_else(|| panic!("{CONTRACT} has no heading {heading:?}"));
    let rest = lines.take_while(|line| {
        let marks = line.chars().take_while(|c| *c == '#').count();
        marks == 0 || marks > level
    });
    std::iter::once(first).chain(rest).collect::<Vec<_>>().join("\n")
}

/// Texts in backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn snake(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(c.to_lowercase());
    }
    text
}

/// `METHOD /path` in the contract's tables, without query strings and bodies. A page is a `GET`.
fn routes_of_contract() -> BTreeSet<String> {
    let text = source::read(CONTRACT);
    let mut routes = BTreeSet::new();
    for quote in text.lines().filter(|line| line.starts_with("| `")).flat_map(|row| {
        // Only the first column: others mention routes in passing.
        quoted(row.split(" |").next().unwrap_or_default())
    }) {
        let (method, path) = match quote.split_once(' ') {
            Some((method @ ("GET" | "POST" | "DELETE"), path)) => (method.to_owned(), path.to_owned()),
            _ if quote.starts_with('/') => ("GET".to_owned(), quote),
            _ => continue,
        };
        let path = path.split(['?', '#', ' ']).next().unwrap_or_default();
        routes.insert(format!("{method} {}", unnamed(path)));
    }
    routes
}

/// Routes that layers around the router answer; each path is a literal of `src/http`.
const LAYERS: [&str; 4] = ["GET /login", "POST /login", "POST /logout", "GET /.well-known/security.txt"];

/// The routes of the router, of the layers around it, and of the pages.
fn routes_of_program() -> BTreeSet<String> {
    let mut routes = BTreeSet::new();
    for file in program().iter().filter(|file| file.path.starts_with("src/http/") && !file.is_test()) {
        for item in file.syntax.items.iter().filter(|item| !is_test_item(item)) {
            collect_routes(item.to_token_stream(), &mut routes);
        }
    }
    for file in program().iter().filter(|file| file.path.starts_with("src/ui/")) {
        for path in page_paths(file.syntax.to_token_stream()) {
            routes.insert(format!("GET {}", unnamed(&path)));
        }
    }
    for route in LAYERS {
        let literal = format!("\"{}\"", route.split(' ').nth(1).unwrap_or_default());
        let is_served = program().iter().any(|file| file.folder() == "http" && file.text.contains(&literal));
        assert!(is_served, "src/http does not name {literal}: remove it from tests/architecture/contract.rs");
        routes.insert(route.to_owned());
    }
    routes.retain(|route| !INTERNAL.iter().any(|prefix| route.contains(prefix)));
    routes
}

/// Calls such as `.route("/runs/{id}", get(show).delete(remove))`. Those below the API's prefix are in a function named
/// `api`.
fn collect_routes(tokens: TokenStream, routes: &mut BTreeSet<String>) {
    fn visit(tokens: TokenStream, is_api: bool, routes: &mut BTreeSet<String>) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut is_api = is_api;
        for (at, tree) in tokens.iter().enumerate() {
            match (tree, tokens.get(at + 1)) {
                (TokenTree::Ident(name), Some(TokenTree::Ident(function))) if name == "fn" => {
                    is_api = function.to_string().starts_with("api");
                }
                (TokenTree::Ident(name), Some(TokenTree::Group(arguments))) if name == "route" => {
                    add_route(arguments.stream(), is_api, routes);
                }
                _ => {}
            }
            if let TokenTree::Group(group) = tree {
                visit(group.stream(), is_api, routes);
            }
        }
    }
    visit(tokens, false, routes);
}

fn add_route(arguments: TokenStream, is_api: bool, routes: &mut BTreeSet<String>) {
    let arguments: Vec<TokenTree> = arguments.into_iter().collect();
    let Some(TokenTree::Literal(path)) = arguments.first() else { return };
    let path = path.to_string();
    let path = path.trim_matches('"');
    let prefix = if is_api { "/api/v1" } else { "" };
    for tree in &arguments {
        if let TokenTree::Ident(method) = tree
            && ["get", "post", "delete"].contains(&method.to_string().as_str())
        {
            routes.insert(format!("{} {prefix}{}", method.to_string().to_uppercase(), unnamed(path)));
        }
    }
}

/// The paths of `<Route path=(StaticSegment("runs"), ParamSegment("id")) …>`.
fn page_paths(tokens: TokenStream) -> Vec<String> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is = |at: usize, name: &str| matches!(tokens.get(at), Some(TokenTree::Ident(ident)) if ident == name);
    let mut paths = Vec::new();
    for (at, tree) in tokens.iter().enumerate() {
        if is(at, "Route") && is(at + 1, "path") {
            let value =
                tokens[at + 3..].iter().take_while(|tree| !matches!(tree, TokenTree::Ident(name) if name == "view"));
            paths.push(format!("/{}", segments(value.cloned().collect()).join("/")));
        }
        if let TokenTree::Group(group) = tree {
            paths.extend(page_paths(group.stream()));
        }
    }
    paths
}

fn segments(tokens: TokenStream) -> Vec<String> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut segments = Vec::new();
    for (at, tree) in tokens.iter().enumerate() {
        match (tree, tokens.get(at + 1)) {
            (TokenTree::Ident(name), Some(TokenTree::Group(value))) if name == "StaticSegment" => {
                segments.push(value.stream().to_string().trim_matches('"').to_owned());
            }
            (TokenTree::Ident(name), Some(TokenTree::Group(_))) if name == "ParamSegment" => {
                segments.push("{}".to_owned())
            }
            (TokenTree::Group(group), _) => segments.extend(self::segments(group.stream())),
            _ => {}
        }
    }
    segments
}

/// A path with each part that varies as `{}`, whatever its name.
fn unnamed(path: &str) -> String {
    let path = if path.is_empty() { "/" } else { path };
    let parts = path.split('/').map(|part| if part.starts_with(['{', ':']) { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}
