//! Pipelines: recipes from TOML files, read again when they change, and the folders that runs may work in.
//!
//! Knows the model only: no HTTP, no SQL, no engine.

mod catalog;
mod file;
mod project;

pub use catalog::{Catalog, CatalogError};
pub use file::read_pipeline;
pub use project::{Projects, ProjectsError, check_params};
