//! Which address leads where.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::OriginalUri;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{MethodRouter, delete, get, post};

use super::{App, access_api, api, assets, health, hooks, pages, stream, triggers};
use crate::model::{Problem, ProblemCode};

/// Where the JSON API is.
const API: &str = "/api/v1";

/// Routes, and where they lead.
#[derive(Default)]
struct Routes {
    router: Router<App>,
    paths: Vec<&'static str>,
}

impl Routes {
    fn route(mut self, path: &'static str, method: MethodRouter<App>) -> Self {
        self.paths.push(path);
        Self { router: self.router.route(path, method), ..self }
    }
}

/// The JSON API, below [`API`].
fn api() -> Routes {
    Routes::default()
        .route("/database", get(api::database))
        .route("/database/health", get(health::database))
        .route("/pipelines", get(api::pipelines))
        .route("/queue", get(api::queue))
        .route("/runs", get(api::list).post(api::start))
        .route("/runs/{id}", get(api::show).delete(api::delete))
        .route("/runs/{id}/pin", post(api::pin))
        .route("/runs/{id}/unpin", post(api::unpin))
        .route("/runs/{id}/attempts", get(api::attempts))
        .route("/runs/{id}/compare", get(api::compare))
        .route("/runs/{id}/rerun", post(api::rerun))
        .route("/runs/{id}/cancel", post(api::cancel))
        .route("/runs/{id}/approve", post(api::approve))
        .route("/runs/{id}/reject", post(api::reject))
        .route("/runs/{id}/frames", get(api::frames))
        .route("/runs/{id}/log", get(api::log))
        .route("/hooks/{pipeline}", post(hooks::hook))
        .route("/deliveries", get(triggers::deliveries))
        .route("/schedules", get(triggers::schedules))
        .route("/schedules/pause", post(triggers::pause_all))
        .route("/schedules/resume", post(triggers::resume_all))
        .route("/schedules/{pipeline}/{name}/pause", post(triggers::pause))
        .route("/schedules/{pipeline}/{name}/resume", post(triggers::resume))
        .route("/schedules/{pipeline}/{name}/run", post(triggers::run))
        .route("/me", get(access_api::me))
        .route("/audit", get(access_api::audit))
        .route("/tokens", get(access_api::tokens).post(access_api::create_token))
        .route("/tokens/{token}", delete(access_api::revoke_token))
        .route("/sessions", get(access_api::sessions))
        .route("/sessions/{id}", delete(access_api::end_session))
        .route("/login-links", post(access_api::login_link))
}

/// What is neither that nor a page.
fn others() -> Routes {
    Routes::default()
        .route("/runs/{id}/events", get(stream::events))
        .route("/events", get(stream::many))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/favicon.svg", get(assets::file))
        // Asked for by browsers that show what names no icon, such as a run's log.
        .route("/favicon.ico", get(async || Redirect::permanent("/favicon.svg")))
        .route("/pkg/{*path}", get(assets::file))
}

/// Everything the server answers, before the guard.
pub fn router(app: App, addr: SocketAddr) -> Router {
    let api = api().router.fallback(no_such_call).method_not_allowed_fallback(wrong_method);
    let rest = others().router.nest(API, api).method_not_allowed_fallback(wrong_method).with_state(app.clone());
    pages::router(app, addr).merge(rest)
}

/// The paths of everything the server answers, the guard's own included; `{name}` stands for any part.
pub fn addresses() -> Vec<String> {
    let api = api().paths.into_iter().map(|path| format!("{API}{path}"));
    let others = others().paths.into_iter().chain(["/login", "/login.js", "/logout"]).map(str::to_owned);
    api.chain(others).chain(pages::addresses()).collect()
}

async fn no_such_call(OriginalUri(uri): OriginalUri) -> impl IntoResponse {
    Problem::new(ProblemCode::NotFound, format!("There is no call {}.", uri.path()))
}

async fn wrong_method(OriginalUri(uri): OriginalUri) -> impl IntoResponse {
    Problem::new(ProblemCode::MethodNotAllowed, format!("{} does not take this method.", uri.path()))
}
