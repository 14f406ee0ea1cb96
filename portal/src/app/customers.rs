//! What admins want of customers.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{changed::Changed, check_generation, tenant_input::Fields};
use crate::{
    api::customers::{self as wire, MAX_NOTES_BYTES, MAX_ORGANIZATION_CHARS},
    db::{
        Read, Tx,
        audit::{self, Entry},
        customers::{self, CustomerRow},
        licenses, requests,
    },
    domain::{ids::CustomerId, license::LicenseStatus},
    error::AppError,
};

/// Most licenses that are looked through before a customer is deleted; one with more is kept.
const MAX_LICENSES: u32 = 10_000;

/// The customer with an identifier.
///
/// # Errors
/// When there is none.
pub fn find(read: &Read<'_>, id: CustomerId) -> Result<CustomerRow, AppError> {
    customers::by_id(read, id)?.ok_or_else(|| AppError::not_found("customer", id))
}

fn summary(customer: &CustomerRow) -> Value {
    // The audit log cannot be changed: of a person it keeps no more than it must.
    json!({ "name": customer.name, "organizationId": customer.organization_id })
}

fn record(
    tx: &Tx<'_>,
    actor: &str,
    action: &str,
    customer: &CustomerRow,
    detail: Value,
) -> Result<(), AppError> {
    let object_id = &customer.id.to_string();
    audit::append(tx, &Entry { actor, action, object_kind: "customer", object_id, detail })
}

/// Whether a text may be what a customer's apps send as `organizationId`.
#[must_use]
pub fn is_organization(text: &str) -> bool {
    (1..=MAX_ORGANIZATION_CHARS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn check_organization(fields: &mut Fields, text: &str) {
    if !is_organization(text) {
        fields.refuse(
            "/organizationId",
            format!(
                "use 1 to {MAX_ORGANIZATION_CHARS} ASCII characters without spaces, exactly as the customer's apps send them"
            ),
        );
    }
}

fn check_notes(fields: &mut Fields, text: &str) {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.len() > MAX_NOTES_BYTES || text.contains(steers) {
        fields.refuse(
            "/notes",
            format!("use at most {MAX_NOTES_BYTES} bytes of text without control characters"),
        );
    }
}

/// Somebody wants a new customer.
#[derive(Debug)]
pub struct CreateCustomer {
    /// As it was written.
    pub request: wire::CreateCustomer,
    /// Who asks.
    pub actor: String,
}

impl CreateCustomer {
    /// Writes it down.
    ///
    /// # Errors
    /// Every wrong field at once, or a taken organization id.
    pub fn apply(self, tx: &Tx<'_>) -> Result<CustomerRow, AppError> {
        let wire::CreateCustomer { name, email, organization_id, notes } = self.request;
        let mut fields = Fields::default();
        fields.person_text("/name", &name);
        let email = fields.parse_optional("/email", email.as_deref());
        if let Some(text) = &organization_id {
            check_organization(&mut fields, text);
        }
        let notes = notes.unwrap_or_default();
        check_notes(&mut fields, &notes);
        fields.done()?;
        let id = CustomerId::from_uuid(Uuid::now_v7());
        let customer = CustomerRow {
            id,
            name,
            email,
            organization_id: organization_id.unwrap_or_else(|| id.to_string()),
            notes,
            licenses: 0,
            generation: 1,
            created_by: self.actor.clone(),
            created_at: tx.now(),
            updated_at: tx.now(),
        };
        customers::insert(tx, &customer)?;
        record(tx, &self.actor, "customer.create", &customer, summary(&customer))?;
        Ok(customer)
    }
}

/// Somebody wants a customer changed.
#[derive(Debug)]
pub struct UpdateCustomer {
    /// Which.
    pub id: CustomerId,
    /// What `If-Match` named.
    pub generation: Option<u64>,
    /// As it was written.
    pub request: wire::UpdateCustomer,
    /// Who asks.
    pub actor: String,
}

impl UpdateCustomer {
    /// Changes it.
    ///
    /// # Errors
    /// Wrong fields, 412, or a taken organization id.
    pub fn apply(self, tx: &Tx<'_>) -> Result<CustomerRow, AppError> {
        let before = find(tx, self.id)?;
        check_generation(self.generation, before.generation)?;
        let mut customer = before.clone();
        let mut fields = Fields::default();
        if let Some(name) = self.request.name {
            fields.person_text("/name", &name);
            customer.name = name;
        }
        match self.request.email.as_deref() {
            None => {}
            Some("") => customer.email = None,
            Some(text) => customer.email = fields.parse("/email", text),
        }
        if let Some(text) = self.request.organization_id {
            check_organization(&mut fields, &text);
            customer.organization_id = text;
        }
        if let Some(notes) = self.request.notes {
            check_notes(&mut fields, &notes);
            customer.notes = notes;
        }
        fields.done()?;
        customers::update(tx, &customer)?;
        let changed = Changed::between(&summary(&before), &summary(&customer))
            .unshown("email", customer.email != before.email)
            .unshown("notes", customer.notes != before.notes);
        record(tx, &self.actor, "customer.update", &customer, changed.detail())?;
        find(tx, self.id)
    }
}

/// Somebody wants a customer gone.
#[derive(Debug)]
pub struct DeleteCustomer {
    /// Which.
    pub id: CustomerId,
    /// What `If-Match` named.
    pub generation: Option<u64>,
    /// Who asks.
    pub actor: String,
}

impl DeleteCustomer {
    /// Deletes it, with its licenses that are over; the audit log keeps what was done.
    ///
    /// # Errors
    /// 412; `customer_in_use` while a license is not over or a tenant is there.
    pub fn apply(self, tx: &Tx<'_>) -> Result<(), AppError> {
        let customer = find(tx, self.id)?;
        check_generation(self.generation, customer.generation)?;
        let in_use = |message: String| AppError::conflict("customer_in_use", message);
        let tenants = licenses::tenants_of_customer(tx, customer.id)?;
        if let Some(first) = tenants.first() {
            return Err(in_use(format!(
                "{} has {} tenants, {first} for one",
                customer.name,
                tenants.len()
            ))
            .advice("remove the customer's tenants first, or give them another license"));
        }
        if let Some(request) = requests::open_of_customer(tx, customer.id)? {
            return Err(in_use(format!(
                "the request {request} for a tenant of {} is not closed",
                customer.name
            ))
            .advice(format!("have it decided first: `freehold request show {request}`")));
        }
        let filter = licenses::Filter { customer: Some(customer.id), ..Default::default() };
        let all = licenses::list(tx, &filter, "", MAX_LICENSES + 1)?;
        let open = all.iter().find(|license| {
            !matches!(
                license.status.at(license.expires_at, tx.now()),
                LicenseStatus::Revoked | LicenseStatus::Expired
            )
        });
        if let Some(license) = open {
            return Err(in_use(format!(
                "the license {} of {} is neither revoked nor expired",
                license.id, customer.name
            ))
            .advice(format!(
                "revoke it first: `freehold license revoke {} --reason …`",
                license.id
            )));
        }
        if all.len() > MAX_LICENSES as usize {
            return Err(in_use(format!("{} has more than {MAX_LICENSES} licenses", customer.name)));
        }
        customers::delete(tx, customer.id)?;
        record(tx, &self.actor, "customer.delete", &customer, summary(&customer))
    }
}
