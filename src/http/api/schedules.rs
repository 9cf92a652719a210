//! Schedules (docs/CONTRACT.md, "Triggers").

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use serde::Deserialize;

use super::run_response;
use crate::http::body::read_json;
use crate::http::extract::{ApiResult, Caller, PathResult};
use crate::http::state::AppState;
use crate::model::trigger::{ScheduleList, ScheduleView};
use crate::model::{Problem, ProblemCode};

/// A pipeline's name and the name of one of its schedules.
type SchedulePath = PathResult<(String, String)>;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PauseBody {
    reason: String,
}

fn read_path(path: SchedulePath) -> ApiResult<(String, String)> {
    let error = |_| Problem::new(ProblemCode::ScheduleNotFound, "There is no such schedule: its name is not UTF-8.");
    path.map(|Path(path)| path).map_err(error)
}

/// `GET /api/v1/schedules`
pub async fn list(State(app): State<AppState>) -> ApiResult<Json<ScheduleList>> {
    crate::schedules::list(&app.backend).await.map(Json)
}

/// `POST /api/v1/schedules/pause`
pub async fn pause_all(
    State(app): State<AppState>,
    Caller(by): Caller,
    request: Request,
) -> ApiResult<Json<ScheduleList>> {
    let PauseBody { reason } = read_json(request).await?.unwrap_or_default();
    crate::schedules::pause_all(&app.backend, &by, &reason).await.map(Json)
}

/// `POST /api/v1/schedules/resume`
pub async fn resume_all(State(app): State<AppState>, Caller(by): Caller) -> ApiResult<Json<ScheduleList>> {
    crate::schedules::resume_all(&app.backend, &by).await.map(Json)
}

/// `POST /api/v1/schedules/{pipeline}/{name}/pause`
pub async fn pause(
    State(app): State<AppState>,
    path: SchedulePath,
    Caller(by): Caller,
    request: Request,
) -> ApiResult<Json<ScheduleView>> {
    let (pipeline, name) = read_path(path)?;
    let PauseBody { reason } = read_json(request).await?.unwrap_or_default();
    crate::schedules::pause(&app.backend, &pipeline, &name, &by, &reason).await.map(Json)
}

/// `POST /api/v1/schedules/{pipeline}/{name}/resume`
pub async fn resume(
    State(app): State<AppState>,
    path: SchedulePath,
    Caller(by): Caller,
) -> ApiResult<Json<ScheduleView>> {
    let (pipeline, name) = read_path(path)?;
    crate::schedules::resume(&app.backend, &pipeline, &name, &by).await.map(Json)
}

/// `POST /api/v1/schedules/{pipeline}/{name}/run`
pub async fn run(State(app): State<AppState>, path: SchedulePath, Caller(by): Caller) -> ApiResult<Response> {
    let (pipeline, name) = read_path(path)?;
    let (run, is_new) = crate::schedules::run_now(&app.backend, &pipeline, &name, &by).await?;
    Ok(run_response(run, is_new))
}
