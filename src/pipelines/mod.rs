//! Pipeline files and the folders that runs may work in.
//!
//! `file` parses one TOML file, `folder` reads all files of the folder, `watch` notices changes of it, and [`Catalog`]
//! holds the current pipelines for the rest of the server. [`Projects`] decides which paths a run may use. Nothing here
//! starts a run. Built-in pipelines are passed to [`Catalog::open`] from above.

pub mod catalog;
mod concurrency;
mod condition;
mod extension;
mod file;
#[cfg(test)]
mod file_fault_tests;
mod fixed_values;
mod folder;
mod hook;
mod labels;
mod limits;
mod notify;
mod params;
mod phase;
pub mod project;
mod refusal;
mod retention;
mod schedule;
#[cfg(test)]
mod schedule_tests;
mod secret_variables;
mod secrets;
#[cfg(test)]
mod test_pipelines;
mod unknown_key;
mod watch;

pub use catalog::{Catalog, CatalogError};
pub use folder::Snapshot;
pub use project::{PathRefusal, Projects, ProjectsError, check_params};
