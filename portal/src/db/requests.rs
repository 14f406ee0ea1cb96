//! Provision requests. Every statement that changes a status names the old one.

use freehold_protocol::{
    approval::Approval,
    failure::Failure,
    ids::{
        BlueprintName, Domain, HostId, HostName, JobId, ProvisionRequestId, Sha256Digest, TenantId,
        TenantSlug,
    },
    time::Timestamp,
    written::WrittenWork,
};
use rusqlite::{OptionalExtension, Row, params};

use super::{Read, Tx, codec, expect_one, is_unique_violation};
use crate::{
    domain::{
        capacity::Amounts,
        ids::{CustomerId, LicenseId},
        request::{DeploymentModel, RequestStatus},
    },
    error::AppError,
};

/// A request without its work, which may be a whole blueprint.
#[derive(Debug, Clone)]
pub struct RequestRow {
    /// The identifier.
    pub id: ProvisionRequestId,
    /// Where it stands.
    pub status: RequestStatus,
    /// The customer.
    pub customer: CustomerId,
    /// The customer's name.
    pub customer_name: String,
    /// The license.
    pub license: LicenseId,
    /// The host.
    pub host_id: HostId,
    /// The host's name.
    pub host: HostName,
    /// The tenant, which is there from the approval on.
    pub tenant: TenantId,
    /// The job, from the approval on.
    pub job: Option<JobId>,
    /// How the tenant is set apart from others.
    pub model: DeploymentModel,
    /// The tenant's short name.
    pub slug: TenantSlug,
    /// Its name as people write it.
    pub name: String,
    /// The public address.
    pub domain: Domain,
    /// The blueprint.
    pub blueprint: BlueprintName,
    /// The number of the release.
    pub release: u32,
    /// What the release wants of the host.
    pub takes: Amounts,
    /// The digest of the work.
    pub digest: Sha256Digest,
    /// Why the tenant is wanted.
    pub justification: String,
    /// Who asked, as the audit log names it.
    pub requested_by: String,
    /// The identifier of that user or token.
    pub requester: String,
    /// Who decided, or took it back.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// What was said to the decision.
    pub comment: String,
    /// Whether it was approved although the host falls short.
    pub short: bool,
    /// Why its job did not succeed.
    pub failure: Option<Failure>,
    /// Version of the row.
    pub generation: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

const SELECT: &str = "SELECT r.id, r.status, r.customer_id, c.name, r.license_id, r.host_id, r.host, r.tenant_id, r.job_id,
    r.model, r.slug, r.name, r.domain, r.blueprint, r.release, r.memory_mb, r.cpu_millis, r.disk_gb, r.digest,
    r.justification, r.requested_by, r.requester, r.decided_by, r.decided_at, r.comment, r.short, r.failure,
    r.generation, r.created_at, r.updated_at FROM requests r JOIN customers c ON c.id = r.customer_id";

fn of_row(row: &Row<'_>) -> rusqlite::Result<RequestRow> {
    let mut cells = codec::Cells::of(row);
    Ok(RequestRow {
        id: cells.text()?,
        status: cells.get()?,
        customer: cells.text()?,
        customer_name: cells.get()?,
        license: cells.text()?,
        host_id: cells.text()?,
        host: cells.text()?,
        tenant: cells.text()?,
        job: cells.text_opt()?,
        model: cells.get()?,
        slug: cells.text()?,
        name: cells.get()?,
        domain: cells.text()?,
        blueprint: cells.text()?,
        release: cells.get()?,
        takes: Amounts { memory_mb: cells.get()?, cpu_millis: cells.get()?, disk_gb: cells.get()? },
        digest: cells.text()?,
        justification: cells.get()?,
        requested_by: cells.get()?,
        requester: cells.get()?,
        decided_by: cells.get()?,
        decided_at: cells.time_opt()?,
        comment: cells.get()?,
        short: cells.get()?,
        failure: cells.json_opt()?,
        generation: cells.get()?,
        created_at: cells.time()?,
        updated_at: cells.time()?,
    })
}

/// Adds a pending request with its work.
///
/// # Errors
/// `name_taken` when another one has taken the slug or the domain in the same instant.
pub fn insert(tx: &Tx<'_>, request: &RequestRow, work: &WrittenWork) -> Result<(), AppError> {
    let done = tx.sql().execute(
        "INSERT INTO requests (id, status, customer_id, license_id, host_id, host, tenant_id, model, slug, name, domain,
            blueprint, release, memory_mb, cpu_millis, disk_gb, work, digest, justification, requested_by, requester,
            created_at, updated_at)
         VALUES (?1, 'pending', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
            ?21, ?21)",
        params![
            request.id.to_string(),
            request.customer.to_string(),
            request.license.to_string(),
            request.host_id.to_string(),
            request.host.as_str(),
            request.tenant.to_string(),
            request.model,
            request.slug.as_str(),
            request.name,
            request.domain.as_str(),
            request.blueprint.as_str(),
            request.release,
            request.takes.memory_mb,
            request.takes.cpu_millis,
            request.takes.disk_gb,
            work.text(),
            request.digest.to_string(),
            request.justification,
            request.requested_by,
            request.requester,
            tx.now().as_millis(),
        ],
    );
    match done {
        Ok(_) => Ok(()),
        // app::requests looks for both before.
        Err(error) if is_unique_violation(&error) => {
            Err(AppError::conflict("name_taken", "another request has this slug or this domain")
                .advice("choose another one")
                .because(error))
        }
        Err(error) => Err(error.into()),
    }
}

