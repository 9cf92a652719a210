//! What is answered when something cannot be done: `application/problem+json` (RFC 9457) with a stable `code`.

use serde::{Deserialize, Serialize};

use super::{CursorError, ParamError};

/// A stable word for programs, one per cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The request is not of the form the call takes.
    BadRequest,
    /// The body is no JSON, or not of the form the call takes.
    InvalidBody,
    /// The body is larger than any valid request.
    BodyTooLarge,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The body is not said to be of the kind that the call takes.
    UnsupportedMediaType,
    /// The server, or the client's address, has as many connections as it may have.
    TooManyConnections,
    /// So many runs wait for a worker that no more are taken.
    TooManyQueued,
    /// The cursor is not a number.
    BadCursor,
    /// The cursor is larger than the journal's head.
    CursorAhead,
    /// No run has this id.
    RunNotFound,
    /// No pipeline has this name.
    PipelineNotFound,
    /// The pipeline has no schedule of this name.
    ScheduleNotFound,
    /// No pipeline of this name has a hook.
    HookNotFound,
    /// The request is not signed with the hook's secret.
    BadSignature,
    /// The server does not find the hook's secret.
    HookSecretMissing,
    /// Nothing is served at this address.
    NotFound,
    /// The address is served, but not with this method.
    MethodNotAllowed,
    /// Parameters are missing, unknown or wrong; `errors` says which.
    InvalidParams,
    /// The run is not finished, so it cannot be run again.
    RunActive,
    /// The run is finished, so there is nothing to cancel.
    RunFinished,
    /// Every phase of the run has ended well, so there is none to go on with.
    NothingFailed,
    /// The run does not wait for a person, or not with the question that was answered.
    NotWaiting,
    /// Another run of its group is active, and the pipeline refuses runs meanwhile.
    GroupBusy,
    /// The run is pinned, so it is not deleted.
    RunPinned,
    /// The run that this `Idempotency-Key` has started was deleted.
    RunDeleted,
    /// The same `Idempotency-Key` came with another body before.
    IdempotencyConflict,
    /// The `Host` is not one that this server serves.
    WrongHost,
    /// The request changes something and comes from another site.
    ForeignOrigin,
    /// A token is needed, and none or a wrong one was given.
    Unauthorized,
    /// The role of whoever asks does not allow it.
    Forbidden,
    /// Only a person who has logged in may do that.
    PersonRequired,
    /// Somebody else than who asked for the attempt must answer.
    SecondPersonRequired,
    /// The request carries a login's cookie, but not the value that its pages send with changes.
    SessionKeyMissing,
    /// There is no such token or session.
    AccessNotFound,
    /// A token of this name is there already.
    NameTaken,
    /// Too many wrong tokens came from this address; this one was not looked at.
    TooManyAttempts,
    /// The database did not answer in time, or is busy.
    DatabaseUnavailable,
    /// The disk of the database is full.
    DiskFull,
    /// The reader was so slow that what it missed is not told any more; it has to read anew.
    Lagged,
    /// The server is stopping.
    ShuttingDown,
    /// A fault of the server.
    Internal,
    /// Only in the browser: the server could not be reached.
    Unreachable,
}

impl ProblemCode {
    /// The HTTP status that goes with the code.
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

    /// A short title for people, the same for every problem of this code.
    pub const fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "The request cannot be read",
            Self::InvalidBody => "The body cannot be read",
            Self::BodyTooLarge => "The body is too large",
            Self::RequestTimeout => "The request took too long",
            Self::UnsupportedMediaType => "The body is of another kind",
            Self::TooManyConnections => "Too many connections",
            Self::TooManyQueued => "Too many runs are waiting",
            Self::BadCursor => "The cursor is not a number",
            Self::CursorAhead => "The cursor is ahead of the journal",
            Self::RunNotFound => "No such run",
            Self::PipelineNotFound => "No such pipeline",
            Self::ScheduleNotFound => "No such schedule",
            Self::HookNotFound => "No such hook",
            Self::BadSignature => "The signature does not hold",
            Self::HookSecretMissing => "The hook has no secret",
            Self::NotFound => "Nothing here",
            Self::MethodNotAllowed => "Not with this method",
            Self::InvalidParams => "The parameters do not fit the pipeline",
            Self::RunActive => "The run cannot do that now",
            Self::RunFinished => "The run is finished",
            Self::NothingFailed => "No phase has failed",
            Self::NotWaiting => "The run does not wait for this answer",
            Self::GroupBusy => "Another run of the group is active",
            Self::RunPinned => "The run is pinned",
            Self::RunDeleted => "The run was deleted",
            Self::IdempotencyConflict => "The idempotency key was used for another request",
            Self::WrongHost => "This server does not serve that host",
            Self::ForeignOrigin => "Refused: the request comes from another site",
            Self::Unauthorized => "A token is needed",
            Self::Forbidden => "Your role does not allow that",
            Self::PersonRequired => "A person must do that",
            Self::SecondPersonRequired => "Somebody else must answer",
            Self::SessionKeyMissing => "The request is not from a page of this login",
            Self::AccessNotFound => "No such token or session",
            Self::NameTaken => "The name is taken",
            Self::TooManyAttempts => "Too many wrong tokens",
            Self::DatabaseUnavailable => "The database is not available",
            Self::DiskFull => "The disk is full",
            Self::Lagged => "Too much has changed",
            Self::ShuttingDown => "The server is stopping",
            Self::Internal => "The server made a mistake",
            Self::Unreachable => "The server cannot be reached",
        }
    }

    /// Whether the same call may succeed later.
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

/// What is answered when something cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{title}: {detail}")]
pub struct Problem {
    /// A URI reference for the kind of problem: `about:blank#` and the code.
    pub r#type: String,
    /// See [`ProblemCode::title`].
    pub title: String,
    /// See [`ProblemCode::status`].
    pub status: u16,
    /// What is wrong this time and what to do, in a sentence.
    pub detail: String,
    /// The stable word.
    pub code: ProblemCode,
    /// See [`ProblemCode::retryable`].
    pub retryable: bool,
    /// One entry per parameter that does not fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ParamError>,
}

impl Problem {
    /// The problem of this code, with a sentence that says what is wrong this time.
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

    /// Parameters that do not fit the pipeline, one entry per parameter.
    pub fn params(errors: Vec<ParamError>) -> Self {
        let names: Vec<&str> = errors.iter().map(|error| error.param.as_str()).collect();
        let detail = format!("Correct {} and send the request again.", names.join(", "));
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
    fn a_problem_says_its_code_and_status() {
        let json = serde_json::to_value(Problem::from(CursorError::Ahead { cursor: 9, head: 3 })).unwrap();
        assert_eq!(json["code"], "cursor_ahead");
        assert_eq!(json["status"], 409);
        assert_eq!(json["retryable"], false);
        assert_eq!(json["type"], "about:blank#cursor_ahead");
        assert!(json.get("errors").is_none());
    }
}
