//! Handlers of the admin API: one file per resource, each from a request to an [`Answer`].

mod account;
mod audit;
mod blueprints;
mod context;
mod customers;
mod hosts;
mod ingest;
mod jobs;
mod licenses;
mod licensing;
mod open_sessions;
mod plans;
mod portal;
mod requests;
pub(in crate::http) mod sessions;
mod tenant_keys;
mod tenants;
mod tokens;
mod users;

use super::{respond::Answer, route::AdminRoute};
use crate::error::AppError;

pub(super) use context::{Context, Parts};
pub(super) use portal::version;

/// Does what is asked.
pub(super) fn dispatch(ctx: &Context<'_>, route: AdminRoute) -> Result<Answer, AppError> {
    use AdminRoute as R;
    match route {
        R::Version => portal::version(),
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
        R::GetRelease(name, number) => blueprints::release(ctx, &name, number.0),
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
        R::Audit => audit::entries(ctx),
        R::AuditCheckpoints => audit::checkpoints(ctx),
        R::Licensing(route) => licensing::dispatch(ctx, route),
        R::Account(route) => account::dispatch(ctx, route),
        R::Requests(route) => requests::dispatch(ctx, route),
    }
}