/// The request with this identifier.
///
/// # Errors
/// When the database fails.
pub fn by_id(read: &Read<'_>, id: ProvisionRequestId) -> Result<Option<RequestRow>, AppError> {
    one(read, "r.id = ?1", &id.to_string())
}

/// The request whose job this is.
///
/// # Errors
/// When the database fails.
pub fn by_job(read: &Read<'_>, job: JobId) -> Result<Option<RequestRow>, AppError> {
    one(read, "r.job_id = ?1", &job.to_string())
}

/// The request that brought this tenant.
///
/// # Errors
/// When the database fails.
pub fn by_tenant(read: &Read<'_>, tenant: TenantId) -> Result<Option<RequestRow>, AppError> {
    one(read, "r.tenant_id = ?1", &tenant.to_string())
}

fn one(read: &Read<'_>, whose: &str, value: &str) -> Result<Option<RequestRow>, AppError> {
    let sql = format!("{SELECT} WHERE {whose}");
    Ok(read.sql().prepare_cached(&sql)?.query_row([value], of_row).optional()?)
}

/// The pending request that holds a slug.
///
/// # Errors
/// When the database fails.
pub fn holder_of_slug(
    read: &Read<'_>,
    slug: &TenantSlug,
) -> Result<Option<ProvisionRequestId>, AppError> {
    holder(read, "slug", slug.as_str())
}

/// The pending request that holds a domain.
///
/// # Errors
/// When the database fails.
pub fn holder_of_domain(
    read: &Read<'_>,
    domain: &Domain,
) -> Result<Option<ProvisionRequestId>, AppError> {
    holder(read, "domain", domain.as_str())
}

fn holder(
    read: &Read<'_>,
    column: &'static str,
    value: &str,
) -> Result<Option<ProvisionRequestId>, AppError> {
    let sql = format!("SELECT id FROM requests WHERE {column} = ?1 AND status = 'pending'");
    let mut statement = read.sql().prepare_cached(&sql)?;
    Ok(statement.query_row([value], |row| codec::Cells::of(row).text()).optional()?)
}

/// The oldest request of a customer that is not closed.
///
/// # Errors
/// When the database fails.
pub fn open_of_customer(
    read: &Read<'_>,
    customer: CustomerId,
) -> Result<Option<ProvisionRequestId>, AppError> {
    let mut statement = read.sql().prepare_cached(
        "SELECT id FROM requests WHERE customer_id = ?1 AND status IN ('pending', 'approved', 'failed')
          ORDER BY id LIMIT 1",
    )?;
    Ok(statement
        .query_row([customer.to_string()], |row| codec::Cells::of(row).text())
        .optional()?)
}

/// How many requests are pending.
///
/// # Errors
/// When the database fails.
pub fn count_pending(read: &Read<'_>) -> Result<u32, AppError> {
    Ok(read.sql().query_row(
        "SELECT count(*) FROM requests WHERE status = 'pending'",
        [],
        |row| row.get(0),
    )?)
}

