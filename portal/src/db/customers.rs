//! Customers.

use freehold_protocol::{ids::Email, time::Timestamp};
use rusqlite::{OptionalExtension, Row, params};

use super::{
    Read, Tx, expect_one, is_unique_violation, licensing,
    row::{column, optional},
};
use crate::{domain::ids::CustomerId, error::AppError};

/// A customer as it is stored, with the number of its licenses.
#[derive(Debug, Clone)]
pub struct CustomerRow {
    /// The identifier.
    pub id: CustomerId,
    /// The name as people write it.
    pub name: String,
    /// An address to write to.
    pub email: Option<Email>,
    /// What the customer's apps send as `organizationId`.
    pub organization_id: String,
    /// Free text for the admins.
    pub notes: String,
    /// Licenses, whatever their status.
    pub licenses: u64,
    /// Version of the row.
    pub generation: u64,
    /// Who created it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const SELECT: &str = "SELECT c.id, c.name, c.email, c.organization_id, c.notes,
    (SELECT count(*) FROM licenses l WHERE l.customer_id = c.id),
    c.generation, c.created_by, c.created_at, c.updated_at FROM customers c";

fn of_row(row: &Row<'_>) -> rusqlite::Result<CustomerRow> {
    Ok(CustomerRow {
        id: column(row, 0)?,
        name: row.get(1)?,
        email: optional(row, 2)?,
        organization_id: row.get(3)?,
        notes: row.get(4)?,
        licenses: row.get::<_, i64>(5)?.unsigned_abs(),
        generation: row.get::<_, i64>(6)?.unsigned_abs(),
        created_by: row.get(7)?,
        created_at: Timestamp::from_millis(row.get(8)?),
        updated_at: Timestamp::from_millis(row.get(9)?),
    })
}

fn taken(error: rusqlite::Error, customer: &CustomerRow) -> AppError {
    if !is_unique_violation(&error) {
        return error.into();
    }
    let id = &customer.organization_id;
    AppError::conflict(
        "organization_taken",
        format!("another customer has the organization id {id}"),
    )
    .advice("choose another one, or change the other customer first")
    .because(error)
}

/// Adds a customer.
///
/// # Errors
/// `organization_taken`.
pub fn insert(tx: &Tx<'_>, customer: &CustomerRow) -> Result<(), AppError> {
    tx.sql()
        .execute(
            "INSERT INTO customers (id, name, email, organization_id, notes, created_by, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
            params![
                customer.id.to_string(),
                customer.name,
                customer.email.as_ref().map(Email::as_str),
                customer.organization_id,
                customer.notes,
                customer.created_by,
                tx.now().as_millis(),
            ],
        )
        .map_err(|error| taken(error, customer))?;
    Ok(())
}

/// Writes a customer, if it still has the generation that it was read with.
///
/// # Errors
/// `transition_refused`, `organization_taken`.
pub fn update(tx: &Tx<'_>, customer: &CustomerRow) -> Result<(), AppError> {
    let changed = tx
        .sql()
        .execute(
            "UPDATE customers SET name = ?3, email = ?4, organization_id = ?5, notes = ?6,
                generation = generation + 1, updated_at = ?7
             WHERE id = ?1 AND generation = ?2",
            params![
                customer.id.to_string(),
                customer.generation.cast_signed(),
                customer.name,
                customer.email.as_ref().map(Email::as_str),
                customer.organization_id,
                customer.notes,
                tx.now().as_millis(),
            ],
        )
        .map_err(|error| taken(error, customer))?;
    licensing::touch(tx)?;
    expect_one(changed, "customer")
}

/// Deletes a customer with its licenses, all of which must be over; no tenant may have one of them
/// but those that were removed.
///
/// # Errors
/// `transition_refused`.
pub fn delete(tx: &Tx<'_>, id: CustomerId) -> Result<(), AppError> {
    let id = id.to_string();
    tx.sql().execute(
        "UPDATE tenants SET license_id = NULL WHERE status = 'removed'
            AND license_id IN (SELECT id FROM licenses WHERE customer_id = ?1)",
        [&id],
    )?;
    tx.sql().execute("DELETE FROM licenses WHERE customer_id = ?1", [&id])?;
    let changed = tx.sql().execute("DELETE FROM customers WHERE id = ?1", [&id])?;
    licensing::touch(tx)?;
    expect_one(changed, "customer")
}

/// The customer with this identifier.
///
/// # Errors
/// When the database fails.
pub fn by_id(read: &Read<'_>, id: CustomerId) -> Result<Option<CustomerRow>, AppError> {
    let sql = format!("{SELECT} WHERE c.id = ?1");
    Ok(read.sql().prepare_cached(&sql)?.query_row([id.to_string()], of_row).optional()?)
}

/// Up to `limit` customers after the one with identifier `after`, oldest first; only the one with
/// an organization id when that is given.
///
/// # Errors
/// When the database fails.
pub fn list(
    read: &Read<'_>,
    organization_id: Option<&str>,
    after: &str,
    limit: u32,
) -> Result<Vec<CustomerRow>, AppError> {
    let sql = format!(
        "{SELECT} WHERE c.id > ?1 AND (?2 IS NULL OR c.organization_id = ?2) ORDER BY c.id LIMIT ?3"
    );
    let mut statement = read.sql().prepare_cached(&sql)?;
    let rows = statement.query_map(params![after, organization_id, limit], of_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
