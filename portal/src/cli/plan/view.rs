//! Plans as text.

use freehold_protocol::time::Timestamp;

use crate::{
    api::plans::PlanView,
    cli::output::{Fields, Table, moment},
};

fn expiry(plan: &PlanView) -> String {
    match plan.expiry_strategy.as_str() {
        "grace" => format!("grace for {} days", plan.grace_days),
        other => other.to_owned(),
    }
}

/// Many plans.
pub(crate) fn table(plans: &[PlanView]) -> Table {
    let mut table =
        Table::new(["NAME", "TITLE", "PRODUCTS", "USERS", "EXPIRY", "LICENSES", "STATE"]);
    for plan in plans {
        table.row([
            plan.name.to_string(),
            plan.title.clone(),
            plan.products.join(", "),
            plan.max_users.map_or_else(|| "any".into(), |users| users.to_string()),
            expiry(plan),
            plan.licenses.to_string(),
            if plan.archived_at.is_some() { "archived" } else { "open" }.to_owned(),
        ]);
    }
    table
}

/// One plan.
pub(crate) fn details(plan: &PlanView, now: Timestamp) -> String {
    let at = |time: Timestamp| moment(time, now);
    Fields::new()
        .add("name", &plan.name)
        .add("title", &plan.title)
        .add_all("products", &plan.products)
        .add_all("features", &plan.features)
        .add_all("limits", plan.limits.iter().map(|(name, value)| format!("{name}={value}")))
        .add_some("max users", plan.max_users)
        .add("max API keys", plan.max_api_keys)
        .add_some("memory", plan.quotas.memory_mb.map(|mib| format!("{mib} MiB")))
        .add_some("processor", plan.quotas.cpu_millis.map(|n| format!("{n}/1000")))
        .add_some("disk", plan.quotas.disk_gb.map(|gib| format!("{gib} GiB")))
        .add("expiry", expiry(plan))
        .add("licenses", plan.licenses)
        .add_some("archived", plan.archived_at.map(at))
        .add("created", format!("{} by {}", at(plan.created_at), plan.created_by))
        .add("updated", at(plan.updated_at))
        .render()
}
