//! Confines the commands of an attempt by a control group and a sandbox.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::cgroup::AttemptCgroups;
use super::run_as::RunAs;
use super::sandbox::{SandboxAccess, SandboxOptions, probe_sandbox};
use crate::model::kinds::{Failure, Notice};
use crate::model::limits::Limits;
use crate::model::sandbox::Sandbox;

/// What an attempt requests.
#[derive(Clone, Debug)]
pub struct ConfinementRequest {
    /// The name of the attempt's folders.
    pub attempt: OsString,
    /// Limits of memory and processes.
    pub limits: Limits,
    /// Whether its commands run in a sandbox.
    pub sandbox: Sandbox,
    /// What they may access there.
    pub access: SandboxAccess,
}

/// The confinement of an attempt's commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandConfinement {
    /// Their control group, if there is one.
    pub(super) group: Option<PathBuf>,
    /// The program that sets up their sandbox, and its arguments. Empty without a sandbox.
    pub(super) wrap: Vec<OsString>,
}

/// What this system supports.
#[derive(Debug)]
pub struct Confinement {
    groups: Result<AttemptCgroups, String>,
    sandbox: SandboxOptions,
    run_as: Option<RunAs>,
    /// Whether a sandbox has been set up successfully.
    has_worked: Mutex<bool>,
}

impl Default for Confinement {
    fn default() -> Self {
        let sandbox = SandboxOptions { hidden: Vec::new(), program: PathBuf::new() };
        Self::new(Err("nobody has asked for them".to_owned()), sandbox, None)
    }
}

impl Confinement {
    /// The support of a system with these control groups, or the reason why there are none.
    pub const fn new(groups: Result<AttemptCgroups, String>, sandbox: SandboxOptions, run_as: Option<RunAs>) -> Self {
        Self { groups, sandbox, run_as, has_worked: Mutex::new(false) }
    }

    /// The user that commands run as, if it is not the server's.
    pub(super) const fn run_as(&self) -> Option<&RunAs> {
        self.run_as.as_ref()
    }

    /// Sets up the confinement of an attempt. Returns notices for the parts that are not available. Blocks.
    ///
    /// # Errors
    /// The pipeline requires a sandbox, and there is none.
    pub(super) fn prepare(&self, request: &ConfinementRequest) -> Result<(CommandConfinement, Vec<Notice>), Failure> {
        let mut notices = Vec::new();
        let wrap = match (request.sandbox, self.wrap(request)) {
            (Sandbox::Off, _) => Vec::new(),
            (Sandbox::Required | Sandbox::IfAvailable, Ok(wrap)) => wrap,
            (Sandbox::Required, Err(reason)) => {
                let message = format!("the pipeline needs a sandbox, and there is none: {reason}");
                return Err(Failure { code: "sandbox_unavailable".to_owned(), message, retryable: false });
            }
            (Sandbox::IfAvailable, Err(reason)) => {
                notices.push(notice("sandbox_unavailable", format!("commands run without a sandbox: {reason}")));
                Vec::new()
            }
        };
        let limits = &request.limits;
        let group = match &self.groups {
            Ok(groups) => {
                let lacks = groups.lacks(limits).map(str::to_owned);
                let (group, error) = match groups.make(Path::new(&request.attempt), limits) {
                    Ok(group) => (Some(group), None),
                    Err(error) => (None, Some(format!("its control group cannot be made: {error}"))),
                };
                notices.extend(lacks.or(error).and_then(|reason| limits_notice(limits, &reason)));
                group
            }
            Err(reason) => {
                notices.extend(limits_notice(limits, reason));
                None
            }
        };
        Ok((CommandConfinement { group, wrap }, notices))
    }

    fn wrap(&self, request: &ConfinementRequest) -> Result<Vec<OsString>, String> {
        if request.sandbox.is_off() {
            return Ok(Vec::new());
        }
        let wrap = self.sandbox.wrap(&request.access)?;
        let mut works = self.has_worked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // A failure is not remembered: the operator may enable sandboxes later.
        if !*works {
            probe_sandbox(&wrap, |command| {
                if let Some(run_as) = &self.run_as {
                    run_as.apply_to(command);
                }
            })?;
            *works = true;
        }
        Ok(wrap)
    }

    /// Kills what earlier servers have left, except the attempts with these names. Blocks.
    pub(super) fn sweep(&self, adopted: &HashSet<OsString>) {
        if let Ok(groups) = &self.groups {
            groups.sweep(adopted);
        }
    }

    /// Kills all processes of an attempt, in whatever session they are. Blocks.
    pub(super) fn end(&self, attempt: &OsStr) {
        if let Ok(groups) = &self.groups {
            groups.end(Path::new(attempt));
        }
    }
}

fn limits_notice(limits: &Limits, reason: &str) -> Option<Notice> {
    let is_limited = limits.memory.is_some() || limits.processes.is_some();
    let message = format!("`memory` and `processes` of [limits] do not hold: {reason}");
    is_limited.then(|| notice("limits_unavailable", message))
}

fn notice(code: &str, message: String) -> Notice {
    Notice { code: code.to_owned(), message, processes: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confinement_reports_limits_that_do_not_work() {
        let request = |limits| ConfinementRequest {
            attempt: "a".into(),
            limits,
            sandbox: Sandbox::Off,
            access: SandboxAccess::default(),
        };
        let (confined, notices) = Confinement::default().prepare(&request(Limits::default())).unwrap();
        assert_eq!((confined, notices.len()), (CommandConfinement::default(), 0));
        let limits = Limits { memory: Some(1), ..Limits::default() };
        let (_, notices) = Confinement::default().prepare(&request(limits)).unwrap();
        assert!(
            notices[0].code == "limits_unavailable" && notices[0].message.contains("nobody has asked"),
            "{notices:?}"
        );
    }
}
