//! The routes.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::OriginalUri;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{MethodRouter, delete, get, post};

use super::api::{
    approvals, attempts, audit, database, deliveries, frames, pipelines, queue, runs, schedules, sessions, tokens,
    workers,
};
use super::state::AppState;
use super::{assets, health, hooks, metrics, pages, stream};
use crate::model::{Problem, ProblemCode};

/// The prefix of the JSON API.
const API: &str = "/api/v1";

/// A router that also lists its paths, which axum cannot do.
#[derive(Default)]
struct ListedRouter {
    router: Router<AppState>,
    paths: Vec<&'static str>,
}

impl ListedRouter {
    fn route(mut self, path: &'static str, method: MethodRouter<AppState>) -> Self {
        self.paths.push(path);
        Self { router: self.router.route(path, method), ..self }
    }
}

/// The JSON API, below [`API`].
fn api_routes() -> ListedRouter {
    ListedRouter::default()
        .route("/database", get(database::size))
        .route("/database/health", get(database::health))
        .route("/pipelines", get(pipelines::list))
        .route("/queue", get(queue::show))
        .route("/workers", get(workers::list))
        .route("/drain", post(workers::drain))
        .route("/runs", get(runs::list).post(runs::start))
        .route("/runs/{id}", get(runs::show).delete(runs::delete))
        .route("/runs/{id}/pin", post(runs::pin))
        .route("/runs/{id}/unpin", post(runs::unpin))
        .route("/runs/{id}/attempts", get(attempts::list))
        .route("/runs/{id}/compare", get(attempts::compare))
        .route("/runs/{id}/rerun", post(runs::rerun))
        .route("/runs/{id}/cancel", post(runs::cancel))
        .route("/runs/{id}/approve", post(approvals::approve))
        .route("/runs/{id}/reject", post(approvals::reject))
        .route("/runs/{id}/frames", get(frames::list))
        .route("/runs/{id}/log", get(frames::log))
        .route("/hooks/{pipeline}", post(hooks::receive))
        .route("/deliveries", get(deliveries::list))
        .route("/schedules", get(schedules::list))
        .route("/schedules/pause", post(schedules::pause_all))
        .route("/schedules/resume", post(schedules::resume_all))
        .route("/schedules/{pipeline}/{name}/pause", post(schedules::pause))
        .route("/schedules/{pipeline}/{name}/resume", post(schedules::resume))
        .route("/schedules/{pipeline}/{name}/run", post(schedules::run))
        .route("/me", get(tokens::me))
        .route("/audit", get(audit::list))
        .route("/tokens", get(tokens::list).post(tokens::create))
        .route("/tokens/{token}", delete(tokens::revoke))
        .route("/sessions", get(sessions::list))
        .route("/sessions/{id}", delete(sessions::end))
        .route("/login-links", post(tokens::create_login_link))
}

/// What every instance serves.
fn health_routes() -> ListedRouter {
    ListedRouter::default()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
}

/// Everything except the JSON API and the pages.
fn other_routes() -> ListedRouter {
    health_routes()
        .route("/runs/{id}/events", get(stream::run_events))
        .route("/events", get(stream::multiplexed_events))
        .route("/favicon.svg", get(assets::file))
        // Browsers request this path for responses that name no icon, such as a run's log.
        .route("/favicon.ico", get(async || Redirect::permanent("/favicon.svg")))
        .route("/pkg/{*path}", get(assets::file))
}

/// All routes, not yet wrapped by the guard.
pub fn router(state: AppState, addr: SocketAddr) -> Router {
    let api = api_routes().router.fallback(unknown_path).method_not_allowed_fallback(wrong_method);
    let others = other_routes().router.nest(API, api).method_not_allowed_fallback(wrong_method);
    pages::router(state.clone(), addr).merge(others.with_state(state))
}

/// The routes of a worker, not yet wrapped by the guard.
pub fn worker_router(state: AppState) -> Router {
    let routes = health_routes().router.fallback(not_on_workers).method_not_allowed_fallback(wrong_method);
    routes.with_state(state)
}

/// The paths of all routes, including the guard's own; `{name}` stands for any segment.
pub fn route_paths() -> Vec<String> {
    let api = api_routes().paths.into_iter().map(|path| format!("{API}{path}"));
    let guard = ["/login", "/login.js", "/logout"];
    let others = other_routes().paths.into_iter().chain(guard).map(str::to_owned);
    api.chain(others).chain(pages::paths()).collect()
}

async fn unknown_path(OriginalUri(uri): OriginalUri) -> impl IntoResponse {
    Problem::new(ProblemCode::NotFound, format!("There is no call {}.", uri.path()))
}

async fn not_on_workers() -> impl IntoResponse {
    let detail = "A worker serves /healthz, /readyz and /metrics only. Pages and the API are on `runtrail serve`.";
    Problem::new(ProblemCode::NotFound, detail)
}

async fn wrong_method(OriginalUri(uri): OriginalUri) -> impl IntoResponse {
    Problem::new(ProblemCode::MethodNotAllowed, format!("{} does not take this method.", uri.path()))
}
