//! Names and identifiers that exist only in their valid form.
//!
//! Each type is made by parsing and by nothing else; deserializing goes through the same parser. So
//! a value of one of these types can be put into a file name, a container name or an nginx
//! configuration without a further check.

mod digest;
mod image;
mod names;
mod port;
mod uuids;

use std::fmt;

pub use digest::Sha256Digest;
pub use image::ImageRef;
pub use names::{BlueprintName, Domain, Email, HostName, TenantSlug};
pub use port::{Port, PortRange};
/// What the parsers of names enforce.
#[cfg(feature = "schema")]
pub(crate) mod limits {
    pub(crate) use super::{
        names::{
            MAX_DOMAIN_CHARS, MAX_EMAIL_CHARS, MAX_HOST_NAME_CHARS, MAX_LOCAL_CHARS,
            MAX_SLUG_CHARS, MIN_DOMAIN_CHARS, MIN_NAME_CHARS, RESERVED_SLUGS,
        },
        port::MIN_PORT,
    };
}
pub use uuids::{
    AgentId, HostId, JobId, Nonce, PortalId, ProvisionRequestId, ReleaseId, TenantId, TokenId,
};

/// Why a text is not a value of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseIdError {
    /// What the text was meant to be, for example `tenant slug`.
    pub what: &'static str,
    /// The rule that it breaks and an example of a good value.
    pub rule: &'static str,
    /// The start of the refused text, with control characters escaped.
    pub given: String,
}

impl ParseIdError {
    /// Refuses `given`, of which only the start is kept.
    #[must_use]
    pub fn new(what: &'static str, rule: &'static str, given: &str) -> Self {
        let short: String = given.chars().take(80).collect();
        Self { what, rule, given: short.escape_debug().to_string() }
    }
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No `what` begins with a vowel that is not spoken as one.
        let article = if self.what.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        write!(f, "\"{}\" is not {article} {}: {}", self.given, self.what, self.rule)
    }
}

impl std::error::Error for ParseIdError {}

/// Gives a newtype over `String` its only way in (`FromStr`) and its ways out.
macro_rules! text_id {
    ($name:ident) => {
        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = $crate::ids::ParseIdError;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}
pub(crate) use text_id;

#[cfg(test)]
mod tests;
