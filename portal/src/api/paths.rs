//! Addresses of the admin API, each built in one place for the command line. `http/route.rs` parses
//! them; a test there holds the two together.

use std::fmt::Display;

/// Every address of the admin API starts with it.
pub const PREFIX: &str = "/api/v1";
/// `POST` a [`super::users::Login`]: [`super::users::SessionTokens`].
pub const LOGIN: &str = "/api/v1/auth/login";
/// `POST` a [`super::users::RefreshToken`]: [`super::users::SessionTokens`].
pub const REFRESH: &str = "/api/v1/auth/refresh";
/// `POST` a [`super::users::RefreshToken`].
pub const LOGOUT: &str = "/api/v1/auth/logout";
/// `GET`: who is asking, a [`super::users::Me`]. `PATCH` a [`super::users::UpdateMe`].
pub const ME: &str = "/api/v1/me";
/// `POST` a [`super::users::ChangePassword`].
pub const ME_PASSWORD: &str = "/api/v1/me/password";
/// `GET`, `PATCH`: [`super::users::Settings`].
pub const ME_SETTINGS: &str = "/api/v1/me/settings";
/// `GET` all of [`super::users::SessionView`] as one page.
pub const ME_SESSIONS: &str = "/api/v1/me/sessions";
/// `GET` a page of [`super::users::UserView`], `POST` a [`super::users::CreateUser`].
pub const USERS: &str = "/api/v1/users";
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
/// `POST` a [`super::keys::RotateKeys`]: [`super::keys::KeysView`].
pub const KEYS_ROTATE_LEASE: &str = "/api/v1/keys/rotate-lease";
/// `GET` a page of [`super::audit::AuditRow`].
pub const AUDIT: &str = "/api/v1/audit";
/// `GET` a page of [`super::audit::Checkpoint`].
pub const AUDIT_CHECKPOINTS: &str = "/api/v1/audit/checkpoints";
/// `GET`: the signed trust documents, oldest first. Needs no token; agents read it, too.
pub const TRUST: &str = "/api/v1/trust";

/// `GET` a page of [`super::plans::PlanView`], `POST` a [`super::plans::CreatePlan`].
pub const PLANS: &str = "/api/v1/plans";
/// `GET` a page of [`super::customers::CustomerView`], `POST` a [`super::customers::CreateCustomer`].
pub const CUSTOMERS: &str = "/api/v1/customers";
/// `GET` a page of [`super::licenses::LicenseView`], `POST` a [`super::licenses::CreateLicense`].
pub const LICENSES: &str = "/api/v1/licenses";

/// `GET` a page of [`super::requests::RequestView`], `POST` a [`super::requests::CreateRequest`].
pub const REQUESTS: &str = "/api/v1/requests";

/// `GET`, `PATCH` a [`super::users::UpdateUser`], `DELETE`.
#[must_use]
pub fn user(id: impl Display) -> String {
    format!("{USERS}/{id}")
}

/// `POST`: `disable` and `enable` without body, `reset-password` with a [`super::users::ResetPassword`].
#[must_use]
pub fn user_do(id: impl Display, what: &str) -> String {
    format!("{USERS}/{id}/{what}")
}

/// `DELETE`.
#[must_use]
pub fn own_session(id: impl Display) -> String {
    format!("{ME_SESSIONS}/{id}")
}

/// `GET` all of [`super::users::SessionView`] as one page.
#[must_use]
pub fn user_sessions(id: impl Display) -> String {
    format!("{USERS}/{id}/sessions")
}

/// `DELETE`.
#[must_use]
pub fn user_session(user: impl Display, id: impl Display) -> String {
    format!("{USERS}/{user}/sessions/{id}")
}

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

/// `POST` a [`super::hosts::RevokeHost`]: [`super::hosts::HostView`].
#[must_use]
pub fn host_revoke(name: impl Display) -> String {
    format!("{HOSTS}/{name}/revoke")
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

/// `GET`: [`super::ingest::LogPage`].
#[must_use]
pub fn tenant_logs(slug: impl Display) -> String {
    format!("{TENANTS}/{slug}/logs")
}

/// `GET` a page of [`super::ingest::UsageDay`], or CSV with `format=csv`.
#[must_use]
pub fn tenant_usage(slug: impl Display) -> String {
    format!("{TENANTS}/{slug}/usage")
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

/// `GET`, `PATCH` a [`super::plans::UpdatePlan`], `DELETE`.
#[must_use]
pub fn plan(name: impl Display) -> String {
    format!("{PLANS}/{name}")
}

/// `POST` without body: [`super::plans::PlanView`]. `what` is `archive` or `unarchive`.
#[must_use]
pub fn plan_do(name: impl Display, what: &str) -> String {
    format!("{PLANS}/{name}/{what}")
}

/// `GET`, `PATCH` a [`super::customers::UpdateCustomer`], `DELETE`.
#[must_use]
pub fn customer(id: impl Display) -> String {
    format!("{CUSTOMERS}/{id}")
}

/// `GET`, `PATCH` a [`super::licenses::UpdateLicense`].
#[must_use]
pub fn license(id: impl Display) -> String {
    format!("{LICENSES}/{id}")
}

/// `POST`: `suspend` and `revoke` a [`super::licenses::Because`], `renew` a
/// [`super::licenses::RenewLicense`], `reinstate` without body, each answered by
/// [`super::licenses::LicenseView`]; `reveal` without body: [`super::licenses::LicenseKeyShown`].
#[must_use]
pub fn license_do(id: impl Display, what: &str) -> String {
    format!("{LICENSES}/{id}/{what}")
}

/// `GET` a page of [`super::tenant_keys::TenantKeyView`], `POST` without body:
/// [`super::tenant_keys::TenantKeyCreated`].
#[must_use]
pub fn tenant_keys(slug: impl Display) -> String {
    format!("{TENANTS}/{slug}/keys")
}

/// `DELETE`.
#[must_use]
pub fn tenant_key(slug: impl Display, id: impl Display) -> String {
    format!("{TENANTS}/{slug}/keys/{id}")
}

/// `POST` a [`super::tenant_keys::RotateTenantKey`]: [`super::tenant_keys::TenantKeyCreated`].
#[must_use]
pub fn tenant_key_rotate(slug: impl Display, id: impl Display) -> String {
    format!("{TENANTS}/{slug}/keys/{id}/rotate")
}

/// `GET`: [`super::requests::RequestView`].
#[must_use]
pub fn request(id: impl Display) -> String {
    format!("{REQUESTS}/{id}")
}

/// `POST`: `approve` an [`super::requests::ApproveRequest`] (or no body), `reject` a
/// [`super::requests::RejectRequest`], `withdraw` and `retry` without body, each answered by
/// [`super::requests::RequestView`].
#[must_use]
pub fn request_do(id: impl Display, what: &str) -> String {
    format!("{REQUESTS}/{id}/{what}")
}
