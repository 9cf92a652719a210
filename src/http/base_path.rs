//! Serving below a path of the host: the base path is removed from requests before the guard and the routes see them,
//! and added to `Location` headers.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Uri, header, uri::PathAndQuery};
use axum::middleware::{Next, from_fn};
use axum::response::Response;

use crate::model::BasePath;

/// Serves the router below the base path, and also at the root, for proxies that remove the base path.
pub fn nest(base: &BasePath, router: Router) -> Router {
    if base.is_root() {
        return router;
    }
    let base = base.clone();
    let around = from_fn(move |request: Request, next: Next| {
        let base = base.clone();
        async move { translate(&base, request, next).await }
    });
    // As a fallback service, because a layer of the router itself runs after routing.
    Router::new().fallback_service(router).layer(around)
}

async fn translate(base: &BasePath, mut request: Request, next: Next) -> Response {
    if let Some(stripped) = strip(base, request.uri()) {
        *request.uri_mut() = stripped;
    }
    let mut response = next.run(request).await;
    add_to_location(base, response.headers_mut());
    response
}

/// The URI without the base path. `None` if it does not begin with the base path.
fn strip(base: &BasePath, uri: &Uri) -> Option<Uri> {
    let path = base.strip(uri.path_and_query()?.as_str())?;
    let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

/// Adds the base path to a `Location` on this server.
fn add_to_location(base: &BasePath, headers: &mut HeaderMap) {
    let location = headers.get(header::LOCATION).and_then(|location| location.to_str().ok());
    let Some(location) = location.filter(|location| location.starts_with('/') && !location.starts_with("//")) else {
        return;
    };
    if let Ok(location) = HeaderValue::try_from(base.join(location)) {
        headers.insert(header::LOCATION, location);
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::StatusCode;
    use axum::response::{IntoResponse, Redirect};
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    fn router(base: &str) -> Router {
        let router = Router::new()
            .route("/runs/{id}", get(|uri: Uri| async move { uri.to_string() }))
            .route("/", get(|uri: Uri| async move { uri.to_string() }))
            .route("/away", get(async || Redirect::to("https://elsewhere.example/x")))
            .route("/here", get(async || Redirect::to("/runs/1?a=b")))
            .fallback(async || (StatusCode::NOT_FOUND, "nowhere").into_response());
        nest(&BasePath::parse(base).unwrap(), router)
    }

    async fn ask(router: &Router, path: &str) -> (u16, String, Option<String>) {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let location = response.headers().get(header::LOCATION).map(|value| value.to_str().unwrap().to_owned());
        let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(text.to_vec()).unwrap(), location)
    }

    #[tokio::test]
    async fn base_path_is_removed_from_requests() {
        let router = router("/rt");
        for (path, seen) in [
            ("/rt", "/"),
            ("/rt/", "/"),
            ("/rt?q=x", "/?q=x"),
            ("/rt/runs/7?a=/rt/b", "/runs/7?a=/rt/b"),
            ("/runs/7", "/runs/7"),
            ("/", "/"),
            ("//runs/7", "/runs/7"),
        ] {
            assert_eq!(ask(&router, path).await, (200, seen.to_owned(), None), "{path}");
        }
        for path in ["/rtx", "/rt/nowhere", "/rt/rt/runs/7"] {
            assert_eq!(ask(&router, path).await.0, 404, "{path}");
        }
    }

    #[tokio::test]
    async fn base_path_is_added_to_redirects() {
        for (base, path, location) in [
            ("/rt", "/rt/here", "/rt/runs/1?a=b"),
            ("/rt", "/here", "/rt/runs/1?a=b"),
            ("/rt", "/away", "https://elsewhere.example/x"),
            ("/", "/here", "/runs/1?a=b"),
        ] {
            assert_eq!(ask(&router(base), path).await.2.as_deref(), Some(location), "{path} below {base}");
        }
    }
}
