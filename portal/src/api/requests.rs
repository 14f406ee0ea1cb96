//! Provision requests.

use std::collections::BTreeMap;

use freehold_protocol::{
    failure::Failure,
    ids::{
        BlueprintName, Domain, Email, HostId, HostName, JobId, ProvisionRequestId, Sha256Digest,
        TenantId, TenantSlug,
    },
    job::CertificateSource,
    time::Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tenants::Certificate;
use crate::domain::ids::{CustomerId, LicenseId};

/// Longest justification or comment, in characters.
pub const MAX_TEXT_CHARS: usize = 2000;
/// Most requests that may wait for a decision.
pub const MAX_PENDING: u32 = 1000;

/// `POST /requests`: everything of `POST /tenants`, and why.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend(
    "if" = { "required": ["adminName"], "properties": { "adminName": { "type": "string" } } },
    "then" = { "required": ["adminEmail"], "properties": { "adminEmail": { "type": "string" } } },
))]
pub struct CreateRequest {
    /// The customer's identifier.
    #[schemars(with = "CustomerId")]
    pub customer: String,
    /// The identifier of a license of that customer.
    #[schemars(with = "LicenseId")]
    pub license: String,
    /// `dedicated`: a stack of its own; it is that when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::DeploymentModelWord>")]
    pub deployment_model: Option<String>,
    /// Why the tenant is wanted, for whoever decides.
    #[schemars(with = "super::schema::WrittenText")]
    pub justification: String,
    /// The tenant's short name, a [`TenantSlug`].
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
}

/// `POST /requests/{id}/approve`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApproveRequest {
    /// What there is to say to it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(with = "super::schema::CommentText")]
    pub comment: String,
    /// Whether to approve it although the host falls short, or although nothing is known of the host.
    #[serde(default)]
    pub despite_capacity: bool,
}

/// `POST /requests/{id}/reject`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RejectRequest {
    /// Why.
    #[schemars(with = "super::schema::WrittenText")]
    pub comment: String,
}

/// A provision request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestView {
    /// The identifier.
    pub id: ProvisionRequestId,
    /// `pending`, `approved`, `deployed`, `failed`, `rejected` or `withdrawn`.
    pub status: String,
    /// The customer.
    pub customer: CustomerId,
    /// The customer's name.
    pub customer_name: String,
    /// The license that the tenant is to run under.
    pub license: LicenseId,
    /// `dedicated`.
    pub deployment_model: String,
    /// Why the tenant is wanted.
    pub justification: String,
    /// The host's name.
    pub host: HostName,
    /// The host.
    pub host_id: HostId,
    /// The tenant's identifier; the tenant itself is there from the approval on.
    pub tenant: TenantId,
    /// Its short name.
    pub slug: TenantSlug,
    /// Its name as people write it.
    pub name: String,
    /// The public address.
    pub domain: Domain,
    /// The blueprint.
    pub blueprint: BlueprintName,
    /// The number of the release.
    pub release: u32,
    /// What there is to do in all detail; shown for a single request only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<DetailView>,
    /// SHA-256 of the work, which the job carries and the agent checks.
    pub digest: Sha256Digest,
    /// How the host stands to it; shown for a single request that waits for a decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacityView>,
    /// Who asked.
    pub requested_by: String,
    /// Who decided, or took it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
    /// What was said to it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Whether it was approved although the host falls short.
    pub despite_capacity: bool,
    /// The job, from the approval on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// Why the job did not succeed; it stays when the tenant was deployed by another job, or is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Version of the row, for `If-Match`.
    pub generation: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What the job would do, beyond what every list shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DetailView {
    /// Digest of the release.
    pub release_digest: Sha256Digest,
    /// Values of the blueprint's settings.
    pub settings: BTreeMap<String, String>,
    /// The first admin's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_email: Option<Email>,
    /// The first admin's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_name: Option<String>,
    /// Where the certificate comes from.
    pub certificate: CertificateSource,
}

/// A host's capacity, and what a request would leave of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityView {
    /// When the agent reported the figures; absent when it never has, and then nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_at: Option<Timestamp>,
    /// Memory in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<AmountView>,
    /// Thousandths of a processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<AmountView>,
    /// Disk in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_gb: Option<AmountView>,
    /// Tenants that are on it or meant for it.
    pub tenants: u32,
    /// Most tenants that it may carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_limit: Option<u32>,
    /// What falls short, such as `512 MiB of memory`; empty when the host has enough.
    pub lacks: Vec<String>,
}

/// One kind of amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AmountView {
    /// All that the machine has.
    pub total: u64,
    /// What was free by the agent's figures; nothing is said of processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free: Option<u64>,
    /// The limits of the tenants that run there or are on their way there.
    pub promised: u64,
    /// What the request takes.
    pub takes: u64,
    /// What would be left; negative when it is not enough.
    pub left: i64,
}
