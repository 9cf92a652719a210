//! What is read, one noun a file: SQL, values, and how a row is read. Functions that return a [`Query`] are one
//! statement; those that take a [`ReadSnapshot`] are several, and see one state of the database.
//!
//! Reads leave deleted runs out (`deleted_at IS NULL`): a new one must do so too.
//!
//! [`Query`]: super::statement::Query
//! [`ReadSnapshot`]: super::transaction::ReadSnapshot

pub mod access;
pub mod attempts;
pub mod audit;
pub mod frames;
pub mod handover;
pub mod hook_deliveries;
pub mod outbox;
pub mod queue;
pub mod retention;
pub mod reviews;
pub mod run_list;
pub mod runs;
pub mod schedules;

/// A pattern for `LIKE … ESCAPE '\'`: texts that contain this one.
fn containing(text: &str) -> String {
    let literal = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{literal}%")
}
