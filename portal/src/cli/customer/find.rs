//! A customer by what people know of it.

use crate::{
    api::{customers::CustomerView, paths},
    cli::{error::CliError, remote::Client},
    domain::ids::CustomerId,
    exit::Exit,
};

/// Finds a customer by identifier or organization id.
///
/// # Errors
/// When there is none, or the portal cannot be asked.
pub(crate) fn find(client: &Client, text: &str) -> Result<CustomerView, CliError> {
    if let Ok(id) = text.parse::<CustomerId>() {
        return Ok(client.get(&paths::customer(id), &Vec::new())?);
    }
    let query = vec![("organizationId", text.to_owned())];
    let mut found: Vec<CustomerView> = client.list(paths::CUSTOMERS, &query, Some(1))?;
    found.pop().ok_or_else(|| {
        CliError::new(Exit::NotFound, format!("no customer has the organization id {text}"))
            .hint("`freehold customer list` shows them")
    })
}
