//! The portal itself: version, keys, audit log.

use freehold_protocol::{PROTOCOL_VERSION, keys::PublicKey};

use super::Context;
use crate::{
    api::{
        Page,
        audit::AuditRow,
        keys::{KeysView, RotateKeys},
        tokens::VersionInfo,
    },
    app::rotate_key::{RotateKey, RotateLeaseKeys},
    db::audit,
    error::AppError,
    http::{
        input::{self, Query},
        respond::Answer,
    },
    keys::{PortalKeys, Rotation},
};

/// Answers without a token, so that a client can see what it talks to.
pub(in crate::http) fn version() -> Result<Answer, AppError> {
    Answer::ok(&VersionInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL_VERSION,
    })
}

fn view(keys: &PortalKeys) -> Result<KeysView, AppError> {
    let document = keys.trust().document();
    let trust = keys.trust_envelope().clone();
    let trust_digest = trust
        .payload_digest()
        .map_err(|error| AppError::bug("the trust document has no payload").because(error))?;
    Ok(KeysView {
        portal: keys.portal(),
        trust_version: document.version,
        epoch: document.epoch,
        trust_digest,
        signed_at: document.iat,
        expires_at: document.exp,
        root_keys: document.root_keys.iter().map(|key| key.fingerprint()).collect(),
        job_keys: document.job_keys.iter().map(|key| key.fingerprint()).collect(),
        seal_key: document.seal_key.fingerprint(),
        lease_keys: keys.lease().published().iter().map(PublicKey::fingerprint).collect(),
        trust,
    })
}

pub(super) fn keys(ctx: &Context<'_>) -> Result<Answer, AppError> {
    Answer::ok(&view(&ctx.keys)?)
}

pub(super) fn rotate(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let RotateKeys { compromised } = input::body(ctx.request)?;
    let rotation = if compromised { Rotation::Compromised } else { Rotation::Routine };
    let keys = RotateKey { rotation, actor: ctx.actor() }.apply(ctx.whole_portal()?, ctx.ring)?;
    Answer::ok(&view(&keys)?)
}

pub(super) fn rotate_lease(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let RotateKeys { compromised } = input::body(ctx.request)?;
    let rotation = if compromised { Rotation::Compromised } else { Rotation::Routine };
    let keys =
        RotateLeaseKeys { rotation, actor: ctx.actor() }.apply(ctx.whole_portal()?, ctx.ring)?;
    Answer::ok(&view(&keys)?)
}

pub(super) fn audit(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let query = Query::parse(&ctx.request.head, &["after", "limit"])?;
    let (limit, after) = (query.limit()?, query.parsed::<u64>("after")?.unwrap_or(0));
    let page = ctx.read(|read| {
        let mut rows = audit::after(read, after, limit + 1)?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = more.then(|| rows.last().map(|row| row.n.to_string())).flatten();
        let items = rows
            .into_iter()
            .map(|row| {
                Ok(AuditRow {
                    n: row.n,
                    at: row.at,
                    actor: row.actor,
                    action: row.action,
                    object_kind: row.object_kind,
                    object_id: row.object_id,
                    detail: serde_json::from_str(&row.detail)?,
                    prev_hash: row.prev_hash,
                    hash: row.hash,
                })
            })
            .collect::<Result<_, AppError>>()?;
        Ok(Page { items, next })
    })?;
    Answer::ok(&page)
}
