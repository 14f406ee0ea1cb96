//! A job: one typed piece of host work, as it stands inside a signed envelope.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    app_env::SealedEnv,
    approval::Approval,
    blueprint::Blueprint,
    ids::{
        AgentId, BlueprintName, Domain, Email, JobId, ParseIdError, PortalId, Sha256Digest,
        TenantId, TenantSlug,
    },
    time::Timestamp,
    written::WrittenWork,
};

/// Largest payload of a job envelope, in bytes.
pub const MAX_JOB_BYTES: usize = 256 * 1024;

/// How long a job may wait for its agent unless the admin says otherwise, in seconds.
pub const DEFAULT_EXPIRY_SECS: i64 = 3600;

/// The payload of a job envelope (`application/vnd.freehold.job.v1+json`).
///
/// Every field but `work` and `app_env` stops one attack; docs/agent-protocol.md lists which. Unknown fields are
/// refused: an agent must not run an instruction that it half understands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Job {
    /// The portal that signed it.
    pub portal: PortalId,
    /// The agent that may run it.
    pub agent_id: AgentId,
    /// Fingerprint of that agent's report key: a re-enrolled host never runs its predecessor's jobs.
    pub agent_key: Sha256Digest,
    /// The epoch of the trust document under which it was signed.
    pub epoch: u64,
    /// Position in this agent's chain within the epoch; the first is 1, each next one more.
    pub seq: u64,
    /// Digest of the previous payload of the chain; [`Sha256Digest::ZERO`] before the first.
    pub prev: Sha256Digest,
    /// The job; the same over all attempts.
    pub job_id: JobId,
    /// Attempt number, from 1.
    pub attempt: u32,
    /// When it was signed.
    pub iat: Timestamp,
    /// Not to be started before.
    pub nbf: Timestamp,
    /// Not to be started after.
    pub exp: Timestamp,
    /// Longest run time in seconds; the agent undoes what it has done when it is over.
    pub timeout_secs: u32,
    /// Who asked for it, for the host's own journal.
    pub actor: String,
    /// How far the portal's audit log went when the job was signed. The host keeps it, and its report
    /// names this job's digest: a history that is rewritten later does not fit what is kept there.
    pub audit: AuditHead,
    /// What somebody had to approve before the job was queued; see [`Approval`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// What to do, as it was written.
    pub work: WrittenWork,
    /// What the tenant's app is given, when the blueprint asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_env: Option<SealedEnv>,
}

/// The last entry of the portal's audit log at some moment; its hash covers every entry before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditHead {
    /// The entry's number; 0 before the first.
    pub n: u64,
    /// Its hash; [`Sha256Digest::ZERO`] before the first.
    pub hash: Sha256Digest,
}

/// The closed set of job kinds with their parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "params", rename_all = "snake_case", deny_unknown_fields)]
pub enum Work {
    /// Deploy a tenant, or bring a deployed one to another release, domain or settings.
    DeployTenant(Box<DeployTenant>),
    /// Remove a tenant from the host.
    RemoveTenant(RemoveTenant),
    /// Look at a deployed tenant and report its health; changes nothing.
    CheckTenant(CheckTenant),
    /// Report the host's facts and whether it is fit to deploy on; changes nothing.
    ProbeHost(ProbeHost),
}

impl Work {
    /// The kind without its parameters.
    #[must_use]
    pub const fn kind(&self) -> JobKind {
        match self {
            Self::DeployTenant(_) => JobKind::DeployTenant,
            Self::RemoveTenant(_) => JobKind::RemoveTenant,
            Self::CheckTenant(_) => JobKind::CheckTenant,
            Self::ProbeHost(_) => JobKind::ProbeHost,
        }
    }

    /// The tenant that the work is about, if it is about one.
    #[must_use]
    pub const fn tenant(&self) -> Option<TenantId> {
        match self {
            Self::DeployTenant(deploy) => Some(deploy.tenant),
            Self::RemoveTenant(remove) => Some(remove.tenant),
            Self::CheckTenant(check) => Some(check.tenant),
            Self::ProbeHost(_) => None,
        }
    }

