//! The temporary password of a tenant's first admin: read once, then gone.

use freehold_protocol::{ids::TenantSlug, secret::Secret, time::Timestamp};
use serde_json::json;

use super::tenants::{find, record};
use crate::{
    db::{
        Tx,
        tenants::{self, TenantRow},
    },
    error::{AppError, Kind},
    keys::{MasterKey, Place},
};

/// Somebody wants to read the first admin's temporary password.
#[derive(Debug)]
pub struct RevealCredentials {
    /// Of which tenant.
    pub slug: TenantSlug,
    /// Who asks.
    pub actor: String,
}

impl RevealCredentials {
    /// Opens it, erases it and writes down who has seen it, all in one transaction.
    ///
    /// # Errors
    /// `credentials_shown` (410) the second time; 404 when there never was one.
    pub fn apply(self, tx: &Tx<'_>, master: &MasterKey) -> Result<(TenantRow, Secret), AppError> {
        let tenant = find(tx, &self.slug)?;
        let Some((sealed, at)) = tenants::credentials(tx, tenant.id)? else {
            if let Some(at) = tenant.credentials_shown_at {
                let at = jiff::Timestamp::from_millisecond(at.as_millis())
                    .map_or_else(|_| at.to_string(), |at| format!("{at:.0}"));
                return Err(AppError::new(
                    Kind::Gone,
                    "credentials_shown",
                    format!("the temporary password was shown already, at {at}, and is erased"),
                )
                .advice("use the app's own password reset; the audit log says who has seen it"));
            }
            return Err(AppError::new(Kind::NotFound, "no_credentials", format!("there is no temporary password of {}", tenant.slug))
                .advice("it comes with the first deployment of a tenant that has an adminEmail and whose blueprint has an onboard hook"));
        };
        let id = tenant.id.to_string();
        let password = master.open(&credentials_place(&id, at), &sealed)?;
        tenants::erase_credentials(tx, tenant.id)?;
        record(
            tx,
            &self.actor,
            "tenant.credentials_shown",
            &tenant,
            json!({ "slug": tenant.slug }),
        )?;
        Ok((tenant, password))
    }
}

/// Where a tenant's temporary password stands, for the master key; `at` is when it was kept.
pub(super) fn credentials_place(tenant_id: &str, at: Timestamp) -> Place<'_> {
    let version = at.as_millis().unsigned_abs();
    Place {
        table: "tenants",
        column: "credentials_sealed",
        row: tenant_id,
        tenant: tenant_id,
        version,
    }
}
