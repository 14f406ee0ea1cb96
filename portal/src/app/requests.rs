//! What somebody wants of a provision request before anybody has decided: to make one, to take it back. The
//! decision is in `request_decide.rs`.

use freehold_protocol::{
    app_env::MAX_SEALED_ENV_BYTES,
    ids::{ProvisionRequestId, TenantId},
    job::{MAX_JOB_BYTES, Work},
    written::WrittenWork,
};
use serde_json::json;
use uuid::Uuid;

use super::{
    app_env, check_generation, customers, licenses,
    queue_job::{JobRules, refuse_revoked},
    request_capacity::wants,
    role::Role,
    tenant_draft::{Wanted, draft},
    tenant_input::{Fields, given},
    tenant_work,
};
use crate::{
    api::{
        requests::{self as wire, MAX_PENDING, MAX_TEXT_CHARS},
        tenants::CreateTenant,
    },
    db::{
        Read, Tx,
        audit::{self, Entry},
        hosts,
        requests::{self, Decision, RequestRow},
        tokens,
    },
    domain::{
        ids::{CustomerId, LicenseId},
        request::{DeploymentModel, RequestEvent, RequestStatus},
    },
    error::{AppError, Kind},
};

/// What a job has beside its work and what it brings for the app, at most, in bytes.
const JOB_WITHOUT_WORK_BYTES: usize = 8 * 1024;

/// The request with an identifier.
///
/// # Errors
/// When there is none.
pub fn find(read: &Read<'_>, id: ProvisionRequestId) -> Result<RequestRow, AppError> {
    requests::by_id(read, id)?.ok_or_else(|| AppError::not_found("request", id))
}

pub(super) fn record(
    tx: &Tx<'_>,
    actor: &str,
    action: &'static str,
    request: &RequestRow,
    mut detail: serde_json::Value,
) -> Result<(), AppError> {
    detail["slug"] = json!(request.slug);
    let object_id = &request.id.to_string();
    audit::append(tx, &Entry { actor, action, object_kind: "request", object_id, detail })
}

/// Checks a text that people write, which may have lines, and may be left out.
pub(super) fn check_comment(fields: &mut Fields, pointer: &str, text: &str) {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.chars().count() > MAX_TEXT_CHARS || text.contains(steers) {
        fields.refuse(
            pointer,
            format!("use at most {MAX_TEXT_CHARS} characters of text without control characters"),
        );
    }
}

/// Checks a text that people write, which may have lines, and must say something.
pub(super) fn check_text(fields: &mut Fields, pointer: &str, text: &str) {
    if text.trim().is_empty() {
        return fields.refuse(pointer, "say why; it is blank");
    }
    check_comment(fields, pointer, text);
}

fn model(fields: &mut Fields, written: Option<&str>) -> DeploymentModel {
    match written {
        Some(text) if text != DeploymentModel::Dedicated.as_str() => fields.refuse(
            "/deploymentModel",
            "this portal has dedicated alone: a stack of its own for each tenant; leave it out or say dedicated",
        ),
        Some(_) | None => {}
    }
    DeploymentModel::Dedicated
}

/// Refuses what cannot happen to a request as it stands.
pub(super) fn next(
    request: &RequestRow,
    event: RequestEvent,
    verb: &str,
) -> Result<RequestStatus, AppError> {
    request.status.after(event).ok_or_else(|| {
        AppError::conflict(
            "request_status",
            format!("the request {} is {} and cannot be {verb}", request.id, request.status),
        )
        .advice(format!("see `freehold request show {}`", request.id))
    })
}

/// Somebody wants a tenant.
#[derive(Debug)]
pub struct CreateRequest {
    /// As it was written.
    pub request: wire::CreateRequest,
    /// Who asks.
    pub actor: String,
    /// The identifier of that user or token.
    pub requester: String,
    /// How the job will be queued.
    pub rules: JobRules,
}

