//! Tokens and login links (docs/CONTRACT.md, "Access").

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;

use crate::access::{AccessAdmin, NoAccessControl, Principal, parse_lifetime_ms};
use crate::http::body::read_json;
use crate::http::extract::{ApiResult, Caller, PathResult};
use crate::http::state::AppState;
use crate::model::access::{LoginCode, TokenView};
use crate::model::{CurrentUser, Problem, ProblemCode, Role};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateTokenBody {
    name: String,
    role: Role,
    /// A duration such as `90d`. Without it the token does not expire.
    expires_in: Option<String>,
}

/// The name or id of a token or session in the path.
pub(super) fn read_path(path: PathResult<String>) -> ApiResult<String> {
    let error =
        |_| Problem::new(ProblemCode::AccessNotFound, "There is no such token or session: its name is not UTF-8.");
    path.map(|Path(name)| name).map_err(error)
}

/// # Errors
/// [`ProblemCode::NotFound`] with `--no-token`.
pub(super) fn access_admin(app: &AppState) -> ApiResult<AccessAdmin> {
    Ok(app.access.as_ref().ok_or(NoAccessControl)?.admin())
}

/// `GET /api/v1/me`
pub async fn me(Extension(principal): Extension<Principal>) -> Json<CurrentUser> {
    Json(principal.me())
}

/// `GET /api/v1/tokens`
pub async fn list(State(app): State<AppState>) -> ApiResult<Json<Vec<TokenView>>> {
    access_admin(&app)?.tokens().await.map(Json)
}

/// `POST /api/v1/tokens`
pub async fn create(State(app): State<AppState>, Caller(by): Caller, request: Request) -> ApiResult<Response> {
    let empty = || Problem::new(ProblemCode::InvalidBody, "The body is empty; give {\"name\": …, \"role\": …}.");
    let CreateTokenBody { name, role, expires_in } = read_json(request).await?.ok_or_else(empty)?;
    let lifetime_ms = expires_in.as_deref().map(parse_lifetime_ms).transpose()?;
    let token = access_admin(&app)?.create_token(&name, role, lifetime_ms, &by).await?;
    Ok((StatusCode::CREATED, Json(token)).into_response())
}

/// `DELETE /api/v1/tokens/{token}`: by id or name.
pub async fn revoke(
    State(app): State<AppState>,
    Caller(by): Caller,
    path: PathResult<String>,
) -> ApiResult<StatusCode> {
    access_admin(&app)?.revoke_token(&read_path(path)?, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/login-links`
pub async fn create_login_link(State(app): State<AppState>, Caller(by): Caller) -> ApiResult<Response> {
    let (code, expires_at) = access_admin(&app)?.create_login_code(Some(&by)).await?;
    let link = LoginCode { url: format!("{}#{code}", app.login_url), expires_at };
    Ok((StatusCode::CREATED, Json(link)).into_response())
}
