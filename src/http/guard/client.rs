//! Facts about the client of a request.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, uri::Scheme};

/// The unit in which limiters count: an IPv4 address, or the /64 network that one IPv6 subscriber has.
///
/// The address is that of the connection, unless a trusted proxy forwarded another one. Otherwise `X-Forwarded-For` is
/// ignored, since a client can write a new address there for every guess. So all clients behind one untrusted proxy
/// count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(Option<IpAddr>);

impl Client {
    /// The client of this request. Without a connection, as in tests, all requests have the same client.
    pub fn of<B>(request: &Request<B>) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        Self::at(peer.map(|ConnectInfo(peer)| peer.ip()))
    }

    pub fn at(ip: Option<IpAddr>) -> Self {
        Self(ip.map(|ip| match ip.to_canonical() {
            IpAddr::V4(ip) => IpAddr::V4(ip),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        }))
    }

    /// Whether it is on this machine: a program, or a proxy that forwards the requests of others.
    pub fn is_loopback(self) -> bool {
        self.0.is_some_and(|ip| ip.is_loopback())
    }
}

impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(IpAddr::V6(net)) => write!(f, "{net}/64"),
            Some(ip) => write!(f, "{ip}"),
            None => f.write_str("an unknown address"),
        }
    }
}

/// Whether the browser uses TLS, to this server or to a proxy in front of it. A client that lies about it gains
/// nothing: the origin rule becomes stricter, and its own cookie `Secure`.
pub fn is_over_tls<B>(request: &Request<B>) -> bool {
    request.uri().scheme() == Some(&Scheme::HTTPS) || is_forwarded_tls(request.headers())
}

/// With several proxies the first entry describes the browser's connection.
fn is_forwarded_tls(headers: &HeaderMap) -> bool {
    let sent = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
    sent.and_then(|value| value.split(',').next()).is_some_and(|first| first.trim().eq_ignore_ascii_case("https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_is_an_ipv4_address_or_an_ipv6_network() {
        let at = |ip: &str| Client::at(Some(ip.parse().unwrap()));
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1:2"));
        assert_ne!(at("2001:db8:0:1::1"), at("2001:db8::1"));
        assert_eq!(at("::ffff:10.0.0.1"), at("10.0.0.1"));
        assert_ne!(at("10.0.0.2"), at("10.0.0.1"));
    }

    #[test]
    fn tls_is_decided_by_the_first_proxy() {
        for (sent, tls) in [("https", true), ("HTTPS, http", true), ("http, https", false), ("", false)] {
            let request = Request::builder().header("x-forwarded-proto", sent).body(()).unwrap();
            assert_eq!(is_over_tls(&request), tls, "{sent:?}");
        }
        assert!(is_over_tls(&Request::builder().uri("https://localhost/").body(()).unwrap()));
        assert!(!is_over_tls(&Request::new(())));
    }
}
