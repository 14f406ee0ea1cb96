//! Method and path → one value of a closed enum. Pure: no body, no database, no clock.
//!
//! Everything that can be asked of the portal over HTTP is listed here, once. A path with the wrong
//! method is told which methods it has.

use std::{fmt::Display, str::FromStr};

use freehold_protocol::ids::{BlueprintName, HostName, JobId, ParseIdError, TenantSlug, TokenId};

use super::{
    account_route::{self, AccountRoute},
    licensing_route::{self, LicensingRoute},
    server::Method,
    tenant_api::TenantRoute,
};
use crate::app::role::Permission;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `GET /healthz`: the process answers.
    Healthz,
    /// `GET /readyz`: it can do its work.
    Readyz,
    /// `GET /metrics`: figures for Prometheus.
    Metrics,
    /// Something of the agent API.
    Agent(AgentRoute),
    /// Something of the admin API.
    Admin(AdminRoute),
    /// Something that tenants' apps call.
    Tenant(TenantRoute),
}

/// The agent API (docs/agent-protocol.md). It authenticates by signatures, not by tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentRoute {
    /// `GET /api/v1/trust`
    Trust,
    /// `POST /api/v1/agent/enroll`
    Enroll,
    /// `POST /api/v1/agent/poll`
    Poll,
    /// `POST /api/v1/agent/inventory`
    Inventory,
    /// `POST /api/v1/agent/jobs/{id}/events`
    Events(JobId),
    /// `POST /api/v1/agent/jobs/{id}/report`
    Report(JobId),
}

/// The admin API (docs/api.md).
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "docs/api.md describes each, and the table below shows its address"
)]
pub enum AdminRoute {
    Version,
    ListHosts,
    CreateHost,
    GetHost(HostName),
    UpdateHost(HostName),
    DeleteHost(HostName),
    CreateEnrollmentToken(HostName),
    ResumeHost(HostName),
    RevokeHost(HostName),
    DrainHost(HostName),
    UndrainHost(HostName),
    ProbeHost(HostName),
    HostPorts(HostName),
    ListBlueprints,
    PublishBlueprint,
    GetBlueprint(BlueprintName),
    GetRelease(BlueprintName, u32),
    ListTenants,
    CreateTenant,
    GetTenant(TenantSlug),
    UpdateTenant(TenantSlug),
    DeleteTenant(TenantSlug),
    DeployTenant(TenantSlug),
    RemoveTenant(TenantSlug),
    CheckTenant(TenantSlug),
    RevealCredentials(TenantSlug),
    TenantLogs(TenantSlug),
    TenantUsage(TenantSlug),
    ListJobs,
    GetJob(JobId),
    DeleteJob(JobId),
    JobEvents(JobId),
    CancelJob(JobId),
    RetryJob(JobId),
    ResumeJob(JobId),
    ListTokens,
    CreateToken,
    RevokeToken(TokenId),
    Keys,
    RotateKeys,
    Audit,
    AuditCheckpoints,
    Licensing(LicensingRoute),
    Account(AccountRoute),
}

/// Why there is no route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteError {
    /// No such address.
    Unknown,
    /// A part of the address is not what it should be, so that there can be no such thing.
    BadPart(ParseIdError),
    /// The address has other methods.
    Method {
        /// Which.
        allowed: Vec<Method>,
    },
}

impl AdminRoute {
    /// What a caller must be allowed to do: the one table of permissions per route.
    #[must_use]
    pub const fn permission(&self) -> Permission {
        match self {
            Self::Version => Permission::Public,
            Self::ListHosts
            | Self::GetHost(_)
            | Self::HostPorts(_)
            | Self::ListBlueprints
            | Self::GetBlueprint(_)
            | Self::GetRelease(..)
            | Self::ListTenants
            | Self::GetTenant(_)
            | Self::TenantLogs(_)
            | Self::TenantUsage(_)
            | Self::ListJobs
            | Self::GetJob(_)
            | Self::JobEvents(_)
            | Self::Keys => Permission::Read,
            Self::DrainHost(_)
            | Self::UndrainHost(_)
            | Self::ProbeHost(_)
            | Self::PublishBlueprint
            | Self::CreateTenant
            | Self::UpdateTenant(_)
            | Self::DeleteTenant(_)
            | Self::DeployTenant(_)
            | Self::RemoveTenant(_)
            | Self::CheckTenant(_)
            | Self::RevealCredentials(_)
            | Self::DeleteJob(_)
            | Self::CancelJob(_)
            | Self::RetryJob(_)
            | Self::ResumeJob(_) => Permission::Operate,
            // Who enrolls a host again gets what its tenants are sent: as powerful as a new token.
            Self::CreateHost
            | Self::UpdateHost(_)
            | Self::DeleteHost(_)
            | Self::CreateEnrollmentToken(_)
            | Self::ResumeHost(_)
            | Self::RevokeHost(_)
            | Self::ListTokens
            | Self::CreateToken
            | Self::RevokeToken(_)
            | Self::RotateKeys
            | Self::Audit
            | Self::AuditCheckpoints => Permission::Own,
            Self::Licensing(route) => route.permission(),
            Self::Account(route) => route.permission(),
        }
    }
}

