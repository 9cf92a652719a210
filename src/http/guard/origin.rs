//! The origin rule: another site's page may neither change anything here nor read data; 403 (CONTRACT.md, "Who may come in").
//!
//! It stops cross-site request forgery, and pages that hold streams open. Links to pages, and to what a person opens by one, work. A browser says where a request comes from in two headers that no page can forge:
//! `Origin` (Fetch standard, "Append a request `Origin` header": with every method but GET and HEAD) and `Sec-Fetch-Site`
//! (Fetch Metadata; only to places the browser trusts, which plain HTTP to another machine is not). Programs send
//! neither, and no site can make them send anything.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Guard;
use super::authority::Authority;
use super::client::over_tls;
use super::host::Hosts;
use super::want::is_call;
use crate::model::{Problem, ProblemCode};

pub(super) const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The request comes from another site.
#[derive(Debug, PartialEq, Eq)]
pub struct Foreign;

/// What the request is sent to, as far as the rule needs it.
pub struct Target<'a> {
    /// The name it came under; see [`super::host`].
    pub own: &'a Authority,
    /// Whether the browser came over TLS.
    pub tls: bool,
    /// The names we answer to.
    pub hosts: &'a Hosts,
    /// Whether it is no page and no part of one, but what programs and our own pages read: the API, streams, numbers.
    pub is_call: bool,
}

/// Whether a person opens it in a tab, by a link on another site: the log of a run, say. Such a page can read nothing of it.
fn is_opened(headers: &HeaderMap) -> bool {
    let is = |name, value| headers.get(name).is_some_and(|sent| sent == value);
    is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document")
}

/// Whether a request may be carried out.
///
/// # Errors
/// [`Foreign`]: no, it comes from another site.
pub fn decide(method: &Method, headers: &HeaderMap, target: &Target<'_>) -> Result<(), Foreign> {
    // By RFC 9110, section 9.2.1, these change nothing (and here they do not). TRACE is safe too, but nobody needs it.
    let reads = matches!(*method, Method::GET | Method::HEAD);
    if *method == Method::OPTIONS || reads && (!target.is_call || is_opened(headers)) {
        return Ok(());
    }
    let site = one(headers, &SEC_FETCH_SITE)?;
    // "none": a person did it, by the address bar. An unknown word is no permission.
    let vouched = match site {
        None => false,
        Some("same-origin" | "none") => true,
        Some("same-site") => false,
        Some(_) => return Err(Foreign),
    };
    match one(headers, &header::ORIGIN)? {
        // A sibling's page, or one on another port of this machine, is another site to us.
        None if site.is_some() && !vouched => Err(Foreign),
        None => Ok(()),
        Some(text) => {
            let origin = Origin::parse(text).ok_or(Foreign)?;
            // A plain page beside one that we serve over TLS: anyone on the way could have written it.
            let plain = target.tls && !origin.tls;
            let ours = origin.is_own(target.own) || origin.is_allowed(target.hosts, vouched);
            if ours && !plain { Ok(()) } else { Err(Foreign) }
        }
    }
}

/// The one value of a header. Several, or one that is not text, no browser sends.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Foreign> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(line), None) => line.to_str().map(Some).map_err(|_| Foreign),
        (Some(_), Some(_)) => Err(Foreign),
    }
}

/// Where a page is from: `http://name:port` or `https://name:port`.
struct Origin {
    tls: bool,
    at: Authority,
}

impl Origin {
    /// `null` (a sandboxed frame, a file, a redirect across sites) and other schemes (an extension) are nothing to us.
    fn parse(text: &str) -> Option<Self> {
        let (tls, rest) = match text.split_once("://")? {
            ("https", rest) => (true, rest),
            ("http", rest) => (false, rest),
            _ => return None,
        };
        Some(Self { tls, at: Authority::parse(rest)? })
    }

    fn default_port(&self) -> u16 {
        if self.tls { 443 } else { 80 }
    }

    fn port(&self) -> u16 {
        self.at.port.unwrap_or(self.default_port())
    }

    /// A page of ours: same name and port as the request itself.
    fn is_own(&self, own: &Authority) -> bool {
        self.at.name == own.name && self.port() == own.port.unwrap_or(self.default_port())
    }

    /// A page of ours behind a proxy that rewrites `Host`: from a name that the operator gave. Without a port in
    /// `--allow-host` it is the scheme's own, or, if the browser vouches that page and target are one, any: another
    /// service on another port of that machine is not ours.
    fn is_allowed(&self, hosts: &Hosts, vouched: bool) -> bool {
        hosts.allowed().iter().any(|allowed| {
            let port = vouched || self.port() == allowed.port.unwrap_or(self.default_port());
            port && self.at.name == allowed.name
        })
    }
}

