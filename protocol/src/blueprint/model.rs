//! What a blueprint is: the stack of one product, in the only terms that Freehold acts on.
//!
//! Every type denies unknown fields, so an agent never runs a blueprint that it half understands.
//! What cannot be said here cannot be asked of a host: there is no field for a bind mount, a
//! privilege, a device, a host namespace or a published address. Rules that span fields (references,
//! sums, cycles) are in [`super::check`]; the names and texts check themselves when parsed.

mod section;
mod service;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::limits::default_range;
use super::names::{ReleaseVersion, RoleName, ServiceName, VolumeName};
use crate::ids::{BlueprintName, PortRange};

pub use section::{
    Alphabet, Argument, Database, DatabaseKind, Freehold, HealthEndpoint, Hook, HookMode, Hooks,
    PortSpec, Resources, Route, SecretSpec, SettingKind, SettingSpec,
};
pub use service::{
    Capability, Condition, HealthTest, Healthcheck, Limits, Mount, Nofile, Restart, Service,
    StopSignal, Tmpfs,
};

/// The stack of one product: services, volumes, and what Freehold needs to know of them.
///
/// `Display`-free on purpose: show it by [`super::render`], which is what a host gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Blueprint {
    /// The product's name; with the tenant's slug it makes the Compose project `<slug>_<product>`.
    pub product: BlueprintName,
    /// The author's version, for people. Releases are told apart by their digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<ReleaseVersion>,
    /// The containers to run.
    pub services: BTreeMap<ServiceName, Service>,
    /// The named volumes that services mount.
    #[serde(default)]
    pub volumes: BTreeMap<VolumeName, Volume>,
    /// What the `x-freehold` section of the Compose file says.
    pub freehold: Freehold,
}

/// A named volume. It always lives in the engine's local storage, without options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {}

/// The two networks of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Network {
    /// Reaches the world, and can have host ports on the loopback address.
    Front,
    /// Joins the tenant's services with each other and with nothing else.
    Internal,
}

impl Network {
    /// The key in a Compose file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Front => "front",
            Self::Internal => "internal",
        }
    }
}

impl Blueprint {
    /// The networks that a service joins.
    ///
    /// Unless the author chose: a service with a port role joins both, any other only the internal
    /// one. So a database that nothing outside the stack should reach cannot be reached, and cannot
    /// call out.
    #[must_use]
    pub fn networks_of(&self, name: &ServiceName) -> BTreeSet<Network> {
        if let Some(networks) = self.services.get(name).and_then(|service| service.networks.clone())
        {
            return networks;
        }
        let mut networks = BTreeSet::from([Network::Internal]);
        if self.ports_of(name).next().is_some() {
            networks.insert(Network::Front);
        }
        networks
    }

    /// The roles that lead to a service.
    pub fn ports_of<'a>(
        &'a self,
        name: &'a ServiceName,
    ) -> impl Iterator<Item = (&'a RoleName, &'a PortSpec)> {
        self.freehold.ports.iter().filter(move |(_, spec)| spec.service == *name)
    }

    /// Where to look for a free port for a role: the author's range, else the role's own default.
    #[must_use]
    pub fn range_of(&self, role: &RoleName) -> Option<PortRange> {
        self.freehold.ports.get(role).and_then(|spec| spec.range).or_else(|| default_range(role))
    }
}
