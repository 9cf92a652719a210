//! The `Host` rule: a request for a name that is not ours is answered 421 (CONTRACT.md, "Who may come in").
//!
//! It stops DNS rebinding: a website points its own name at this machine, and the browser takes our answers for that
//! site's. Then the name is the attacker's, so the name alone counts; a port says nothing, as tunnels and proxies change it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Guard;
use super::authority::{Authority, Name};
use crate::model::{Problem, ProblemCode};

/// What was given as `--allow-host` is not a host name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--allow-host `{0}` is no host name: give a name such as runs.example, or with its port runs.example:8443, \
     without http:// or a path"
)]
pub struct BadHost(String);

/// The names this server answers to.
#[derive(Debug)]
pub struct Hosts {
    served: IpAddr,
    allowed: Vec<Authority>,
}

impl Hosts {
    /// The names of a server bound to this address.
    ///
    /// # Errors
    /// [`BadHost`]: one of `allow` is no name.
    pub fn new(addr: SocketAddr, allow: &[String]) -> Result<Self, BadHost> {
        let read = |text: &String| Authority::parse(text.trim()).ok_or_else(|| BadHost(text.clone()));
        Ok(Self { served: addr.ip().to_canonical(), allowed: allow.iter().map(read).collect::<Result<_, _>>()? })
    }

    /// Whether a request for this name is for us.
    pub fn serves(&self, name: &Name) -> bool {
        let address = match name {
            // Nobody can rebind a literal address: there is no name to look up. Bound to all, we have them all.
            Name::Ip(ip) => *ip == self.served || self.served.is_unspecified(),
            Name::Dns(_) => false,
        };
        name.is_loopback() || address || self.allowed.iter().any(|allowed| allowed.name == *name)
    }

    /// The hosts that the operator named.
    pub fn allowed(&self) -> &[Authority] {
        &self.allowed
    }
}

/// Why a request is not for us.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// It names no host.
    Missing,
    /// It names several hosts, or something that is no host.
    Unreadable,
    /// It names another host.
    Foreign(Authority),
}

/// Which host a request is for.
///
/// # Errors
/// [`Fault`], except that it may still be a foreign one.
pub fn asked(uri: &Uri, headers: &HeaderMap) -> Result<Authority, Fault> {
    let mut lines = headers.get_all(header::HOST).iter();
    let header = match (lines.next(), lines.next()) {
        (None, _) => None,
        (Some(line), None) => Some(line.to_str().ok().and_then(Authority::parse).ok_or(Fault::Unreadable)?),
        (Some(_), Some(_)) => return Err(Fault::Unreadable),
    };
    // HTTP/2's `:authority`, or HTTP/1.1's absolute form. It wins over `Host` (RFC 9112, section 3.2.2), and the two
    // must agree (RFC 9113, section 8.3.1): if they do not, someone between us and the client sees another request.
    let target =
        uri.authority().map(|target| Authority::parse(target.as_str()).ok_or(Fault::Unreadable)).transpose()?;
    match (target, header) {
        (Some(target), Some(header)) if target != header => Err(Fault::Unreadable),
        (Some(asked), _) | (None, Some(asked)) => Ok(asked),
        (None, None) => Err(Fault::Missing),
    }
}

/// Whether a request is for us; then, under which name.
///
/// # Errors
/// [`Fault`]: it is not.
pub fn decide(hosts: &Hosts, uri: &Uri, headers: &HeaderMap) -> Result<Authority, Fault> {
    let asked = asked(uri, headers)?;
    if hosts.serves(&asked.name) { Ok(asked) } else { Err(Fault::Foreign(asked)) }
}

/// Lets requests for us pass, and notes the name they came under for the origin rule.
pub async fn check(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    match decide(&guard.hosts, request.uri(), request.headers()) {
        Ok(own) => {
            request.extensions_mut().insert(own);
            next.run(request).await
        }
        Err(fault) => problem(&fault, request.version()).into_response(),
    }
}

