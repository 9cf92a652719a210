//! A problem as an answer: `application/problem+json` (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::model::{Problem, ProblemCode};

/// When to ask again for a run for which there is no room in the queue, in seconds.
const QUEUE_RETRY_AFTER: &str = "30";

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = [(header::CONTENT_TYPE, "application/problem+json"), (header::CACHE_CONTROL, "no-store")];
        let is_queue = self.code == ProblemCode::TooManyQueued;
        let mut response = (status, headers, Json(self)).into_response();
        if is_queue {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(QUEUE_RETRY_AFTER));
        }
        response
    }
}
