//! The server below a path of its host: requests lose the base path before anything looks at them, and answers get it back.
//!
//! So all rules and routes know one set of paths, and what they answer leads a browser to the right place.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Uri, header, uri::PathAndQuery};
use axum::middleware::{Next, from_fn};
use axum::response::Response;

use crate::model::BasePath;

/// The router below the base path, and at the root, for proxies that take the base path away.
pub fn below(base: &BasePath, router: Router) -> Router {
    if base.is_root() {
        return router;
    }
    let base = base.clone();
    let around = from_fn(move |request: Request, next: Next| {
        let base = base.clone();
        async move { pass(&base, request, next).await }
    });
    // Behind a fallback, since a layer of the router itself comes after its choice of the route.
    Router::new().fallback_service(router).layer(around)
}

async fn pass(base: &BasePath, mut request: Request, next: Next) -> Response {
    if let Some(stripped) = stripped(base, request.uri()) {
        *request.uri_mut() = stripped;
    }
    let mut response = next.run(request).await;
    lead_back(base, response.headers_mut());
    response
}

/// The address without the base path, if it has that.
fn stripped(base: &BasePath, uri: &Uri) -> Option<Uri> {
    let path = base.strip(uri.path_and_query()?.as_str())?;
    let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

/// Puts the base path before a `Location` on this server.
fn lead_back(base: &BasePath, headers: &mut HeaderMap) {
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
        below(&BasePath::parse(base).unwrap(), router)
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
    async fn routes_see_their_own_paths_however_the_proxy_passes_them_on() {
        let router = router("/rt");
        for (asked, seen) in [
            ("/rt", "/"),
            ("/rt/", "/"),
            ("/rt?q=x", "/?q=x"),
            ("/rt/runs/7?a=/rt/b", "/runs/7?a=/rt/b"),
            ("/runs/7", "/runs/7"),
            ("/", "/"),
            ("//runs/7", "/runs/7"),
        ] {
            assert_eq!(ask(&router, asked).await, (200, seen.to_owned(), None), "{asked}");
        }
        for nowhere in ["/rtx", "/rt/nowhere", "/rt/rt/runs/7"] {
            assert_eq!(ask(&router, nowhere).await.0, 404, "{nowhere}");
        }
    }

    #[tokio::test]
    async fn redirects_lead_back_below_the_base_path() {
        for (base, asked, location) in [
            ("/rt", "/rt/here", "/rt/runs/1?a=b"),
            ("/rt", "/here", "/rt/runs/1?a=b"),
            ("/rt", "/away", "https://elsewhere.example/x"),
            ("/", "/here", "/runs/1?a=b"),
        ] {
            assert_eq!(ask(&router(base), asked).await.2.as_deref(), Some(location), "{asked} below {base}");
        }
    }
}
