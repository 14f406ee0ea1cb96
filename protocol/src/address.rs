//! The portal's address, as agents and admins give it: one set of rules.

use std::{fmt, net::IpAddr, str::FromStr};

/// Where the portal is: scheme, authority and an optional path prefix. Whether plain HTTP may be used is
/// for the caller to judge by [`PortalAddress::is_loopback`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalAddress {
    tls: bool,
    loopback: bool,
    authority: String,
    prefix: String,
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{given}\" is not a usable portal address: {rule}")]
pub struct AddressError {
    given: String,
    rule: &'static str,
}

impl AddressError {
    /// A refusal of this text by a rule. Neither a password in it nor a terminal's control characters
    /// are repeated.
    #[must_use]
    pub fn new(text: &str, rule: &'static str) -> Self {
        let shown = if text.contains('@') { "…@…" } else { text };
        Self { given: shown.chars().take(200).collect::<String>().escape_debug().to_string(), rule }
    }
}

impl PortalAddress {
    /// Whether TLS is spoken.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether it is this very machine.
    #[must_use]
    pub const fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Host and port, as they are signed: without the scheme's default port.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The path with the prefix.
    #[must_use]
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// The whole address of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        self.url_of_path(&self.path(path))
    }

    /// The whole address of a path that has the prefix already.
    #[must_use]
    pub fn url_of_path(&self, path: &str) -> String {
        format!("{}://{}{path}", if self.tls { "https" } else { "http" }, self.authority)
    }
}

impl fmt::Display for PortalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url(""))
    }
}

impl FromStr for PortalAddress {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refused = |rule| AddressError::new(text, rule);
        let (tls, rest) = if let Some(rest) = text.strip_prefix("https://") {
            (true, rest)
        } else if let Some(rest) = text.strip_prefix("http://") {
            (false, rest)
        } else {
            return Err(refused(
                "write it with its scheme, for example https://portal.example.org",
            ));
        };
        let (authority, prefix) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err(refused("it holds no user name or password"));
        }
        let prefix = prefix.trim_end_matches('/');
        let prefix_ok = prefix
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b'~'));
        if !prefix_ok || prefix.contains("..") {
            return Err(refused("its path may hold letters, digits and - _ . ~ only"));
        }
        let authority = authority.to_ascii_lowercase();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority.as_str(), None),
        };
        let port: Option<u16> = match port {
            None => None,
            Some(port) => Some(port.parse().map_err(|_| refused("its port is not a number"))?),
        };
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let ip: Option<IpAddr> = bracketed.unwrap_or(host).parse().ok();
        let name_ok = !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        let ip_ok = ip.is_some_and(|ip| ip.is_ipv6() == bracketed.is_some());
        if !name_ok && !ip_ok {
            return Err(refused("its host is neither a name nor an address"));
        }
        let loopback = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
        let default = if tls { 443 } else { 80 };
        let authority = match port {
            Some(port) if port != default => format!("{host}:{port}"),
            _ => host.to_owned(),
        };
        Ok(Self { tls, loopback, authority, prefix: prefix.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, url, authority, loopback) in [
            ("https://P.Example.org", "https://p.example.org/x", "p.example.org", false),
            ("https://p.example.org:443/", "https://p.example.org/x", "p.example.org", false),
            ("https://p.example:8443/fh/", "https://p.example:8443/fh/x", "p.example:8443", false),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/x", "127.0.0.1:8080", true),
            ("http://localhost", "http://localhost/x", "localhost", true),
            ("http://[::1]:80", "http://[::1]/x", "[::1]", true),
            (
                "http://127.0.0.1.evil.example",
                "http://127.0.0.1.evil.example/x",
                "127.0.0.1.evil.example",
                false,
            ),
            ("http://10.0.0.1", "http://10.0.0.1/x", "10.0.0.1", false),
        ] {
            let address: PortalAddress = text.parse().unwrap();
            assert_eq!((address.url("/x").as_str(), address.authority()), (url, authority));
            assert_eq!(address.is_loopback(), loopback, "{text}");
        }
        for text in [
            "portal.example.org",
            "http://localhost@evil.example",
            "https://user:pw@portal.example.org",
            "ftp://x",
            "https://",
            "https://a b",
            "https://a:99999",
            "https://::1",
            "https://a/../b",
            "https://a/?q",
        ] {
            assert!(text.parse::<PortalAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        let error = "https://user:hunter2@portal.example.org".parse::<PortalAddress>().unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}
