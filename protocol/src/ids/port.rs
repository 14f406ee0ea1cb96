//! TCP ports and ranges of them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::ParseIdError;

/// Lowest port that a tenant may be given.
pub(crate) const MIN_PORT: u16 = 1024;

/// A TCP port from 1024 to 65535: what a tenant's service may be given on its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Port(u16);

impl Port {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Port {
    type Error = ParseIdError;
    fn try_from(number: u16) -> Result<Self, ParseIdError> {
        if number < MIN_PORT {
            return Err(ParseIdError::new("port", "use 1024 to 65535", &number.to_string()));
        }
        Ok(Self(number))
    }
}

impl From<Port> for u16 {
    fn from(port: Port) -> u16 {
        port.0
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Port {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        text.parse::<u16>()
            .map_err(|_| ParseIdError::new("port", "use a number from 1024 to 65535", text))?
            .try_into()
    }
}

/// A range of ports, both ends included, written `3001-3100`. Never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortRange {
    first: Port,
    last: Port,
}

impl PortRange {
    /// The lowest port.
    #[must_use]
    pub const fn first(self) -> Port {
        self.first
    }
    /// The highest port.
    #[must_use]
    pub const fn last(self) -> Port {
        self.last
    }
    /// Whether the range holds a port.
    #[must_use]
    pub fn contains(self, port: Port) -> bool {
        self.first <= port && port <= self.last
    }
    /// All ports, lowest first.
    pub fn iter(self) -> impl Iterator<Item = Port> {
        (self.first.0..=self.last.0).map(Port)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for PortRange {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let refused = || {
            ParseIdError::new(
                "port range",
                "use FIRST-LAST within 1024 to 65535, for example 3001-3100",
                text,
            )
        };
        let (first, last) = text.split_once('-').ok_or_else(refused)?;
        let first: Port = first.parse().map_err(|_| refused())?;
        let last: Port = last.parse().map_err(|_| refused())?;
        if first > last {
            return Err(refused());
        }
        Ok(Self { first, last })
    }
}

impl TryFrom<String> for PortRange {
    type Error = ParseIdError;
    fn try_from(text: String) -> Result<Self, ParseIdError> {
        text.parse()
    }
}

impl From<PortRange> for String {
    fn from(range: PortRange) -> String {
        range.to_string()
    }
}
