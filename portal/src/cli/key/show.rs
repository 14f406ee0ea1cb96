//! `freehold key show`.

use freehold_protocol::time::Timestamp;

use crate::{
    api::{keys::KeysView, paths},
    cli::{
        context::Ctx,
        error::CliError,
        output::{Fields, moment},
    },
    exit::Exit,
};

/// Show the fingerprints of the portal's keys and the version of its trust document
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Shows them.
pub(crate) fn run(_args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let keys: KeysView = ctx.client()?.get(paths::KEYS, &Vec::new())?;
    let now = ctx.now();
    ctx.show(&keys, |keys| details(keys, now))?;
    Ok(Exit::Ok)
}

/// The keys as text.
pub(crate) fn details(keys: &KeysView, now: Timestamp) -> String {
    Fields::new()
        .add("portal", keys.portal)
        .add("trust version", keys.trust_version)
        .add("epoch", keys.epoch)
        .add("trust digest", keys.trust_digest)
        .add("signed", moment(keys.signed_at, now))
        .add("expires", moment(keys.expires_at, now))
        .add_all("root keys", &keys.root_keys)
        .add_all("job keys", &keys.job_keys)
        .add("seal key", keys.seal_key)
        .add_all("lease keys", &keys.lease_keys)
        .render()
}
