//! What is deployed on this host, written in the same transaction as the success of the job that
//! made it so.

use std::collections::BTreeMap;

use freehold_protocol::blueprint::Blueprint;
use freehold_protocol::ids::{Domain, JobId, PortalId, TenantId, TenantSlug};
use freehold_protocol::job::{CertificateSource, ReleaseRef};
use freehold_protocol::time::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use super::{Journal, JournalError, from_json, ports, to_json};

/// A tenant as it was deployed last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantRecord {
    /// The tenant.
    pub tenant: TenantId,
    /// Its short name.
    pub slug: TenantSlug,
    /// Its name for people.
    pub name: String,
    /// The portal that it belongs to.
    pub portal: PortalId,
    /// The job that deployed it first: the mark on everything of it.
    pub mark: JobId,
    /// Its public address.
    pub domain: Domain,
    /// The compose project.
    pub project: String,
    /// The release.
    pub release: ReleaseRef,
    /// What runs.
    pub blueprint: Blueprint,
    /// The settings that an admin had given.
    pub settings: BTreeMap<String, String>,
    /// Where its certificate comes from.
    pub certificate: CertificateSource,
    /// Whether its first admin has an account.
    pub onboarded: bool,
    /// Whether it runs.
    pub state: TenantState,
}

/// Whether a tenant of the journal runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantState {
    /// It is deployed.
    Deployed,
    /// It was removed and its data was kept.
    Kept,
}

impl TenantState {
    /// The spelling in the journal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployed => "deployed",
            Self::Kept => "kept",
        }
    }
}

/// What the success of a job means for the tenants of the journal.
#[derive(Debug, Clone, PartialEq)]
pub enum TenantChange {
    /// Nothing.
    None,
    /// The tenant is deployed like this.
    Deployed(Box<TenantRecord>),
    /// Only its data is left.
    Kept(Box<TenantRecord>),
    /// Nothing of it is left.
    Gone(TenantId),
}

impl Journal {
    /// A tenant.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn tenant(&self, tenant: TenantId) -> Result<Option<TenantRecord>, JournalError> {
        self.read("read a tenant", |tx| {
            tx.query_row(
                "SELECT record FROM tenants WHERE tenant = ?1",
                [tenant.to_string()],
                |row| row.get::<_, String>(0),
            )
            .optional()
            .map_err(JournalError::sql("read a tenant"))?
            .map(|text| from_json(&text, &format!("tenant {tenant}")))
            .transpose()
        })
    }

    /// Every tenant, by short name.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn tenants(&self) -> Result<Vec<TenantRecord>, JournalError> {
        let doing = "read the tenants";
        self.read(doing, |tx| {
            let mut statement = tx
                .prepare("SELECT record FROM tenants ORDER BY slug")
                .map_err(JournalError::sql(doing))?;
            let texts = statement
                .query_map([], |row| row.get::<_, String>(0))
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(JournalError::sql(doing))?;
            texts.iter().map(|text| from_json(text, "a tenant")).collect()
        })
    }
}

impl TenantChange {
    /// Writes the change; call it in the transaction that records the job's last step as done.
    pub(crate) fn apply(&self, tx: &Transaction<'_>, now: Timestamp) -> Result<(), JournalError> {
        match self {
            Self::None => Ok(()),
            Self::Deployed(record) => {
                ports::settle(tx, record.tenant)?;
                put(tx, record, now)
            }
            Self::Kept(record) => {
                ports::free(tx, record.tenant)?;
                put(tx, record, now)
            }
            Self::Gone(tenant) => {
                ports::free(tx, *tenant)?;
                tx.execute("DELETE FROM tenants WHERE tenant = ?1", [tenant.to_string()])
                    .map_err(JournalError::sql("forget a tenant"))?;
                Ok(())
            }
        }
    }
}

fn put(tx: &Transaction<'_>, record: &TenantRecord, now: Timestamp) -> Result<(), JournalError> {
    tx.execute(
        "INSERT INTO tenants (tenant, slug, domain, project, state, record, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (tenant) DO UPDATE SET slug = ?2, domain = ?3, project = ?4, state = ?5,
             record = ?6, updated_at = ?7",
        params![
            record.tenant.to_string(),
            record.slug.as_str(),
            record.domain.as_str(),
            record.project,
            record.state.as_str(),
            to_json(record, "a tenant")?,
            now.as_millis()
        ],
    )
    .map_err(JournalError::sql("record a tenant"))?;
    Ok(())
}
