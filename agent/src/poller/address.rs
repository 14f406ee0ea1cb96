//! The portal's address.

use std::{fmt, net::IpAddr, str::FromStr};

/// Where the portal is: scheme, authority and an optional path prefix. TLS unless it is loopback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
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

impl Address {
    /// Whether TLS is spoken.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }
    /// Whether it is this machine's own.
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

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url(""))
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refused = |rule| AddressError { given: text.chars().take(200).collect(), rule };
        let (tls, rest) = if let Some(rest) = text.strip_prefix("https://") {
            (true, rest)
        } else if let Some(rest) = text.strip_prefix("http://") {
            (false, rest)
        } else {
            return Err(refused("use https://"));
        };
        let (authority, prefix) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
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
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let ip: Option<IpAddr> = bare.parse().ok();
        let name_ok = !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        if !name_ok && ip.is_none() {
            return Err(refused("its host is neither a name nor an address"));
        }
        let loopback = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
        if !tls && !loopback {
            return Err(refused("http:// is allowed for this machine alone; use https://"));
        }
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
        for (text, url, authority) in [
            ("https://Portal.Example.org", "https://portal.example.org/x", "portal.example.org"),
            (
                "https://portal.example.org:443/",
                "https://portal.example.org/x",
                "portal.example.org",
            ),
            ("https://p.example:8443/fh/", "https://p.example:8443/fh/x", "p.example:8443"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/x", "127.0.0.1:8080"),
            ("http://localhost", "http://localhost/x", "localhost"),
            ("http://[::1]:80", "http://[::1]/x", "[::1]"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.url("/x").as_str(), address.authority()), (url, authority));
            assert_eq!(address.is_loopback(), text.starts_with("http:"), "{text}");
        }
        for text in [
            "http://portal.example.org",
            "http://127.0.0.1.evil.example",
            "http://localhost@evil.example",
            "https://user:pw@portal.example.org",
            "ftp://x",
            "https://",
            "https://a b",
            "https://a:99999",
            "https://a/../b",
            "https://a/?q",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
