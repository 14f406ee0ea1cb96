//! Opens what a job brings for the tenant's app. Before a job begins, so that one that does not open
//! changes nothing; and once more where it is written, since the journal holds it sealed.

use freehold_protocol::app_env::AppEnv;
use freehold_protocol::failure::{Failure, FailureClass};

use super::context::Host;
use crate::identity::{self, IdentityError};
use crate::plan::Order;

/// The values that an order brings; none when it brings none.
///
/// # Errors
/// When they do not open for this host, job and attempt, or are not what the blueprint uses.
pub(super) fn open(host: &Host, order: &Order) -> Result<AppEnv, Failure> {
    let Some(sealed) = &order.app_env else { return Ok(AppEnv::default()) };
    let freehold_protocol::job::Work::DeployTenant(deploy) = &order.work else {
        return Err(refused("it deploys no tenant"));
    };
    let context = order.env_context().ok_or_else(|| refused("it is about no tenant"))?;
    let key = identity::read_seal_key(&host.config.seal_key).map_err(|error| key_failed(&error))?;
    let env = sealed.open(&key, context).map_err(|error| refused(&error.to_string()))?;
    env.check(&deploy.blueprint).map_err(|error| refused(&error.to_string()))?;
    Ok(env)
}

fn refused(why: &str) -> Failure {
    Failure::new(
        FailureClass::Request,
        format!("what the job brings for the tenant's app is refused: {why}"),
        "queue a new job; if that is refused too, enroll the host anew",
    )
}

fn key_failed(error: &IdentityError) -> Failure {
    Failure::new(
        FailureClass::Host,
        format!("what the job brings for the tenant's app cannot be opened: {error}"),
        error.hint(),
    )
}
