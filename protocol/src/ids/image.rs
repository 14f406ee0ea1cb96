//! References to container images.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ParseIdError, text_id};

/// A container image: `name:tag`, `name@sha256:…` or `name:tag@sha256:…`.
///
/// The grammar is the one of the distribution reference (repository path in lower case, optional
/// registry host and port); a tag or digest is required, so that `latest` is never meant silently.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef(String);
text_id!(ImageRef);

impl ImageRef {
    /// The digest (`sha256:…`), when the reference pins one.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.0.split_once('@').map(|(_, digest)| digest)
    }
}

fn path_part_ok(part: &str) -> bool {
    !part.is_empty()
        && part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && part.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
}

fn host_ok(part: &str) -> bool {
    let (host, port) = part.split_once(':').map_or((part, None), |(h, p)| (h, Some(p)));
    !host.is_empty()
        && !host.starts_with(['-', '.'])
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
        && port.is_none_or(|p| p.parse::<u16>().is_ok())
}

fn tag_ok(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

fn digest_ok(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn is_image(text: &str) -> bool {
    let (name_tag, digest) = text.split_once('@').map_or((text, None), |(n, d)| (n, Some(d)));
    // A colon after the last slash starts the tag; one before it is the registry's port.
    let (name, tag) = match name_tag.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (name_tag, None),
    };
    let parts: Vec<&str> = name.split('/').collect();
    let has_registry = parts.len() > 1
        && (parts[0].contains('.') || parts[0].contains(':') || parts[0] == "localhost");
    let (registry, path) =
        if has_registry { (Some(parts[0]), &parts[1..]) } else { (None, &parts[..]) };
    text.len() <= 255
        && (tag.is_some() || digest.is_some())
        && registry.is_none_or(host_ok)
        && path.iter().all(|part| path_part_ok(part))
        && tag.is_none_or(tag_ok)
        && digest.is_none_or(digest_ok)
}

impl FromStr for ImageRef {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        if is_image(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseIdError::new(
                "image reference",
                "use NAME:TAG or NAME@sha256:DIGEST, for example registry.example.com/shop/backend:1.4.2",
                text,
            ))
        }
    }
}
