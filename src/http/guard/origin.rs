//! The origin rule: pages of other sites may neither change anything nor read data; they get 403 (docs/CONTRACT.md,
//! "Access").
//!
//! It prevents cross-site request forgery, and pages of other sites that hold streams open. Links from other sites
//! work. Browsers send the origin of a request in two headers that pages cannot forge: `Origin` (Fetch standard,
//! "Append a request `Origin` header": with every method except GET and HEAD) and `Sec-Fetch-Site` (Fetch Metadata:
//! only to trustworthy URLs, which excludes plain HTTP to other machines). Programs send neither.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Guard;
use super::authority::Authority;
use super::client::is_over_tls;
use super::host::ServedHosts;
use super::route_class::is_api;
use crate::model::{Problem, ProblemCode};

pub(super) const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The request comes from another site.
#[derive(Debug, PartialEq, Eq)]
pub struct CrossOrigin;

/// What the rule knows about the target of a request.
pub struct OriginTarget<'a> {
    /// The host of the request; see [`super::host`].
    pub own: &'a Authority,
    /// Whether the browser uses TLS.
    pub is_tls: bool,
    pub hosts: &'a ServedHosts,
    /// See [`is_api`].
    pub is_api: bool,
}

/// Whether the browser opens the address in a tab, for example by a link to the log of a run. The page with the link
/// cannot read it.
fn is_navigation(headers: &HeaderMap) -> bool {
    let has = |name, value| headers.get(name).is_some_and(|sent| sent == value);
    has("sec-fetch-mode", "navigate") && has("sec-fetch-dest", "document")
}

/// Whether a request may pass.
///
/// # Errors
/// [`CrossOrigin`]: it comes from another site and would change or read something.
pub fn decide(method: &Method, headers: &HeaderMap, target: &OriginTarget<'_>) -> Result<(), CrossOrigin> {
    // Safe methods (RFC 9110, section 9.2.1), except TRACE, which no route supports.
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    if *method == Method::OPTIONS || is_read && (!target.is_api || is_navigation(headers)) {
        return Ok(());
    }
    let site = single_value(headers, &SEC_FETCH_SITE)?;
    // "none": the person used the address bar. Unknown values are rejected.
    let is_same_origin = match site {
        None => false,
        Some("same-origin" | "none") => true,
        Some("same-site") => false,
        Some(_) => return Err(CrossOrigin),
    };
    match single_value(headers, &header::ORIGIN)? {
        // A sibling domain, or another port of this machine, is another site.
        None if site.is_some() && !is_same_origin => Err(CrossOrigin),
        None => Ok(()),
        Some(text) => {
            let origin = WebOrigin::parse(text).ok_or(CrossOrigin)?;
            // A plain HTTP page of the same host could have been changed by anyone in between.
            let is_downgrade = target.is_tls && !origin.is_tls;
            let is_own = origin.is_own(target.own) || origin.is_allowed(target.hosts, is_same_origin);
            if is_own && !is_downgrade { Ok(()) } else { Err(CrossOrigin) }
        }
    }
}

/// The value of a header, if it is present. Browsers never send several values, or one that is not text.
fn single_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, CrossOrigin> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(line), None) => line.to_str().map(Some).map_err(|_| CrossOrigin),
        (Some(_), Some(_)) => Err(CrossOrigin),
    }
}

/// The origin of a page: `http://name:port` or `https://name:port`.
struct WebOrigin {
    is_tls: bool,
    authority: Authority,
}

impl WebOrigin {
    /// Rejects `null` (a sandboxed frame, a file, a cross-site redirect) and other schemes (an extension).
    fn parse(text: &str) -> Option<Self> {
        let (is_tls, rest) = match text.split_once("://")? {
            ("https", rest) => (true, rest),
            ("http", rest) => (false, rest),
            _ => return None,
        };
        Some(Self { is_tls, authority: Authority::parse(rest)? })
    }

    fn default_port(&self) -> u16 {
        if self.is_tls { 443 } else { 80 }
    }

    fn port(&self) -> u16 {
        self.authority.port.unwrap_or(self.default_port())
    }

    /// Whether it has the same name and port as the request itself.
    fn is_own(&self, own: &Authority) -> bool {
        self.authority.name == own.name && self.port() == own.port.unwrap_or(self.default_port())
    }

    /// Whether it is an `--allow-host`, for pages behind a proxy that rewrites `Host`. An `--allow-host` without a port
    /// means the default port of the scheme, or any port if the browser says that page and target have the same origin:
    /// another service on another port of that machine is another site.
    fn is_allowed(&self, hosts: &ServedHosts, is_same_origin: bool) -> bool {
        hosts.allowed().iter().any(|allowed| {
            let is_port_allowed = is_same_origin || self.port() == allowed.port.unwrap_or(self.default_port());
            is_port_allowed && self.authority.name == allowed.name
        })
    }
}

