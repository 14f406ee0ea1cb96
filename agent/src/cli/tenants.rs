//! `freehold-agent tenants`

use clap::Args;

use super::{CliError, open_journal, output};
use crate::{config::Config, exit::Exit, journal::tenants::TenantRecord};

/// Lists the tenants of this host.
#[derive(Debug, Args)]
pub struct Tenants {
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Tenants {
    pub(super) fn run(&self, config: &Config) -> Result<Exit, CliError> {
        let tenants = open_journal(config)?.tenants()?;
        if self.json {
            output::json(&tenants);
        } else if tenants.is_empty() {
            output::out("No tenant is deployed on this host.\n");
        } else {
            output::out(&rows(&tenants));
        }
        Ok(Exit::Ok)
    }
}

/// The table, for `status` too.
pub(super) fn rows(tenants: &[TenantRecord]) -> String {
    let rows: Vec<Vec<String>> = tenants
        .iter()
        .map(|tenant| {
            vec![
                tenant.slug.to_string(),
                tenant.state.as_str().to_owned(),
                tenant.domain.to_string(),
                format!("{} {}", tenant.release.blueprint, tenant.release.number),
                tenant.project.clone(),
                tenant.tenant.to_string(),
            ]
        })
        .collect();
    output::table(&["TENANT", "STATE", "DOMAIN", "RELEASE", "PROJECT", "ID"], &rows)
}
