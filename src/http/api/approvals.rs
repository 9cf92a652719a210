//! Answers to the questions of runs (docs/CONTRACT.md, "Runs").

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::approvals::DecisionRequest;
use crate::http::body::read_json;
use crate::http::extract::{ApiResult, Caller, RunIdPath};
use crate::http::state::AppState;
use crate::model::{Problem, ProblemCode};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DecisionBody {
    /// The paths of patches to leave out.
    exclude: Vec<String>,
    /// The seq of the question, which is `approval.seq` of the run. `None` decides whichever question is open.
    seq: Option<u64>,
    note: Option<String>,
}

/// `POST /api/v1/runs/{id}/approve`
pub async fn approve(app: State<AppState>, id: RunIdPath, by: Caller, request: Request) -> ApiResult<Response> {
    decide(app, id, by, request, true).await
}

/// `POST /api/v1/runs/{id}/reject`
pub async fn reject(app: State<AppState>, id: RunIdPath, by: Caller, request: Request) -> ApiResult<Response> {
    decide(app, id, by, request, false).await
}

async fn decide(
    State(app): State<AppState>,
    RunIdPath(id): RunIdPath,
    Caller(by): Caller,
    request: Request,
    approved: bool,
) -> ApiResult<Response> {
    let DecisionBody { exclude, seq, note } = read_json(request).await?.unwrap_or_default();
    if !approved && !exclude.is_empty() {
        let detail = "Nothing is applied after a rejection, so there is nothing to `exclude`.";
        return Err(Problem::new(ProblemCode::BadRequest, detail));
    }
    let run =
        crate::approvals::decide(&app.backend, &id, seq, DecisionRequest { approved, exclude, note }, &by).await?;
    Ok((StatusCode::ACCEPTED, Json(run)).into_response())
}