/// Lets requests pass that change nothing or come from no other site.
pub async fn check(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let tls = over_tls(&request);
    // The host rule, before this one, has put it there; without it nothing is ours.
    let allowed = request.extensions().get::<Authority>().is_some_and(|own| {
        let target = Target { own, tls, hosts: &guard.hosts, is_call: is_call(request.uri().path()) };
        decide(request.method(), request.headers(), &target).is_ok()
    });
    if !allowed {
        return problem(request.headers()).into_response();
    }
    let leads_away = request.extensions().get::<Authority>().is_some_and(|own| {
        let referer = request.headers().get(header::REFERER);
        referer.is_some_and(|referer| !is_own_page(referer.as_bytes(), own, &guard.hosts))
    });
    if leads_away {
        // The answer to a form leads back to where it was sent from (Leptos), which must be one of our pages.
        request.headers_mut().remove(header::REFERER);
    }
    next.run(request).await
}

/// Whether the address is that of a page of ours.
fn is_own_page(referer: &[u8], own: &Authority, hosts: &Hosts) -> bool {
    let Ok(referer) = std::str::from_utf8(referer) else { return false };
    let host = referer.find("://").map_or(0, |at| at + 3);
    let end = referer[host..].find(['/', '?', '#', '\\']).map_or(referer.len(), |at| host + at);
    Origin::parse(&referer[..end]).is_some_and(|origin| origin.is_own(own) || origin.is_allowed(hosts, true))
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

    /// As in the tables below: `-` is "not sent".
    fn ask(method: &Method, host: &str, tls: bool, origin: &str, site: &str) -> bool {
        ask_for(false, method, host, tls, origin, site)
    }

    fn ask_for(is_call: bool, method: &Method, host: &str, tls: bool, origin: &str, site: &str) -> bool {
        let allow = ["runs.example".to_owned(), "box.lan:8443".to_owned()];
        let hosts = Hosts::new("127.0.0.1:3000".parse().unwrap(), &allow).unwrap();
        let own = Authority::parse(host).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::ORIGIN, origin), (SEC_FETCH_SITE, site)] {
            if value != "-" {
                headers.insert(name, value.parse().unwrap());
            }
        }
        decide(method, &headers, &Target { own: &own, tls, hosts: &hosts, is_call }).is_ok()
    }

    #[test]
    fn own_pages_and_programs_may_change_something() {
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
            // The scheme's own port, said or not.
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
            assert!(ask(&Method::POST, host, tls, origin, site), "{host} {tls} {origin} {site}");
        }
    }

    #[test]
    fn other_sites_may_not() {
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
            // What someone in between could have written.
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
                assert!(!ask(&method, host, tls, origin, site), "{method} {host} {tls} {origin} {site}");
            }
        }
    }

    #[test]
    fn anyone_may_send_what_changes_nothing() {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert!(ask(&method, "localhost:3000", false, "http://evil.example", "cross-site"), "{method}");
        }
    }

    #[test]
    fn two_origins_are_none_of_ours() {
        let hosts = Hosts::new("127.0.0.1:3000".parse().unwrap(), &[]).unwrap();
        let own = Authority::parse("localhost").unwrap();
        let target = Target { own: &own, tls: false, hosts: &hosts, is_call: false };
        for name in [header::ORIGIN, SEC_FETCH_SITE] {
            let value = if name == header::ORIGIN { "http://localhost" } else { "same-origin" };
            let mut headers = HeaderMap::new();
            headers.append(&name, value.parse().unwrap());
            assert_eq!(decide(&Method::POST, &headers, &target), Ok(()));
            headers.append(&name, value.parse().unwrap());
            assert_eq!(decide(&Method::POST, &headers, &target), Err(Foreign));
        }
    }

    #[test]
    fn another_site_reads_no_data() {
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
                let call = ask_for(true, &method, "localhost:3000", false, origin, site);
                assert_eq!(call, allowed, "{method} {origin} {site}");
                assert!(ask_for(false, &method, "localhost:3000", false, origin, site), "a page: {origin} {site}");
            }
        }
    }

    #[test]
    fn an_answer_leads_back_to_own_pages_only() {
        let hosts = Hosts::new("127.0.0.1:3000".parse().unwrap(), &["runs.example".to_owned()]).unwrap();
        let own = Authority::parse("localhost:3000").unwrap();
        for (referer, is_ours) in [
            ("http://localhost:3000/runs/1?a=b#c", true),
            ("http://localhost:3000", true),
            ("https://runs.example/rt/", true),
            ("http://localhost:8080/", false),
            ("http://evil.example/", false),
            ("http://localhost:3000@evil.example/", false),
            // By the URL standard a browser takes it for a slash.
            ("http://localhost:3000\\@evil.example/", true),
            ("//evil.example/", false),
            ("/runs/1", false),
            ("javascript:alert(1)", false),
            ("", false),
            ("http://é", false),
        ] {
            assert_eq!(is_own_page(referer.as_bytes(), &own, &hosts), is_ours, "{referer}");
        }
    }
}
