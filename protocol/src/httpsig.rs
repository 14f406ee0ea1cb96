//! HTTP Message Signatures (RFC 9421) in the one profile that agents use.
//!
//! One label (`fh`), Ed25519, always the same covered components, all parameters required. A
//! general parser of structured fields would accept many spellings of the same thing; this one
//! accepts one, and so there is nothing to choose for an attacker.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use sha2::{Digest, Sha256};

use crate::{
    ids::{AgentId, Nonce},
    keys::{PublicKey, SigningKey},
    time::Timestamp,
};

/// How far a signature's `created` may be from the portal's clock, in seconds.
pub const MAX_SKEW_SECS: i64 = 300;
/// How long the portal remembers a nonce, in seconds: longer than a signature can be fresh.
pub const NONCE_MEMORY_SECS: i64 = 2 * MAX_SKEW_SECS;
const TAG: &str = "freehold-agent-v1";
const COMPONENTS: [&str; 5] = ["@method", "@authority", "@path", "@query", "content-digest"];

/// The parts of a request that are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedParts<'a> {
    /// The method in capitals.
    pub method: &'a str,
    /// Host and, unless it is the scheme's default, port, as configured: never what a proxy claims.
    pub authority: &'a str,
    /// The path, starting with `/`.
    pub path: &'a str,
    /// The query with its leading `?`, or just `?` when there is none (RFC 9421, 2.2.7).
    pub query: &'a str,
    /// The body; empty when there is none.
    pub body: &'a [u8],
}

/// The three headers of a signed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureHeaders {
    /// `Content-Digest` (RFC 9530).
    pub content_digest: String,
    /// `Signature-Input`.
    pub signature_input: String,
    /// `Signature`.
    pub signature: String,
}

/// What a `Signature-Input` says, before the signature is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who claims to have signed.
    pub agent: AgentId,
    /// When, in seconds since the epoch.
    pub created_secs: i64,
    /// Draws each request apart.
    pub nonce: Nonce,
    signature: Vec<u8>,
}

/// Why a request's signature was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HttpSigError {
    /// A header is missing.
    #[error("the request has no signature")]
    Missing,
    /// The headers are not in the one accepted form.
    #[error("the signature headers are not in the freehold-agent-v1 form")]
    Form,
    /// `created` is too far from the portal's clock.
    #[error("the signature was created too long ago or in the future")]
    Skew,
    /// The body is not the one that was signed.
    #[error("the body does not match its digest")]
    Digest,
    /// The signature is not the agent's over this request.
    #[error("the signature does not hold")]
    Signature,
}

impl HttpSigError {
    /// A stable code in snake case.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "signature_missing",
            Self::Form => "signature_form",
            Self::Skew => "clock_skew",
            Self::Digest => "content_digest",
            Self::Signature => "signature_invalid",
        }
    }
}

/// The value of `Content-Digest` for a body.
#[must_use]
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", BASE64.encode(Sha256::digest(body)))
}

/// The signature base (RFC 9421, 2.5) over components in their covered order.
#[must_use]
pub fn signature_base(components: &[(&str, &str)], params: &str) -> String {
    let mut base = String::new();
    for (name, value) in components {
        base.push_str(&format!("\"{name}\": {value}\n"));
    }
    let list: Vec<String> = components.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    base.push_str(&format!("\"@signature-params\": ({}){params}", list.join(" ")));
    base
}

fn params(created_secs: i64, nonce: &Nonce, agent: AgentId) -> String {
    format!(
        ";created={created_secs};nonce=\"{nonce}\";keyid=\"{agent}\";alg=\"ed25519\";tag=\"{TAG}\""
    )
}

fn component_list() -> String {
    let quoted: Vec<String> = COMPONENTS.iter().map(|name| format!("\"{name}\"")).collect();
    format!("({})", quoted.join(" "))
}

fn base(parts: &SignedParts<'_>, digest: &str, params: &str) -> String {
    let values = [parts.method, parts.authority, parts.path, parts.query, digest];
    let components: Vec<(&str, &str)> = COMPONENTS.into_iter().zip(values).collect();
    signature_base(&components, params)
}

/// Signs a request.
#[must_use]
pub fn sign(
    key: &SigningKey,
    agent: AgentId,
    created: Timestamp,
    nonce: &Nonce,
    parts: &SignedParts<'_>,
) -> SignatureHeaders {
    let digest = content_digest(parts.body);
    let params = params(created.as_secs(), nonce, agent);
    let signature = key.sign(base(parts, &digest, &params).as_bytes());
    SignatureHeaders {
        content_digest: digest,
        signature_input: format!("fh={}{params}", component_list()),
        signature: format!("fh=:{}:", BASE64.encode(signature)),
    }
}

/// Reads the headers; nothing in the claim may be believed before [`verify`].
///
/// # Errors
/// [`HttpSigError::Form`] for any other spelling than [`sign`]'s.
pub fn claim(signature_input: &str, signature: &str) -> Result<Claim, HttpSigError> {
    let rest = signature_input
        .strip_prefix("fh=")
        .and_then(|rest| rest.strip_prefix(component_list().as_str()))
        .and_then(|rest| rest.strip_prefix(";created="))
        .ok_or(HttpSigError::Form)?;
    let (created, rest) = rest.split_once(";nonce=\"").ok_or(HttpSigError::Form)?;
    let (nonce, rest) = rest.split_once("\";keyid=\"").ok_or(HttpSigError::Form)?;
    let (agent, _) = rest.split_once('"').ok_or(HttpSigError::Form)?;
    let created_secs: i64 = created.parse().map_err(|_| HttpSigError::Form)?;
    let nonce: Nonce = nonce.parse().map_err(|_| HttpSigError::Form)?;
    let agent: AgentId = agent.parse().map_err(|_| HttpSigError::Form)?;
    // Writing it again must give the same text: one spelling, and nothing behind it.
    let again = format!("fh={}{}", component_list(), params(created_secs, &nonce, agent));
    if again != signature_input {
        return Err(HttpSigError::Form);
    }
    let signature = signature
        .strip_prefix("fh=:")
        .and_then(|rest| rest.strip_suffix(':'))
        .and_then(|text| BASE64.decode(text).ok())
        .ok_or(HttpSigError::Form)?;
    Ok(Claim { agent, created_secs, nonce, signature })
}

/// Checks a claim against the agent's key, the request and the clock. The caller must still refuse
/// a nonce that it has seen within [`NONCE_MEMORY_SECS`].
///
/// # Errors
/// [`HttpSigError::Digest`], [`HttpSigError::Signature`], and only for a signature that holds
/// [`HttpSigError::Skew`]: a stranger does not learn the portal's time.
pub fn verify(
    claim: &Claim,
    key: &PublicKey,
    parts: &SignedParts<'_>,
    content_digest_header: &str,
    now: Timestamp,
) -> Result<(), HttpSigError> {
    if content_digest(parts.body) != content_digest_header {
        return Err(HttpSigError::Digest);
    }
    let params = params(claim.created_secs, &claim.nonce, claim.agent);
    let base = base(parts, content_digest_header, &params);
    if !key.verifies(base.as_bytes(), &claim.signature) {
        return Err(HttpSigError::Signature);
    }
    if (now.as_secs() - claim.created_secs).abs() > MAX_SKEW_SECS {
        return Err(HttpSigError::Skew);
    }
    Ok(())
}