    /// The slug of that tenant.
    #[must_use]
    pub const fn slug(&self) -> Option<&TenantSlug> {
        match self {
            Self::DeployTenant(deploy) => Some(&deploy.slug),
            Self::RemoveTenant(remove) => Some(&remove.slug),
            Self::CheckTenant(check) => Some(&check.slug),
            Self::ProbeHost(_) => None,
        }
    }
}

/// A job kind without parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// See [`Work::DeployTenant`].
    DeployTenant,
    /// See [`Work::RemoveTenant`].
    RemoveTenant,
    /// See [`Work::CheckTenant`].
    CheckTenant,
    /// See [`Work::ProbeHost`].
    ProbeHost,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 4] =
        [Self::DeployTenant, Self::RemoveTenant, Self::CheckTenant, Self::ProbeHost];

    /// The spelling on the wire, in the database and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeployTenant => "deploy_tenant",
            Self::RemoveTenant => "remove_tenant",
            Self::CheckTenant => "check_tenant",
            Self::ProbeHost => "probe_host",
        }
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for JobKind {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            ParseIdError::new(
                "job kind",
                "use deploy_tenant, remove_tenant, check_tenant or probe_host",
                text,
            )
        })
    }
}

/// Parameters of [`Work::DeployTenant`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeployTenant {
    /// The tenant.
    pub tenant: TenantId,
    /// Its short name, from which folder, project and site names are made.
    pub slug: TenantSlug,
    /// Its name as people write it; reaches the app as a setting, never a file name.
    pub name: String,
    /// The public address.
    pub domain: Domain,
    /// The release that `blueprint` is.
    pub release: ReleaseRef,
    /// What to run.
    pub blueprint: Blueprint,
    /// Values of the settings that the blueprint declares.
    pub settings: BTreeMap<String, String>,
    /// The first admin of the tenant, onboarded once; none when it already is.
    pub admin: Option<Admin>,
    /// Where the certificate comes from.
    pub certificate: CertificateSource,
}

/// A published release of a blueprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseRef {
    /// The blueprint.
    pub blueprint: BlueprintName,
    /// The release's number, from 1.
    pub number: u32,
    /// Digest of the canonical model, so that a report proves what was deployed.
    pub digest: Sha256Digest,
}

/// The person who gets the tenant's first account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Admin {
    /// Address and login name.
    pub email: Email,
    /// Name as people write it.
    pub name: String,
}

/// Where a tenant's certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "source", rename_all = "snake_case", from = "CertificateSourceRead")]
pub enum CertificateSource {
    /// certbot gets one from the ACME server that the host is configured for.
    Acme,
    /// The operator has installed one (a wildcard, say) under this name on the host.
    Installed {
        /// Folder name under the agent's certificate directory.
        name: BlueprintName,
    },
}

/// How a [`CertificateSource`] is read. serde lets a unit variant with a tag pass with any further
/// field, in spite of `deny_unknown_fields`; an empty struct variant refuses it.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "source", rename_all = "snake_case", deny_unknown_fields)]
enum CertificateSourceRead {
    Acme {},
    Installed { name: BlueprintName },
}

impl From<CertificateSourceRead> for CertificateSource {
    fn from(read: CertificateSourceRead) -> Self {
        match read {
            CertificateSourceRead::Acme {} => Self::Acme,
            CertificateSourceRead::Installed { name } => Self::Installed { name },
        }
    }
}

/// Parameters of [`Work::RemoveTenant`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemoveTenant {
    /// The tenant.
    pub tenant: TenantId,
    /// Its short name.
    pub slug: TenantSlug,
    /// What happens to its volumes and secrets.
    pub data: DataOnRemove,
}

/// What happens to a removed tenant's data. There is no default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataOnRemove {
    /// Volumes and secrets stay on the host; a later deploy of the tenant uses them again.
    Keep,
    /// Volumes and secrets are deleted for good.
    Delete,
}

/// Parameters of [`Work::CheckTenant`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckTenant {
    /// The tenant.
    pub tenant: TenantId,
    /// Its short name.
    pub slug: TenantSlug,
}

/// Parameters of [`Work::ProbeHost`]: none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeHost {}
