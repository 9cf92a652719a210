//! Reads the logs of linters in SARIF 2.1.0: findings and their fixes. Pure.
//!
//! § refers to a section of the specification (docs.oasis-open.org/sarif/sarif/v2.1.0). Many tools deviate from it, so
//! a log is read leniently where its meaning is unambiguous. An edit whose place is ambiguous is dropped.

mod finding;
mod location;
mod log;
mod reader;
mod region;
mod rule;
mod shape;
#[cfg(test)]
mod tests;

pub use finding::{ProjectPaths, SarifFinding};
pub use log::{SarifError, read};