/// Finds the route of a request. HEAD is asked like GET.
///
/// # Errors
/// See [`RouteError`].
pub fn parse(method: Method, path: &str) -> Result<Route, RouteError> {
    let path = path.strip_prefix('/').ok_or(RouteError::Unknown)?;
    let segments: Vec<&str> = path.split('/').collect();
    let mut at = at(&segments)?;
    let wanted = if method == Method::Head { Method::Get } else { method };
    match at.iter().position(|(method, _)| *method == wanted) {
        Some(index) => Ok(at.swap_remove(index).1),
        None => Err(RouteError::Method { allowed: allowed(&at) }),
    }
}

fn allowed(at: &[(Method, Route)]) -> Vec<Method> {
    let mut methods: Vec<Method> = at.iter().map(|(method, _)| *method).collect();
    if methods.contains(&Method::Get) {
        methods.push(Method::Head);
    }
    methods
}

/// Everything that stands at an address.
fn at(segments: &[&str]) -> Result<Vec<(Method, Route)>, RouteError> {
    match segments {
        ["healthz"] => Ok(vec![(Method::Get, Route::Healthz)]),
        ["readyz"] => Ok(vec![(Method::Get, Route::Readyz)]),
        ["metrics"] => Ok(vec![(Method::Get, Route::Metrics)]),
        ["api", "v1", "trust"] => Ok(vec![(Method::Get, Route::Agent(AgentRoute::Trust))]),
        // Where existing apps call it, and where the rest of the API is.
        ["api", "licenses", "validate"] | ["api", "v1", "licenses", "validate"] => {
            Ok(vec![(Method::Post, Route::Tenant(TenantRoute::Validate))])
        }
        ["api", "tenant-logs"] | ["api", "v1", "tenant-logs"] => {
            Ok(vec![(Method::Post, Route::Tenant(TenantRoute::Logs))])
        }
        ["api", "v1", "usage"] => Ok(vec![(Method::Post, Route::Tenant(TenantRoute::Usage))]),
        ["api", "v1", "tenant-health"] => {
            Ok(vec![(Method::Post, Route::Tenant(TenantRoute::Health))])
        }
        [".well-known", "jwks.json"] => Ok(vec![(Method::Get, Route::Tenant(TenantRoute::KeySet))]),
        ["api", "v1", "agent", rest @ ..] => {
            agent(rest).map(|route| vec![(Method::Post, Route::Agent(route))])
        }
        ["api", "v1", rest @ ..] => admin(rest)
            .map(|routes| routes.into_iter().map(|(m, route)| (m, Route::Admin(route))).collect()),
        _ => Err(RouteError::Unknown),
    }
}

fn agent(segments: &[&str]) -> Result<AgentRoute, RouteError> {
    Ok(match segments {
        ["enroll"] => AgentRoute::Enroll,
        ["poll"] => AgentRoute::Poll,
        ["inventory"] => AgentRoute::Inventory,
        ["jobs", id, "events"] => AgentRoute::Events(part(id)?),
        ["jobs", id, "report"] => AgentRoute::Report(part(id)?),
        _ => return Err(RouteError::Unknown),
    })
}

