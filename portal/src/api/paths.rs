//! Addresses of the admin API, each built in one place for the command line. `http/route.rs` parses
//! them; a test there holds the two together.

use std::fmt::Display;

/// Every address of the admin API starts with it.
pub const PREFIX: &str = "/api/v1";
/// `GET`: who the token is. Answer: [`super::tokens::Me`].
pub const ME: &str = "/api/v1/me";
/// `GET`: what runs. Answer: [`super::tokens::VersionInfo`]. Needs no token.
pub const VERSION: &str = "/api/v1/version";
/// `GET` a page of [`super::hosts::HostView`], `POST` a [`super::hosts::CreateHost`].
pub const HOSTS: &str = "/api/v1/hosts";
/// `GET` a page of [`super::blueprints::BlueprintView`], `POST` a [`super::blueprints::PublishBlueprint`].
pub const BLUEPRINTS: &str = "/api/v1/blueprints";
/// `GET` a page of [`super::tenants::TenantView`], `POST` a [`super::tenants::CreateTenant`].
pub const TENANTS: &str = "/api/v1/tenants";
/// `GET` a page of [`super::jobs::JobView`].
pub const JOBS: &str = "/api/v1/jobs";
/// `GET` a page of [`super::tokens::TokenView`], `POST` a [`super::tokens::CreateToken`].
pub const TOKENS: &str = "/api/v1/tokens";
/// `GET`: [`super::keys::KeysView`].
pub const KEYS: &str = "/api/v1/keys";
/// `POST` a [`super::keys::RotateKeys`]: [`super::keys::KeysView`].
pub const KEYS_ROTATE: &str = "/api/v1/keys/rotate";
/// `GET` a page of [`super::audit::AuditRow`].
pub const AUDIT: &str = "/api/v1/audit";

/// `GET`, `PATCH` a [`super::hosts::UpdateHost`], `DELETE`.
#[must_use]
pub fn host(name: impl Display) -> String {
    format!("{HOSTS}/{name}")
}

/// `POST`: an empty body or [`super::hosts::CreateEnrollmentToken`], answered by
/// [`super::hosts::EnrollmentTokenCreated`].
#[must_use]
pub fn host_enrollment_tokens(name: impl Display) -> String {
    format!("{HOSTS}/{name}/enrollment-tokens")
}

/// `POST` without body: [`super::hosts::HostView`].
#[must_use]
pub fn host_resume(name: impl Display) -> String {
    format!("{HOSTS}/{name}/resume")
}

/// `POST` without body: [`super::hosts::HostView`].
#[must_use]
pub fn host_drain(name: impl Display) -> String {
    format!("{HOSTS}/{name}/drain")
}

/// `POST` without body: [`super::hosts::HostView`].
#[must_use]
pub fn host_undrain(name: impl Display) -> String {
    format!("{HOSTS}/{name}/undrain")
}

/// `POST` without body: [`super::jobs::JobView`] of the probe.
#[must_use]
pub fn host_probe(name: impl Display) -> String {
    format!("{HOSTS}/{name}/probe")
}

/// `GET`: [`super::hosts::HostPorts`].
#[must_use]
pub fn host_ports(name: impl Display) -> String {
    format!("{HOSTS}/{name}/ports")
}

/// `GET`: [`super::blueprints::BlueprintDetail`].
#[must_use]
pub fn blueprint(name: impl Display) -> String {
    format!("{BLUEPRINTS}/{name}")
}

/// `GET`: [`super::blueprints::ReleaseDetail`].
#[must_use]
pub fn release(name: impl Display, number: u32) -> String {
    format!("{BLUEPRINTS}/{name}/releases/{number}")
}

/// `GET`, `PATCH` a [`super::tenants::UpdateTenant`], `DELETE`.
#[must_use]
pub fn tenant(slug: impl Display) -> String {
    format!("{TENANTS}/{slug}")
}

/// `POST` a [`super::tenants::DeployTenant`] (or no body): [`super::jobs::JobView`].
#[must_use]
pub fn tenant_deploy(slug: impl Display) -> String {
    format!("{TENANTS}/{slug}/deploy")
}

/// `POST` a [`super::tenants::RemoveTenant`]: [`super::jobs::JobView`].
#[must_use]
pub fn tenant_remove(slug: impl Display) -> String {
    format!("{TENANTS}/{slug}/remove")
}

/// `POST` without body: [`super::jobs::JobView`].
#[must_use]
pub fn tenant_check(slug: impl Display) -> String {
    format!("{TENANTS}/{slug}/check")
}

/// `POST` without body: [`super::tenants::Credentials`], once.
#[must_use]
pub fn tenant_credentials(slug: impl Display) -> String {
    format!("{TENANTS}/{slug}/credentials")
}

/// `GET`: [`super::jobs::JobView`]; `DELETE` a job at rest.
#[must_use]
pub fn job(id: impl Display) -> String {
    format!("{JOBS}/{id}")
}

/// `GET` with `after` and `waitSeconds`: [`super::jobs::JobEvents`].
#[must_use]
pub fn job_events(id: impl Display) -> String {
    format!("{JOBS}/{id}/events")
}

/// `POST` a [`super::jobs::CancelJob`] (or no body): [`super::jobs::JobView`].
#[must_use]
pub fn job_cancel(id: impl Display) -> String {
    format!("{JOBS}/{id}/cancel")
}

/// `POST` without body: [`super::jobs::JobView`].
#[must_use]
pub fn job_retry(id: impl Display) -> String {
    format!("{JOBS}/{id}/retry")
}

/// `POST` without body: [`super::jobs::JobView`].
#[must_use]
pub fn job_resume(id: impl Display) -> String {
    format!("{JOBS}/{id}/resume")
}

/// `DELETE` revokes the token.
#[must_use]
pub fn token(id: impl Display) -> String {
    format!("{TOKENS}/{id}")
}
