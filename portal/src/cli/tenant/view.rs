//! Tenants as text.

use freehold_protocol::{job::CertificateSource, report::HealthStatus, time::Timestamp};

use crate::{
    api::tenants::TenantView,
    cli::output::{Fields, Table, age, moment, short_id},
    domain::disk::Amount,
};

/// The spelling of a verdict.
pub(crate) const fn health(status: HealthStatus) -> &'static str {
    match status {
        HealthStatus::Healthy => "healthy",
        HealthStatus::Degraded => "degraded",
        HealthStatus::Unhealthy => "unhealthy",
        HealthStatus::Absent => "absent",
    }
}

fn release(tenant: &TenantView) -> String {
    let wanted = tenant.release_wanted;
    match tenant.release_deployed {
        Some(deployed) if deployed == wanted => format!("{}/{deployed}", tenant.blueprint),
        Some(deployed) => format!("{}/{deployed} → {wanted}", tenant.blueprint),
        None => format!("{}/– → {wanted}", tenant.blueprint),
    }
}

/// The status; one that is older than its host's loss is not shown as if it were true.
fn status(tenant: &TenantView) -> String {
    match tenant.unknown_since {
        Some(_) => format!("unknown ({} before)", tenant.status),
        None => tenant.status.clone(),
    }
}

/// Many tenants.
pub(crate) fn table(tenants: &[TenantView], now: Timestamp) -> Table {
    let mut table =
        Table::new(["SLUG", "STATUS", "HEALTH", "DOMAIN", "HOST", "RELEASE", "AGE", "JOB"]);
    for tenant in tenants {
        table.row([
            tenant.slug.to_string(),
            status(tenant),
            tenant
                .health
                .as_ref()
                .filter(|_| tenant.unknown_since.is_none())
                .map_or("–", |found| health(found.status))
                .to_owned(),
            tenant.domain.to_string(),
            tenant.host.to_string(),
            release(tenant),
            age(tenant.created_at, now),
            tenant.open_job.map_or_else(String::new, short_id),
        ]);
    }
    table
}

/// One tenant.
pub(crate) fn details(tenant: &TenantView, now: Timestamp) -> String {
    let at = |time: Timestamp| moment(time, now);
    let certificate = match &tenant.certificate {
        CertificateSource::Acme => "acme".to_owned(),
        CertificateSource::Installed { name } => format!("installed:{name}"),
    };
    let pairs = |(key, value): (&String, &String)| format!("{key}={value}");
    let mut fields = Fields::new()
        .add("slug", &tenant.slug)
        .add("name", &tenant.name)
        .add("status", status(tenant))
        .add("domain", &tenant.domain)
        .add("host", &tenant.host)
        .add("release", release(tenant))
        .add("certificate", certificate)
        .add_some("license", tenant.license)
        .add_all("settings", tenant.settings.iter().map(pairs))
        .add_some("admin", tenant.admin_email.as_ref())
        .add_some("admin name", tenant.admin_name.as_ref())
        .add("onboarded", if tenant.onboarded { "yes" } else { "no" });
    if let Some(since) = tenant.unknown_since {
        fields = fields.add(
            "unknown since",
            format!(
                "{}: host {} was revoked; deploy it again there once a machine is enrolled, or `freehold tenant forget {}` and add it on another host",
                at(since),
                tenant.host,
                tenant.slug
            ),
        );
    }
    if tenant.credentials == "waiting" {
        fields = fields.add(
            "credentials",
            format!("waiting: `freehold tenant credentials {}` shows them once", tenant.slug),
        );
    }
    fields = fields
        .add_all("endpoints", tenant.endpoints.iter().map(pairs))
        .add_all("ports", tenant.ports.iter().map(|(role, port)| format!("{role}={port}")))
        .add_all("kept volumes", &tenant.kept_volumes)
        .add_some("open job", tenant.open_job)
        .add("id", tenant.id)
        .add("created", format!("{} by {}", at(tenant.created_at), tenant.created_by))
        .add("updated", at(tenant.updated_at))
        .add_some("removed", tenant.removed_at.map(at));
    if let Some(found) = &tenant.disk {
        let of = found
            .limit_bytes
            .map_or_else(String::new, |limit| format!(" of {} that its plan gives", Amount(limit)));
        fields = fields.add(
            "disk",
            format!("{}{of}, counted {}", Amount(found.used_bytes), at(found.measured_at)),
        );
        if found.over {
            fields = fields.add(
                "disk full",
                format!(
                    "no other release before data is deleted and counted again (`freehold tenant check {}`), or its plan gives more",
                    tenant.slug
                ),
            );
        }
    }
    if let Some(found) = &tenant.health {
        fields = fields
            .add("health", format!("{}, {}", health(found.status), at(found.at)))
            .add_all("problems", &found.problems)
            .add_all(
                "containers",
                found.containers.iter().map(|container| {
                    let of = |word: &str| {
                        if word == "none" { String::new() } else { format!(", {word}") }
                    };
                    format!(
                        "{}: {}{}, {}, {} restarts",
                        container.service,
                        container.state,
                        of(&container.health),
                        container.image,
                        container.restarts
                    )
                }),
            )
            .add_some("cert expires", found.certificate_expires.map(at));
    }
    if let Some(said) = &tenant.app_health {
        fields = fields
            .add(
                "app says",
                format!("{} since {}, last {}", said.status, at(said.since), at(said.received_at)),
            )
            .add_some("app version", said.version.as_ref())
            .add_some("app message", said.message.as_ref())
            .add_all("app checks", checks(&said.checks));
    }
    fields.render()
}

/// Single checks of an app, as a line each.
fn checks(checks: &serde_json::Value) -> Vec<String> {
    let of = |check: &serde_json::Value, field: &str| {
        check.get(field).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
    };
    let Some(checks) = checks.as_object() else { return Vec::new() };
    checks
        .iter()
        .map(|(name, check)| match of(check, "message") {
            message if message.is_empty() => format!("{name}: {}", of(check, "status")),
            message => format!("{name}: {}, {message}", of(check, "status")),
        })
        .collect()
}
