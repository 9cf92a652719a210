//! Deliveries of hooks (docs/CONTRACT.md, "Triggers").

use axum::Json;
use axum::extract::State;

use crate::http::extract::{ApiResult, QueryParams, QueryResult, parse_limit};
use crate::http::state::AppState;
use crate::model::trigger::{DeliveryFilter, DeliveryPage, DeliveryResult};
use crate::model::{Problem, ProblemCode};

/// `GET /api/v1/deliveries`
pub async fn list(State(app): State<AppState>, query: QueryResult) -> ApiResult<Json<DeliveryPage>> {
    let mut query = QueryParams::read(query)?;
    let mut take = |name: &str| query.take_non_empty(name);
    let result = take("result").map(|word| {
        let words = DeliveryResult::ALL.map(DeliveryResult::as_str).join(", ");
        let unknown = || Problem::new(ProblemCode::BadRequest, format!("`{word}` is no result; they are {words}."));
        DeliveryResult::parse(&word).ok_or_else(unknown)
    });
    let (result, limit) = (result.transpose()?, parse_limit(take("limit"))?);
    let filter = DeliveryFilter { pipeline: take("pipeline"), result, limit, before: take("before") };
    crate::hooks::list_deliveries(&app.backend, &filter).await.map(Json)
}
