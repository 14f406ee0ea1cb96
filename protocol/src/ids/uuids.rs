//! Identifiers that a program draws: UUIDs, and nonces.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ParseIdError, text_id};

/// Defines an identifier that is a UUID in lower-case hyphenated text. The portal makes those with
/// it that no agent ever sees; the crate that uses it depends on `uuid` and `serde` itself.
#[macro_export]
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize,
        )]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(::uuid::Uuid);
        impl $name {
            /// From a UUID; the caller draws version 7, so that identifiers sort by age.
            #[must_use]
            pub const fn from_uuid(id: ::uuid::Uuid) -> Self {
                Self(id)
            }
            /// The UUID.
            #[must_use]
            pub const fn as_uuid(self) -> ::uuid::Uuid {
                self.0
            }
        }
        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.0.as_hyphenated(), f)
            }
        }
        impl ::std::str::FromStr for $name {
            type Err = $crate::ids::ParseIdError;
            fn from_str(text: &str) -> Result<Self, $crate::ids::ParseIdError> {
                let refused = || {
                    $crate::ids::ParseIdError::new(
                        $what,
                        "use a UUID in lower-case hyphenated form",
                        text,
                    )
                };
                let id = ::uuid::Uuid::try_parse(text).map_err(|_| refused())?;
                // One spelling only, so that equal identifiers are equal texts.
                if id.as_hyphenated().to_string() != text {
                    return Err(refused());
                }
                Ok(Self(id))
            }
        }
        impl TryFrom<String> for $name {
            type Error = $crate::ids::ParseIdError;
            fn try_from(text: String) -> Result<Self, $crate::ids::ParseIdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
        $crate::uuid_schema!($name, $what);
    };
}

/// Gives an identifier its JSON Schema; nothing without the feature `schema`.
#[cfg(feature = "schema")]
#[macro_export]
macro_rules! uuid_schema {
    ($name:ident, $what:literal) => {
        impl ::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                $crate::schema::uuid($what)
            }
        }
    };
}
/// Gives an identifier its JSON Schema; nothing without the feature `schema`.
#[cfg(not(feature = "schema"))]
#[macro_export]
macro_rules! uuid_schema {
    ($name:ident, $what:literal) => {};
}

uuid_id!(
    /// One installation of the portal. Jobs name it, so that a clone's jobs are refused.
    PortalId,
    "portal id"
);
uuid_id!(
    /// A host as the admins know it. It survives a new enrollment.
    HostId,
    "host id"
);
uuid_id!(
    /// One enrollment of an agent on a host; a new enrollment draws a new one.
    AgentId,
    "agent id"
);
uuid_id!(
    /// A tenant.
    TenantId,
    "tenant id"
);
uuid_id!(
    /// One published release of a blueprint.
    ReleaseId,
    "release id"
);
uuid_id!(
    /// A job. It stays the same over all attempts.
    JobId,
    "job id"
);
uuid_id!(
    /// The public name of an API token or enrollment token (never the token itself).
    TokenId,
    "token id"
);
uuid_id!(
    /// Somebody's request that a tenant be deployed, which somebody else approves.
    ProvisionRequestId,
    "request id"
);

/// Sixteen random bytes in lower-case hex that make one answer fit one question.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Nonce(String);
text_id!(Nonce);

impl Nonce {
    /// From sixteen random bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes.iter().map(|b| format!("{b:02x}")).collect())
    }
}

impl FromStr for Nonce {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(ParseIdError::new("nonce", "use 32 lower-case hex digits", text));
        }
        Ok(Self(text.to_owned()))
    }
}
