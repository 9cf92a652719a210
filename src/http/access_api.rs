//! The JSON API of tokens, sessions, login links and the audit log.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;

use super::App;
use super::api::{Answer, Caller, QueryMap, read_limit, read_query};
use super::body::read_json;
use crate::access::{Access, Granted, read_audit};
use crate::model::access::{LoginCode, SessionView, TokenView};
use crate::model::audit::{AuditAction, AuditFilter, AuditPage};
use crate::model::{CurrentUser, Problem, ProblemCode, Role};

/// A token or a session in an address.
type AccessPath = Result<Path<String>, axum::extract::rejection::PathRejection>;

/// What a token is asked for with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenBody {
    name: String,
    role: Role,
    /// How long it works, such as `90d`; until it is revoked if left out.
    expires_in: Option<String>,
}

fn read_path(path: AccessPath) -> Answer<String> {
    let fault =
        |_| Problem::new(ProblemCode::AccessNotFound, "There is no such token or session: its name is not UTF-8.");
    path.map(|Path(name)| name).map_err(fault)
}

/// What knows tokens and sessions.
///
/// # Errors
/// [`ProblemCode::NotFound`], on a server that asks nobody for a token.
pub(super) fn access(app: &App) -> Answer<&Access> {
    let none = || {
        Problem::new(
            ProblemCode::NotFound,
            "This server was started with --no-token: it has no tokens and no sessions.",
        )
    };
    app.access.as_ref().ok_or_else(none)
}

/// `GET /api/v1/me`
pub async fn me(Extension(granted): Extension<Granted>) -> Json<CurrentUser> {
    Json(CurrentUser { name: granted.name, role: granted.role, via: granted.via })
}

/// `GET /api/v1/tokens`
pub async fn tokens(State(app): State<App>) -> Answer<Json<Vec<TokenView>>> {
    access(&app)?.tokens().await.map(Json)
}

/// `POST /api/v1/tokens`
pub async fn create_token(State(app): State<App>, Caller(by): Caller, request: Request) -> Answer<Response> {
    let nothing = || Problem::new(ProblemCode::InvalidBody, "The body is empty; give {\"name\": …, \"role\": …}.");
    let TokenBody { name, role, expires_in } = read_json(request).await?.ok_or_else(nothing)?;
    let lasts = expires_in.as_deref().map(lasts_ms).transpose()?;
    let token = access(&app)?.create_token(&name, role, lasts, &by).await?;
    Ok((StatusCode::CREATED, Json(token)).into_response())
}

/// How long a token works, in milliseconds.
///
/// # Errors
/// [`ProblemCode::BadRequest`], if the text is no duration.
pub fn lasts_ms(text: &str) -> Answer<i64> {
    let fault = || Problem::new(ProblemCode::BadRequest, format!("`{text}` is no duration; write 12h, 90d or 1y."));
    let lasts = humantime::parse_duration(text).map_err(|_| fault())?;
    i64::try_from(lasts.as_millis()).map_err(|_| fault())
}

/// `DELETE /api/v1/tokens/{token}`, by its id or its name.
pub async fn revoke_token(State(app): State<App>, Caller(by): Caller, path: AccessPath) -> Answer<StatusCode> {
    access(&app)?.revoke_token(&read_path(path)?, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/v1/sessions`
pub async fn sessions(
    State(app): State<App>,
    Caller(by): Caller,
    Extension(granted): Extension<Granted>,
) -> Answer<Json<Vec<SessionView>>> {
    let current = granted.session.as_ref().map(|session| session.id.as_str());
    access(&app)?.sessions(&by, current).await.map(Json)
}

/// `DELETE /api/v1/sessions/{id}`
pub async fn end_session(State(app): State<App>, Caller(by): Caller, path: AccessPath) -> Answer<StatusCode> {
    access(&app)?.end_session(&read_path(path)?, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/login-links`
pub async fn login_link(State(app): State<App>, Caller(by): Caller) -> Answer<Response> {
    let (code, expires_at) = access(&app)?.create_code(Some(&by)).await?;
    let link = LoginCode { url: format!("{}#{code}", app.login_url), expires_at };
    Ok((StatusCode::CREATED, Json(link)).into_response())
}

/// `GET /api/v1/audit`
pub async fn audit(State(app): State<App>, query: QueryMap) -> Answer<Json<AuditPage>> {
    let mut query = read_query(query)?;
    let mut take = |name: &str| query.remove(name).filter(|value| !value.is_empty());
    let run = take("run").map(|id| crate::runs::run_id(&id)).transpose()?;
    let unknown =
        |word: &str| Problem::new(ProblemCode::BadRequest, format!("`{word}` is no action of the audit log."));
    let action = take("action").map(|word| AuditAction::parse(&word).ok_or_else(|| unknown(&word))).transpose()?;
    let place = |text: &str| Problem::new(ProblemCode::BadRequest, format!("`{text}` is no place in the audit log."));
    let before = take("before").map(|text| text.parse().map_err(|_| place(&text))).transpose()?;
    let filter = AuditFilter { run, actor: take("actor"), action, limit: read_limit(take("limit"))?, before };
    read_audit(&app.service.store, &filter).await.map(Json)
}
