//! Workers (docs/CONTRACT.md, "Operations").

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::http::extract::{ApiResult, Caller};
use crate::http::state::AppState;
use crate::model::workers::WorkerList;

/// `GET /api/v1/workers`
pub async fn list(State(app): State<AppState>) -> ApiResult<Json<WorkerList>> {
    crate::instances::workers(&app.backend).await.map(Json)
}

/// `POST /api/v1/drain`
pub async fn drain(State(app): State<AppState>, Caller(by): Caller) -> ApiResult<Response> {
    let status = crate::instances::drain(&app.backend, &by).await?;
    Ok((StatusCode::ACCEPTED, Json(status)).into_response())
}
