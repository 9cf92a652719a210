//! What is known of whoever sends a request, besides what it says of itself.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, uri::Scheme};

/// Whose attempts are counted together: an IPv4 address, or the /64 network that one IPv6 subscriber has to itself.
///
/// The address is the connection's own. `X-Forwarded-For` is not believed: many proxies pass on what the client wrote
/// there, and every guess could come from another address. So all who come through one proxy count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(Option<IpAddr>);

impl Client {
    /// Who sent this request. Without a connection, as in tests, everyone is the same unknown one.
    pub fn of<B>(request: &Request<B>) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        Self::at(peer.map(|ConnectInfo(peer)| peer.ip()))
    }

    /// Who sits at this address.
    pub fn at(ip: Option<IpAddr>) -> Self {
        Self(ip.map(|ip| match ip.to_canonical() {
            IpAddr::V4(ip) => IpAddr::V4(ip),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        }))
    }
}

impl Client {
    /// Whether it is on this machine: a program, or a proxy with everybody's requests.
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

/// Whether the browser speaks TLS, with us or with a proxy before us. Anyone can claim so, and gains nothing by it: it
/// only makes the origin rule stricter and the liar's own cookie `Secure`.
pub fn over_tls<B>(request: &Request<B>) -> bool {
    request.uri().scheme() == Some(&Scheme::HTTPS) || forwarded_tls(request.headers())
}

/// With several proxies the first entry is the browser's own connection.
fn forwarded_tls(headers: &HeaderMap) -> bool {
    let sent = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
    sent.and_then(|value| value.split(',').next()).is_some_and(|first| first.trim().eq_ignore_ascii_case("https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_subscriber_is_one_client() {
        let at = |ip: &str| Client::at(Some(ip.parse().unwrap()));
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1:2"));
        assert_ne!(at("2001:db8:0:1::1"), at("2001:db8::1"));
        assert_eq!(at("::ffff:10.0.0.1"), at("10.0.0.1"));
        assert_ne!(at("10.0.0.2"), at("10.0.0.1"));
    }

    #[test]
    fn tls_is_what_the_first_proxy_saw() {
        for (sent, tls) in [("https", true), ("HTTPS, http", true), ("http, https", false), ("", false)] {
            let request = Request::builder().header("x-forwarded-proto", sent).body(()).unwrap();
            assert_eq!(over_tls(&request), tls, "{sent:?}");
        }
        assert!(over_tls(&Request::builder().uri("https://localhost/").body(()).unwrap()));
        assert!(!over_tls(&Request::new(())));
    }
}
