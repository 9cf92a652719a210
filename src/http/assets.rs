//! The page's files, which are inside the program: `cargo leptos build` makes them before it builds the program.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{Embed, EmbeddedFile};

use crate::model::{Problem, ProblemCode};

/// What cargo-leptos has put into `target/site`. A debug build reads the folder each time instead.
#[derive(Embed)]
#[folder = "$CARGO_MANIFEST_DIR/target/site"]
#[allow_missing = true]
struct Site;

/// One of the page's files. Named the same in every version, so a browser asks each time and is told if it has it already.
pub async fn file(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let Some(file) = Site::get(path) else {
        return Problem::new(ProblemCode::NotFound, format!("There is no file {}.", uri.path())).into_response();
    };
    let tag = etag(&file);
    let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|sent| sent == tag);
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let headers = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_TYPE, content_type(&kind)),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let body = match file.data {
        std::borrow::Cow::Borrowed(bytes) => Body::from(bytes),
        std::borrow::Cow::Owned(bytes) => Body::from(bytes),
    };
    (headers, body).into_response()
}

fn etag(file: &EmbeddedFile) -> HeaderValue {
    let digest: String = file.metadata.sha256_hash()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(format!("\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn content_type(kind: &mime_guess::Mime) -> HeaderValue {
    let text = kind.type_() == mime_guess::mime::TEXT;
    let value = if text { format!("{kind}; charset=utf-8") } else { kind.to_string() };
    HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}
