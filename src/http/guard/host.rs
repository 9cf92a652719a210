//! The host rule: a request for a host name that this server does not serve gets 421 (docs/CONTRACT.md, "Access").
//!
//! It prevents DNS rebinding: a website points its own name at this machine, so that the browser treats this server's
//! responses as that site's. Only the name is compared, since tunnels and proxies change the port.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Guard;
use super::authority::{Authority, HostName};
use crate::model::{Problem, ProblemCode};

/// An `--allow-host` is not a host name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--allow-host `{0}` is not a host name: give a name such as runs.example, or with its port runs.example:8443, \
     without http:// or a path"
)]
pub struct InvalidAllowHost(String);

/// The host names that this server serves.
#[derive(Debug)]
pub struct ServedHosts {
    bound: IpAddr,
    allowed: Vec<Authority>,
}

impl ServedHosts {
    ///
    /// # Errors
    /// [`InvalidAllowHost`].
    pub fn new(addr: SocketAddr, allow: &[String]) -> Result<Self, InvalidAllowHost> {
        let read = |text: &String| Authority::parse(text.trim()).ok_or_else(|| InvalidAllowHost(text.clone()));
        Ok(Self { bound: addr.ip().to_canonical(), allowed: allow.iter().map(read).collect::<Result<_, _>>()? })
    }

    pub fn contains(&self, name: &HostName) -> bool {
        let is_own_address = match name {
            // An address cannot be rebound. A server that is bound to all addresses accepts any of them.
            HostName::Ip(ip) => *ip == self.bound || self.bound.is_unspecified(),
            HostName::Dns(_) => false,
        };
        name.is_loopback() || is_own_address || self.allowed.iter().any(|allowed| allowed.name == *name)
    }

    /// The values of `--allow-host`.
    pub fn allowed(&self) -> &[Authority] {
        &self.allowed
    }
}

/// Why a request is rejected.
#[derive(Debug, PartialEq, Eq)]
pub enum HostError {
    Missing,
    /// Several hosts, or something that is not a host.
    Malformed,
    /// A host that this server does not serve.
    NotServed(Authority),
}

/// The host that a request is for, which may be a foreign one.
///
/// # Errors
/// [`HostError::Missing`], [`HostError::Malformed`].
fn requested_host(uri: &Uri, headers: &HeaderMap) -> Result<Authority, HostError> {
    let mut lines = headers.get_all(header::HOST).iter();
    let header = match (lines.next(), lines.next()) {
        (None, _) => None,
        (Some(line), None) => Some(line.to_str().ok().and_then(Authority::parse).ok_or(HostError::Malformed)?),
        (Some(_), Some(_)) => return Err(HostError::Malformed),
    };
    // HTTP/2's `:authority`, or HTTP/1.1's absolute form, takes precedence over `Host` (RFC 9112, section 3.2.2). The
    // two must agree (RFC 9113, section 8.3.1): otherwise a proxy may have interpreted the request differently.
    let target =
        uri.authority().map(|target| Authority::parse(target.as_str()).ok_or(HostError::Malformed)).transpose()?;
    match (target, header) {
        (Some(target), Some(header)) if target != header => Err(HostError::Malformed),
        (Some(host), _) | (None, Some(host)) => Ok(host),
        (None, None) => Err(HostError::Missing),
    }
}

/// The host of a request, if this server serves it.
///
/// # Errors
/// [`HostError`].
pub fn decide(hosts: &ServedHosts, uri: &Uri, headers: &HeaderMap) -> Result<Authority, HostError> {
    let host = requested_host(uri, headers)?;
    if hosts.contains(&host.name) { Ok(host) } else { Err(HostError::NotServed(host)) }
}

/// The layer: passes requests for served hosts, and stores the host in the extensions for the origin rule.
pub async fn check(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    match decide(&guard.hosts, request.uri(), request.headers()) {
        Ok(host) => {
            request.extensions_mut().insert(host);
            next.run(request).await
        }
        Err(error) => problem(&error, request.version()).into_response(),
    }
}

