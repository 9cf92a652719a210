//! Pages rendered by Leptos, and the server functions (docs/CONTRACT.md, "Pages").

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use leptos::config::LeptosOptions;
use leptos::nonce::use_nonce;
use leptos::prelude::{provide_context, use_context, view};
use leptos::server_fn::axum::server_fn_paths;
use leptos_axum::{LeptosRoutes, ResponseOptions, generate_route_list};
use leptos_router::location::RequestUrl;

use super::body;
use super::guard::headers::csp;
use super::state::AppState;
use crate::access::Principal;
use crate::base;
use crate::calls::context::{RequestContext, ResponseControl};
use crate::ui::{self, PageSettings, shell};

/// The pages, the server functions, and the page for unknown paths.
pub fn router(app: AppState, addr: SocketAddr) -> Router {
    let options = LeptosOptions::builder().output_name("runtrail").site_pkg_dir("pkg").site_addr(addr).build();
    let page = PageSettings { poll_ms: millis(app.poll_interval), heartbeat_ms: millis(app.heartbeat) };
    let context = move || provide_request_context(&app);
    let render = move |options: LeptosOptions| move || shell(options.clone(), page);
    let fallback = {
        let context = context.clone();
        move |State(options): State<LeptosOptions>, request: Request<Body>| not_found(context, render(options), request)
    };
    // The base path is removed before routing.
    let routes = generate_route_list(|| view! { <ui::App base=""/> });
    Router::new()
        .leptos_routes_with_context(&options, routes, context, render(options.clone()))
        .fallback(fallback)
        .layer(from_fn(body::buffer_server_fn_body))
        .with_state(options)
}

/// Provides what pages and server functions use of the request, and sets the headers of the response.
fn provide_request_context(app: &AppState) {
    let (Some(request), Some(response)) = (use_context::<Parts>(), use_context::<ResponseOptions>()) else { return };
    // The router in the browser sees the base path, so the one on the server must as well.
    let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
    provide_context(RequestUrl::new(&format!("http://localhost{}", base::path(path))));
    // No inline script may run except those with the nonce that Leptos gives its own.
    let nonce = use_nonce();
    response.insert_header(header::CONTENT_SECURITY_POLICY, csp(nonce.as_deref()));
    // Pages are not stored, since a stored copy would be out of date. Responses of server functions are stored but
    // revalidated: browsers exclude a page from the back/forward cache if it fetched something that must not be stored.
    let is_server_fn = request.uri.path().starts_with("/fn/");
    let cache_control = if is_server_fn { "no-cache" } else { "no-store" };
    response.insert_header(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
    let accept = request.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    provide_context(RequestContext {
        backend: app.backend.clone(),
        access: app.access.clone(),
        principal: request.extensions.get::<Principal>().cloned(),
        peer: request.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0),
        accepts_html: accept.is_some_and(|accept| accept.contains("text/html")),
        response: Arc::new(LeptosResponse(response)),
    });
}

struct LeptosResponse(ResponseOptions);

impl ResponseControl for LeptosResponse {
    fn set_status(&self, status: u16) {
        if let Ok(status) = StatusCode::from_u16(status) {
            self.0.set_status(status);
        }
    }

    fn redirect(&self, path: &str) {
        leptos_axum::redirect(path);
    }
}

/// The paths of the pages and of the server functions.
pub fn paths() -> Vec<String> {
    let pages = generate_route_list(|| view! { <ui::App base=""/> });
    let pages = pages.iter().map(|page| page.path().to_owned());
    pages.chain(server_fn_paths().map(|(path, _)| path.to_owned())).collect()
}

/// The page for unknown paths.
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
