//! What tenants' apps call. They prove themselves with their tenant's API key (`X-API-Key` or
//! `Authorization: Bearer`), never with an admin's token; keys are looked up in memory.

mod ingest;
mod validate;

use std::net::IpAddr;

use freehold_protocol::time::Timestamp;

use super::{
    input,
    rate::Rate,
    route::TenantRoute,
    server::{Head, Request, Response},
    throttle::Failures,
};
use crate::{
    api::ingest::MAX_INGEST_BODY_BYTES,
    app::tenant_keys::PREFIX,
    config::Config,
    context::Portal,
    db::ingest::batches::BatchKind,
    domain::ids::TenantKeyId,
    error::{AppError, Kind},
    keys::mint,
    licensing::{KeyEntry, KeyRefused, Snapshot, jwks},
};

/// Largest request body, in bytes.
pub const MAX_TENANT_BODY_BYTES: u64 = 16 * 1024;
/// How long others may keep the key set, in seconds.
const JWKS_CACHE_SECS: u32 = 300;

impl TenantRoute {
    /// Largest body, in bytes.
    #[must_use]
    pub const fn body_limit(&self) -> u64 {
        match self {
            Self::Validate | Self::KeySet => MAX_TENANT_BODY_BYTES,
            Self::Logs | Self::Usage | Self::Health => MAX_INGEST_BODY_BYTES,
        }
    }
}

/// Counts of what went wrong lately: per address for API keys, per API key for license keys.
///
/// A good key is answered always: a neighbour behind the same address that keeps sending a bad one
/// must not lock it out. Guessing gains nothing by that, with 178 and 115 random bits to guess.
#[derive(Debug)]
pub struct Limits {
    api_keys: Failures<IpAddr>,
    license_keys: Failures<TenantKeyId>,
}

impl Limits {
    /// As configured: failures a minute per address; twice as many per API key.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            api_keys: Failures::per_minute(config.failures_per_minute),
            license_keys: Failures::per_minute(config.failures_per_minute.saturating_mul(2)),
        }
    }
}

/// Answers a call.
///
/// # Errors
/// 401 without a good API key, 429 after too many failures, 4xx for what cannot be read.
#[inline(never)]
pub fn handle(
    portal: &Portal,
    limits: &Limits,
    rate: &Rate<TenantKeyId>,
    route: &TenantRoute,
    request: &Request,
) -> Result<Response, AppError> {
    match route {
        TenantRoute::Validate => validate::validate(portal, limits, rate, request),
        TenantRoute::Logs => ingest::batch(portal, limits, request, BatchKind::Logs),
        TenantRoute::Usage => ingest::batch(portal, limits, request, BatchKind::Usage),
        TenantRoute::Health => ingest::health(portal, limits, request),
        TenantRoute::KeySet => Ok(Response::json(200, &jwks(portal.keys.current().lease()))
            .with_header("cache-control", format!("public, max-age={JWKS_CACHE_SECS}"))),
    }
}

/// Finds out which tenant asks. A text that is no key at all costs nothing but its checksum.
fn authenticate<'s>(
    portal: &Portal,
    limits: &Limits,
    snapshot: &'s Snapshot,
    request: &Request,
    now: Timestamp,
) -> Result<&'s KeyEntry, AppError> {
    let peer = super::throttle::network(request.peer);
    let refused = |error: AppError| match limits.api_keys.over(&peer, now) {
        Some(retry_after_secs) => AppError::new(
            Kind::TooMany { retry_after_secs },
            "too_many_failures",
            "too many requests from your address had no good API key",
        )
        .advice("check the API key that the app sends"),
        None => {
            limits.api_keys.failed(peer, now);
            error
        }
    };
    let secret = secret(&request.head)?
        .ok_or_else(|| refused(unknown("api_key_missing", "the request has no API key")))?;
    if !mint::is_token(PREFIX, secret) {
        let message = "the API key is not whole: its checksum is wrong";
        return Err(refused(unknown("api_key_malformed", message)));
    }
    portal.licensing.tenant_key(snapshot, secret, now).map_err(|why| {
        refused(match why {
            KeyRefused::Unknown => {
                unknown("api_key_unknown", "the portal does not know this API key")
            }
            KeyRefused::Revoked => unknown("api_key_revoked", "the API key was revoked"),
            KeyRefused::Ended => {
                unknown("api_key_replaced", "the API key was replaced and its time is over")
            }
        })
    })
}

/// The API key: `X-API-Key`, or `Authorization: Bearer`.
fn secret(head: &Head) -> Result<Option<&str>, AppError> {
    let key = input::single(head, "x-api-key")?;
    let bearer = input::single(head, "authorization")?.and_then(|header| {
        let (scheme, secret) = header.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
    });
    match (key, bearer) {
        (Some(key), Some(bearer)) if key != bearer => Err(AppError::new(
            Kind::BadRequest,
            "two_api_keys",
            "X-API-Key and Authorization hold different keys",
        )
        .advice("send one of them")),
        (key, bearer) => Ok(key.or(bearer)),
    }
}

fn unknown(code: &'static str, message: &str) -> AppError {
    AppError::new(Kind::Unauthenticated, code, message).advice(
        "send the tenant's API key (fhl_live_ and 36 letters and digits) as the header X-API-Key, or as Authorization: Bearer",
    )
}
