//! `freehold-agent unenroll`

use clap::Args;

use super::{CliError, open_journal, output};
use crate::{
    config::Config,
    exit::Exit,
    identity::{self, Paths},
    journal::{chain::JobState, tenants::TenantState},
    lock::StateLock,
};

/// Leaves the portal: deletes this host's keys and its enrollment. Tenants and the journal stay. Stop
/// the services first.
#[derive(Debug, Args)]
pub struct Unenroll {
    /// Leave although tenants are deployed; they go on running without being managed
    #[arg(long)]
    keep_tenants: bool,
}

impl Unenroll {
    pub(super) fn run(&self, config: &Config) -> Result<Exit, CliError> {
        let journal = open_journal(config)?;
        let Some(enrollment) = journal.enrollment()? else {
            return Err(CliError::new(Exit::NotEnrolled, "this host is not enrolled", ""));
        };
        // A living executor would go on with its queue, and with the keys that it has read.
        let _lock = StateLock::take(&config.state_dir)?;
        let open = journal.open_jobs()?;
        if let Some(row) = open.iter().find(|row| row.state == JobState::Running) {
            return Err(CliError::new(
                Exit::Refused,
                format!("job {} is running", row.job.job_id),
                "start the services, run `freehold-agent drain`, wait until `freehold-agent status` shows no job, stop them and try again",
            ));
        }
        let tenants = journal.tenants()?;
        let deployed: Vec<_> =
            tenants.iter().filter(|tenant| tenant.state == TenantState::Deployed).collect();
        if !deployed.is_empty() && !self.keep_tenants {
            let names: Vec<_> = deployed.iter().map(|tenant| tenant.slug.as_str()).collect();
            return Err(CliError::new(
                Exit::Refused,
                format!("tenants are deployed on this host: {}", names.join(", ")),
                "remove them at the portal first, or give --keep-tenants: they go on running, and nobody manages them",
            ));
        }
        journal.unenroll()?;
        let paths = Paths::of(config);
        for path in paths.all() {
            identity::remove(path)?;
        }
        output::out(&format!(
            "This host has left {}. Its keys are deleted.\n",
            enrollment.portal_url
        ));
        output::out(&format!(
            "What stays:\n  {}   the record of every job\n  {}   files of tenants\n",
            config.journal_path().display(),
            config.tenants_dir().display()
        ));
        if !deployed.is_empty() {
            output::out(&format!(
                "Tenants that go on running:\n{}",
                super::tenants::rows(&tenants)
            ));
        }
        output::out(&format!(
            "Revoke the host {} at the portal too. Keep the services from the next start with\n`systemctl disable freehold-agent freehold-executor.socket freehold-executor`.\n",
            enrollment.receipt.host_name
        ));
        Ok(Exit::Ok)
    }
}
