//! The audit log: who did what, from where and when. Retention of runs does not touch it.

use serde::{Deserialize, Serialize};

use super::run::RunId;
use super::time::Timestamp;

/// An audited action, done or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    RunStart,
    RunRerun,
    RunCancel,
    RunDelete,
    RunPin,
    RunUnpin,
    RunApprove,
    RunReject,
    SchedulePause,
    ScheduleResume,
    Login,
    /// A login or token was refused because it is invalid.
    LoginRefused,
    Logout,
    SessionEnd,
    TokenCreate,
    TokenRevoke,
    LoginLink,
    InstanceDrain,
    /// A request was refused because the role does not allow it.
    Refused,
}

impl AuditAction {
    pub const ALL: [Self; 19] = [
        Self::RunStart,
        Self::RunRerun,
        Self::RunCancel,
        Self::RunDelete,
        Self::RunPin,
        Self::RunUnpin,
        Self::RunApprove,
        Self::RunReject,
        Self::SchedulePause,
        Self::ScheduleResume,
        Self::Login,
        Self::LoginRefused,
        Self::Logout,
        Self::SessionEnd,
        Self::TokenCreate,
        Self::TokenRevoke,
        Self::LoginLink,
        Self::InstanceDrain,
        Self::Refused,
    ];

    /// The word in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RunStart => "run_start",
            Self::RunRerun => "run_rerun",
            Self::RunCancel => "run_cancel",
            Self::RunDelete => "run_delete",
            Self::RunPin => "run_pin",
            Self::RunUnpin => "run_unpin",
            Self::RunApprove => "run_approve",
            Self::RunReject => "run_reject",
            Self::SchedulePause => "schedule_pause",
            Self::ScheduleResume => "schedule_resume",
            Self::Login => "login",
            Self::LoginRefused => "login_refused",
            Self::Logout => "logout",
            Self::SessionEnd => "session_end",
            Self::TokenCreate => "token_create",
            Self::TokenRevoke => "token_revoke",
            Self::LoginLink => "login_link",
            Self::InstanceDrain => "instance_drain",
            Self::Refused => "refused",
        }
    }

    /// The inverse of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }

    /// The label on the audit page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::RunStart => "Started a run",
            Self::RunRerun => "Re-ran a run",
            Self::RunCancel => "Cancelled a run",
            Self::RunDelete => "Deleted a run",
            Self::RunPin => "Pinned a run",
            Self::RunUnpin => "Unpinned a run",
            Self::RunApprove => "Approved a run",
            Self::RunReject => "Rejected a run",
            Self::SchedulePause => "Paused schedules",
            Self::ScheduleResume => "Resumed schedules",
            Self::Login => "Logged in",
            Self::LoginRefused => "Login refused",
            Self::Logout => "Logged out",
            Self::SessionEnd => "Ended a session",
            Self::TokenCreate => "Created a token",
            Self::TokenRevoke => "Revoked a token",
            Self::LoginLink => "Created a login link",
            Self::InstanceDrain => "Drained an instance",
            Self::Refused => "Request refused",
        }
    }
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Increases with every entry.
    pub id: i64,
    pub at: Timestamp,
    /// The person, token, schedule or hook.
    pub actor: String,
    /// How the actor authenticated: `open`, `session`, `token`, `proxy`, `schedule`, `hook` or `none`.
    pub via: String,
    /// The client's address.
    pub address: Option<String>,
    pub action: AuditAction,
    pub run: Option<RunId>,
    /// `done`, or the problem code of the refusal.
    pub outcome: String,
    /// The pipeline, the token's name, the note of an approval and the like.
    pub detail: Option<String>,
}

/// A page of audit entries, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    pub entries: Vec<AuditEntry>,
    /// The `before` value of the next page.
    pub next: Option<i64>,
}

/// Filters of the audit log; `None` matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditFilter {
    pub run: Option<RunId>,
    pub actor: Option<String>,
    pub action: Option<AuditAction>,
    /// 1 to 200; 50 by default.
    pub limit: Option<u32>,
    /// Only entries with a smaller id.
    pub before: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn action_roundtrips() {
        for action in AuditAction::ALL {
            assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
            assert_eq!(AuditAction::parse(action.as_str()), Some(action));
        }
    }
}
