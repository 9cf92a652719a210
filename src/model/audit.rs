//! The audit log: who did what, from where and when. It is kept whatever becomes of the runs.

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::run::RunId;

/// What was done, or tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    /// A run was started.
    RunStart,
    /// A run was re-run.
    RunRerun,
    /// The end of a run was asked for.
    RunCancel,
    /// A run was deleted.
    RunDelete,
    /// A run is kept.
    RunPin,
    /// A run is kept no longer.
    RunUnpin,
    /// A question was answered with yes.
    RunApprove,
    /// A question was answered with no.
    RunReject,
    /// Schedules were paused.
    SchedulePause,
    /// Schedules were resumed.
    ScheduleResume,
    /// Somebody logged in.
    Login,
    /// Somebody tried to log in, or used a token, that is not right.
    LoginRefused,
    /// Somebody logged out.
    Logout,
    /// A session was ended by somebody.
    SessionEnd,
    /// A token was made.
    TokenCreate,
    /// A token was revoked.
    TokenRevoke,
    /// A login link was made.
    LoginLink,
    /// A request was refused for its role.
    Refused,
}

impl AuditAction {
    /// All of them.
    pub const ALL: [Self; 18] = [
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
        Self::Refused,
    ];

    /// Its word.
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
            Self::Refused => "refused",
        }
    }

    /// The action of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }

    /// In words for people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::RunStart => "Started a run",
            Self::RunRerun => "Re-ran a run",
            Self::RunCancel => "Cancelled a run",
            Self::RunDelete => "Deleted a run",
            Self::RunPin => "Pinned a run",
            Self::RunUnpin => "Unpinned a run",
            Self::RunApprove => "Approved",
            Self::RunReject => "Rejected",
            Self::SchedulePause => "Paused schedules",
            Self::ScheduleResume => "Resumed schedules",
            Self::Login => "Logged in",
            Self::LoginRefused => "Login refused",
            Self::Logout => "Logged out",
            Self::SessionEnd => "Ended a session",
            Self::TokenCreate => "Created a token",
            Self::TokenRevoke => "Revoked a token",
            Self::LoginLink => "Created a login link",
            Self::Refused => "Request refused",
        }
    }
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number: larger than those of all lines before it.
    pub id: i64,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it: a person, a token, a schedule or a hook.
    pub actor: String,
    /// How they have shown who they are: `open`, `session`, `token`, `proxy`, `schedule`, `hook` or `none`.
    pub via: String,
    /// The address that the request came from.
    pub address: Option<String>,
    /// What was done.
    pub action: AuditAction,
    /// The run it was done to.
    pub run: Option<RunId>,
    /// `done`, or why it was refused: a problem's code.
    pub outcome: String,
    /// What else there is to say: the pipeline, the token's name, the note of an approval.
    pub detail: Option<String>,
}

/// Lines of the audit log, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// The lines of this page.
    pub entries: Vec<AuditEntry>,
    /// What `before` asks for the page after this one, if there is one.
    pub next: Option<i64>,
}

/// Which lines are wanted. What is `None` does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditFilter {
    /// Only lines of this run.
    pub run: Option<RunId>,
    /// Only lines of this actor.
    pub actor: Option<String>,
    /// Only lines of this action.
    pub action: Option<AuditAction>,
    /// At most this many, 1 to 200; 50 if left out.
    pub limit: Option<u32>,
    /// Only lines before this one.
    pub before: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_the_word_of_its_json() {
        for action in AuditAction::ALL {
            assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
            assert_eq!(AuditAction::parse(action.as_str()), Some(action));
        }
    }
}
