//! Bodies and addresses of the admin API (docs/api.md): what the portal's admin handlers read and
//! write, and what the `freehold` command line writes and reads.
//!
//! Requests deny unknown fields, so that a mistyped field is an error and not a silent default.
//! Their texts are plain strings on purpose: the portal parses them into the newtypes of
//! [`freehold_protocol::ids`] and answers *every* wrong field at once, each with a pointer and a
//! remedy. Answers ignore unknown fields, so that an older command line works with a newer portal.

use std::{fmt, marker::PhantomData};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

pub mod audit;
pub mod blueprints;
pub mod customers;
pub mod hosts;
pub mod ingest;
pub mod jobs;
pub mod keys;
pub mod licenses;
pub mod outer;
pub mod paths;
pub mod plans;
pub mod requests;
pub mod schema;
pub mod tenant_keys;
pub mod tenants;
pub mod tokens;
pub mod users;

/// Largest request body of the admin API, in bytes; a blueprint is the largest.
pub const MAX_ADMIN_BODY_BYTES: u64 = 512 * 1024;
/// Entries of a list when `limit` is not given.
pub const DEFAULT_LIMIT: u32 = 50;
/// Most entries of one list answer.
pub const MAX_LIMIT: u32 = 200;
/// Longest wait of `GET /jobs/{id}/events`, in seconds.
pub const MAX_EVENTS_WAIT_SECS: u32 = 30;
/// Most events in one answer.
pub const MAX_EVENTS_ANSWER: u32 = 500;
/// Longest `Idempotency-Key`, in bytes.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;
/// How long an answer is kept for its `Idempotency-Key`, in seconds: a day.
pub const IDEMPOTENCY_KEEP_SECS: i64 = 86_400;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Give it as `cursor` to get the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Reads a field that may be `null`, so that `null` (take it away) differs from no field at all
/// (leave it as it is).
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Reads an object, and nothing else: serde would take a list for a struct, too, its fields by position.
///
/// # Errors
/// Whatever is no such object.
pub fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_map(Object(PhantomData))
}

/// Reads an object or `null`.
pub(crate) fn object_or_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    struct Read<T>(T);
    impl<'de, T: Deserialize<'de>> Deserialize<'de> for Read<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            object(deserializer).map(Self)
        }
    }
    Ok(Option::<Read<T>>::deserialize(deserializer)?.map(|read| read.0))
}

#[cfg(test)]
mod tests {
    use super::{licenses::CreateLicense, tenants::UpdateTenant};

    #[test]
    fn a_list_is_no_object() {
        for bad in [
            r#"{"customer":"c","plan":"p","overrides":[]}"#,
            r#"{"customer":"c","plan":"p","overrides":null}"#,
        ] {
            let error = serde_json::from_str::<CreateLicense>(bad).err().unwrap();
            assert!(error.to_string().contains("expected an object"), "{error}");
        }
        assert!(serde_json::from_str::<CreateLicense>(r#"{"customer":"c","plan":"p"}"#).is_ok());
        assert!(serde_json::from_str::<UpdateTenant>(r#"{"certificate":["acme"]}"#).is_err());
        assert!(serde_json::from_str::<UpdateTenant>(r#"{"certificate":null}"#).is_ok());
        assert!(
            serde_json::from_str::<UpdateTenant>(r#"{"certificate":{"source":"acme"}}"#).is_ok()
        );
    }
}
