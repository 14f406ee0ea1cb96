//! Tenants.

use std::collections::BTreeMap;

use freehold_protocol::{
    disk::ByteCount,
    ids::{BlueprintName, Domain, Email, HostName, JobId, Port, TenantId, TenantSlug},
    job::CertificateSource,
    report::TenantHealth,
    time::Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::ids::LicenseId;

/// Longest name of a tenant or a person, in characters.
pub const MAX_NAME_CHARS: usize = 120;

/// `POST /tenants`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend(
    "if" = { "required": ["adminName"], "properties": { "adminName": { "type": "string" } } },
    "then" = { "required": ["adminEmail"], "properties": { "adminEmail": { "type": "string" } } },
))]
pub struct CreateTenant {
    /// Its short name, a [`TenantSlug`]. It can never be changed.
    #[schemars(with = "TenantSlug")]
    pub slug: String,
    /// Its name as people write it.
    #[schemars(with = "super::schema::PersonText")]
    pub name: String,
    /// The public address, a [`Domain`].
    #[schemars(with = "Domain")]
    pub domain: String,
    /// The host's name.
    #[schemars(with = "HostName")]
    pub host: String,
    /// The blueprint's name.
    #[schemars(with = "BlueprintName")]
    pub blueprint: String,
    /// The release's number; the newest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = u32::MAX))]
    pub release: Option<u32>,
    /// Values of the settings that the blueprint declares.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Address of the tenant's first admin, who is onboarded with a temporary password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Email>")]
    pub admin_email: Option<String>,
    /// That person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::PersonText>")]
    pub admin_name: Option<String>,
    /// Where its certificate comes from; ACME when absent.
    #[serde(
        default,
        deserialize_with = "super::object_or_null",
        skip_serializing_if = "Option::is_none"
    )]
    pub certificate: Option<Certificate>,
    /// The license that it runs under, by identifier; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<LicenseId>")]
    pub license: Option<String>,
    /// Whether to queue its deployment at once.
    #[serde(default)]
    pub deploy: bool,
}

/// Where a certificate comes from, as an admin writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend(
    "if" = { "properties": { "source": { "const": "installed" } } },
    "then" = { "required": ["name"], "properties": { "name": { "type": "string" } } },
    "else" = { "properties": { "name": { "type": "null" } } },
))]
pub struct Certificate {
    /// `acme` or `installed`.
    #[schemars(with = "super::schema::CertificateWord")]
    pub source: String,
    /// With `installed`: the folder under the agent's certificate directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BlueprintName>")]
    pub name: Option<String>,
}

/// `PATCH /tenants/{slug}`: only what is given changes. A running tenant keeps running as it is
/// until it is deployed again.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateTenant {
    /// The new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::PersonText>")]
    pub name: Option<String>,
    /// The new public address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Domain>")]
    pub domain: Option<String>,
    /// The release that the next deployment brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = u32::MAX))]
    pub release: Option<u32>,
    /// Settings to change; `null` takes one back to its default. Others stay.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, Option<String>>,
    /// Where its certificate comes from.
    #[serde(
        default,
        deserialize_with = "super::object_or_null",
        skip_serializing_if = "Option::is_none"
    )]
    pub certificate: Option<Certificate>,
    /// The license that it runs under, by identifier; `null` takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "super::given")]
    #[schemars(with = "Option<LicenseId>")]
    pub license: Option<Option<String>>,
}

/// `POST /tenants/{slug}/deploy`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeployTenant {
    /// The release to bring; the wanted one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = u32::MAX))]
    pub release: Option<u32>,
}

/// `POST /tenants/{slug}/remove`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend(
    "if" = { "properties": { "data": { "const": "delete" } } },
    "then" = { "required": ["confirm"], "properties": { "confirm": { "type": "string" } } },
))]
pub struct RemoveTenant {
    /// `keep` or `delete`: what happens to its volumes and secrets. There is no default.
    #[schemars(with = "super::schema::DataWord")]
    pub data: String,
    /// The slug once more; required with `delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
}

/// `POST /tenants` answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantCreated {
    /// The tenant.
    pub tenant: TenantView,
    /// Its deployment, when `deploy` was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantView {
    /// Its identifier.
    pub id: TenantId,
    /// Its short name.
    pub slug: TenantSlug,
    /// Its name as people write it.
    pub name: String,
    /// The public address.
    pub domain: Domain,
    /// The host.
    pub host: HostName,
    /// The blueprint.
    pub blueprint: BlueprintName,
    /// The release that it is meant to run.
    pub release_wanted: u32,
    /// The release that runs, by the last report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_deployed: Option<u32>,
    /// `pending`, `provisioning`, `active`, `suspended`, `failed`, `cancelled`, `removing` or
    /// `removed`.
    #[schemars(with = "super::schema::TenantStatusWord")]
    pub status: String,
    /// Values of the blueprint's settings.
    pub settings: BTreeMap<String, String>,
    /// The first admin's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_email: Option<Email>,
    /// The first admin's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_name: Option<String>,
    /// Whether that admin has been onboarded.
    pub onboarded: bool,
    /// Where its certificate comes from.
    pub certificate: CertificateSource,
    /// The license that it runs under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<LicenseId>,
    /// Addresses by name, from the last deployment.
    pub endpoints: BTreeMap<String, String>,
    /// Host ports by role, from the last deployment.
    pub ports: BTreeMap<String, Port>,
    /// The last health that was reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<TenantHealth>,
    /// What it has on the disk of its host, once its agent has counted that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<TenantDisk>,
    /// What the app last said about itself; shown for a single tenant only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_health: Option<super::ingest::AppHealth>,
    /// Since when nothing is known of what its host holds of it, because the host was revoked: `status`
    /// and `health` are older. Ends with whatever an agent says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_since: Option<Timestamp>,
    /// Volumes that a removal has left on the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept_volumes: Vec<String>,
    /// `none`, `waiting` (a temporary password can be read once) or `shown`.
    pub credentials: String,
    /// The job that is queued, running or stuck for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_job: Option<JobId>,
    /// Version of the row, for `If-Match`.
    pub generation: u64,
    /// Who created it.
    pub created_by: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
}

/// What a tenant has on the disk of its host: volumes, and what its containers have written into themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantDisk {
    /// Bytes by the last count.
    pub used_bytes: ByteCount,
    /// When they were counted.
    pub measured_at: Timestamp,
    /// What the plan of its license gives; absent: whatever there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_bytes: Option<ByteCount>,
    /// Whether it has more than that: it is brought to no other release then.
    pub over: bool,
}

/// The first admin's temporary password, shown this once. It has no `Debug`, since it is a secret.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct Credentials {
    /// Where to log in.
    pub url: String,
    /// The login name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// The temporary password; the portal has erased its copy.
    pub password: String,
}
