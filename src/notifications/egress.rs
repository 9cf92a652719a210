//! The networks that notifications may be sent to. Checked when the receiver's name is resolved, so a name cannot lead
//! elsewhere.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Addresses that are not globally reachable (IANA's registries of special-purpose addresses).
const SPECIAL_NETWORKS: [&str; 24] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
    "::/128",
    "::1/128",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "fc00::/7",
    "fe80::/9",
    "ff00::/8",
];

/// A network that notifications may be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// All globally reachable addresses: no private network, no metadata service of a cloud.
    Public,
    Net(IpNet),
}

/// The text is not a network.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `public`, an address, or a network such as 10.1.0.0/16")]
pub struct InvalidNetwork;

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        if text == "public" {
            return Ok(Self::Public);
        }
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        net.map(Self::Net).map_err(|_| InvalidNetwork)
    }
}

impl Network {
    fn contains(&self, ip: IpAddr) -> bool {
        match self {
            Self::Public => is_public(ip),
            Self::Net(net) => net.contains(&ip),
        }
    }
}

fn is_public(ip: IpAddr) -> bool {
    !SPECIAL_NETWORKS.iter().filter_map(|net| net.parse::<IpNet>().ok()).any(|net| net.contains(&ip))
}

/// The networks and the proxy of notifications.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    /// `None` allows all networks.
    pub allowed: Option<Vec<Network>>,
    pub proxy: Option<Url>,
}

/// The receiver is in a network that is not allowed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("notifications may not go to {0}: the server's --allow-egress or --deny-egress says so")]
pub struct EgressDenied(String);

impl Egress {
    fn allows(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.allowed.as_ref().is_none_or(|networks| networks.iter().any(|network| network.contains(ip)))
    }

    /// Checks an address whose host is an IP address; other hosts are checked when they are resolved.
    ///
    /// # Errors
    /// [`EgressDenied`].
    pub fn check(&self, url: &Url) -> Result<(), EgressDenied> {
        if self.allowed.as_ref().is_some_and(Vec::is_empty) {
            return Err(EgressDenied("any address".to_owned()));
        }
        let host = url.host_str().unwrap_or_default();
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match ip {
            Ok(ip) if !self.allows(ip) => Err(EgressDenied(ip.to_string())),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// Resolves a name to those of its addresses that are allowed.
pub struct EgressResolver(pub Arc<Egress>);

impl Resolve for EgressResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect::<Vec<SocketAddr>>();
            // The operator chose the proxy, so its address is always allowed.
            let is_proxy = egress.proxy.as_ref().and_then(Url::host_str) == Some(name.as_str());
            let allowed: Vec<_> = found.iter().copied().filter(|addr| is_proxy || egress.allows(addr.ip())).collect();
            match (found.first(), allowed.is_empty()) {
                (Some(denied), true) => Err(EgressDenied(denied.ip().to_canonical().to_string()).into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn egress(networks: &[&str]) -> Egress {
        let allowed = networks.iter().map(|network| network.parse().unwrap()).collect();
        Egress { allowed: Some(allowed), proxy: None }
    }

    #[test]
    fn egress_public_excludes_special_networks() {
        for ip in ["8.8.8.8", "140.82.121.4", "2606:50c0:8000::153", "172.32.0.1", "100.128.0.1"] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fd00:ec2::254",
            "ff02::1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn egress_checks_ip_addresses() {
        let url = |text: &str| Url::parse(text).unwrap();
        for (networks, address, allowed) in [
            (&["public"][..], "http://127.0.0.1/x", false),
            (&["public"], "http://[::ffff:169.254.169.254]/", false),
            (&["public"], "http://0x7f.1/", false),
            (&["public"], "http://8.8.8.8/", true),
            (&["public", "127.0.0.1"], "http://127.0.0.1:9/", true),
            (&["10.1.0.0/16"], "http://10.1.9.9/", true),
            (&["10.1.0.0/16"], "http://[::ffff:10.1.9.9]/", true),
            (&["10.1.0.0/16"], "http://10.2.0.1/", false),
            (&["fd00::/8"], "http://[fd00::1]:80/", true),
            (&[], "http://chat.example/", false),
            // Checked when the name is resolved.
            (&["public"], "http://chat.example/", true),
        ] {
            assert_eq!(egress(networks).check(&url(address)).is_ok(), allowed, "{networks:?} {address}");
        }
        assert_eq!(Egress::default().check(&url("http://127.0.0.1/")), Ok(()));
    }

    #[tokio::test]
    async fn egress_checks_resolved_names() {
        let resolve = async |networks: &[&str]| {
            let resolver = EgressResolver(Arc::new(egress(networks)));
            let found = resolver.resolve("localhost".parse().unwrap()).await;
            found.map(|addrs| addrs.count() > 0).map_err(|error| error.downcast_ref::<EgressDenied>().is_some())
        };
        assert_eq!(resolve(&["public"]).await, Err(true));
        assert_eq!(resolve(&["127.0.0.0/8", "::1"]).await, Ok(true));
    }

    #[test]
    fn egress_rejects_invalid_networks() {
        for text in ["", "private", "10.0.0.0/33", "10.0.0", "chat.example"] {
            assert_eq!(text.parse::<Network>(), Err(InvalidNetwork), "{text}");
        }
    }
}
