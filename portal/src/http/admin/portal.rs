//! The portal itself: version and keys.

use freehold_protocol::{PROTOCOL_VERSION, keys::PublicKey};

use super::Context;
use crate::{
    api::{
        keys::{KeysView, RotateKeys},
        tokens::VersionInfo,
    },
    app::rotate_key::{RotateKey, RotateLeaseKeys},
    error::AppError,
    http::{input, respond::Answer},
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
