//! `--trusted-proxy`: what a proxy that the operator trusts says of whoever sends a request: their address, and their name.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;
use tokio_util::sync::CancellationToken;

use super::Guard;
use crate::access::Granted;
use crate::model::identity::{OWNER, is_name};
use crate::model::{AuthMethod, Role};

/// The role of a user. `*` is everybody who is not named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRole {
    /// The user.
    pub user: String,
    /// What they may do.
    pub role: Role,
}

impl std::str::FromStr for UserRole {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (user, role) = text.rsplit_once('=').ok_or("must be USER=ROLE, such as anna=approver, or *=viewer")?;
        if !is_name(user) {
            return Err(format!("`{user}` is no name of a user"));
        }
        let role = role.parse().map_err(|error: crate::model::identity::UnknownRole| error.to_string())?;
        Ok(Self { user: user.to_owned(), role })
    }
}

/// The proxies that are trusted, and what they say.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// Where they are.
    pub networks: Vec<IpNet>,
    /// The header with the user's name.
    pub user_header: Option<HeaderName>,
    /// What users may do.
    pub roles: Vec<UserRole>,
}

/// The user whom a trusted proxy names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyUser(pub String);

impl Proxies {
    fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.networks.iter().any(|network| network.contains(&ip))
    }

    /// Whom a proxy has sent this request for: the last address of `X-Forwarded-For` that is no trusted proxy itself. Those before it
    /// are what that client wrote there.
    fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let lines: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().map(|line| line.to_str().unwrap_or("?")).collect();
        let mut client = None;
        for entry in lines.iter().flat_map(|line| line.split(',')).rev() {
            let Some(ip) = address(entry.trim()) else { return client };
            client = Some(ip);
            if !self.trusts(ip) {
                return client;
            }
        }
        client
    }

    fn user(&self, headers: &HeaderMap) -> Option<ProxyUser> {
        let mut lines = headers.get_all(self.user_header.as_ref()?).iter();
        // Two names are one too many: one of them may be the client's own.
        let (Some(name), None) = (lines.next(), lines.next()) else { return None };
        let name = std::str::from_utf8(name.as_bytes()).ok()?.trim();
        // The owner has the server's own token, and no other name is theirs.
        (is_name(name) && name != OWNER).then(|| ProxyUser(name.to_owned()))
    }

    /// What a user may do. `None` for one who has no role.
    pub fn admit(&self, user: &ProxyUser, ends: CancellationToken) -> Option<Granted> {
        let role = |name: &str| self.roles.iter().find(|known| known.user == name).map(|known| known.role);
        let role = role(&user.0).or_else(|| role("*"))?;
        Some(Granted { name: user.0.clone(), role, via: AuthMethod::Proxy, session: None, parent: None, ends })
    }
}

/// An address as `X-Forwarded-For` has it, perhaps with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.split_once(']')).map_or(text, |(ip, _)| ip);
    let ip = bare.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(ip.to_canonical())
}

/// Notes whom a trusted proxy speaks for. What others claim counts for nothing.
pub async fn note(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
    if peer.is_some_and(|peer| guard.proxies.trusts(peer.ip())) {
        if let Some(client) = guard.proxies.client(request.headers()) {
            request.extensions_mut().insert(ConnectInfo(SocketAddr::new(client, 0)));
        }
        if let Some(user) = guard.proxies.user(request.headers()) {
            request.extensions_mut().insert(user);
        }
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies() -> Proxies {
        Proxies {
            networks: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
            user_header: Some(HeaderName::from_static("x-user")),
            roles: vec!["anna=admin".parse().unwrap(), "*=viewer".parse().unwrap()],
        }
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn client_is_the_last_address_that_is_no_proxy() {
        for (lines, client) in [
            (vec![], None),
            (vec![("x-forwarded-for", "203.0.113.9")], Some("203.0.113.9")),
            // What the client wrote there itself stands before its own address.
            (vec![("x-forwarded-for", "198.51.100.1, 203.0.113.9, 10.0.0.2")], Some("203.0.113.9")),
            (vec![("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.9")], Some("203.0.113.9")),
            (vec![("x-forwarded-for", "nonsense, 10.0.0.2")], Some("10.0.0.2")),
            (vec![("x-forwarded-for", "203.0.113.9:4711")], Some("203.0.113.9")),
            (vec![("x-forwarded-for", "[2001:db8::1]:4711")], Some("2001:db8::1")),
            (vec![("x-forwarded-for", "2001:db8::1")], Some("2001:db8::1")),
            (vec![("x-forwarded-for", "")], None),
        ] {
            assert_eq!(proxies().client(&headers(&lines)), client.map(|ip| ip.parse().unwrap()), "{lines:?}");
        }
    }

    #[test]
    fn user_is_one_name_with_a_role() {
        for (lines, user) in [
            (vec![("x-user", "anna")], Some("anna")),
            (vec![("x-user", " bob ")], Some("bob")),
            (vec![("x-user", "")], None),
            (vec![("x-user", "anna"), ("x-user", "bob")], None),
            (vec![("x-other", "anna")], None),
        ] {
            assert_eq!(proxies().user(&headers(&lines)), user.map(|user| ProxyUser(user.into())), "{lines:?}");
        }
        let role = |proxies: &Proxies, user: &str| {
            proxies.admit(&ProxyUser(user.into()), CancellationToken::new()).map(|granted| granted.role)
        };
        assert_eq!(role(&proxies(), "anna"), Some(Role::Admin));
        assert_eq!(role(&proxies(), "bob"), Some(Role::Viewer));
        let strict = Proxies { roles: vec!["anna=operator".parse().unwrap()], ..proxies() };
        assert_eq!(role(&strict, "bob"), None);
    }

    #[test]
    fn roles_are_written_with_their_users() {
        for bad in ["anna", "=admin", "anna=root", " anna=admin"] {
            assert!(bad.parse::<UserRole>().is_err(), "{bad}");
        }
        assert_eq!("a=b@c=viewer".parse(), Ok(UserRole { user: "a=b@c".into(), role: Role::Viewer }));
    }
}
