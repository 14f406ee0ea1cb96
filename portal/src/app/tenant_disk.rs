//! An agent tells what tenants have on its disk. Nothing holds a volume to a size: what is more than the
//! plan gives is seen, told once, and stops further deploys (`tenant_license`).

use freehold_protocol::report::TenantHealth;
use serde_json::json;

use crate::{
    db::{
        Tx,
        audit::{self, Entry},
        hosts::HostRow,
        tenant_disk,
    },
    error::AppError,
};

/// Notes what was counted, and tells of the tenants of the host that have passed the limits of their
/// plans. That is looked at again although nothing new was counted: plans and licenses change, too.
///
/// # Errors
/// When the database fails.
pub(super) fn note(tx: &Tx<'_>, host: &HostRow, tenants: &[TenantHealth]) -> Result<(), AppError> {
    for health in tenants {
        if let Some(disk) = health.disk {
            tenant_disk::note(tx, host.id, health.tenant, disk)?;
        }
    }
    for crossing in tenant_disk::crossings(tx, host.id)? {
        if crossing.is_over {
            tracing::warn!(tenant = %crossing.slug, host = %host.name, used_bytes = crossing.used, plan_gb = crossing.given_gb,
                "a tenant has more on the disk than its plan gives");
        }
        audit::append(
            tx,
            &Entry {
                actor: &format!("agent:{}", host.name),
                action: if crossing.is_over { "tenant.disk_over" } else { "tenant.disk_within" },
                object_kind: "tenant",
                object_id: &crossing.tenant.to_string(),
                detail: json!({
                    "slug": crossing.slug,
                    "usedBytes": crossing.used,
                    "plan": crossing.plan,
                    "diskGb": crossing.given_gb,
                }),
            },
        )?;
    }
    Ok(())
}
