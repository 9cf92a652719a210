//! What keeps the commands of an attempt from everything else: their control group and their sandbox.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::cgroup::AttemptCgroups;
use super::run_as::RunAs;
use super::sandbox::{SandboxAccess, SandboxOptions, try_out};
use crate::model::kinds::{Failure, Notice};
use crate::model::limits::Limits;
use crate::model::sandbox::Sandbox;

/// What an attempt asks for.
#[derive(Clone, Debug)]
pub struct ConfinementRequest {
    /// The name of its folders.
    pub attempt: OsString,
    /// What it may use.
    pub limits: Limits,
    /// Whether its commands run in a sandbox.
    pub sandbox: Sandbox,
    /// What they need there.
    pub needs: SandboxAccess,
}

/// What the commands of an attempt are started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandConfinement {
    /// Their control group, if there is one.
    pub(super) group: Option<PathBuf>,
    /// The program that makes their sandbox, and its arguments; empty if there is none.
    pub(super) wrap: Vec<OsString>,
}

/// What this system can do.
#[derive(Debug)]
pub struct Confinement {
    groups: Result<AttemptCgroups, String>,
    sandbox: SandboxOptions,
    run_as: Option<RunAs>,
    /// Whether a sandbox has worked.
    works: Mutex<bool>,
}

impl Default for Confinement {
    fn default() -> Self {
        let sandbox = SandboxOptions { hidden: Vec::new(), program: PathBuf::new() };
        Self::new(Err("nobody has asked for them".to_owned()), sandbox, None)
    }
}

impl Confinement {
    /// With these control groups, or the reason why there are none.
    pub const fn new(groups: Result<AttemptCgroups, String>, sandbox: SandboxOptions, run_as: Option<RunAs>) -> Self {
        Self { groups, sandbox, run_as, works: Mutex::new(false) }
    }

    /// The user that commands run as, if it is not the server's.
    pub(super) const fn run_as(&self) -> Option<&RunAs> {
        self.run_as.as_ref()
    }

    /// Makes ready for an attempt, with what is to be said of what cannot be done. Blocks.
    ///
    /// # Errors
    /// It must have a sandbox, and there is none.
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
                notices.extend(lacks.or(error).and_then(|reason| limits_do_not_hold(limits, &reason)));
                group
            }
            Err(reason) => {
                notices.extend(limits_do_not_hold(limits, reason));
                None
            }
        };
        Ok((CommandConfinement { group, wrap }, notices))
    }

    fn wrap(&self, request: &ConfinementRequest) -> Result<Vec<OsString>, String> {
        if request.sandbox.is_off() {
            return Ok(Vec::new());
        }
        let wrap = self.sandbox.wrap(&request.needs)?;
        let mut works = self.works.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // What does not work may be set up meanwhile.
        if !*works {
            try_out(&wrap, |command| {
                if let Some(run_as) = &self.run_as {
                    run_as.start(command);
                }
            })?;
            *works = true;
        }
        Ok(wrap)
    }

    /// Ends what the commands of an attempt have left, wherever it is now. Blocks.
    pub(super) fn end(&self, attempt: &OsStr) {
        if let Ok(groups) = &self.groups {
            groups.end(Path::new(attempt));
        }
    }
}

fn limits_do_not_hold(limits: &Limits, reason: &str) -> Option<Notice> {
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
    fn limits_that_do_not_hold_are_said() {
        let request = |limits| ConfinementRequest {
            attempt: "a".into(),
            limits,
            sandbox: Sandbox::Off,
            needs: SandboxAccess::default(),
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
