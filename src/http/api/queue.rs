//! The queue (docs/CONTRACT.md, "Runs").

use axum::Json;
use axum::extract::State;

use crate::http::extract::ApiResult;
use crate::http::state::AppState;
use crate::model::queue::Queue;

/// `GET /api/v1/queue`
pub async fn show(State(app): State<AppState>) -> ApiResult<Json<Queue>> {
    crate::runs::queue(&app.backend).await.map(Json)
}
