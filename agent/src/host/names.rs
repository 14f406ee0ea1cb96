//! Names on the host that are derived from a tenant's.

use std::fmt;
use std::str::FromStr;

pub use freehold_protocol::blueprint::names::{ServiceName, UrlPath};
use freehold_protocol::ids::{BlueprintName, TenantSlug};

use crate::runner::Word;

/// A name that does not have the form it must have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{given}\" is not a {what}")]
pub struct BadName {
    /// What it was meant to be.
    pub what: &'static str,
    /// What it is, shortened and escaped.
    pub given: String,
}

impl BadName {
    fn new(what: &'static str, given: &str) -> Self {
        let short: String = given.chars().take(80).collect();
        Self { what, given: short.escape_debug().to_string() }
    }
}

macro_rules! host_name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);
        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                let ok: fn(&str) -> bool = $ok;
                if ok(text) { Ok(Self(text.to_owned())) } else { Err(BadName::new($what, text)) }
            }
        }
    };
}

fn is_plain(text: &str, max: usize, inner: &[u8]) -> bool {
    (1..=max).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || inner.contains(&b))
}

host_name!(
    /// A Compose project: `<slug>_<product>` for a tenant of ours.
    ProjectName,
    "Compose project name",
    |text| is_plain(text, 80, b"-_")
);
host_name!(
    /// The identifier that the engine gave to a container.
    ContainerId,
    "container id",
    |text| (12..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
);
host_name!(
    /// The name of a network or volume in the engine.
    ResourceName,
    "network or volume name",
    |text| {
        (1..=255).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    }
);
host_name!(
    /// An absolute path that nginx reads without quoting.
    ConfigPath,
    "plain absolute path",
    |text| {
        text.len() > 1
            && text.starts_with('/')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._@+-".contains(&b))
    }
);

impl Word for ProjectName {}
impl Word for ServiceName {}
impl Word for ContainerId {}
impl Word for ResourceName {}

impl ProjectName {
    /// The project of a tenant. A slug has no underscore, so two tenants never share one.
    #[must_use]
    pub fn of_tenant(slug: &TenantSlug, product: &BlueprintName) -> Self {
        Self(format!("{slug}_{product}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_good_and_bad() {
        let project =
            ProjectName::of_tenant(&"acme".parse().unwrap(), &"recruitiq".parse().unwrap());
        assert_eq!(project.as_str(), "acme_recruitiq");
        assert_eq!(project.as_str().parse(), Ok(project));
        for bad in ["", "-x", "A", "a b", "a/b", "a\n"] {
            assert!(bad.parse::<ProjectName>().is_err(), "{bad:?}");
            assert!(bad.parse::<ContainerId>().is_err(), "{bad:?}");
        }
        for bad in ["", "/", "a", "/a b", "/a;b", "/a$b", "/a\"b", "/a{b"] {
            assert!(bad.parse::<ConfigPath>().is_err(), "{bad:?}");
        }
    }
}
