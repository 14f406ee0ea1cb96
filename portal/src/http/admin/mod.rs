//! Handlers of the admin API: one file per resource, each from a request to an [`Answer`].

mod blueprints;
mod customers;
mod hosts;
mod ingest;
mod jobs;
mod licenses;
mod licensing;
mod plans;
mod portal;
mod tenant_keys;
mod tenants;
mod tokens;

use std::sync::Arc;

use freehold_protocol::ids::Sha256Digest;

use super::{
    auth::Caller,
    input,
    respond::{self, Answer},
    route::AdminRoute,
    server::Request,
};
use crate::{
    api::IDEMPOTENCY_KEEP_SECS,
    app::queue_job::JobRules,
    db::{Db, Tx, idempotency},
    error::{AppError, Kind},
    ingest::Ingest,
    keys::{KeyRing, PortalKeys},
};

/// Most kept answers that one request sweeps away.
const SWEEP: u32 = 100;

pub(super) use portal::version;

/// What a handler works with.
#[derive(Debug)]
pub(super) struct Context<'r> {
    pub(super) db: &'r Db,
    pub(super) ingest: &'r Ingest,
    pub(super) ring: &'r KeyRing,
    pub(super) keys: Arc<PortalKeys>,
    pub(super) url: &'r str,
    pub(super) rules: JobRules,
    pub(super) caller: &'r Caller,
    pub(super) request: &'r Request,
}

impl Context<'_> {
    fn actor(&self) -> String {
        self.caller.actor.clone()
    }

    /// Runs a creation. With an `Idempotency-Key`, its answer is kept in the same transaction, and
    /// a repeat gets that answer without doing anything.
    fn create(
        &self,
        create: impl FnOnce(&Tx<'_>) -> Result<Answer, AppError> + Send + 'static,
    ) -> Result<Answer, AppError> {
        let Some(key) = input::idempotency_key(&self.request.head)? else {
            return self.db.write(create);
        };
        let head = &self.request.head;
        let mut asked = format!("{} {}\n", head.method(), head.path()).into_bytes();
        asked.extend_from_slice(&self.request.body);
        let digest = Sha256Digest::of(&asked).to_string();
        let token = self.caller.token.id;
        self.db.write(move |tx| {
            idempotency::purge(tx, IDEMPOTENCY_KEEP_SECS, SWEEP)?;
            if let Some(kept) = idempotency::get(tx, token, &key)? {
                return repeat(&kept, &digest);
            }
            let answer = create(tx)?;
            idempotency::put(tx, token, &key, &kept(&answer, digest)?)?;
            Ok(answer)
        })
    }
}

fn kept(answer: &Answer, request_digest: String) -> Result<idempotency::Kept, AppError> {
    let headers = serde_json::json!({
        "generation": answer.generation,
        "location": answer.location,
        "secret": answer.secret,
        "empty": answer.body.is_none(),
    });
    let body = if answer.secret { String::new() } else { answer.body.clone().unwrap_or_default() };
    Ok(idempotency::Kept {
        request_digest,
        status: answer.status,
        headers: serde_json::to_string(&headers)?,
        body,
    })
}

fn repeat(kept: &idempotency::Kept, digest: &str) -> Result<Answer, AppError> {
    if kept.request_digest != digest {
        return Err(AppError::new(
            Kind::Invalid,
            "idempotency_key_reused",
            "this Idempotency-Key was used for another request",
        )
        .advice("use a fresh key for every intention, and the same key only to repeat it"));
    }
    let headers: serde_json::Value = serde_json::from_str(&kept.headers)?;
    let is = |name: &str| headers[name].as_bool() == Some(true);
    if is("secret") {
        return Err(AppError::conflict(
            "already_created",
            "this request was done already; its answer held a secret, which is not kept",
        )
        .advice("revoke what it has made and create it anew with a fresh Idempotency-Key"));
    }
    Ok(Answer {
        status: kept.status,
        body: (!is("empty")).then(|| kept.body.clone()),
        generation: headers["generation"].as_u64(),
        location: headers["location"].as_str().map(str::to_owned),
        secret: false,
        media: respond::JSON,
    })
}

/// Does what is asked.
pub(super) fn dispatch(ctx: &Context<'_>, route: AdminRoute) -> Result<Answer, AppError> {
    use AdminRoute as R;
    match route {
        R::Version => portal::version(),
        R::Me => portal::me(ctx),
        R::ListHosts => hosts::list(ctx),
        R::CreateHost => hosts::create(ctx),
        R::GetHost(name) => hosts::get(ctx, &name),
        R::UpdateHost(name) => hosts::update(ctx, name),
        R::DeleteHost(name) => hosts::delete(ctx, name),
        R::CreateEnrollmentToken(name) => hosts::enrollment_token(ctx, name),
        R::ResumeHost(name) => hosts::resume(ctx, name),
        R::RevokeHost(name) => hosts::revoke(ctx, name),
        R::DrainHost(name) => hosts::drain(ctx, name),
        R::UndrainHost(name) => hosts::undrain(ctx, name),
        R::ProbeHost(name) => hosts::probe(ctx, name),
        R::HostPorts(name) => hosts::ports(ctx, name),
        R::ListBlueprints => blueprints::list(ctx),
        R::PublishBlueprint => blueprints::publish(ctx),
        R::GetBlueprint(name) => blueprints::get(ctx, &name),
        R::GetRelease(name, number) => blueprints::release(ctx, &name, number),
        R::ListTenants => tenants::list(ctx),
        R::CreateTenant => tenants::create(ctx),
        R::GetTenant(slug) => tenants::get(ctx, &slug),
        R::UpdateTenant(slug) => tenants::update(ctx, slug),
        R::DeleteTenant(slug) => tenants::delete(ctx, slug),
        R::DeployTenant(slug) => tenants::deploy(ctx, slug),
        R::RemoveTenant(slug) => tenants::remove(ctx, slug),
        R::CheckTenant(slug) => tenants::check(ctx, slug),
        R::RevealCredentials(slug) => tenants::credentials(ctx, slug),
        R::TenantLogs(slug) => ingest::logs(ctx, &slug),
        R::TenantUsage(slug) => ingest::usage(ctx, &slug),
        R::ListJobs => jobs::list(ctx),
        R::GetJob(id) => jobs::get(ctx, id),
        R::DeleteJob(id) => jobs::delete(ctx, id),
        R::JobEvents(id) => jobs::events(ctx, id),
        R::CancelJob(id) => jobs::cancel(ctx, id),
        R::RetryJob(id) => jobs::retry(ctx, id),
        R::ResumeJob(id) => jobs::resume(ctx, id),
        R::ListTokens => tokens::list(ctx),
        R::CreateToken => tokens::create(ctx),
        R::RevokeToken(id) => tokens::revoke(ctx, id),
        R::Keys => portal::keys(ctx),
        R::RotateKeys => portal::rotate(ctx),
        R::Audit => portal::audit(ctx),
        R::Licensing(route) => licensing::dispatch(ctx, route),
    }
}
