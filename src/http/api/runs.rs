//! Runs (docs/CONTRACT.md, "Runs").

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::run_response;
use crate::http::body::read_json;
use crate::http::extract::{ApiResult, Caller, QueryParams, QueryResult, RunIdPath, parse_limit};
use crate::http::state::AppState;
use crate::model::status::UnknownStatus;
use crate::model::{ParamInput, Problem, ProblemCode, Run, RunFilter, RunPage};
use crate::runs::{CancelMode, RerunFrom, RerunRequest};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StartBody {
    pipeline: String,
    #[serde(default)]
    params: ParamInput,
    #[serde(default)]
    priority: Option<i32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RerunBody {
    from: RerunFrom,
    /// `None` keeps the parameters of the previous attempt.
    params: Option<ParamInput>,
    /// The server does not keep secrets after an attempt, so they are sent again.
    secrets: ParamInput,
}

/// `POST /api/v1/runs`
pub async fn start(
    State(app): State<AppState>,
    Caller(by): Caller,
    headers: HeaderMap,
    request: Request,
) -> ApiResult<Response> {
    let key = match headers.get("idempotency-key").map(|key| key.to_str()) {
        None => None,
        Some(Ok(key)) => Some(key),
        Some(Err(_)) => return Err(Problem::new(ProblemCode::BadRequest, "The Idempotency-Key is not ASCII text.")),
    };
    let empty =
        || Problem::new(ProblemCode::InvalidBody, "The body is empty; give {\"pipeline\": …, \"params\": {…}}.");
    let StartBody { pipeline, params, priority } = read_json(request).await?.ok_or_else(empty)?;
    let (run, is_new) = crate::runs::start(&app.backend, &pipeline, params, priority, key, &by).await?;
    Ok(run_response(run, is_new))
}

/// `GET /api/v1/runs`
pub async fn list(State(app): State<AppState>, query: QueryResult) -> ApiResult<Json<RunPage>> {
    let mut query = QueryParams::read(query)?;
    let mut take = |name: &str| query.take_non_empty(name);
    let unknown = |error: UnknownStatus| Problem::new(ProblemCode::BadRequest, error.to_string());
    let status = take("status").map(|word| word.parse()).transpose().map_err(unknown)?;
    let limit = parse_limit(take("limit"))?;
    let filter = RunFilter { status, pipeline: take("pipeline"), q: take("q"), limit, before: take("before") };
    crate::runs::list(&app.backend, &filter).await.map(Json)
}

/// `GET /api/v1/runs/{id}`
pub async fn show(State(app): State<AppState>, RunIdPath(id): RunIdPath) -> ApiResult<Json<Run>> {
    crate::runs::get(&app.backend, &id).await.map(Json)
}

/// `DELETE /api/v1/runs/{id}`
pub async fn delete(
    State(app): State<AppState>,
    RunIdPath(id): RunIdPath,
    Caller(by): Caller,
) -> ApiResult<StatusCode> {
    crate::retention::delete(&app.backend, &id, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/runs/{id}/rerun`
pub async fn rerun(
    State(app): State<AppState>,
    RunIdPath(id): RunIdPath,
    Caller(by): Caller,
    request: Request,
) -> ApiResult<Response> {
    let RerunBody { from, params, secrets } = read_json(request).await?.unwrap_or_default();
    let run =
        crate::runs::rerun(&app.backend, &id, from, RerunRequest { params, secrets, expected_attempt: None }, &by)
            .await?;
    Ok((StatusCode::ACCEPTED, Json(run)).into_response())
}

/// `POST /api/v1/runs/{id}/cancel`
pub async fn cancel(State(app): State<AppState>, RunIdPath(id): RunIdPath, Caller(by): Caller) -> ApiResult<Response> {
    let run = crate::runs::cancel(&app.backend, &id, &by, CancelMode::ForceOnSecondRequest).await?;
    Ok((StatusCode::ACCEPTED, Json(run)).into_response())
}

/// `POST /api/v1/runs/{id}/pin`
pub async fn pin(State(app): State<AppState>, RunIdPath(id): RunIdPath, Caller(by): Caller) -> ApiResult<Json<Run>> {
    crate::retention::pin(&app.backend, &id, true, &by).await.map(Json)
}

/// `POST /api/v1/runs/{id}/unpin`
pub async fn unpin(State(app): State<AppState>, RunIdPath(id): RunIdPath, Caller(by): Caller) -> ApiResult<Json<Run>> {
    crate::retention::pin(&app.backend, &id, false, &by).await.map(Json)
}
