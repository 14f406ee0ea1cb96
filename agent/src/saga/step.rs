//! The closed set of steps, what they remember of the host as it was, and what they hand on.
//!
//! All three are journaled: a newer agent must read what an older one wrote. Names never change.

use std::collections::BTreeMap;
use std::path::PathBuf;

use freehold_protocol::report::JobResult;
use freehold_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A step of a plan. What it works on is in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Is the host able, and is there room?
    Preflight,
    /// A host port for each role.
    ReservePorts,
    /// The tenant's folder: `compose.yaml`, `.env`, secrets.
    WriteStack,
    /// Every image on the host.
    PullImages,
    /// The containers, healthy and as the blueprint says.
    Start,
    /// The database answers.
    DatabaseReady,
    /// The schema is that of the release.
    Migrate,
    /// The first admin has an account.
    Onboard,
    /// The site over plain HTTP, for the certificate authority.
    SiteHttp,
    /// The certificate.
    Certificate,
    /// The site over HTTPS.
    SiteHttps,
    /// Everything works, and nobody else can reach in.
    Verify,
    /// No certificate any more for the domain that the tenant had before.
    DeleteOldCertificate,

    /// The tenant may be removed.
    CheckRemoval,
    /// No site any more.
    SiteOff,
    /// No container and no network any more.
    StopStack,
    /// No certificate any more.
    DeleteCertificate,
    /// No file any more, but the secrets when the data is kept.
    RemoveFiles,
    /// No volume any more. There is no way back from here.
    DeleteVolumes,

    /// How the tenant is.
    CheckTenant,
    /// How the host is.
    ProbeHost,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 21] = [
        Self::Preflight,
        Self::ReservePorts,
        Self::WriteStack,
        Self::PullImages,
        Self::Start,
        Self::DatabaseReady,
        Self::Migrate,
        Self::Onboard,
        Self::SiteHttp,
        Self::Certificate,
        Self::SiteHttps,
        Self::Verify,
        Self::DeleteOldCertificate,
        Self::CheckRemoval,
        Self::SiteOff,
        Self::StopStack,
        Self::DeleteCertificate,
        Self::RemoveFiles,
        Self::DeleteVolumes,
        Self::CheckTenant,
        Self::ProbeHost,
    ];

    /// The name in events, reports and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::ReservePorts => "reserve-ports",
            Self::WriteStack => "write-stack",
            Self::PullImages => "pull-images",
            Self::Start => "start",
            Self::DatabaseReady => "database-ready",
            Self::Migrate => "migrate",
            Self::Onboard => "onboard",
            Self::SiteHttp => "site-http",
            Self::Certificate => "certificate",
            Self::SiteHttps => "site-https",
            Self::Verify => "verify",
            Self::DeleteOldCertificate => "delete-old-certificate",
            Self::CheckRemoval => "check-removal",
            Self::SiteOff => "site-off",
            Self::StopStack => "stop-stack",
            Self::DeleteCertificate => "delete-certificate",
            Self::RemoveFiles => "remove-files",
            Self::DeleteVolumes => "delete-volumes",
            Self::CheckTenant => "check-tenant",
            Self::ProbeHost => "probe-host",
        }
    }

    /// Whether it judges something by the time of day: the dates of certificates.
    #[must_use]
    pub const fn judges_time(self) -> bool {
        matches!(self, Self::Preflight | Self::Certificate | Self::Verify | Self::CheckTenant)
    }

    /// Whether it may change the host. What does not has nothing to undo.
    ///
    /// `pull-images` does not count: an image on the disk changes nothing that runs, is shared
    /// between tenants, and speeds up the next attempt.
    #[must_use]
    pub const fn changes(self) -> bool {
        !matches!(
            self,
            Self::Preflight
                | Self::PullImages
                | Self::DatabaseReady
                | Self::Verify
                | Self::CheckRemoval
                | Self::CheckTenant
                | Self::ProbeHost
        )
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What an undo needs to know of the host as it was before the step. Looked up once; recovery uses
/// this record, never a second look at a half-changed host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case", deny_unknown_fields)]
pub enum Before {
    /// Nothing needs to be known.
    Nothing,
    /// The tenant's files.
    Files {
        /// Those that were there; each has a copy until the saga rests.
        existed: Vec<String>,
        /// Whether the tenant's folder was there.
        folder: bool,
    },
    /// The tenant's site.
    Site {
        /// Its text, when there was one.
        text: Option<String>,
    },
    /// What of the tenant's project was there.
    Project {
        /// Whether containers of it ran.
        ran: bool,
        /// Names of its volumes.
        volumes: Vec<String>,
    },
    /// Whether a certificate of this name was there.
    Certificate {
        /// Whether it was.
        existed: bool,
    },
}

/// What a step hands on to later steps and to the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", content = "value", rename_all = "snake_case", deny_unknown_fields)]
pub enum StepOutput {
    /// Nothing.
    Nothing,
    /// The first admin has an account.
    Onboarded {
        /// The temporary password, sealed to the portal; none when the portal gave no key.
        sealed_password: Option<String>,
    },
    /// The certificate that sites are to use.
    Certificate {
        /// The chain.
        chain: PathBuf,
        /// The key.
        key: PathBuf,
        /// When it expires.
        expires: Timestamp,
    },
    /// The engine's identifiers of the images that the blueprint names.
    Images {
        /// By name.
        ids: BTreeMap<String, String>,
    },
    /// The stack runs.
    Running {
        /// Whether it ran like this before, and was left alone.
        untouched: bool,
    },
    /// Volumes that are gone for good.
    Deleted {
        /// Their names.
        volumes: Vec<String>,
    },
    /// Volumes that stay.
    Kept {
        /// Their names.
        volumes: Vec<String>,
    },
    /// The job's result.
    Result(Box<JobResult>),
}

/// How one run of a step ended.
#[derive(Debug, Clone, PartialEq)]
pub enum RunEnd {
    /// It is as it should be.
    Done(StepOutput),
    /// It will not be, and another try would not help.
    Failed(freehold_protocol::failure::Failure),
    /// It may or may not be: an answer was lost, or a time was over. Worth another try.
    Unclear(freehold_protocol::failure::Failure),
}
