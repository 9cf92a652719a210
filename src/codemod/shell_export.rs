//! Passes data to a phase through the shell.

use serde::Serialize;

/// A shell command that sets a variable to this value as JSON. The value must not contain maps with keys that are not
/// text.
pub fn export_json(variable: &str, value: &(impl Serialize + ?Sized)) -> String {
    // Single quotes protect everything but a single quote.
    let json = serde_json::to_string(value).unwrap_or_default().replace('\'', "'\\''");
    format!("export {variable}='{json}'\n")
}
