//! The checks that AutoFix may run. Unless the operator allows any command, a run selects one of those that they have
//! named.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::shell_export::export_json;
use crate::model::{NamedCheck, Param, ParamKind};

/// The variable with the named checks as JSON.
const VARIABLE: &str = "RUNTRAIL_CHECKS";

/// The checks of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    pub named: Vec<NamedCheck>,
    /// Whether a run may specify any command instead.
    pub allows_any_command: bool,
}

/// Why a file of checks cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ChecksError {
    #[error("the file of checks {} cannot be read: {source}", .path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the file of checks {}: {reason}", .path.display())]
    Invalid { path: PathBuf, reason: String },
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
}

/// The checks in a file.
///
/// # Errors
/// [`ChecksError`].
#[allow(clippy::disallowed_methods, reason = "the operator's own file, named on the command line")]
pub fn read(path: &Path) -> Result<Vec<NamedCheck>, ChecksError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RawChecks {
        #[serde(default)]
        checks: Vec<NamedCheck>,
    }
    let text =
        std::fs::read_to_string(path).map_err(|source| ChecksError::Unreadable { path: path.to_owned(), source })?;
    let invalid = |reason| ChecksError::Invalid { path: path.to_owned(), reason };
    let RawChecks { checks } = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
    for (index, check) in checks.iter().enumerate() {
        if !is_name(&check.name) {
            return Err(invalid(format!("`{}` is no name: it is made of a to z, 0 to 9, `-` and `_`", check.name)));
        }
        if check.run.trim().is_empty() || check.run.contains('\0') {
            return Err(invalid(format!("the check `{}` has no command: `run` is blank", check.name)));
        }
        if checks[..index].iter().any(|other| other.name == check.name) {
            return Err(invalid(format!("the check `{}` is there twice", check.name)));
        }
    }
    Ok(checks)
}

impl Checks {
    /// These checks and those of a pipeline, which take precedence over server checks of the same name.
    #[must_use]
    pub fn with(&self, pipeline: &[NamedCheck]) -> Self {
        let others = self.named.iter().filter(|check| pipeline.iter().all(|other| other.name != check.name));
        Self { named: pipeline.iter().chain(others).cloned().collect(), ..*self }
    }

    /// The parameter that selects a check.
    pub fn param(&self) -> Param {
        let names: Vec<String> = self.named.iter().map(|check| check.name.clone()).collect();
        let what = "A command that must pass. Patches that break it are dropped.";
        let (kind, choices, help) = match (self.allows_any_command, names.is_empty()) {
            (true, true) => (ParamKind::String, Vec::new(), format!("{what} For example: cargo check")),
            (true, false) => {
                (ParamKind::String, Vec::new(), format!("{what} One of {}, or a command.", names.join(", ")))
            }
            (false, true) => {
                let help = format!(
                    "{what} None is configured: list them in the --checks-file, or allow any command with --free-checks."
                );
                (ParamKind::Choice, names, help)
            }
            (false, false) => (ParamKind::Choice, names, what.to_owned()),
        };
        Param {
            name: "check".to_owned(),
            title: "Check".to_owned(),
            help,
            kind,
            required: false,
            default: None,
            choices,
        }
    }

    /// The shell command that passes the named checks to a phase; empty without any.
    pub fn export_line(&self) -> String {
        if self.named.is_empty() { String::new() } else { export_json(VARIABLE, &self.named) }
    }
}

/// The command of a check: that of the named check, or the text itself. The parameter only accepts a text where any
/// command is allowed.
pub fn command_of(param: String) -> String {
    let named = std::env::var(VARIABLE).ok().and_then(|json| serde_json::from_str::<Vec<NamedCheck>>(&json).ok());
    named.into_iter().flatten().find(|check| check.name == param).map_or(param, |check| check.run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_file_names_commands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checks.toml");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path).map_err(|error| error.to_string())
        };
        let check = |name: &str, run: &str| NamedCheck { name: name.into(), run: run.into() };
        assert_eq!(read(""), Ok(Vec::new()));
        assert_eq!(
            read("[[checks]]\nname = 'tests'\nrun = 'cargo test'\n[[checks]]\nname = 'types'\nrun = 'cargo check'\n"),
            Ok(vec![check("tests", "cargo test"), check("types", "cargo check")])
        );
        for (text, word) in [
            ("[[checks]]\nname = 'a b'\nrun = 'x'\n", "is no name"),
            ("[[checks]]\nname = 'a'\nrun = ' '\n", "is blank"),
            ("[[checks]]\nname = 'a'\n", "missing field"),
            ("[[checks]]\nname = 'a'\nrun = 'x'\ntimeout = '1h'\n", "unknown field"),
            ("[[checks]]\nname = 'a'\nrun = 'x'\n[[checks]]\nname = 'a'\nrun = 'y'\n", "is there twice"),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(word) && refused.contains("checks.toml"), "{refused}");
        }
    }
}