fn admin(segments: &[&str]) -> Result<Vec<(Method, AdminRoute)>, RouteError> {
    use AdminRoute as R;
    use Method::{Delete, Get, Patch, Post};
    Ok(match segments {
        ["version"] => vec![(Get, R::Version)],
        ["hosts"] => vec![(Get, R::ListHosts), (Post, R::CreateHost)],
        ["hosts", name] => {
            let name: HostName = part(name)?;
            vec![
                (Get, R::GetHost(name.clone())),
                (Patch, R::UpdateHost(name.clone())),
                (Delete, R::DeleteHost(name)),
            ]
        }
        ["hosts", name, "enrollment-tokens"] => vec![(Post, R::CreateEnrollmentToken(part(name)?))],
        ["hosts", name, "resume"] => vec![(Post, R::ResumeHost(part(name)?))],
        ["hosts", name, "revoke"] => vec![(Post, R::RevokeHost(part(name)?))],
        ["hosts", name, "drain"] => vec![(Post, R::DrainHost(part(name)?))],
        ["hosts", name, "undrain"] => vec![(Post, R::UndrainHost(part(name)?))],
        ["hosts", name, "probe"] => vec![(Post, R::ProbeHost(part(name)?))],
        ["hosts", name, "ports"] => vec![(Get, R::HostPorts(part(name)?))],
        ["blueprints"] => vec![(Get, R::ListBlueprints), (Post, R::PublishBlueprint)],
        ["blueprints", name] => vec![(Get, R::GetBlueprint(part(name)?))],
        ["blueprints", name, "releases", number] => {
            vec![(Get, R::GetRelease(part(name)?, release_number(number)?))]
        }
        ["tenants"] => vec![(Get, R::ListTenants), (Post, R::CreateTenant)],
        ["tenants", slug] => {
            let slug: TenantSlug = part(slug)?;
            vec![
                (Get, R::GetTenant(slug.clone())),
                (Patch, R::UpdateTenant(slug.clone())),
                (Delete, R::DeleteTenant(slug)),
            ]
        }
        ["tenants", slug, "deploy"] => vec![(Post, R::DeployTenant(part(slug)?))],
        ["tenants", slug, "remove"] => vec![(Post, R::RemoveTenant(part(slug)?))],
        ["tenants", slug, "check"] => vec![(Post, R::CheckTenant(part(slug)?))],
        ["tenants", slug, "credentials"] => vec![(Post, R::RevealCredentials(part(slug)?))],
        ["tenants", slug, "logs"] => vec![(Get, R::TenantLogs(part(slug)?))],
        ["tenants", slug, "usage"] => vec![(Get, R::TenantUsage(part(slug)?))],
        ["jobs"] => vec![(Get, R::ListJobs)],
        ["jobs", id] => {
            let id: JobId = part(id)?;
            vec![(Get, R::GetJob(id)), (Delete, R::DeleteJob(id))]
        }
        ["jobs", id, "events"] => vec![(Get, R::JobEvents(part(id)?))],
        ["jobs", id, "cancel"] => vec![(Post, R::CancelJob(part(id)?))],
        ["jobs", id, "retry"] => vec![(Post, R::RetryJob(part(id)?))],
        ["jobs", id, "resume"] => vec![(Post, R::ResumeJob(part(id)?))],
        ["tokens"] => vec![(Get, R::ListTokens), (Post, R::CreateToken)],
        ["tokens", id] => vec![(Delete, R::RevokeToken(part(id)?))],
        ["keys"] => vec![(Get, R::Keys)],
        ["keys", "rotate"] => vec![(Post, R::RotateKeys)],
        ["audit"] => vec![(Get, R::Audit)],
        ["audit", "checkpoints"] => vec![(Get, R::AuditCheckpoints)],
        other => {
            if let Some(account) = account_route::at(other)? {
                return Ok(account.into_iter().map(|(m, route)| (m, R::Account(route))).collect());
            }
            let licensing = licensing_route::at(other)?;
            return Ok(licensing.into_iter().map(|(m, route)| (m, R::Licensing(route))).collect());
        }
    })
}

/// A part of an address as the type that only parses. No name of ours has a character that an
/// address must encode, so that an encoded one is simply not a name.
pub(super) fn part<T: FromStr<Err = ParseIdError> + Display>(text: &str) -> Result<T, RouteError> {
    if text.is_empty() {
        return Err(RouteError::Unknown);
    }
    text.parse().map_err(RouteError::BadPart)
}

fn release_number(text: &str) -> Result<u32, RouteError> {
    text.parse::<u32>().ok().filter(|n| *n > 0 && n.to_string() == text).ok_or_else(|| {
        RouteError::BadPart(ParseIdError {
            what: "release number",
            rule: "use a whole number from 1",
            given: text.chars().take(80).collect::<String>().escape_debug().to_string(),
        })
    })
}

#[cfg(test)]
#[path = "route_tests.rs"]
pub(super) mod tests;
