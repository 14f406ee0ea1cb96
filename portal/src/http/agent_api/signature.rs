//! Who calls: the HTTP message signature of an agent's identity key.

use freehold_protocol::{
    httpsig::{Claim, HttpSigError, MAX_SKEW_SECS, SignedParts, claim, verify as check},
    ids::AgentId,
    time::Timestamp,
};

use super::super::server::Request;
use crate::{
    config::Config,
    context::Portal,
    db::agents::{self, AgentRow},
    error::{AppError, Kind},
    nonces::NonceRefused,
};

/// Finds out which agent sent a request, or refuses it.
///
/// # Errors
/// 401; its code is that of [`HttpSigError`], `agent_unknown`, `agent_revoked` or `nonce_repeated`.
/// 429 when the agent sends too many requests.
#[inline(never)]
pub(super) fn verify(portal: &Portal, request: &Request) -> Result<Box<AgentRow>, AppError> {
    let (digest, claim) = claimed(request)?;
    let agent = known(portal, claim.agent)?;
    let query = request.head.query().map_or_else(|| "?".to_owned(), |query| format!("?{query}"));
    let authority = authority(&portal.config);
    let parts = SignedParts {
        method: request.head.method().as_str(),
        // What is configured, never what the Host header claims.
        authority: &authority,
        path: request.head.path(),
        query: &query,
        body: &request.body,
    };
    let now = portal.db.now();
    check(&claim, &agent.identity_key.key()?, &parts, digest, now)
        .map_err(|error| unsigned_at(error, now))?;
    if agent.revoked_at.is_some() {
        return Err(revoked());
    }
    portal.nonces.note(agent.id, &claim.nonce, now).map_err(too_often)?;
    Ok(agent)
}

/// Digest of the body and signature, as the headers claim them.
#[inline(never)]
fn claimed(request: &Request) -> Result<(&str, Claim), AppError> {
    let header = |name| {
        request.head.get_single(name).ok().flatten().ok_or_else(|| unsigned(HttpSigError::Missing))
    };
    let digest = header("content-digest")?;
    let claim = claim(header("signature-input")?, header("signature")?).map_err(unsigned)?;
    Ok((digest, claim))
}

/// The agent that a request claims to come from.
#[inline(never)]
fn known(portal: &Portal, id: AgentId) -> Result<Box<AgentRow>, AppError> {
    let found = portal.db.read(|read| agents::get(read, id).map(Box::new));
    found.map_err(|error| if error.kind == Kind::NotFound { unknown() } else { error })
}

// Refusals are made apart from `verify`, and the row is not in its frame: the check of the signature below it
// goes deepest of all that a poll does before it waits.

#[inline(never)]
fn revoked() -> AppError {
    AppError::new(Kind::Unauthenticated, "agent_revoked", "this agent was replaced or revoked")
        .advice("ask an admin for a new token (`freehold host token NAME`) and enroll again")
}

#[inline(never)]
fn too_often(refused: NonceRefused) -> AppError {
    match refused {
        NonceRefused::Repeated => {
            AppError::new(Kind::Unauthenticated, "nonce_repeated", "the request was sent before")
                .advice("sign every request anew")
        }
        NonceRefused::TooMany => AppError::new(
            Kind::TooMany { retry_after_secs: 10 },
            "too_many_requests",
            "the agent sends more requests than it may",
        ),
    }
}

#[inline(never)]
fn unknown() -> AppError {
    AppError::new(Kind::Unauthenticated, "agent_unknown", "there is no such agent")
        .advice("ask an admin for a new token (`freehold host token NAME`) and enroll again")
}

#[inline(never)]
fn unsigned_at(error: HttpSigError, now: Timestamp) -> AppError {
    match error {
        HttpSigError::Skew => unsigned(error).advice(format!(
            "it is {} s since 1970 by the portal's clock (see the Date header): sign with that time, and set the host's clock",
            now.as_secs()
        )),
        other => unsigned(other),
    }
}

#[inline(never)]
fn unsigned(error: HttpSigError) -> AppError {
    let refused = AppError::new(Kind::Unauthenticated, error.code(), error.to_string());
    match error {
        HttpSigError::Skew => {
            refused.advice(format!("the clocks may differ by {MAX_SKEW_SECS} s at most"))
        }
        HttpSigError::Signature => refused.advice(
            "the agent must call the portal by its `public_url`, which it signs, and sign with the key of its own enrollment: `freehold-agent enroll --force` with a new token gives it one",
        ),
        HttpSigError::Missing | HttpSigError::Form | HttpSigError::Digest => {
            refused.advice("docs/agent-protocol.md shows how requests are signed")
        }
    }
}

/// Host and port as agents sign them: without the scheme's default port.
#[inline(never)]
fn authority(config: &Config) -> String {
    let authority = config.authority();
    let default = if config.public_url().starts_with("https://") { ":443" } else { ":80" };
    authority.strip_suffix(default).map_or_else(|| authority.clone(), str::to_owned)
}
