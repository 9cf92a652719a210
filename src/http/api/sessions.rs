//! Sessions (docs/CONTRACT.md, "Access").

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};

use super::tokens::{access_admin, read_path};
use crate::access::Principal;
use crate::http::extract::{ApiResult, Caller, PathResult};
use crate::http::state::AppState;
use crate::model::access::SessionView;

/// `GET /api/v1/sessions`
pub async fn list(
    State(app): State<AppState>,
    Caller(by): Caller,
    Extension(principal): Extension<Principal>,
) -> ApiResult<Json<Vec<SessionView>>> {
    access_admin(&app)?.sessions(&by, principal.session_id()).await.map(Json)
}

/// `DELETE /api/v1/sessions/{id}`
pub async fn end(State(app): State<AppState>, Caller(by): Caller, path: PathResult<String>) -> ApiResult<StatusCode> {
    access_admin(&app)?.end_session(&read_path(path)?, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}