fn problem(error: &HostError, version: Version) -> Problem {
    match error {
        HostError::NotServed(host) => Problem::new(
            ProblemCode::WrongHost,
            format!("This server does not answer to {host}. If that name is yours, start it with --allow-host {host}."),
        ),
        // "A server MUST respond with a 400" (RFC 9112, section 3.2). HTTP/1.0 requires no Host.
        HostError::Missing if version == Version::HTTP_11 => {
            Problem::new(ProblemCode::BadRequest, "The request has no Host header, which HTTP/1.1 requires.")
        }
        HostError::Missing => Problem::new(ProblemCode::WrongHost, "The request does not say which host it is for."),
        HostError::Malformed => {
            Problem::new(ProblemCode::BadRequest, "The request's Host is not one name with an optional port.")
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn hosts(addr: &str) -> ServedHosts {
        let allow = ["Runs.Example.".to_owned(), "box.lan:8443".to_owned(), "10.1.1.1".to_owned()];
        ServedHosts::new(addr.parse().unwrap(), &allow).unwrap()
    }

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (header::HOST, HeaderValue::from_bytes(value.as_bytes()).unwrap())).collect()
    }

    fn ask(addr: &str, host: &str) -> Result<Authority, HostError> {
        decide(&hosts(addr), &Uri::from_static("/"), &headers(&[host]))
    }

    #[test]
    fn served_hosts_pass_with_any_port() {
        for host in [
            "localhost",
            "LOCALHOST:1",
            "localhost.:3000",
            "127.0.0.1:3000",
            "127.0.0.1",
            "127.3.2.1:9",
            "[::1]:3000",
            "[::ffff:127.0.0.1]",
            "192.168.1.5:3000",
            "192.168.1.5",
            "runs.example",
            "RUNS.example.:9",
            "box.lan",
            "box.lan:1",
            "10.1.1.1:80",
        ] {
            assert!(ask("192.168.1.5:3000", host).is_ok(), "{host}");
        }
    }

    #[test]
    fn foreign_hosts_are_rejected() {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "evil.localhost",
            "127.0.0.1.evil.example",
            "127.1",
            "2130706433",
            "0x7f.0.0.1",
            "a.runs.example",
            "runs.example.evil.example",
            "192.168.1.6:3000",
            "[fe80::1]",
            "0.0.0.0",
        ] {
            assert!(matches!(ask("192.168.1.5:3000", host), Err(HostError::NotServed(_))), "{host}");
        }
        for host in ["", " ", "evil.example@localhost", "localhost, evil.example", "localhost:x", "loc\u{e4}l"] {
            assert_eq!(ask("192.168.1.5:3000", host), Err(HostError::Malformed), "{host}");
        }
    }

    #[test]
    fn server_on_all_addresses_accepts_any_address_but_no_name() {
        for bound in ["0.0.0.0:3000", "[::]:3000"] {
            for host in ["192.168.1.6:3000", "8.8.8.8", "[fe80::1]:3000", "0.0.0.0:3000"] {
                assert!(ask(bound, host).is_ok(), "{bound} {host}");
            }
            assert!(matches!(ask(bound, "evil.example"), Err(HostError::NotServed(_))), "{bound}");
        }
    }

    #[test]
    fn request_must_name_exactly_one_host() {
        let hosts = hosts("127.0.0.1:3000");
        let decide = |uri: &'static str, lines: &[&str]| decide(&hosts, &Uri::from_static(uri), &headers(lines));
        assert_eq!(decide("/", &[]), Err(HostError::Missing));
        assert_eq!(decide("/", &["localhost", "localhost"]), Err(HostError::Malformed));
        assert_eq!(decide("/", &["localhost", "evil.example"]), Err(HostError::Malformed));
        // HTTP/2, or the absolute form of HTTP/1.1.
        assert!(decide("http://localhost:3000/", &[]).is_ok());
        assert!(decide("http://localhost:3000/", &["LOCALHOST:3000"]).is_ok());
        assert!(matches!(decide("http://evil.example/", &[]), Err(HostError::NotServed(_))));
        assert_eq!(decide("http://evil.example/", &["localhost"]), Err(HostError::Malformed));
        assert_eq!(decide("http://localhost/", &["evil.example"]), Err(HostError::Malformed));
        assert_eq!(decide("http://localhost@evil.example/", &[]), Err(HostError::Malformed));
    }

    #[test]
    fn allow_host_rejects_urls_and_wildcards() {
        for bad in ["", "http://runs.example", "runs.example/", "*.example", "a b", "runs.example:x"] {
            let error = ServedHosts::new("127.0.0.1:0".parse().unwrap(), &[bad.to_owned()]).unwrap_err();
            assert!(error.to_string().contains(&format!("`{bad}`")), "{error}");
        }
    }
}
