//! The audit log (docs/CONTRACT.md, "Access").

use axum::Json;
use axum::extract::State;

use crate::access::read_audit;
use crate::http::extract::{ApiResult, QueryParams, QueryResult, parse_limit};
use crate::http::state::AppState;
use crate::model::audit::{AuditAction, AuditFilter, AuditPage};
use crate::model::{Problem, ProblemCode};
use crate::runs::run_id;

/// `GET /api/v1/audit`
pub async fn list(State(app): State<AppState>, query: QueryResult) -> ApiResult<Json<AuditPage>> {
    let mut query = QueryParams::read(query)?;
    let mut take = |name: &str| query.take_non_empty(name);
    let bad = |detail: String| Problem::new(ProblemCode::BadRequest, detail);
    let run = take("run").map(|id| run_id(&id)).transpose()?;
    let unknown = |word: &str| bad(format!("`{word}` is no action of the audit log."));
    let action = take("action").map(|word| AuditAction::parse(&word).ok_or_else(|| unknown(&word))).transpose()?;
    let no_place = |text: &str| bad(format!("Invalid cursor `{text}`."));
    let before = take("before").map(|text| text.parse().map_err(|_| no_place(&text))).transpose()?;
    let filter = AuditFilter { run, actor: take("actor"), action, limit: parse_limit(take("limit"))?, before };
    read_audit(&app.backend.store, &filter).await.map(Json)
}
