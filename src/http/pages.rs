//! The dashboard: pages rendered by Leptos, and its server functions.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{Request, header};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use leptos::config::LeptosOptions;
use leptos::nonce::use_nonce;
use leptos::prelude::{provide_context, use_context, view};
use leptos::server_fn::axum::server_fn_paths;
use leptos_axum::{LeptosRoutes, ResponseOptions, generate_route_list};
use leptos_router::location::RequestUrl;

use super::guard::headers::csp;
use super::{App, body};
use crate::base;
use crate::ui::{self, PageSettings, shell};

/// The pages, the server functions, and the page for addresses that lead nowhere.
pub fn router(app: App, addr: SocketAddr) -> Router {
    let options = LeptosOptions::builder().output_name("runtrail").site_pkg_dir("pkg").site_addr(addr).build();
    let page = PageSettings { poll_ms: millis(app.poll_interval), heartbeat_ms: millis(app.heartbeat) };
    let context = move || {
        provide_context(app.backend.clone());
        if let Some(access) = &app.access {
            provide_context(access.clone());
        }
        // As the browser has it: the pages' router is told of the base path.
        let mut is_call = false;
        if let Some(request) = use_context::<Parts>() {
            is_call = request.uri.path().starts_with("/fn/");
            let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
            provide_context(RequestUrl::new(&format!("http://localhost{}", base::path(path))));
        }
        // The policy names the nonce that Leptos gives its own scripts; nothing else inline may run.
        if let Some(response) = use_context::<ResponseOptions>() {
            let nonce = use_nonce();
            response.insert_header(header::CONTENT_SECURITY_POLICY, csp(nonce.as_deref()));
            // What a page shows is of its moment; a copy from a cache would be stale without saying so. A page that has called what
            // must not be stored is not kept for the way back by browsers, so calls are checked for news instead.
            let keeps = if is_call { "no-cache" } else { "no-store" };
            response.insert_header(header::CACHE_CONTROL, header::HeaderValue::from_static(keeps));
        }
    };
    let render = move |options: LeptosOptions| move || shell(options.clone(), page);
    let nowhere = {
        let context = context.clone();
        move |State(options): State<LeptosOptions>, request: Request<Body>| not_found(context, render(options), request)
    };
    // The base path is taken away before the routes are looked at.
    let routes = generate_route_list(|| view! { <ui::App base=""/> });
    Router::new()
        .leptos_routes_with_context(&options, routes, context, render(options.clone()))
        .fallback(nowhere)
        .layer(from_fn(body::read_first))
        .with_state(options)
}

/// The paths of the pages and of the server functions.
pub fn addresses() -> Vec<String> {
    let pages = generate_route_list(|| view! { <ui::App base=""/> });
    let pages = pages.iter().map(|page| page.path().to_owned());
    pages.chain(server_fn_paths().map(|(path, _)| path.to_owned())).collect()
}

/// The app's own page for addresses that lead nowhere.
async fn not_found<V: leptos::prelude::IntoView + 'static>(
    context: impl Fn() + Clone + Send + Sync + 'static,
    app: impl Fn() -> V + Clone + Send + Sync + 'static,
    request: Request<Body>,
) -> Response {
    leptos_axum::render_app_to_stream_with_context(context, app)(request).await.into_response()
}

fn millis(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