/// The work of a request, byte for byte as it was written when the request was made.
///
/// # Errors
/// When there is none.
pub fn work(read: &Read<'_>, id: ProvisionRequestId) -> Result<WrittenWork, AppError> {
    read.sql()
        .query_row("SELECT work FROM requests WHERE id = ?1", [id.to_string()], |row| {
            codec::Cells::of(row).json()
        })
        .optional()?
        .ok_or_else(|| AppError::not_found("request", id))
}

/// What was approved with a job, if somebody had to approve it.
///
/// # Errors
/// When the database fails.
pub fn approval(read: &Read<'_>, job: JobId) -> Result<Option<Approval>, AppError> {
    let mut statement =
        read.sql().prepare_cached("SELECT id, digest FROM requests WHERE job_id = ?1")?;
    let found = statement.query_row([job.to_string()], |row| {
        let mut cells = codec::Cells::of(row);
        Ok(Approval { request: cells.text()?, digest: cells.text()? })
    });
    Ok(found.optional()?)
}

/// Which requests a list holds.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those in this status.
    pub status: Option<RequestStatus>,
    /// Only those of this customer.
    pub customer: Option<CustomerId>,
    /// Only those for this host.
    pub host: Option<HostName>,
}

/// Up to `limit` requests before the one with identifier `before` (empty: from the newest on), newest first.
///
/// # Errors
/// When the database fails.
pub fn list(
    read: &Read<'_>,
    filter: &Filter,
    before: &str,
    limit: u32,
) -> Result<Vec<RequestRow>, AppError> {
    let sql = format!(
        "{SELECT} WHERE (?1 = '' OR r.id < ?1) AND (?2 IS NULL OR r.status = ?2) AND (?3 IS NULL OR r.customer_id = ?3)
            AND (?4 IS NULL OR r.host = ?4) ORDER BY r.id DESC LIMIT ?5"
    );
    let mut statement = read.sql().prepare_cached(&sql)?;
    let rows = statement.query_map(
        params![
            before,
            filter.status,
            filter.customer.map(|id| id.to_string()),
            filter.host.as_ref().map(HostName::as_str),
            limit,
        ],
        of_row,
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What was decided of a pending request.
#[derive(Debug)]
pub struct Decision<'a> {
    /// What it is from now on.
    pub status: RequestStatus,
    /// By whom.
    pub by: &'a str,
    /// What was said to it.
    pub comment: &'a str,
    /// The job that was queued.
    pub job: Option<JobId>,
    /// Whether the host falls short.
    pub short: bool,
}

/// Writes down a decision, if the request is as it was read.
///
/// # Errors
/// `transition_refused`.
pub fn decide(tx: &Tx<'_>, row: &RequestRow, decision: &Decision<'_>) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE requests SET status = ?4, decided_by = ?5, decided_at = ?6, comment = ?7, job_id = ?8, short = ?9,
            generation = generation + 1, updated_at = ?6
         WHERE id = ?1 AND status = ?2 AND generation = ?3",
        params![
            row.id.to_string(),
            row.status,
            row.generation,
            decision.status,
            decision.by,
            tx.now().as_millis(),
            decision.comment,
            decision.job.map(|job| job.to_string()),
            decision.short,
        ],
    )?;
    expect_one(changed, "request")
}

/// Moves a request to where its job has brought it.
///
/// # Errors
/// `transition_refused`.
pub fn follow(
    tx: &Tx<'_>,
    row: &RequestRow,
    to: RequestStatus,
    job: Option<JobId>,
    failure: Option<&Failure>,
) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE requests SET status = ?3, job_id = ?4, failure = ?5, generation = generation + 1, updated_at = ?6
         WHERE id = ?1 AND status = ?2",
        params![
            row.id.to_string(),
            row.status,
            to,
            job.map(|job| job.to_string()),
            failure.map(codec::to_json).transpose()?,
            tx.now().as_millis(),
        ],
    )?;
    expect_one(changed, "request")
}

#[cfg(test)]
#[path = "requests_tests.rs"]
mod tests;
