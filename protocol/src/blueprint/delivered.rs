//! Variables whose values the portal delivers with each deploy, sealed for the host
//! ([`crate::app_env`]): what a tenant's app needs to speak with the portal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::Blueprint;
use super::names::VarName;
use super::template::Part;

/// A variable that the portal delivers. It may stand in the `environment` of services alone, so that
/// its value is in no list of processes and in no output of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Delivered {
    /// The API key that the portal has made for the tenant's app.
    #[serde(rename = "FREEHOLD_TENANT_KEY")]
    TenantKey,
    /// Where the portal is, for the app.
    #[serde(rename = "FREEHOLD_PORTAL_URL")]
    PortalUrl,
    /// The key of the tenant's license.
    #[serde(rename = "FREEHOLD_LICENSE_KEY")]
    LicenseKey,
    /// The organization id of the license's customer.
    #[serde(rename = "FREEHOLD_ORGANIZATION_ID")]
    OrganizationId,
    /// The key set that leases are verified with, as JSON.
    #[serde(rename = "FREEHOLD_JWKS")]
    Jwks,
}

/// Whether a blueprint can do without a delivered variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Each place that uses it has a default: `${FREEHOLD_LICENSE_KEY:-}`.
    Optional,
    /// It must have a value.
    Required,
}

impl Delivered {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::TenantKey, Self::PortalUrl, Self::LicenseKey, Self::OrganizationId, Self::Jwks];

    /// The variable's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TenantKey => "FREEHOLD_TENANT_KEY",
            Self::PortalUrl => "FREEHOLD_PORTAL_URL",
            Self::LicenseKey => "FREEHOLD_LICENSE_KEY",
            Self::OrganizationId => "FREEHOLD_ORGANIZATION_ID",
            Self::Jwks => "FREEHOLD_JWKS",
        }
    }

    /// Whether its value proves who the app is, so that it must show nowhere.
    #[must_use]
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::TenantKey | Self::LicenseKey)
    }

    /// Whether its value comes from the tenant's license.
    #[must_use]
    pub const fn is_of_license(self) -> bool {
        matches!(self, Self::LicenseKey | Self::OrganizationId)
    }

    /// The variable of this name, if it is one.
    #[must_use]
    pub fn of_name(name: &VarName) -> Option<Self> {
        Self::ALL.into_iter().find(|delivered| delivered.name() == name.as_str())
    }
}

impl std::fmt::Display for Delivered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Blueprint {
    /// The delivered variables that the blueprint uses, and whether it can do without each.
    #[must_use]
    pub fn delivered(&self) -> BTreeMap<Delivered, Need> {
        let mut used = BTreeMap::new();
        let values = self.services.values().flat_map(|service| service.environment.values());
        for part in values.flat_map(super::template::Template::parts) {
            let Part::Variable { name, default } = part else { continue };
            let Some(delivered) = Delivered::of_name(name) else { continue };
            let need = if default.is_some() { Need::Optional } else { Need::Required };
            let known = used.entry(delivered).or_insert(need);
            *known = need.max(*known);
        }
        used
    }
}
