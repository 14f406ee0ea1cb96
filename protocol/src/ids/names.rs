//! Names that people choose.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ParseIdError, text_id};

/// Names that would collide with a host name or path of our own.
pub(crate) const RESERVED_SLUGS: &[&str] =
    &["admin", "api", "default", "freehold", "localhost", "none", "portal", "root", "www"];

/// Shortest short name of a tenant, a blueprint or a host, in characters.
pub(crate) const MIN_NAME_CHARS: usize = 2;
/// Longest short name of a tenant or a blueprint, in characters.
pub(crate) const MAX_SLUG_CHARS: usize = 32;
/// Longest name of a host, in characters.
pub(crate) const MAX_HOST_NAME_CHARS: usize = 63;
/// Shortest domain, in characters.
pub(crate) const MIN_DOMAIN_CHARS: usize = 4;
/// Longest domain, in characters.
pub(crate) const MAX_DOMAIN_CHARS: usize = 253;
/// Longest part of an e-mail address before its `@`, in characters.
pub(crate) const MAX_LOCAL_CHARS: usize = 64;
/// Longest e-mail address (RFC 5321, 4.5.3.1.3, without its angle brackets).
pub(crate) const MAX_EMAIL_CHARS: usize = 254;

fn is_slug(text: &str, max: usize) -> bool {
    let bytes = text.as_bytes();
    (MIN_NAME_CHARS..=max).contains(&bytes.len())
        && bytes[0].is_ascii_lowercase()
        && bytes[bytes.len() - 1] != b'-'
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
        && !text.contains("--")
}

/// A tenant's short name: 2–32 of `a-z 0-9 -`, starting with a letter.
///
/// Safe as a DNS label, a container name and a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantSlug(String);
text_id!(TenantSlug);

impl FromStr for TenantSlug {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        const WHAT: &str = "tenant slug";
        if !is_slug(text, MAX_SLUG_CHARS) {
            return Err(ParseIdError::new(
                WHAT,
                "use 2 to 32 of a-z, 0-9 and single hyphens, starting with a letter and not ending with a hyphen, for example acme-berlin",
                text,
            ));
        }
        if RESERVED_SLUGS.contains(&text) {
            return Err(ParseIdError::new(WHAT, "this name is reserved; choose another", text));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name of a blueprint: 2–32 of `a-z 0-9 -`, starting with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlueprintName(String);
text_id!(BlueprintName);

impl FromStr for BlueprintName {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        if !is_slug(text, MAX_SLUG_CHARS) {
            return Err(ParseIdError::new(
                "blueprint name",
                "use 2 to 32 of a-z, 0-9 and single hyphens, starting with a letter, for example recruitiq",
                text,
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name that an admin gives to a host: 2–63 of `a-z 0-9 -`, starting with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);
text_id!(HostName);

impl FromStr for HostName {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        if !is_slug(text, MAX_HOST_NAME_CHARS) {
            return Err(ParseIdError::new(
                "host name",
                "use 2 to 63 of a-z, 0-9 and single hyphens, starting with a letter, for example vps-1",
                text,
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A DNS name in lower-case ASCII with at least two labels: no wildcard, no address, no port.
///
/// International names come as A-labels (`xn--…`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(String);
text_id!(Domain);

impl FromStr for Domain {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let labels: Vec<&str> = text.split('.').collect();
        let top_is_name =
            labels.last().is_some_and(|top| top.starts_with(|c: char| c.is_ascii_lowercase()));
        if !(MIN_DOMAIN_CHARS..=MAX_DOMAIN_CHARS).contains(&text.len())
            || labels.len() < 2
            || !labels.iter().all(|label| label_ok(label))
            || !top_is_name
        {
            return Err(ParseIdError::new(
                "domain",
                "use a full DNS name in lower-case ASCII without port, path or wildcard, for example acme.example.com (an international name as xn--…)",
                text,
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// An e-mail address in the part of RFC 5321 that real mailboxes use: one `@`, a dotted domain, ASCII.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);
text_id!(Email);

impl FromStr for Email {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let refused = || {
            ParseIdError::new(
                "e-mail address",
                "use a plain address such as anna@example.com",
                text,
            )
        };
        let (local, domain) = text.rsplit_once('@').ok_or_else(refused)?;
        let local_ok = (1..=MAX_LOCAL_CHARS).contains(&local.len())
            && !local.starts_with(['.', '-'])
            && !local.ends_with('.')
            && !local.contains("..")
            && local.bytes().all(|b| b.is_ascii_alphanumeric() || b"._%+-'".contains(&b));
        if !local_ok
            || text.len() > MAX_EMAIL_CHARS
            || domain.to_ascii_lowercase().parse::<Domain>().is_err()
        {
            return Err(refused());
        }
        Ok(Self(text.to_owned()))
    }
}