/// The layer: rejects requests of other sites.
pub async fn check(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let is_tls = is_over_tls(&request);
    // The host rule, which runs first, has stored the authority.
    let is_allowed = request.extensions().get::<Authority>().is_some_and(|own| {
        let target = OriginTarget { own, is_tls, hosts: &guard.hosts, is_api: is_api(request.uri().path()) };
        decide(request.method(), request.headers(), &target).is_ok()
    });
    if !is_allowed {
        return problem(request.headers()).into_response();
    }
    let has_foreign_referer = request.extensions().get::<Authority>().is_some_and(|own| {
        let referer = request.headers().get(header::REFERER);
        referer.is_some_and(|referer| !is_own_page(referer.as_bytes(), own, &guard.hosts))
    });
    if has_foreign_referer {
        // Leptos redirects the response to a form to its referer, which must be a page of this server.
        request.headers_mut().remove(header::REFERER);
    }
    next.run(request).await
}

/// Whether a referer is a page of this server.
fn is_own_page(referer: &[u8], own: &Authority, hosts: &ServedHosts) -> bool {
    let Ok(referer) = std::str::from_utf8(referer) else { return false };
    let host = referer.find("://").map_or(0, |at| at + 3);
    let end = referer[host..].find(['/', '?', '#', '\\']).map_or(referer.len(), |at| host + at);
    WebOrigin::parse(&referer[..end]).is_some_and(|origin| origin.is_own(own) || origin.is_allowed(hosts, true))
}

