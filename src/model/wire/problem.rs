//! Problem responses: `application/problem+json` (RFC 9457) with a stable `code` (docs/CONTRACT.md, "Problem codes").

use serde::{Deserialize, Serialize};

use crate::model::cursor::CursorError;
use crate::model::param::ParamError;

/// A stable word for programs, one per cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The request is malformed.
    BadRequest,
    /// The body is not JSON, or not of the expected form.
    InvalidBody,
    BodyTooLarge,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The `Content-Type` is not the expected one.
    UnsupportedMediaType,
    /// The server or the client's address has reached its limit of connections.
    TooManyConnections,
    /// The queue has reached `--max-queued`.
    TooManyQueued,
    /// The cursor is not a number.
    BadCursor,
    /// The cursor is larger than the journal's head.
    CursorAhead,
    RunNotFound,
    PipelineNotFound,
    ScheduleNotFound,
    /// No pipeline of this name has a hook.
    HookNotFound,
    /// The delivery is not signed with the hook's secret.
    BadSignature,
    /// The server cannot read the hook's secret.
    HookSecretMissing,
    /// No route has this path.
    NotFound,
    MethodNotAllowed,
    /// Parameters are missing, unknown or invalid; `errors` lists them.
    InvalidParams,
    /// The run is active, and the action needs a finished run.
    RunActive,
    /// The run is finished, so it cannot be cancelled.
    RunFinished,
    /// Every phase ended well, so there is none to resume with.
    NothingFailed,
    /// The run does not wait for approval, or waits for another one than was decided.
    NotWaiting,
    /// Another run of the concurrency group is active, and the group's policy is `refuse`.
    GroupBusy,
    /// A pinned run cannot be deleted.
    RunPinned,
    /// The run that was created with this `Idempotency-Key` was deleted.
    RunDeleted,
    /// The `Idempotency-Key` was used with another body.
    IdempotencyConflict,
    /// The server does not serve this `Host`.
    WrongHost,
    /// A request from another site.
    ForeignOrigin,
    /// The token is missing or wrong.
    Unauthorized,
    /// The role does not allow it.
    Forbidden,
    /// Only a person who has logged in may do this.
    PersonRequired,
    /// The approval must be decided by someone other than the person who started the attempt.
    SecondPersonRequired,
    /// The request has a session's cookie, but not the key that the session's pages send with every change.
    SessionKeyMissing,
    AccessNotFound,
    /// A token of this name exists.
    NameTaken,
    /// Too many wrong tokens came from this address; this one was not checked.
    TooManyAttempts,
    /// The database did not answer in time, or is busy.
    DatabaseUnavailable,
    /// The disk of the database is full.
    DiskFull,
    /// The reader was so slow that changes it missed are no longer available; it must reload.
    Lagged,
    ShuttingDown,
    /// An error of the server.
    Internal,
    /// Only in the browser: the server is unreachable.
    Unreachable,
}

