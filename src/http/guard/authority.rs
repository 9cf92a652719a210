//! A host name and port as `Host`, `:authority` and `Origin` carry them (RFC 3986, section 3.2, without user info).
//!
//! Pure. Stricter than the RFC on purpose: what browsers never send is not understood, so nothing can hide in it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A name in lower case, without the root's trailing dot.
    Dns(String),
    /// An address; one that maps IPv4 into IPv6 is the IPv4 one.
    Ip(IpAddr),
}

impl Name {
    /// Whether it means this machine whatever a name server says: `localhost`, 127.0.0.0/8, `[::1]`.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Dns(name) => name == "localhost",
            Self::Ip(ip) => ip.is_loopback(),
        }
    }
}

/// A name and perhaps a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Who.
    pub name: Name,
    /// Where; left out, it is the scheme's own.
    pub port: Option<u16>,
}

impl Authority {
    /// Reads `name`, `name:port`, `1.2.3.4:port`, `[::1]:port`; anything else is nothing.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            let (ip, rest) = rest.split_once(']')?;
            let ip = IpAddr::V6(ip.parse::<Ipv6Addr>().ok()?);
            return Some(Self { name: Name::Ip(ip.to_canonical()), port: port(rest)? });
        }
        let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
        Some(Self { name: dns_or_ipv4(name)?, port: port(rest)? })
    }
}

impl std::fmt::Display for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Name::Dns(name) => f.write_str(name)?,
            Name::Ip(IpAddr::V4(ip)) => write!(f, "{ip}")?,
            Name::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]")?,
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
        // `u16` alone would read `+80`.
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok().map(Some),
        Some(_) => None,
    }
}

fn dns_or_ipv4(text: &str) -> Option<Name> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if text.len() > 253 || !text.split('.').all(label) {
        return None;
    }
    // Only the dotted form of four is an address here: browsers write 127.1 and 0x7f000001 out before they send them.
    Some(match text.parse::<Ipv4Addr>() {
        Ok(ip) => Name::Ip(IpAddr::V4(ip)),
        Err(_) => Name::Dns(text.to_ascii_lowercase()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_read() {
        for (text, shown) in [
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
            assert_eq!(Authority::parse(text).map(|read| read.to_string()).as_deref(), Some(shown), "{text}");
        }
    }

    #[test]
    fn what_is_not() {
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
        fn anything_is_read_or_not_and_what_is_read_reads_the_same_again(text in "\\PC*|[\\[\\]:.a-f0-9%@]{0,24}") {
            if let Some(read) = Authority::parse(&text) {
                prop_assert_eq!(Authority::parse(&read.to_string()), Some(read));
            }
        }
    }
}
