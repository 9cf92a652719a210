//! Pipelines (docs/CONTRACT.md, "Runs").

use axum::Json;
use axum::extract::State;

use crate::http::state::AppState;
use crate::model::Pipeline;

/// `GET /api/v1/pipelines`
pub async fn list(State(app): State<AppState>) -> Json<Vec<Pipeline>> {
    Json(crate::schedules::pipelines(&app.backend))
}
