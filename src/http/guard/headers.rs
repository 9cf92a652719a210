//! What every answer tells the browser about itself. The last line, behind escaping: should markup ever get through,
//! it finds no script to run, nowhere to send to, and no frame to be shown in.
//!
//! Only headers: bodies pass untouched, so that a stream stays one.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use super::Guard;

/// The Content-Security-Policy (CSP level 3) of a page whose inline scripts carry this nonce; without one, none may run.
///
/// `style-src` has no nonce: inline `style` attributes do not work, styles set by scripts do. `wasm-unsafe-eval` lets
/// WebAssembly compile and, despite its name, no `eval`. Trusted Types: text becomes markup only by the page's own policy
/// (`ui/shell.rs`).
pub fn csp(nonce: Option<&str>) -> HeaderValue {
    // The nonce is ours, but a stray quote or semicolon would be policy.
    let sound = |nonce: &&str| {
        !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte))
    };
    let nonce = nonce.filter(sound).map(|nonce| format!(" 'nonce-{nonce}'")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; script-src 'self'{nonce} 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types default"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// The same for every answer.
const FIXED: [(HeaderName, &str); 6] = [
    // A command's output is what we say it is, whatever it looks like.
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Not `no-referrer`: with that, browsers send `Origin: null` with our own forms (Fetch, "Append … `Origin`").
    (header::REFERRER_POLICY, "same-origin"),
    // `frame-ancestors`, for browsers that do not know it.
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    // Other sites cannot load our answers as images or scripts either, where the same-origin policy does not look.
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// How long browsers keep to TLS for a host that is reached over it (RFC 6797): a year.
const HSTS: &str = "max-age=31536000";

/// Whether what is answered there is of its moment, and for who asked alone.
fn is_private(path: &str) -> bool {
    path.starts_with("/api/") || path == "/metrics"
}

/// Adds the headers; a page that brought its own policy, with its nonce, keeps it.
pub async fn add(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let is_private = is_private(request.uri().path());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if is_private {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    // Only where --public-url says that people come over TLS: a client can claim it for itself, but not for the host.
    if guard.secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert_with(|| csp(None));
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_of_a_page() {
        assert_eq!(
            csp(Some("aGVsbG8+/w==")),
            "default-src 'none'; script-src 'self' 'nonce-aGVsbG8+/w==' 'wasm-unsafe-eval'; style-src 'self'; \
             img-src 'self' data:; connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; \
             form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types default"
        );
    }

    #[test]
    fn without_a_sound_nonce_nothing_inline_runs() {
        let strict = csp(None);
        assert!(!strict.to_str().unwrap().contains("nonce"));
        for bad in ["", "a b", "a'", "a; script-src *", "a\n", "é"] {
            assert_eq!(csp(Some(bad)), strict, "{bad:?}");
        }
    }
}
