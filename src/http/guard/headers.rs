//! Security headers of every response: the second line of defense after escaping. Injected markup could run no script,
//! send data nowhere and not be framed. Bodies pass unchanged, so that streams are not buffered.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use super::Guard;

/// The Content-Security-Policy (CSP level 3) of a page whose inline scripts carry this nonce; without one, none may
/// run.
///
/// `style-src` has no nonce: inline `style` attributes do not work, styles set by scripts do. `wasm-unsafe-eval` lets
/// WebAssembly compile and, despite its name, no `eval`. Trusted Types: text becomes markup only by the page's own
/// policy (`ui/shell.rs`).
pub fn csp(nonce: Option<&str>) -> HeaderValue {
    // A quote or semicolon in the nonce would change the policy.
    let is_valid = |nonce: &&str| {
        !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte))
    };
    let nonce = nonce.filter(is_valid).map(|nonce| format!(" 'nonce-{nonce}'")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; script-src 'self'{nonce} 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types default"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

const FIXED_HEADERS: [(HeaderName, &str); 6] = [
    // Browsers must not guess that a command's output is HTML.
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Not `no-referrer`: then browsers send `Origin: null` with this server's own forms (Fetch, "Append … `Origin`").
    (header::REFERRER_POLICY, "same-origin"),
    // For browsers that do not support `frame-ancestors`.
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    // Prevents other sites from loading responses as images or scripts, which the same-origin policy allows.
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// Strict-Transport-Security (RFC 6797) for one year.
const HSTS: &str = "max-age=31536000";

/// Whether responses of this path must not be stored.
fn is_private(path: &str) -> bool {
    path.starts_with("/api/") || path == "/metrics"
}

/// The layer: adds the headers. A page keeps its own policy, which contains its nonce.
pub async fn add(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let is_private = is_private(request.uri().path());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if is_private {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    // Only if --public-url is https: a client's X-Forwarded-Proto must not change the policy of the host.
    if guard.is_https_only {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert_with(|| csp(None));
    for (name, value) in FIXED_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csp_of_a_page_contains_its_nonce() {
        assert_eq!(
            csp(Some("aGVsbG8+/w==")),
            "default-src 'none'; script-src 'self' 'nonce-aGVsbG8+/w==' 'wasm-unsafe-eval'; style-src 'self'; \
             img-src 'self' data:; connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; \
             form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types default"
        );
    }

    #[test]
    fn csp_ignores_an_invalid_nonce() {
        let strict = csp(None);
        assert!(!strict.to_str().unwrap().contains("nonce"));
        for bad in ["", "a b", "a'", "a; script-src *", "a\n", "é"] {
            assert_eq!(csp(Some(bad)), strict, "{bad:?}");
        }
    }
}
