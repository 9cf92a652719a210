//! Pipelines as the operator writes them: TOML files in a folder, and the folders that their runs may work in.
//!
//! `file` reads one file, `folder` all of a folder, `watch` says when to read it again, and `catalog` is what the
//! rest of the server holds. `project` decides which paths a run may be given. Knows [`crate::model`] and the file
//! system; never starts anything.

pub mod catalog;
mod concurrency;
mod condition;
mod file;
mod folder;
mod hook;
mod limits;
mod notify;
mod phase;
pub mod project;
mod retention;
mod schedule;
#[cfg(test)]
mod schedule_tests;
mod secrets;
mod watch;

pub use catalog::{Catalog, CatalogError};
pub use folder::Snapshot;
pub use project::{PathRefusal, Projects, ProjectsError, check_params};
