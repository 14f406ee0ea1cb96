//! `freehold-agent ports`

use clap::Args;
use serde_json::json;

use super::{CliError, open_journal, output};
use crate::{config::Config, exit::Exit};

/// Lists the ports that are reserved for tenants.
#[derive(Debug, Args)]
pub struct Ports {
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Ports {
    pub(super) fn run(&self, config: &Config) -> Result<Exit, CliError> {
        let journal = open_journal(config)?;
        let tenants = journal.tenants()?;
        let ports = journal.all_ports()?;
        let slug = |id| {
            tenants
                .iter()
                .find(|tenant| tenant.tenant == id)
                .map_or_else(|| "(being deployed)".to_owned(), |tenant| tenant.slug.to_string())
        };
        if self.json {
            let list: Vec<_> = ports
                .iter()
                .map(|row| json!({"port": row.port, "role": row.role, "tenant": row.tenant, "slug": slug(row.tenant)}))
                .collect();
            output::json(&list);
        } else if ports.is_empty() {
            output::out("No port is reserved.\n");
        } else {
            let rows: Vec<_> = ports
                .iter()
                .map(|row| vec![row.port.to_string(), row.role.to_string(), slug(row.tenant)])
                .collect();
            output::out(&output::table(&["PORT", "ROLE", "TENANT"], &rows));
        }
        Ok(Exit::Ok)
    }
}