impl CreateRequest {
    /// Checks it as adding and deploying the tenant would, and writes it down with the work that would be done.
    ///
    /// # Errors
    /// Every wrong field at once; a license of somebody else, or one that is worth nothing now; a name or an
    /// address that is taken or asked for; a host that is full or revoked; a release that is too large.
    pub fn apply(self, tx: &Tx<'_>) -> Result<RequestRow, AppError> {
        let wire::CreateRequest {
            customer,
            license,
            deployment_model,
            justification,
            slug,
            name,
            domain,
            host,
            blueprint,
            release,
            settings,
            admin_email,
            admin_name,
            certificate,
        } = self.request;
        let mut fields = Fields::default();
        let customer = fields.parse::<CustomerId>("/customer", &customer);
        let model = model(&mut fields, deployment_model.as_deref());
        check_text(&mut fields, "/justification", &justification);
        let written = CreateTenant {
            slug,
            name,
            domain,
            host,
            blueprint,
            release,
            settings,
            admin_email,
            admin_name,
            certificate,
            license: Some(license),
            deploy: true,
        };
        let id = TenantId::from_uuid(Uuid::now_v7());
        let wanted = Wanted { id, written: &written, actor: &self.actor, request: None };
        let tenant = draft(tx, fields, &wanted)?;
        let customer = customers::find(tx, given(customer)?).map_err(unknown_customer)?;
        let license = licensed(tx, tenant.license, customer.id)?;
        refuse_revoked(&hosts::get(tx, tenant.host_id)?)?;
        let work = tenant_work::deployment(tx, &tenant, tenant.release_wanted)
            .map_err(with_another_license)?;
        let work = WrittenWork::from(work);
        app_env::admit_address(&work, self.rules.has_public_url)?;
        refuse_too_large(&work)?;
        if requests::count_pending(tx)? >= MAX_PENDING {
            return Err(AppError::conflict(
                "requests_full",
                format!("{MAX_PENDING} requests wait for a decision, which is the limit"),
            )
            .advice("have some of them decided or withdrawn first"));
        }
        let Work::DeployTenant(deploy) = &*work else {
            return Err(AppError::bug("a deployment is something else"));
        };
        let request = RequestRow {
            id: ProvisionRequestId::from_uuid(Uuid::now_v7()),
            status: RequestStatus::Pending,
            customer: customer.id,
            customer_name: customer.name,
            license,
            host_id: tenant.host_id,
            host: tenant.host,
            tenant: tenant.id,
            job: None,
            model,
            slug: tenant.slug,
            name: tenant.name,
            domain: tenant.domain,
            blueprint: tenant.blueprint,
            release: tenant.release_wanted,
            takes: wants(&deploy.blueprint),
            digest: work.digest(),
            justification,
            requested_by: self.actor,
            requester: self.requester,
            decided_by: None,
            decided_at: None,
            comment: String::new(),
            short: false,
            failure: None,
            generation: 1,
            created_at: tx.now(),
            updated_at: tx.now(),
        };
        requests::insert(tx, &request, &work)?;
        let detail = json!({
            "customer": request.customer,
            "license": request.license,
            "host": request.host,
            "domain": request.domain,
            "blueprint": request.blueprint,
            "release": request.release,
            "digest": request.digest,
        });
        record(tx, &request.requested_by, "request.create", &request, detail)?;
        Ok(request)
    }
}

/// Refuses what could never be signed as a job, before anybody looks at it.
fn refuse_too_large(work: &WrittenWork) -> Result<(), AppError> {
    let Work::DeployTenant(deploy) = &**work else { return Ok(()) };
    let sealed = if deploy.blueprint.delivered().is_empty() { 0 } else { MAX_SEALED_ENV_BYTES };
    if work.text().len() <= MAX_JOB_BYTES - JOB_WITHOUT_WORK_BYTES - sealed {
        return Ok(());
    }
    Err(AppError::invalid(
        "/settings",
        "with its blueprint, a job of these settings is too large: make them smaller",
    ))
}

fn unknown_customer(error: AppError) -> AppError {
    if error.code != "not_found" {
        return error;
    }
    AppError::invalid("/customer", format!("{}; `freehold customer list` shows all", error.message))
}

/// The license of a tenant, which must be the customer's.
fn licensed(
    read: &Read<'_>,
    license: Option<LicenseId>,
    customer: CustomerId,
) -> Result<LicenseId, AppError> {
    let license = licenses::find(read, given(license)?)?;
    if license.customer == customer {
        return Ok(license.id);
    }
    Err(AppError::invalid(
        "/license",
        format!(
            "the license {} is another customer's; `freehold license list --customer {customer}` shows this one's",
            license.id
        ),
    ))
}

/// There is no tenant yet that could be given another license.
pub(super) fn with_another_license(error: AppError) -> AppError {
    if error.code != "license_not_valid" {
        return error;
    }
    error.advice("reinstate or renew it, or ask for the tenant under another license")
}

/// Somebody wants a request taken back.
#[derive(Debug)]
pub struct WithdrawRequest {
    /// Which.
    pub id: ProvisionRequestId,
    /// What `If-Match` named.
    pub generation: Option<u64>,
    /// Who asks.
    pub actor: String,
    /// The identifier of that user or token.
    pub caller: String,
    /// What it may do.
    pub role: Role,
}

impl WithdrawRequest {
    /// Takes it back; the name and the address are free again.
    ///
    /// # Errors
    /// 403 for whoever is neither the requester nor an owner; 412; a request that is decided.
    pub fn apply(self, tx: &Tx<'_>) -> Result<RequestRow, AppError> {
        let request = find(tx, self.id)?;
        check_generation(self.generation, request.generation)?;
        let person = tokens::person(tx, &self.caller)?;
        if self.role != Role::Owner && !person.is(&tokens::person(tx, &request.requester)?) {
            return Err(AppError::new(
                Kind::Forbidden,
                "not_yours",
                format!("the request {} is of {}", request.id, request.requested_by),
            )
            .advice("ask that person or an owner to withdraw it, or an approver to reject it"));
        }
        let status = next(&request, RequestEvent::Withdraw, "withdrawn")?;
        let decision = Decision { status, by: &self.actor, comment: "", job: None, short: false };
        requests::decide(tx, &request, &decision)?;
        record(tx, &self.actor, "request.withdraw", &request, json!({ "from": request.status }))?;
        find(tx, self.id)
    }
}
