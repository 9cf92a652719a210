//! The database (docs/CONTRACT.md, "Operations").

use axum::Json;
use axum::extract::State;

use crate::http::extract::ApiResult;
use crate::http::state::AppState;
use crate::model::{DatabaseHealth, DatabaseUsage};

/// `GET /api/v1/database`
pub async fn size(State(app): State<AppState>) -> ApiResult<Json<DatabaseUsage>> {
    crate::retention::database_usage(&app.backend).await.map(Json)
}

/// `GET /api/v1/database/health`: pages ask this every few seconds.
pub async fn health(State(app): State<AppState>) -> Json<DatabaseHealth> {
    Json(crate::retention::database_health(&app.backend))
}
