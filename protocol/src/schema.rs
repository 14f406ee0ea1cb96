//! JSON Schemas (draft 2020-12) of the types that check themselves when parsed, for the portal's OpenAPI
//! document. What a schema says is what `FromStr` enforces: its limits are the same constants, and a test
//! holds the patterns against the parsers.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::ids::{
    BlueprintName, Domain, Email, HostName, ImageRef, Nonce, Port, Sha256Digest, TenantSlug,
    limits::{
        MAX_DOMAIN_CHARS, MAX_EMAIL_CHARS, MAX_HOST_NAME_CHARS, MAX_LOCAL_CHARS, MAX_SLUG_CHARS,
        MIN_DOMAIN_CHARS, MIN_NAME_CHARS, MIN_PORT, RESERVED_SLUGS,
    },
};
use crate::keys::{PublicKey, SealPublicKey};

/// Letters, digits and single hyphens, a letter first and no hyphen last.
const SLUG: &str = "^[a-z](?:-?[a-z0-9])*$";
/// Labels of a DNS name; the last begins with a letter.
const DOMAIN: &str =
    r"^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$";
/// A mailbox without quotes and comments; its domain in any case, and ending as all do that there are: in two
/// letters at least.
const EMAIL: &str = r"^[A-Za-z0-9_%+'][A-Za-z0-9_%+'-]*(?:\.[A-Za-z0-9_%+'-]+)*@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]$";
const UUID: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";
/// The base64 of 32 bytes.
const KEY: &str = "^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$";

/// The schema of an identifier made by [`crate::uuid_id`].
#[must_use]
pub fn uuid(what: &str) -> Schema {
    json_schema!({ "type": "string", "format": "uuid", "pattern": UUID, "description": what })
}

/// Gives a type the schema of a text.
macro_rules! text {
    ($name:ident, $schema:tt) => {
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

text!(TenantSlug, {
    "type": "string", "pattern": SLUG, "minLength": MIN_NAME_CHARS, "maxLength": MAX_SLUG_CHARS,
    "not": { "enum": RESERVED_SLUGS },
    "description": "A tenant's short name.", "examples": ["acme-berlin"],
});
text!(BlueprintName, {
    "type": "string", "pattern": SLUG, "minLength": MIN_NAME_CHARS, "maxLength": MAX_SLUG_CHARS,
    "description": "The short name of a blueprint, or one spelled like it.", "examples": ["recruitiq"],
});
text!(HostName, {
    "type": "string", "pattern": SLUG, "minLength": MIN_NAME_CHARS, "maxLength": MAX_HOST_NAME_CHARS,
    "description": "The name of a host.", "examples": ["vps-1"],
});
text!(Domain, {
    "type": "string", "pattern": DOMAIN, "minLength": MIN_DOMAIN_CHARS, "maxLength": MAX_DOMAIN_CHARS,
    "description": "A full DNS name in lower-case ASCII.", "examples": ["acme.example.com"],
});
text!(Email, {
    "type": "string", "pattern": EMAIL, "maxLength": MAX_EMAIL_CHARS,
    "description": format!("A plain e-mail address, with at most {MAX_LOCAL_CHARS} characters before its @."),
    "examples": ["anna@example.com"],
});
text!(Sha256Digest, {
    "type": "string", "pattern": "^[0-9a-f]{64}$", "description": "A SHA-256 digest (FIPS 180-4) in hex.",
});
text!(Nonce, {
    "type": "string", "pattern": "^[0-9a-f]{32}$", "description": "Sixteen random bytes in hex.",
});
text!(ImageRef, {
    "type": "string", "description": "A container image with tag or digest.",
});
text!(PublicKey, {
    "type": "string", "pattern": KEY, "description": "An Ed25519 public key: the base64 of its 32 bytes.",
});
text!(SealPublicKey, {
    "type": "string", "pattern": KEY, "description": "An X25519 public key: the base64 of its 32 bytes.",
});
text!(Port, {
    "type": "integer", "minimum": MIN_PORT, "maximum": u16::MAX,
    "description": "A TCP port that a tenant may be given.",
});

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use proptest::prelude::*;

    use super::*;

    /// Texts that the pattern and the length of a schema allow.
    fn texts<T: JsonSchema>() -> impl Strategy<Value = String> {
        let schema = T::json_schema(&mut SchemaGenerator::default());
        let number = |name: &str| schema.get(name).and_then(serde_json::Value::as_u64);
        let (least, most) = (number("minLength").unwrap_or(0), number("maxLength").unwrap_or(300));
        let pattern = schema.get("pattern").and_then(|it| it.as_str()).unwrap().to_owned();
        let reserved: Vec<String> = schema
            .get("not")
            .map(|not| serde_json::from_value(not["enum"].clone()).unwrap())
            .unwrap_or_default();
        let inner = pattern.trim_start_matches('^').trim_end_matches('$').to_owned();
        proptest::string::string_regex(&inner).unwrap().prop_filter("length", move |text| {
            (least..=most).contains(&(text.chars().count() as u64)) && !reserved.contains(text)
        })
    }

    fn allowed_texts_parse<T: JsonSchema + FromStr>() {
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            max_local_rejects: 1_000_000,
            ..ProptestConfig::with_cases(200)
        });
        runner
            .run(&texts::<T>(), |text| {
                prop_assert!(text.parse::<T>().is_ok(), "{}: {text:?}", T::schema_name());
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn what_a_schema_allows_is_what_its_type_takes() {
        allowed_texts_parse::<TenantSlug>();
        allowed_texts_parse::<BlueprintName>();
        allowed_texts_parse::<HostName>();
        allowed_texts_parse::<Domain>();
        allowed_texts_parse::<Sha256Digest>();
        allowed_texts_parse::<Nonce>();
        allowed_texts_parse::<crate::ids::JobId>();
    }

    #[test]
    fn mailboxes_that_the_schema_allows_are_taken_up_to_their_length() {
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(200));
        let short = texts::<Email>().prop_filter("length", |text| {
            let (local, domain) = text.rsplit_once('@').unwrap();
            local.len() <= MAX_LOCAL_CHARS
                && (MIN_DOMAIN_CHARS..=MAX_DOMAIN_CHARS).contains(&domain.len())
        });
        runner
            .run(&short, |text| {
                prop_assert!(text.parse::<Email>().is_ok(), "{text:?}");
                Ok(())
            })
            .unwrap();
    }
}
