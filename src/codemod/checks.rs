//! Checks of AutoFix by name: what may be run is what the operator wrote into a file, unless they allow anything.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::model::{Param, ParamKind};

/// The variable that tells the phases of named checks.
const VARIABLE: &str = "RUNTRAIL_CHECKS";

/// A check with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedCheck {
    /// What a run chooses it by.
    pub name: String,
    /// Given to `sh -c` in the project's folder of the checkout; fails on bad code.
    pub run: String,
}

/// The checks that every AutoFix pipeline may choose from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// Those with a name.
    pub named: Vec<NamedCheck>,
    /// Whether a run may give any command instead.
    pub free: bool,
}

/// Why the file of checks cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ChecksError {
    /// It cannot be read.
    #[error("the file of checks {} cannot be read: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is not as it should be.
    #[error("the file of checks {}: {reason}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

static CHECKS: OnceLock<Checks> = OnceLock::new();

/// Sets the checks of this server. Once, when it starts.
pub fn set(checks: Checks) {
    // A second time nothing changes: pipelines have been made of the first.
    let _ = CHECKS.set(checks);
}

fn current() -> &'static Checks {
    static ANYTHING: Checks = Checks { named: Vec::new(), free: true };
    CHECKS.get().unwrap_or(&ANYTHING)
}

/// A name that a check may have.
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
}

/// The checks of a file.
///
/// # Errors
/// [`ChecksError`].
#[allow(clippy::disallowed_methods, reason = "the operator's own file, named on the command line")]
pub fn read(path: &Path) -> Result<Vec<NamedCheck>, ChecksError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Content {
        #[serde(default)]
        checks: Vec<NamedCheck>,
    }
    let text = std::fs::read_to_string(path).map_err(|source| ChecksError::File { path: path.to_owned(), source })?;
    let fault = |reason| ChecksError::Content { path: path.to_owned(), reason };
    let Content { checks } = toml::from_str(&text).map_err(|error| fault(error.to_string()))?;
    for (place, check) in checks.iter().enumerate() {
        if !is_name(&check.name) {
            return Err(fault(format!("`{}` is no name: it is made of a to z, 0 to 9, `-` and `_`", check.name)));
        }
        if check.run.trim().is_empty() || check.run.contains('\0') {
            return Err(fault(format!("the check `{}` has no command: `run` is blank", check.name)));
        }
        if checks[..place].iter().any(|other| other.name == check.name) {
            return Err(fault(format!("the check `{}` is there twice", check.name)));
        }
    }
    Ok(checks)
}

/// The server's checks and these of a pipeline's own, which go before one of the same name.
fn all(own: &[NamedCheck]) -> Vec<NamedCheck> {
    let others = current().named.iter().filter(|check| own.iter().all(|other| other.name != check.name));
    own.iter().chain(others).cloned().collect()
}

/// The parameter that chooses a check.
pub fn param(own: &[NamedCheck]) -> Param {
    let named = all(own);
    let names: Vec<String> = named.into_iter().map(|check| check.name).collect();
    let what = "A command that must pass. Patches that break it are dropped.";
    let (kind, choices, help) = match (current().free, names.is_empty()) {
        (true, true) => (ParamKind::String, Vec::new(), format!("{what} For example: cargo check")),
        (true, false) => (ParamKind::String, Vec::new(), format!("{what} One of {}, or a command.", names.join(", "))),
        (false, true) => {
            let help = format!(
                "{what} None is configured: list them in the --checks-file, or allow any command with --free-checks."
            );
            (ParamKind::Choice, names, help)
        }
        (false, false) => (ParamKind::Choice, names, what.to_owned()),
    };
    Param { name: "check".to_owned(), title: "Check".to_owned(), help, kind, required: false, default: None, choices }
}

/// The beginning of a phase's command that tells of the checks; empty if there are none.
pub fn given(own: &[NamedCheck]) -> String {
    let named = all(own);
    if named.is_empty() {
        return String::new();
    }
    // Text always is JSON. In single quotes a shell leaves all but a single quote alone.
    let json = serde_json::to_string(&named).unwrap_or_default().replace('\'', "'\\''");
    format!("export {VARIABLE}='{json}'\n")
}

/// The command of the check that a run asks for: that of the name, or the text itself, which only gets here where any is allowed.
pub fn command(asked: String) -> String {
    let named = std::env::var(VARIABLE).ok().and_then(|json| serde_json::from_str::<Vec<NamedCheck>>(&json).ok());
    named.into_iter().flatten().find(|check| check.name == asked).map_or(asked, |check| check.run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_commands() {
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
