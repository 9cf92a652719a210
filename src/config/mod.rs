//! The flags of `runtrail serve`, each also an environment variable (docs/CONTRACT.md, "The program"), and where its
//! data is.

mod data;
mod serve;

pub use data::{DATABASE_FILE, DataArgs, DatabaseLocation, DatabaseUrlError, NoDataDir, data_dir_or_default};
pub use serve::ServeArgs;
