//! The database (docs/CONTRACT.md, "Operations").

use axum::Json;
use axum::extract::State;

use crate::http::extract::ApiResult;
use crate::http::state::AppState;
use crate::model::{DatabaseHealth, DatabaseUsage};

/// `GET /api/v1/database`
pub async fn size(State(app): State<AppState>) -> ApiResult<Json<DatabaseUsage>> {
    app.service.database().await.map(Json)
}

/// `GET /api/v1/database/health`: pages ask this every few seconds.
pub async fn health(State(app): State<AppState>) -> Json<DatabaseHealth> {
    Json(app.service.health())
}
