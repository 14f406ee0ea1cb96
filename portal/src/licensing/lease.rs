//! Leases: what an app may hold in its hand while the portal is away.
//!
//! A lease is a compact JWS (RFC 7515) with one header that never varies but for the key's name:
//! EdDSA, of our own type. Apps in any language verify it with the key set at
//! `/.well-known/jwks.json`; docs/licenses.md shows how. Agents accept nothing that this key signs:
//! it is in no trust document, and what it signs is no envelope.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use freehold_protocol::time::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::snapshot::LicenseEntry;
use crate::{
    db::lock,
    domain::license::LicenseStatus,
    keys::{LeaseKeys, lease_key_id},
};

/// How long a lease is good, in seconds: a day.
const LEASE_SECS: i64 = 86_400;
/// The `typ` of a lease, so that no other token of the same key is taken for one.
const LEASE_TYPE: &str = "freehold-lease+jwt";
/// How far before its making a lease is good already: clocks differ.
const EARLY_SECS: i64 = 300;
/// How long the same lease is given out again, in seconds.
const CACHE_SECS: i64 = 60;

/// A lease that was signed a moment ago.
#[derive(Debug)]
pub(super) struct Cached {
    at: Timestamp,
    status: LicenseStatus,
    key: String,
    lease: Arc<str>,
}

/// The published key set (RFC 7517): the key that signs, the next one, and the one before, whose
/// leases may still be out.
#[must_use]
pub fn jwks(keys: &LeaseKeys) -> serde_json::Value {
    let keys: Vec<_> = keys
        .published()
        .iter()
        .map(|key| {
            json!({
                "kty": "OKP",
                "crv": "Ed25519",
                "x": BASE64URL.encode(key.as_bytes()),
                "kid": lease_key_id(key),
                "alg": "EdDSA",
                "use": "sig",
            })
        })
        .collect();
    json!({ "keys": keys })
}

/// When a lease ends that is made now: after a day, and never later than the license itself.
fn ends_at(license: &LicenseEntry, now: Timestamp) -> Timestamp {
    let day = now.plus_secs(LEASE_SECS);
    license.rule.worthless_at(license.expires_at).map_or(day, |end| end.min(day))
}

impl LicenseEntry {
    /// A lease for a license that is good now. The same one is given out for a minute.
    #[must_use]
    pub fn lease(
        &self,
        keys: &LeaseKeys,
        issuer: impl FnOnce() -> String,
        seq: impl FnOnce() -> i64,
        now: Timestamp,
    ) -> Arc<str> {
        let status = self.status.at(self.expires_at, now);
        let key = keys.current_id();
        let mut cached = lock(&self.lease);
        if let Some(last) = &*cached
            && last.key == key
            && last.status == status
            && (0..CACHE_SECS * 1000).contains(&now.millis_since(last.at))
        {
            return Arc::clone(&last.lease);
        }
        let lease: Arc<str> = self.sign(keys, &issuer(), seq(), status, now).into();
        *cached = Some(Cached { at: now, status, key: key.to_owned(), lease: Arc::clone(&lease) });
        lease
    }

    fn sign(
        &self,
        keys: &LeaseKeys,
        issuer: &str,
        seq: i64,
        status: LicenseStatus,
        now: Timestamp,
    ) -> String {
        let header = json!({ "alg": "EdDSA", "typ": LEASE_TYPE, "kid": keys.current_id() });
        let claims = json!({
            "iss": issuer,
            "sub": self.id,
            "aud": self.gives.products,
            "jti": Uuid::now_v7().to_string(),
            "iat": now.as_secs(),
            "nbf": now.as_secs() - EARLY_SECS,
            "exp": ends_at(self, now).as_secs(),
            "fh": {
                "seq": seq,
                "organization": self.organization,
                "plan": self.plan,
                "products": self.gives.products,
                "features": self.gives.features,
                "limits": self.gives.limits,
                "status": status,
                "licenseExp": self.expires_at.map(Timestamp::as_secs),
            },
        });
        let mut text = BASE64URL.encode(header.to_string());
        text.push('.');
        text.push_str(&BASE64URL.encode(claims.to_string()));
        let signature = keys.current().sign(text.as_bytes());
        text.push('.');
        text.push_str(&BASE64URL.encode(signature));
        text
    }
}
