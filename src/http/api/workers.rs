//! Workers (docs/CONTRACT.md, "Operations").

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::http::body::read_json;
use crate::http::extract::{ApiResult, Caller};
use crate::http::state::AppState;
use crate::model::workers::WorkerList;

/// `GET /api/v1/workers`
pub async fn list(State(app): State<AppState>) -> ApiResult<Json<WorkerList>> {
    crate::instances::workers(&app.backend).await.map(Json)
}

/// No fields, so far.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DrainBody {}

/// `POST /api/v1/drain`
pub async fn drain(State(app): State<AppState>, Caller(by): Caller, request: Request) -> ApiResult<Response> {
    // Read to its end: a request that is cut off drains nothing.
    read_json::<DrainBody>(request).await?;
    let status = crate::instances::drain(&app.backend, &by).await?;
    Ok((StatusCode::ACCEPTED, Json(status)).into_response())
}