impl ProblemCode {
    /// The HTTP status of the code.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest | Self::InvalidBody | Self::BadCursor => 400,
            Self::Unauthorized | Self::BadSignature => 401,
            Self::ForeignOrigin
            | Self::Forbidden
            | Self::PersonRequired
            | Self::SecondPersonRequired
            | Self::SessionKeyMissing => 403,
            Self::RunNotFound
            | Self::PipelineNotFound
            | Self::ScheduleNotFound
            | Self::HookNotFound
            | Self::AccessNotFound
            | Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::CursorAhead
            | Self::RunActive
            | Self::RunFinished
            | Self::NotWaiting
            | Self::NothingFailed
            | Self::GroupBusy
            | Self::NameTaken
            | Self::RunPinned
            | Self::IdempotencyConflict => 409,
            Self::RunDeleted => 410,
            Self::BodyTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::WrongHost => 421,
            Self::InvalidParams => 422,
            Self::TooManyAttempts | Self::TooManyQueued => 429,
            Self::Internal => 500,
            Self::HookSecretMissing
            | Self::TooManyConnections
            | Self::DatabaseUnavailable
            | Self::Lagged
            | Self::ShuttingDown
            | Self::Unreachable => 503,
            Self::DiskFull => 507,
        }
    }

    /// A short title, the same for every problem of this code.
    pub const fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "Invalid request",
            Self::InvalidBody => "Invalid request body",
            Self::BodyTooLarge => "Request body too large",
            Self::RequestTimeout => "Request timed out",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::TooManyConnections => "Too many connections",
            Self::TooManyQueued => "Too many queued runs",
            Self::BadCursor => "Invalid cursor",
            Self::CursorAhead => "Cursor is ahead of the journal",
            Self::RunNotFound => "Run not found",
            Self::PipelineNotFound => "Pipeline not found",
            Self::ScheduleNotFound => "Schedule not found",
            Self::HookNotFound => "Hook not found",
            Self::BadSignature => "Invalid signature",
            Self::HookSecretMissing => "Hook secret not available",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::InvalidParams => "Invalid parameters",
            Self::RunActive => "Not possible in the current state of the run",
            Self::RunFinished => "Run is finished",
            Self::NothingFailed => "No failed phase",
            Self::NotWaiting => "Run is not awaiting this approval",
            Self::GroupBusy => "Another run in the group is active",
            Self::RunPinned => "Run is pinned",
            Self::RunDeleted => "Run was deleted",
            Self::IdempotencyConflict => "Idempotency key already used",
            Self::WrongHost => "Unknown host",
            Self::ForeignOrigin => "Cross-site request refused",
            Self::Unauthorized => "Token required",
            Self::Forbidden => "Not allowed for your role",
            Self::PersonRequired => "A person must do this",
            Self::SecondPersonRequired => "A different person must approve",
            Self::SessionKeyMissing => "Session key missing",
            Self::AccessNotFound => "Token or session not found",
            Self::NameTaken => "Name already taken",
            Self::TooManyAttempts => "Too many wrong tokens",
            Self::DatabaseUnavailable => "Database unavailable",
            Self::DiskFull => "Disk full",
            Self::Lagged => "Too many changes, reload",
            Self::ShuttingDown => "Server is shutting down",
            Self::Internal => "Internal server error",
            Self::Unreachable => "Can't reach the server",
        }
    }

    /// Whether the same request may succeed later.
    pub const fn retryable(self) -> bool {
        matches!(
            self,
            Self::GroupBusy
                | Self::HookSecretMissing
                | Self::RequestTimeout
                | Self::TooManyAttempts
                | Self::TooManyConnections
                | Self::TooManyQueued
                | Self::DatabaseUnavailable
                | Self::DiskFull
                | Self::Lagged
                | Self::ShuttingDown
                | Self::Unreachable
        )
    }
}

/// A problem response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{title}: {detail}")]
pub struct Problem {
    /// `about:blank#` and the code.
    pub r#type: String,
    pub title: String,
    pub status: u16,
    /// What is wrong this time and how to fix it, in a sentence.
    pub detail: String,
    pub code: ProblemCode,
    pub retryable: bool,
    /// One entry per invalid parameter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ParamError>,
}

impl Problem {
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        let word = serde_json::to_value(code).ok();
        let word = word.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
        Self {
            r#type: format!("about:blank#{word}"),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code,
            retryable: code.retryable(),
            errors: Vec::new(),
        }
    }

    /// [`ProblemCode::InvalidParams`] with one entry per parameter.
    pub fn params(errors: Vec<ParamError>) -> Self {
        let names: Vec<&str> = errors.iter().map(|error| error.param.as_str()).collect();
        let detail = format!("Fix these parameters and try again: {}.", names.join(", "));
        Self { errors, ..Self::new(ProblemCode::InvalidParams, detail) }
    }
}

impl From<CursorError> for Problem {
    fn from(error: CursorError) -> Self {
        let code = match error {
            CursorError::NotANumber(_) => ProblemCode::BadCursor,
            CursorError::Ahead { .. } => ProblemCode::CursorAhead,
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_has_code_and_status() {
        let json = serde_json::to_value(Problem::from(CursorError::Ahead { cursor: 9, head: 3 })).unwrap();
        assert_eq!(json["code"], "cursor_ahead");
        assert_eq!(json["status"], 409);
        assert_eq!(json["retryable"], false);
        assert_eq!(json["type"], "about:blank#cursor_ahead");
        assert!(json.get("errors").is_none());
    }
}
