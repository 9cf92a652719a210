//! Attempts of a run (docs/CONTRACT.md, "Runs").

use axum::Json;
use axum::extract::State;

use crate::http::extract::{ApiResult, QueryParams, QueryResult, RunIdPath, parse_limit};
use crate::http::state::AppState;
use crate::model::attempt::AttemptPage;
use crate::model::compare::AttemptComparison;

/// `GET /api/v1/runs/{id}/attempts`
pub async fn list(
    State(app): State<AppState>,
    RunIdPath(id): RunIdPath,
    query: QueryResult,
) -> ApiResult<Json<AttemptPage>> {
    let mut query = QueryParams::read(query)?;
    let limit = parse_limit(query.take("limit"))?;
    let before = query.take_attempt("before")?;
    crate::runs::attempts(&app.backend, &id, before, limit).await.map(Json)
}

/// `GET /api/v1/runs/{id}/compare`
pub async fn compare(
    State(app): State<AppState>,
    RunIdPath(id): RunIdPath,
    query: QueryResult,
) -> ApiResult<Json<AttemptComparison>> {
    let mut query = QueryParams::read(query)?;
    let (a, b) = (query.take_attempt("a")?, query.take_attempt("b")?);
    crate::runs::compare(&app.backend, &id, a, b).await.map(Json)
}