fn problem(fault: &Fault, version: Version) -> Problem {
    match fault {
        Fault::Foreign(asked) => Problem::new(
            ProblemCode::WrongHost,
            format!(
                "This server does not answer to {asked}. If that name is yours, start it with --allow-host {asked}."
            ),
        ),
        // "A server MUST respond with a 400" (RFC 9112, section 3.2). Before HTTP/1.1 a request without Host was whole.
        Fault::Missing if version == Version::HTTP_11 => {
            Problem::new(ProblemCode::BadRequest, "The request has no Host header, which HTTP/1.1 requires.")
        }
        Fault::Missing => Problem::new(ProblemCode::WrongHost, "The request does not say which host it is for."),
        Fault::Unreadable => {
            Problem::new(ProblemCode::BadRequest, "The request's Host is not one name with an optional port.")
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn hosts(addr: &str) -> Hosts {
        let allow = ["Runs.Example.".to_owned(), "box.lan:8443".to_owned(), "10.1.1.1".to_owned()];
        Hosts::new(addr.parse().unwrap(), &allow).unwrap()
    }

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (header::HOST, HeaderValue::from_bytes(value.as_bytes()).unwrap())).collect()
    }

    fn ask(addr: &str, host: &str) -> Result<Authority, Fault> {
        decide(&hosts(addr), &Uri::from_static("/"), &headers(&[host]))
    }

    #[test]
    fn own_names_pass_with_any_port() {
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
    fn others_do_not() {
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
            assert!(matches!(ask("192.168.1.5:3000", host), Err(Fault::Foreign(_))), "{host}");
        }
        for host in ["", " ", "evil.example@localhost", "localhost, evil.example", "localhost:x", "loc\u{e4}l"] {
            assert_eq!(ask("192.168.1.5:3000", host), Err(Fault::Unreadable), "{host}");
        }
    }

    #[test]
    fn bound_to_all_addresses_any_literal_one_is_ours_and_still_no_name() {
        for bound in ["0.0.0.0:3000", "[::]:3000"] {
            for host in ["192.168.1.6:3000", "8.8.8.8", "[fe80::1]:3000", "0.0.0.0:3000"] {
                assert!(ask(bound, host).is_ok(), "{bound} {host}");
            }
            assert!(matches!(ask(bound, "evil.example"), Err(Fault::Foreign(_))), "{bound}");
        }
    }

    #[test]
    fn a_request_names_one_host() {
        let hosts = hosts("127.0.0.1:3000");
        let decide = |uri: &'static str, lines: &[&str]| decide(&hosts, &Uri::from_static(uri), &headers(lines));
        assert_eq!(decide("/", &[]), Err(Fault::Missing));
        assert_eq!(decide("/", &["localhost", "localhost"]), Err(Fault::Unreadable));
        assert_eq!(decide("/", &["localhost", "evil.example"]), Err(Fault::Unreadable));
        // HTTP/2, or the absolute form of HTTP/1.1.
        assert!(decide("http://localhost:3000/", &[]).is_ok());
        assert!(decide("http://localhost:3000/", &["LOCALHOST:3000"]).is_ok());
        assert!(matches!(decide("http://evil.example/", &[]), Err(Fault::Foreign(_))));
        assert_eq!(decide("http://evil.example/", &["localhost"]), Err(Fault::Unreadable));
        assert_eq!(decide("http://localhost/", &["evil.example"]), Err(Fault::Unreadable));
        assert_eq!(decide("http://localhost@evil.example/", &[]), Err(Fault::Unreadable));
    }

    #[test]
    fn an_allowed_host_is_a_name_and_perhaps_a_port() {
        for bad in ["", "http://runs.example", "runs.example/", "*.example", "a b", "runs.example:x"] {
            let error = Hosts::new("127.0.0.1:0".parse().unwrap(), &[bad.to_owned()]).unwrap_err();
            assert!(error.to_string().contains(&format!("`{bad}`")), "{error}");
        }
    }
}
