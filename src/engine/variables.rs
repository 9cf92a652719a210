//! The variables that the engine sets for a phase's command (docs/CONTRACT.md, "Pipelines in TOML").

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;

use super::prepared_attempt::PreparedAttempt;
use crate::model::Run;

/// git looks for no repository in these folders and above.
const GIT_CEILING_DIRECTORIES: &str = "GIT_CEILING_DIRECTORIES";

/// The variables that say which run, attempt and phase a command belongs to, and the run's parameters.
pub(super) fn phase_variables(
    run: &Run,
    phase: &str,
    prepared: &PreparedAttempt,
    program: &Path,
) -> HashMap<String, OsString> {
    let ceiling = prepared.work_folder.git_ceiling().map(|folder| {
        let mut folders = folder.as_os_str().to_owned();
        if let Some(others) = std::env::var_os(GIT_CEILING_DIRECTORIES) {
            folders.push(":");
            folders.push(others);
        }
        (GIT_CEILING_DIRECTORIES.to_owned(), folders)
    });
    let params =
        run.params.iter().map(|(name, value)| (format!("PARAM_{}", name.to_uppercase()), value.to_string().into()));
    let own = [
        ("RUN_ID", run.id.as_str().into()),
        ("ATTEMPT", run.attempt.to_string().into()),
        ("PHASE", phase.into()),
        ("WORKSPACE", prepared.workspace.path().into()),
        ("PROGRAM", program.into()),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value));
    params.chain(own).map(|(name, value)| (format!("RUNTRAIL_{name}"), value)).chain(ceiling).collect()
}
