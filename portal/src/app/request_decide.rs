//! The decision on a provision request.

use freehold_protocol::{
    ids::ProvisionRequestId,
    job::{CertificateSource, DeployTenant, Work},
    written::WrittenWork,
};
use serde_json::json;

use super::{
    check_generation,
    queue_job::{JobRules, QueueJob, refuse_revoked},
    request_capacity,
    requests::{check_comment, check_text, find, next, record, with_another_license},
    tenant_draft::{Wanted, draft},
    tenant_input::Fields,
    tenant_work, tenants as app_tenants,
};
use crate::{
    api::{
        requests::{ApproveRequest, RejectRequest},
        tenants::{Certificate, CreateTenant},
    },
    db::{
        Tx, hosts,
        requests::{self, Decision, RequestRow},
        tenants::TenantRow,
        tokens,
    },
    domain::request::RequestEvent,
    error::{AppError, Kind},
};

/// Somebody wants a request approved.
#[derive(Debug)]
pub struct Approve {
    /// Which.
    pub id: ProvisionRequestId,
    /// What `If-Match` named.
    pub generation: Option<u64>,
    /// As it was written.
    pub request: ApproveRequest,
    /// Who asks.
    pub actor: String,
    /// The identifier of that user or token.
    pub approver: String,
    /// Whether that must be somebody else than who asked for the tenant.
    pub four_eyes: bool,
    /// How the job is queued.
    pub rules: JobRules,
}

impl Approve {
    /// Checks everything again as it is now, adds the tenant, queues its job and notes the approval.
    ///
    /// # Errors
    /// `four_eyes` (403); 412; a request that is decided, cannot be done any more, or would do something else
    /// now than what was asked for; a host that falls short, unless that was said to be known.
    pub fn apply(self, tx: &Tx<'_>) -> Result<RequestRow, AppError> {
        let request = find(tx, self.id)?;
        check_generation(self.generation, request.generation)?;
        let status = next(&request, RequestEvent::Approve, "approved")?;
        let mut fields = Fields::default();
        check_comment(&mut fields, "/comment", &self.request.comment);
        fields.done()?;
        if self.four_eyes {
            refuse_same_person(tx, &request, &self.approver)?;
        }
        let work = requests::work(tx, request.id)?;
        let tenant = tenant_of_today(tx, &request, &work)?;
        let short = refuse_short(tx, &request, self.request.despite_capacity)?;
        app_tenants::add(tx, &tenant, &self.actor)?;
        let queue =
            QueueJob { host: request.host_id, work, actor: self.actor.clone(), rules: self.rules };
        let job = queue.apply(tx)?;
        let comment = &self.request.comment;
        let decision = Decision { status, by: &self.actor, comment, job: Some(job), short };
        requests::decide(tx, &request, &decision)?;
        let detail = json!({
            "requestedBy": request.requested_by,
            "digest": request.digest,
            "job": job,
            "tenant": request.tenant,
            "comment": comment,
            "despiteCapacity": short,
            "fourEyes": self.four_eyes,
        });
        record(tx, &self.actor, "request.approve", &request, detail)?;
        find(tx, self.id)
    }
}

fn refuse_same_person(tx: &Tx<'_>, request: &RequestRow, approver: &str) -> Result<(), AppError> {
    let (asked, decides) = (tokens::person(tx, &request.requester)?, tokens::person(tx, approver)?);
    if !asked.is(&decides) {
        return Ok(());
    }
    Err(AppError::new(
        Kind::Forbidden,
        "four_eyes",
        format!("whoever has asked ({}) cannot approve it as well", request.requested_by),
    )
    .advice(
        "have another approver or owner approve it, with a user of their own: a token counts as the user who made it; where one person alone runs the portal, four_eyes = false in its configuration allows it",
    ))
}

