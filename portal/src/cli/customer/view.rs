//! Customers as text.

use freehold_protocol::time::Timestamp;

use crate::{
    api::customers::CustomerView,
    cli::output::{Fields, Table, age, moment},
};

/// Many customers.
pub(crate) fn table(customers: &[CustomerView], now: Timestamp) -> Table {
    let mut table = Table::new(["ID", "NAME", "ORGANIZATION", "EMAIL", "LICENSES", "AGE"]);
    for customer in customers {
        table.row([
            customer.id.to_string(),
            customer.name.clone(),
            customer.organization_id.clone(),
            customer.email.as_ref().map_or_else(|| "–".into(), ToString::to_string),
            customer.licenses.to_string(),
            age(customer.created_at, now),
        ]);
    }
    table
}

/// One customer.
pub(crate) fn details(customer: &CustomerView, now: Timestamp) -> String {
    let at = |time: Timestamp| moment(time, now);
    let mut fields = Fields::new()
        .add("id", customer.id)
        .add("name", &customer.name)
        .add("organization", &customer.organization_id)
        .add_some("email", customer.email.as_ref())
        .add("licenses", customer.licenses)
        .add("created", format!("{} by {}", at(customer.created_at), customer.created_by))
        .add("updated", at(customer.updated_at));
    if !customer.notes.is_empty() {
        fields = fields.add("notes", &customer.notes);
    }
    fields.render()
}
