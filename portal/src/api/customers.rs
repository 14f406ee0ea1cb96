//! Customers: who holds licenses.

use freehold_protocol::{ids::Email, time::Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::ids::CustomerId;

/// Longest organization id, in characters.
pub const MAX_ORGANIZATION_CHARS: usize = 128;
/// Longest notes, in bytes.
pub const MAX_NOTES_BYTES: usize = 4096;

/// `POST /customers`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateCustomer {
    /// The name as people write it.
    #[schemars(with = "super::schema::PersonText")]
    pub name: String,
    /// An address to write to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Email>")]
    pub email: Option<String>,
    /// What the customer's apps send as `organizationId`: 1 to [`MAX_ORGANIZATION_CHARS`] visible
    /// ASCII characters, unique. The customer's identifier when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::OrganizationId>")]
    pub organization_id: Option<String>,
    /// Free text for the admins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::NotesText>")]
    pub notes: Option<String>,
}

/// `PATCH /customers/{id}`: only what is given changes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateCustomer {
    /// The new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::PersonText>")]
    pub name: Option<String>,
    /// The new address; an empty text takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::EmailOrNothing>")]
    pub email: Option<String>,
    /// The new organization id: apps that still send the old one are refused from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::OrganizationId>")]
    pub organization_id: Option<String>,
    /// The new notes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::NotesText>")]
    pub notes: Option<String>,
}

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomerView {
    /// The identifier.
    pub id: CustomerId,
    /// The name as people write it.
    pub name: String,
    /// An address to write to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// What the customer's apps send as `organizationId`.
    pub organization_id: String,
    /// Free text for the admins.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// Licenses, whatever their status.
    pub licenses: u64,
    /// Version of the row, for `If-Match`.
    pub generation: u64,
    /// Who created it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
