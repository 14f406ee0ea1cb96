//! Licenses as text.

use freehold_protocol::time::Timestamp;

use crate::{
    api::licenses::LicenseView,
    cli::output::{Fields, Table, moment},
};

/// Many licenses.
pub(crate) fn table(licenses: &[LicenseView], now: Timestamp) -> Table {
    let mut table = Table::new(["ID", "CUSTOMER", "PLAN", "STATUS", "KEY", "EXPIRES", "TENANTS"]);
    for license in licenses {
        let tenants: Vec<String> = license.tenants.iter().map(ToString::to_string).collect();
        table.row([
            license.id.to_string(),
            license.customer_name.clone(),
            license.plan.to_string(),
            license.status.clone(),
            license.key_hint.clone(),
            license.expires_at.map_or_else(|| "never".into(), |at| moment(at, now)),
            tenants.join(", "),
        ]);
    }
    table
}

/// One license.
pub(crate) fn details(license: &LicenseView, now: Timestamp) -> String {
    let at = |time: Timestamp| moment(time, now);
    let differs = &license.overrides;
    let signed = |sign: char, names: &[String]| -> Vec<String> {
        names.iter().map(|name| format!("{sign}{name}")).collect()
    };
    let pairs = |(name, value): (&String, &u64)| format!("{name}={value}");
    let mut fields = Fields::new()
        .add("id", license.id)
        .add("key", &license.key_hint)
        .add("customer", format!("{} ({})", license.customer_name, license.customer))
        .add("plan", &license.plan)
        .add("status", format!("{} since {}", license.status, at(license.status_at)));
    if !license.status_reason.is_empty() {
        fields = fields.add("reason", &license.status_reason);
    }
    fields
        .add("expires", license.expires_at.map_or_else(|| "never".into(), at))
        .add_some("grace until", license.grace_until.map(at))
        .add_all("products", &license.products)
        .add_all("features", &license.features)
        .add_all("limits", license.limits.iter().map(pairs))
        .add_all(
            "differs by",
            signed('+', &differs.products_added)
                .into_iter()
                .chain(signed('-', &differs.products_removed))
                .chain(signed('+', &differs.features_added))
                .chain(signed('-', &differs.features_removed))
                .chain(differs.limits.iter().map(pairs)),
        )
        .add_all("tenants", &license.tenants)
        .add_some("tenants due", license.tenants_due_at.map(at))
        .add_some("activated", license.activated_at.map(at))
        .add("last asked for", license.last_validated_at.map_or_else(|| "never".into(), at))
        .add("created", format!("{} by {}", at(license.created_at), license.created_by))
        .add("updated", at(license.updated_at))
        .render()
}
