//! Which address leads where.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Uri;
use axum::middleware::map_request;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use http_body_util::Limited;

use super::{App, api, assets, health, pages, stream};
use crate::model::{Code, Problem};

/// Everything the server answers, before the guard.
pub fn router(app: App, addr: SocketAddr) -> Router {
    let api = Router::new()
        .route("/pipelines", get(api::pipelines))
        .route("/runs", get(api::list).post(api::start))
        .route("/runs/{id}", get(api::show))
        .route("/runs/{id}/rerun", post(api::rerun))
        .route("/runs/{id}/cancel", post(api::cancel))
        .route("/runs/{id}/frames", get(api::frames))
        .route("/runs/{id}/log", get(api::log))
        .fallback(no_such_call)
        .method_not_allowed_fallback(wrong_method);
    let rest = Router::new()
        .nest("/api/v1", api)
        .route("/runs/{id}/events", get(stream::events))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/favicon.svg", get(assets::file))
        .route("/pkg/{*path}", get(assets::file))
        .with_state(app.clone());
    pages::router(app, addr).merge(rest).layer(map_request(limited))
}

/// Whoever reads a body, reads no further than this.
async fn limited(request: Request) -> Request {
    request.map(|body| Body::new(Limited::new(body, api::MOST_READ)))
}

async fn no_such_call(uri: Uri) -> impl IntoResponse {
    Problem::new(Code::NotFound, format!("The API has no {}.", uri.path()))
}

async fn wrong_method(uri: Uri) -> impl IntoResponse {
    Problem::new(Code::MethodNotAllowed, format!("{} does not take this method.", uri.path()))
}
