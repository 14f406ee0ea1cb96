//! Requests as text.

use freehold_protocol::{job::CertificateSource, time::Timestamp};

use crate::{
    api::requests::{AmountView, CapacityView, RequestView},
    cli::output::{Fields, Table, moment},
    domain::request::RequestStatus,
};

/// Many requests.
pub(crate) fn table(requests: &[RequestView], now: Timestamp) -> Table {
    let mut table =
        Table::new(["ID", "STATUS", "TENANT", "HOST", "RELEASE", "CUSTOMER", "BY", "MADE"]);
    for request in requests {
        table.row([
            request.id.to_string(),
            request.status.clone(),
            request.slug.to_string(),
            request.host.to_string(),
            format!("{}:{}", request.blueprint, request.release),
            request.customer_name.clone(),
            request.requested_by.clone(),
            moment(request.created_at, now),
        ]);
    }
    table
}

/// One request.
pub(crate) fn details(request: &RequestView, now: Timestamp) -> String {
    let at = |time: Timestamp| moment(time, now);
    let mut fields = Fields::new()
        .add("id", request.id)
        .add("status", &request.status)
        .add("asked for", format!("{} by {}", at(request.created_at), request.requested_by))
        .add("justification", &request.justification)
        .add("tenant", format!("{} ({})", request.slug, request.name))
        .add("domain", &request.domain)
        .add("host", &request.host)
        .add("model", &request.deployment_model)
        .add("release", format!("{}:{}", request.blueprint, request.release))
        .add("customer", format!("{} ({})", request.customer_name, request.customer))
        .add("license", request.license);
    if let Some(detail) = &request.detail {
        let settings = detail.settings.iter().map(|(name, value)| format!("{name}={value}"));
        fields = fields
            .add_all("settings", settings)
            .add_some("first admin", detail.admin_email.as_ref())
            .add(
                "certificate",
                match &detail.certificate {
                    CertificateSource::Acme => "acme".to_owned(),
                    CertificateSource::Installed { name } => format!("installed: {name}"),
                },
            );
    }
    fields = fields.add("digest", request.digest);
    if let Some(by) = &request.decided_by {
        let when = request.decided_at.map(|time| format!("{} by ", at(time))).unwrap_or_default();
        fields = fields.add("decided", format!("{when}{by}"));
    }
    if !request.comment.is_empty() {
        fields = fields.add("comment", &request.comment);
    }
    if request.despite_capacity {
        fields = fields.add("capacity", "approved although the host falls short");
    }
    fields = fields.add_some("job", request.job);
    if let Some(failure) = &request.failure {
        fields = fields.add("failure", format!("{} ({})", failure.what, failure.class));
        if request.status == RequestStatus::Failed.as_str() {
            let next = format!("{}; then `freehold request retry {}`", failure.advice, request.id);
            fields = fields.add("next", next);
        }
    }
    let mut text = fields.render();
    if let Some(capacity) = &request.capacity {
        text.push_str(&balance(request, capacity, now));
    }
    text
}

/// What the host has, and what would be left.
fn balance(request: &RequestView, capacity: &CapacityView, now: Timestamp) -> String {
    let mut table =
        Table::new([&request.host.to_string(), "HAS", "FREE", "PROMISED", "TAKES", "LEFT"]);
    let mut row = |what: &str, amount: Option<&AmountView>| {
        let Some(amount) = amount else { return };
        let left = if amount.left < 0 {
            format!("{} (short)", amount.left)
        } else {
            amount.left.to_string()
        };
        table.row([
            what.to_owned(),
            amount.total.to_string(),
            amount.free.map_or_else(|| "–".to_owned(), |free| free.to_string()),
            amount.promised.to_string(),
            amount.takes.to_string(),
            left,
        ]);
    };
    row("memory MiB", capacity.memory_mb.as_ref());
    row("CPU 1/1000", capacity.cpu_millis.as_ref());
    row("disk GiB", capacity.disk_gb.as_ref());
    if let Some(limit) = capacity.tenant_limit {
        let left = i64::from(limit) - i64::from(capacity.tenants) - 1;
        row(
            "tenants",
            Some(&AmountView {
                total: limit.into(),
                free: None,
                promised: capacity.tenants.into(),
                takes: 1,
                left,
            }),
        );
    }
    let reported = capacity.reported_at.map_or_else(
        || "its agent has never reported what it has".to_owned(),
        |at| format!("reported {}", moment(at, now)),
    );
    let mut text = format!("\n{}{reported}\n", table.render(None));
    if !capacity.lacks.is_empty() {
        text.push_str(&format!(
            "{} LACKS {}: approving it needs --despite-capacity\n",
            request.host,
            capacity.lacks.join(", ")
        ));
    }
    text
}
