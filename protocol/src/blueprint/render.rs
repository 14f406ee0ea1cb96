//! A blueprint and a tenant's share of a host → the files of the tenant's folder.
//!
//! Pure and shared: the agent writes what this renders, and `freehold blueprint render` shows it.
//! `compose.yaml` is written as JSON, which every YAML parser reads in one way only. Whatever the
//! author left open is forced here: loopback addresses, limits, capabilities, log rotation,
//! networks, labels. The folder works with plain `docker compose up`.

mod compose;
mod env;
mod expect;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::check::Problem;
use super::delivered::Delivered;
use super::model::Blueprint;
use super::names::{RoleName, VarName};
use crate::app_env::AppEnv;
use crate::ids::{Domain, JobId, Port, PortalId, TenantId, TenantSlug};
use crate::secret::Secret;

pub use expect::{ContainerExpectation, Difference, expectations};

/// What one tenant gets of a host: everything that a blueprint leaves open.
#[derive(Debug, Clone)]
pub struct Allocation {
    /// The tenant's short name.
    pub tenant: TenantSlug,
    /// The tenant's domain; its address is `https://` and this.
    pub domain: Domain,
    /// The reserved host port of each role.
    pub ports: BTreeMap<RoleName, Port>,
    /// The value of each secret.
    pub secrets: BTreeMap<VarName, Secret>,
    /// The values that an admin set. What is missing takes the blueprint's default.
    pub settings: BTreeMap<VarName, String>,
    /// What the portal has delivered for the app.
    pub delivered: AppEnv,
    /// Whose this is, for the labels.
    pub marks: Marks,
}

/// The identities that stand in the labels of everything that a job makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// The portal that signed the job.
    pub portal: PortalId,
    /// The tenant.
    pub tenant: TenantId,
    /// The job that deployed the tenant. It stays the same in later jobs of the tenant: Compose
    /// recreates what has other labels, so a new mark would restart containers that did not change
    /// and would offer to recreate volumes, which empties them.
    pub job: JobId,
}

/// The files of a tenant's folder.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text of `compose.yaml`, which is JSON.
    pub compose_json: String,
    /// The text of `.env`. It holds the secrets: write it with mode 0600.
    pub env: Secret,
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered").field("compose_json", &self.compose_json).finish_non_exhaustive()
    }
}

/// Why a blueprint cannot be rendered for an allocation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The blueprint itself is not sound.
    #[error("the blueprint is not sound: {}", .0.first().map_or_else(String::new, ToString::to_string))]
    Blueprint(Vec<Problem>),
    /// No host port was reserved for a role.
    #[error("no host port is reserved for the role {0}")]
    PortMissing(RoleName),
    /// Two roles were given the same host port.
    #[error("the host port {0} is given to two roles")]
    PortTwice(Port),
    /// A secret was not drawn.
    #[error("the secret {0} has no value")]
    SecretMissing(VarName),
    /// A value that the portal delivers is missing.
    #[error("the portal delivered no value of {0}")]
    DeliveredMissing(Delivered),
    /// A value cannot stand in a `.env`.
    #[error("the value of {name} {why}")]
    Value {
        /// The variable.
        name: VarName,
        /// What is wrong with its value; never the value itself.
        why: &'static str,
    },
    /// A setting that must be set is not.
    #[error("the setting {0} is required and has no value")]
    SettingMissing(VarName),
    /// A value was given for a setting that the blueprint does not declare.
    #[error("the blueprint declares no setting {0}")]
    SettingUnknown(VarName),
}

/// The Compose project of a tenant: `<slug>_<product>`.
///
/// A slug has no underscore, so two tenants never share a project.
#[must_use]
pub fn project_name(blueprint: &Blueprint, tenant: &TenantSlug) -> String {
    format!("{tenant}_{}", blueprint.product)
}

/// Renders the files of a tenant's folder.
///
/// # Errors
/// When the blueprint does not pass [`Blueprint::check`], or the allocation does not fit it.
pub fn render(blueprint: &Blueprint, allocation: &Allocation) -> Result<Rendered, RenderError> {
    admit(blueprint, allocation)?;
    Ok(Rendered {
        compose_json: compose::render_compose(blueprint, allocation)?,
        env: env::render_env(blueprint, allocation)?,
    })
}

/// Refuses an allocation that does not fit the blueprint.
fn admit(blueprint: &Blueprint, allocation: &Allocation) -> Result<(), RenderError> {
    blueprint.check().map_err(RenderError::Blueprint)?;
    let mut seen = BTreeSet::new();
    for role in blueprint.freehold.ports.keys() {
        let port = port_of(allocation, role)?;
        if !seen.insert(port) {
            return Err(RenderError::PortTwice(port));
        }
    }
    Ok(())
}

fn port_of(allocation: &Allocation, role: &RoleName) -> Result<Port, RenderError> {
    allocation.ports.get(role).copied().ok_or_else(|| RenderError::PortMissing(role.clone()))
}

#[cfg(test)]
mod tests;
