//! The rules that ARCHITECTURE.md states, checked against the source. Each failure names a file, a line and the rule.
//!
//! What may import what is in `architecture/layers.rs`; exceptions, with their reasons, are in
//! `architecture/exceptions.rs`.

#![allow(clippy::unwrap_used)]

#[path = "architecture/contract.rs"]
mod contract;
#[path = "architecture/exceptions.rs"]
mod exceptions;
#[path = "architecture/imports.rs"]
mod imports;
#[path = "architecture/layers.rs"]
mod layers;
#[path = "architecture/limits.rs"]
mod limits;
#[path = "architecture/source.rs"]
mod source;

/// Fails with one violation a line, if there are any.
fn assert_none(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}\n  {}\n", violations.join("\n  "));
}
