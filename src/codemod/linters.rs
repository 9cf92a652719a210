//! Linters that a pipeline file adds to AutoFix. Phases receive them in an environment variable.

use std::time::Duration;

use super::sarif::SarifError;
use super::shell_export::export_json;
use crate::model::Linter;

/// The variable with the linters as JSON.
const VARIABLE: &str = "RUNTRAIL_LINTERS";

/// The largest report. It is read into memory as a whole.
pub const MAX_REPORT_BYTES: usize = 256 << 20;

/// Why linters cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LinterError {
    #[error("{VARIABLE} cannot be read: {0}")]
    Variable(#[from] serde_json::Error),
    #[error("the linter {0} took longer than {1:?}")]
    TimedOut(String, Duration),
    #[error("the linter {0} printed more than {limit} MiB and was ended; have it look at fewer files, or report less", limit = MAX_REPORT_BYTES >> 20)]
    TooMuchOutput(String),
    #[error("the linter {name} ({how}): {error}")]
    Report {
        name: String,
        /// How it exited.
        how: String,
        error: SarifError,
    },
}

/// The shell command that passes the linters to a phase; empty without linters.
pub fn export_line(linters: &[Linter]) -> String {
    if linters.is_empty() { String::new() } else { export_json(VARIABLE, linters) }
}

/// The linters that this phase received.
///
/// # Errors
/// [`LinterError::Variable`].
pub fn from_env() -> Result<Vec<Linter>, LinterError> {
    match std::env::var(VARIABLE) {
        Ok(json) => Ok(serde_json::from_str(&json)?),
        Err(_) => Ok(Vec::new()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::kinds::FixSafety;

    #[test]
    fn linters_survive_the_shell_unchanged() {
        let linter =
            |run: &str| Linter { name: "x".into(), run: run.into(), timeout_ms: Some(5), fixes: FixSafety::Review };
        for run in ["true", "echo 'a b' | sed \"s/'/x/\"", "printf '\\n\\\\' $HOME `id`\nnext \"$(x)\"", "'", "ü''ß"]
        {
            let command = format!("{}printf %s \"${VARIABLE}\"", export_line(&[linter(run)]));
            let json = std::process::Command::new("sh").arg("-c").arg(command).output().unwrap().stdout;
            assert_eq!(serde_json::from_slice::<Vec<Linter>>(&json).unwrap(), [linter(run)]);
        }
    }
}
