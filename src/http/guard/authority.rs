//! A host name and port, as in `Host`, `:authority` and `Origin` (RFC 3986, section 3.2, without user info). Pure.
//! Stricter than the RFC: whatever browsers never send is rejected.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostName {
    /// In lower case, without the trailing dot of the root.
    Dns(String),
    /// An IPv4-mapped IPv6 address is stored as IPv4.
    Ip(IpAddr),
}

impl HostName {
    /// Whether it means this machine, whatever DNS says: `localhost`, 127.0.0.0/8, `[::1]`.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Dns(name) => name == "localhost",
            Self::Ip(ip) => ip.is_loopback(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    pub name: HostName,
    /// `None` means the default port of the scheme.
    pub port: Option<u16>,
}

impl Authority {
    /// Parses `name`, `name:port`, `1.2.3.4:port` or `[::1]:port`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            let (ip, rest) = rest.split_once(']')?;
            let ip = IpAddr::V6(ip.parse::<Ipv6Addr>().ok()?);
            return Some(Self { name: HostName::Ip(ip.to_canonical()), port: port(rest)? });
        }
        let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
        Some(Self { name: dns_or_ipv4(name)?, port: port(rest)? })
    }
}

impl std::fmt::Display for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            HostName::Dns(name) => f.write_str(name)?,
            HostName::Ip(IpAddr::V4(ip)) => write!(f, "{ip}")?,
            HostName::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Nothing, `:` (RFC 3986 allows an empty port) or `:` and a number.
fn port(text: &str) -> Option<Option<u16>> {
    match text.strip_prefix(':') {
        None if text.is_empty() => Some(None),
        None => None,
        Some("") => Some(None),
        // `u16::from_str` accepts `+80`.
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok().map(Some),
        Some(_) => None,
    }
}

fn dns_or_ipv4(text: &str) -> Option<HostName> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if text.len() > 253 || !text.split('.').all(label) {
        return None;
    }
    // Only four decimal parts: browsers normalize 127.1 and 0x7f000001 before they send them.
    Some(match text.parse::<Ipv4Addr>() {
        Ok(ip) => HostName::Ip(IpAddr::V4(ip)),
        Err(_) => HostName::Dns(text.to_ascii_lowercase()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn authority_is_parsed_and_normalized() {
        for (text, expected) in [
            ("localhost", "localhost"),
            ("LocalHost.", "localhost"),
            ("localhost:3000", "localhost:3000"),
            ("runs.example:", "runs.example"),
            ("my_box-1.lan:80", "my_box-1.lan:80"),
            ("127.0.0.1:3000", "127.0.0.1:3000"),
            ("127.0.0.1.", "127.0.0.1"),
            ("[::1]:3000", "[::1]:3000"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
            ("[::ffff:127.0.0.1]", "127.0.0.1"),
        ] {
            assert_eq!(
                Authority::parse(text).map(|authority| authority.to_string()).as_deref(),
                Some(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn authority_rejects_what_browsers_never_send() {
        for text in [
            "",
            ".",
            ":80",
            "a..b",
            ".a",
            "a..",
            "localhost:x",
            "localhost:+80",
            "localhost:-1",
            "localhost:65536",
            "localhost:80:80",
            "me@localhost",
            "localhost/",
            "localhost?",
            "localhost#",
            "local host",
            " localhost",
            "localhost\t",
            "::1",
            "[::1",
            "::1]",
            "[::1]x",
            "[::1%25eth0]",
            "[127.0.0.1]",
            "[localhost]",
            "[]",
            "bücher.example",
            "*.example",
            "a,b",
            "http://localhost",
            "localhost\\@evil.example",
            "%6cocalhost",
        ] {
            assert_eq!(Authority::parse(text), None, "{text:?}");
        }
        assert_eq!(Authority::parse(&"a".repeat(254)), None);
    }

    proptest! {
        #[test]
        fn authority_roundtrips(text in "\\PC*|[\\[\\]:.a-f0-9%@]{0,24}") {
            if let Some(authority) = Authority::parse(&text) {
                prop_assert_eq!(Authority::parse(&authority.to_string()), Some(authority));
            }
        }
    }
}