/// The tenant as the request would add it today.
fn tenant_of_today(
    tx: &Tx<'_>,
    request: &RequestRow,
    work: &WrittenWork,
) -> Result<TenantRow, AppError> {
    let Work::DeployTenant(deploy) = &**work else {
        return Err(AppError::bug("the work of a request is no deployment"));
    };
    if work.digest() != request.digest {
        return Err(changed(request));
    }
    let written = written(request, deploy);
    let wanted = Wanted {
        id: request.tenant,
        written: &written,
        actor: &request.requested_by,
        request: Some(request.id),
    };
    let outdated = |error| outdated(request, error);
    let tenant = draft(tx, Fields::default(), &wanted).map_err(outdated)?;
    refuse_revoked(&hosts::get(tx, request.host_id)?)?;
    let today = tenant_work::deployment(tx, &tenant, request.release)
        .map_err(with_another_license)
        .map_err(outdated)?;
    // Another version may have written it in other words.
    if tenant.host_id != request.host_id || today != **work {
        return Err(changed(request));
    }
    Ok(tenant)
}

/// What was written when the request was made, from the work that came of it.
fn written(request: &RequestRow, deploy: &DeployTenant) -> CreateTenant {
    let admin = deploy.admin.as_ref();
    let (source, name) = match &deploy.certificate {
        CertificateSource::Acme => ("acme", None),
        CertificateSource::Installed { name } => ("installed", Some(name.to_string())),
    };
    CreateTenant {
        slug: deploy.slug.to_string(),
        name: deploy.name.clone(),
        domain: deploy.domain.to_string(),
        host: request.host.to_string(),
        blueprint: request.blueprint.to_string(),
        release: Some(request.release),
        settings: deploy.settings.clone(),
        admin_email: admin.map(|admin| admin.email.to_string()),
        // An admin without a name is called by the address.
        admin_name: admin
            .filter(|admin| admin.name != admin.email.as_str())
            .map(|admin| admin.name.clone()),
        certificate: Some(Certificate { source: source.to_owned(), name }),
        license: Some(request.license.to_string()),
        deploy: true,
    }
}

/// The body of an approval has none of the fields that are wrong now.
fn outdated(request: &RequestRow, error: AppError) -> AppError {
    if error.kind != Kind::Invalid {
        return error;
    }
    let why: Vec<&str> = error.fields.iter().map(|field| field.detail.as_str()).collect();
    AppError::conflict(
        "request_outdated",
        format!("the request {} cannot be done any more: {}", request.id, why.join("; ")),
    )
    .advice("mend that, or reject the request and have it made anew")
}

fn changed(request: &RequestRow) -> AppError {
    AppError::conflict(
        "work_changed",
        format!("the request {} would do something else now than what was asked for", request.id),
    )
    .advice("reject it and have it made anew")
}

/// Says whether the host falls short.
fn refuse_short(tx: &Tx<'_>, request: &RequestRow, is_known: bool) -> Result<bool, AppError> {
    let lacks = request_capacity::of(tx, request)?.lacks();
    if lacks.is_empty() || is_known {
        return Ok(!lacks.is_empty());
    }
    Err(AppError::conflict(
        "capacity_short",
        format!("the host {} lacks {}", request.host, lacks.join(", ")),
    )
    .advice(format!(
        "see `freehold request show {}`; to approve it all the same, say so: `--despite-capacity`, or \"despiteCapacity\": true",
        request.id
    )))
}

/// Somebody wants a request turned down.
#[derive(Debug)]
pub struct Reject {
    /// Which.
    pub id: ProvisionRequestId,
    /// What `If-Match` named.
    pub generation: Option<u64>,
    /// As it was written.
    pub request: RejectRequest,
    /// Who asks.
    pub actor: String,
}

impl Reject {
    /// Turns it down; the name and the address are free again.
    ///
    /// # Errors
    /// 412; a request that is decided; no reason.
    pub fn apply(self, tx: &Tx<'_>) -> Result<RequestRow, AppError> {
        let request = find(tx, self.id)?;
        check_generation(self.generation, request.generation)?;
        let status = next(&request, RequestEvent::Reject, "rejected")?;
        let comment = &self.request.comment;
        let mut fields = Fields::default();
        check_text(&mut fields, "/comment", comment);
        fields.done()?;
        let decision = Decision { status, by: &self.actor, comment, job: None, short: false };
        requests::decide(tx, &request, &decision)?;
        let detail = json!({ "requestedBy": request.requested_by, "comment": comment });
        record(tx, &self.actor, "request.reject", &request, detail)?;
        find(tx, self.id)
    }
}
