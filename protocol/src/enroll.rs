//! The one-time enrollment token, and the proof that an agent holds it.
//!
//! What an admin hands to the operator of a host is one string: `fhe1.` and the base64url of
//! portal address, trust digest, token id and secret. The secret never travels: the agent proves
//! that it knows it by an HMAC over its public keys, so that somebody who reads or intercepts the
//! TLS connection cannot enroll a host of his own in its place.

use std::{fmt, str::FromStr};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64URL},
};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{
    ids::{ParseIdError, Sha256Digest, TokenId},
    keys::{PublicKey, SealPublicKey},
    secret::Secret,
    shape,
};

const PREFIX: &str = "fhe1.";
/// Longest token text, in bytes.
const MAX_TEXT_BYTES: usize = 2048;

/// An enrollment token as the operator receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrollmentToken {
    /// Where the portal is: `https://…`, or `http://` on loopback.
    pub url: String,
    /// Digest of the trust document that the agent must find there.
    pub trust: Sha256Digest,
    /// Public name of the token.
    pub id: TokenId,
    /// What proves it.
    pub secret: Secret,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    url: String,
    trust: Sha256Digest,
    id: TokenId,
    secret: String,
}

impl EnrollmentToken {
    /// The one string.
    #[must_use]
    pub fn to_text(&self) -> Secret {
        let body = Body {
            url: self.url.clone(),
            trust: self.trust,
            id: self.id,
            secret: self.secret.expose().to_owned(),
        };
        let json = serde_json::to_vec(&body).expect("four texts are always JSON");
        Secret::new(format!("{PREFIX}{}", BASE64URL.encode(json)))
    }
}

impl FromStr for EnrollmentToken {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        // The text is a secret, so the refusal repeats none of it.
        let refused = || {
            ParseIdError::new(
                "enrollment token",
                "paste the whole line that starts with fhe1. as `freehold host add` or `freehold host token` printed it",
                "(not shown)",
            )
        };
        let text = text.trim();
        let body = text.strip_prefix(PREFIX).filter(|_| text.len() <= MAX_TEXT_BYTES);
        let json = body.and_then(|b| BASE64URL.decode(b).ok()).ok_or_else(refused)?;
        let body: Body = shape::from_slice(&json).map_err(|_| refused())?;
        if !(body.url.starts_with("https://") || body.url.starts_with("http://"))
            || body.url.bytes().any(|b| b <= b' ' || b == 0x7f)
        {
            return Err(refused());
        }
        Ok(Self { url: body.url, trust: body.trust, id: body.id, secret: Secret::new(body.secret) })
    }
}

fn mac(
    secret: &Secret,
    id: TokenId,
    identity: &PublicKey,
    report: &PublicKey,
    seal: &SealPublicKey,
) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC takes a key of any length");
    // All parts but the id are of one fixed length, so that the concatenation is unambiguous.
    mac.update(b"freehold/v1/enroll|");
    mac.update(id.to_string().as_bytes());
    mac.update(identity.as_bytes());
    mac.update(report.as_bytes());
    mac.update(seal.as_bytes());
    mac
}

/// The proof of a token over the three public keys: HMAC-SHA256 (RFC 2104), base64.
#[must_use]
pub fn proof(
    secret: &Secret,
    id: TokenId,
    identity: &PublicKey,
    report: &PublicKey,
    seal: &SealPublicKey,
) -> String {
    BASE64.encode(mac(secret, id, identity, report, seal).finalize().into_bytes())
}

/// Whether a proof is right, compared in constant time.
#[must_use]
pub fn proof_holds(
    secret: &Secret,
    id: TokenId,
    identity: &PublicKey,
    report: &PublicKey,
    seal: &SealPublicKey,
    proof: &str,
) -> bool {
    BASE64
        .decode(proof)
        .is_ok_and(|raw| mac(secret, id, identity, report, seal).verify_slice(&raw).is_ok())
}

impl fmt::Display for EnrollmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "enrollment token {} for {}", self.id, self.url)
    }
}
