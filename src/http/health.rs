//! Health checks (docs/CONTRACT.md, "Operations").

use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::state::AppState;
use crate::model::{Problem, ProblemCode};

/// `GET /healthz`: the process is alive.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the database accepts reads and writes, and the server is not stopping. Every failure is a 503,
/// whatever status its problem has elsewhere, because load balancers expect that.
pub async fn readyz(State(app): State<AppState>) -> Response {
    if app.stop.is_cancelled() {
        return Problem::new(ProblemCode::ShuttingDown, "The server is stopping.").into_response();
    }
    if let Some(outage) = app.backend.journal.health().outage() {
        return Problem { status: 503, ..Problem::from(&outage) }.into_response();
    }
    match app.backend.store.ping().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => Problem { status: 503, ..Problem::from(error) }.into_response(),
    }
}