fn problem(headers: &HeaderMap) -> Problem {
    let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok()).unwrap_or("another site");
    Problem::new(
        ProblemCode::ForeignOrigin,
        format!(
            "The request comes from {origin}. Only this server's own pages may make it, and programs that send \
             no Origin. If the page is this server's own behind a proxy, start it with --allow-host and the page's host."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `-` means that the header is not sent.
    fn is_allowed(method: &Method, host: &str, is_tls: bool, origin: &str, site: &str) -> bool {
        is_allowed_for(false, method, host, is_tls, origin, site)
    }

    fn is_allowed_for(is_api: bool, method: &Method, host: &str, is_tls: bool, origin: &str, site: &str) -> bool {
        let allow = ["runs.example".to_owned(), "box.lan:8443".to_owned()];
        let hosts = ServedHosts::new("127.0.0.1:3000".parse().unwrap(), &allow).unwrap();
        let own = Authority::parse(host).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::ORIGIN, origin), (SEC_FETCH_SITE, site)] {
            if value != "-" {
                headers.insert(name, value.parse().unwrap());
            }
        }
        decide(method, &headers, &OriginTarget { own: &own, is_tls, hosts: &hosts, is_api }).is_ok()
    }

    #[test]
    fn origin_allows_changes_by_own_pages_and_programs() {
        for (host, tls, origin, site) in [
            ("localhost:3000", false, "-", "-"),
            ("localhost:3000", false, "-", "none"),
            ("localhost:3000", false, "-", "same-origin"),
            ("localhost:3000", false, "http://localhost:3000", "-"),
            ("localhost:3000", false, "http://localhost:3000", "same-origin"),
            ("localhost:3000", false, "http://localhost:3000", "same-site"),
            ("LOCALHOST.:3000", false, "http://localhost:3000", "-"),
            ("127.0.0.1:3000", false, "http://127.0.0.1:3000", "same-origin"),
            ("[::1]:3000", false, "http://[::1]:3000", "-"),
            // The default port of the scheme, explicit or not.
            ("localhost", false, "http://localhost", "-"),
            ("localhost:80", false, "http://localhost", "-"),
            ("localhost", false, "http://localhost:80", "-"),
            ("runs.example", true, "https://runs.example", "-"),
            ("runs.example:443", true, "https://runs.example", "-"),
            ("runs.example", false, "https://runs.example", "-"),
            // A proxy that rewrites Host.
            ("127.0.0.1:3000", true, "https://runs.example", "-"),
            ("127.0.0.1:3000", true, "https://runs.example", "same-origin"),
            ("127.0.0.1:3000", true, "https://runs.example:9443", "same-origin"),
            ("127.0.0.1:3000", true, "https://box.lan:8443", "-"),
        ] {
            assert!(is_allowed(&Method::POST, host, tls, origin, site), "{host} {tls} {origin} {site}");
        }
    }

    #[test]
    fn origin_rejects_changes_by_other_sites() {
        for (host, tls, origin, site) in [
            ("localhost:3000", false, "-", "cross-site"),
            ("localhost:3000", false, "-", "same-site"),
            ("localhost:3000", false, "-", "of-the-future"),
            ("localhost:3000", false, "-", ""),
            ("localhost:3000", false, "null", "-"),
            ("localhost:3000", false, "null", "same-origin"),
            ("localhost:3000", false, "http://evil.example", "-"),
            ("localhost:3000", false, "http://evil.example", "same-origin"),
            ("localhost:3000", false, "http://evil.example", "none"),
            ("localhost:3000", false, "http://localhost:3000", "cross-site"),
            ("runs.example", true, "https://runs.example", "cross-site"),
            // Another port or another name of this machine is another site.
            ("localhost:3000", false, "http://localhost:8080", "same-site"),
            ("localhost:3000", false, "http://localhost:8080", "-"),
            ("localhost:3000", false, "http://localhost", "-"),
            ("localhost:3000", false, "http://127.0.0.1:3000", "-"),
            ("localhost", false, "http://localhost:443", "-"),
            ("localhost", false, "https://localhost:80", "-"),
            ("127.0.0.1:3000", true, "https://runs.example:9443", "-"),
            ("127.0.0.1:3000", true, "https://runs.example:9443", "same-site"),
            ("127.0.0.1:3000", true, "https://box.lan", "-"),
            // Pages that someone in between could have written.
            ("localhost:3000", true, "http://localhost:3000", "-"),
            ("localhost", true, "http://localhost", "-"),
            ("127.0.0.1:3000", true, "http://runs.example", "-"),
            // Not an origin.
            ("localhost:3000", false, "", "-"),
            ("localhost:3000", false, "localhost:3000", "-"),
            ("localhost:3000", false, "HTTP://localhost:3000", "-"),
            ("localhost:3000", false, "http://localhost:3000/", "-"),
            ("localhost:3000", false, "http://localhost:3000 http://evil.example", "-"),
            ("localhost:3000", false, "http://evil.example@localhost:3000", "-"),
            ("localhost:3000", false, "chrome-extension://localhost:3000", "-"),
            ("localhost:3000", false, "file://localhost:3000", "-"),
        ] {
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::TRACE] {
                assert!(!is_allowed(&method, host, tls, origin, site), "{method} {host} {tls} {origin} {site}");
            }
        }
    }

    #[test]
    fn origin_allows_safe_methods_on_pages() {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert!(is_allowed(&method, "localhost:3000", false, "http://evil.example", "cross-site"), "{method}");
        }
    }

    #[test]
    fn origin_rejects_repeated_headers() {
        let hosts = ServedHosts::new("127.0.0.1:3000".parse().unwrap(), &[]).unwrap();
        let own = Authority::parse("localhost").unwrap();
        let target = OriginTarget { own: &own, is_tls: false, hosts: &hosts, is_api: false };
        for name in [header::ORIGIN, SEC_FETCH_SITE] {
            let value = if name == header::ORIGIN { "http://localhost" } else { "same-origin" };
            let mut headers = HeaderMap::new();
            headers.append(&name, value.parse().unwrap());
            assert_eq!(decide(&Method::POST, &headers, &target), Ok(()));
            headers.append(&name, value.parse().unwrap());
            assert_eq!(decide(&Method::POST, &headers, &target), Err(CrossOrigin));
        }
    }

    #[test]
    fn origin_rejects_reads_of_data_by_other_sites() {
        for (origin, site, allowed) in [
            ("-", "-", true),
            ("-", "none", true),
            ("-", "same-origin", true),
            ("http://localhost:3000", "-", true),
            ("-", "cross-site", false),
            ("-", "same-site", false),
            ("http://evil.example", "-", false),
            ("http://localhost:8080", "same-site", false),
            ("null", "cross-site", false),
        ] {
            for method in [Method::GET, Method::HEAD] {
                let call = is_allowed_for(true, &method, "localhost:3000", false, origin, site);
                assert_eq!(call, allowed, "{method} {origin} {site}");
                assert!(
                    is_allowed_for(false, &method, "localhost:3000", false, origin, site),
                    "a page: {origin} {site}"
                );
            }
        }
    }

    #[test]
    fn referer_is_kept_only_for_own_pages() {
        let hosts = ServedHosts::new("127.0.0.1:3000".parse().unwrap(), &["runs.example".to_owned()]).unwrap();
        let own = Authority::parse("localhost:3000").unwrap();
        for (referer, is_own) in [
            ("http://localhost:3000/runs/1?a=b#c", true),
            ("http://localhost:3000", true),
            ("https://runs.example/rt/", true),
            ("http://localhost:8080/", false),
            ("http://evil.example/", false),
            ("http://localhost:3000@evil.example/", false),
            // By the URL standard browsers read the backslash as a slash.
            ("http://localhost:3000\\@evil.example/", true),
            ("//evil.example/", false),
            ("/runs/1", false),
            ("javascript:alert(1)", false),
            ("", false),
            ("http://é", false),
        ] {
            assert_eq!(is_own_page(referer.as_bytes(), &own, &hosts), is_own, "{referer}");
        }
    }
}
