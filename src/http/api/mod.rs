//! The JSON API (docs/CONTRACT.md, "HTTP API"): each handler reads a request, calls one use case and writes the
//! response.

pub mod approvals;
pub mod attempts;
pub mod audit;
pub mod database;
pub mod deliveries;
pub mod frames;
pub mod pipelines;
pub mod queue;
pub mod runs;
pub mod schedules;
pub mod sessions;
pub mod tokens;
pub mod workers;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::model::Run;

/// The response to a request for a run: 201, or 200 if the run exists already.
pub(super) fn run_response(run: Run, is_new: bool) -> Response {
    let location = [(header::LOCATION, format!("/api/v1/runs/{}", run.id))];
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    (status, location, Json(run)).into_response()
}
