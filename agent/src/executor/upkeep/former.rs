//! Certificates that tenants had before they moved to another domain, or to an installed one. The job
//! that moves a tenant deletes them at its end; what it cannot delete, certbot would renew on and on, or
//! fail to, for a domain that points elsewhere by now. Here it is tried again until it is gone.

use std::time::Duration;

use freehold_protocol::{
    failure::{Failure, FailureClass},
    ids::TenantId,
    job::CertificateSource,
};

use super::{Tended, record::Trouble, with_commands_until};
use crate::{
    clock::Clock,
    executor::Executor,
    host::{
        certbot::{self, Which},
        nginx,
    },
    journal::{JournalError, tenants::TenantRecord},
};

/// Which certificates a tenant does not use.
fn unused(tenant: &TenantRecord) -> Which<'_> {
    match tenant.certificate {
        CertificateSource::Acme => Which::AllBut(&tenant.domain),
        CertificateSource::Installed { .. } => Which::All,
    }
}

impl Executor {
    /// Deletes what a deployed tenant does not use any more and records what came of it; returns how long
    /// the next look may wait.
    pub(super) fn clear_former(&self, tenant: &TenantRecord) -> Result<Duration, JournalError> {
        let before = self.live().certificates.get(&tenant.tenant).cloned().unwrap_or_default();
        let settings = &self.engine.host().config.certbot;
        let tended = match certbot::names(settings, tenant.tenant, unused(tenant)) {
            Ok(names) if names.is_empty() => Tended::Well,
            Ok(_) => {
                let wait = before.former.as_ref().map(|trouble| trouble.wait(self.clock.now()));
                if let Some(left) = wait.filter(|left| !left.is_zero()) {
                    return Ok(left);
                }
                self.delete_former(tenant)?
            }
            Err(error) => Tended::Failed(error.into()),
        };
        let (former, next) = match tended {
            Tended::Well | Tended::Renewed => (None, self.upkeep.every),
            Tended::NotNow => return Ok(super::BUSY_PAUSE),
            Tended::Failed(mut failure) => {
                failure.what = format!(
                    "a former certificate of {} is still there, and certbot goes on renewing it: {}",
                    tenant.slug, failure.what
                );
                failure.advice.push_str("; it is tried again by itself");
                let now = self.clock.now();
                let trouble = Trouble::after(before.former.as_ref(), failure, now);
                let next = trouble.wait(now);
                tracing::warn!(
                    tenant = %tenant.slug, attempts = trouble.attempts, what = %trouble.failure.what,
                    detail = %trouble.failure.detail, again_in_min = next.as_secs() / 60,
                    "a former certificate stays"
                );
                (Some(trouble), next)
            }
        };
        if former != before.former {
            self.change_records(|records| {
                records.entry(tenant.tenant).or_default().former = former;
            })?;
            self.live().look_again = true;
            self.changed.notify_all();
        }
        Ok(next)
    }

    fn delete_former(&self, tenant: &TenantRecord) -> Result<Tended, JournalError> {
        let host = self.engine.host();
        let config = &host.config;
        let Some(lock) = host.locks.certbot.lock(&self.halt) else { return Ok(Tended::NotNow) };
        let Some(_claim) = self.claim(tenant.tenant) else { return Ok(Tended::NotNow) };
        // A job that moves it has its new certificate before the journal has its new domain. One that is
        // stuck in between may have left either site.
        if self.journal.tenant(tenant.tenant)?.as_ref() != Some(tenant)
            || self.has_open_saga(tenant.tenant)?
        {
            return Ok(Tended::NotNow);
        }
        let which = unused(tenant);
        let names = match certbot::names(&config.certbot, tenant.tenant, which) {
            Ok(names) => names,
            Err(error) => return Ok(Tended::Failed(error.into())),
        };
        let deleted = with_commands_until(host.runner.as_ref(), &self.halt, |commands| {
            // One that a site of the operator's uses would take nginx down at its next reload.
            let nginx = nginx::look(commands, &config.nginx)?;
            if let Some(name) = names.iter().find(|name| nginx.config.contains(name.as_str())) {
                return Err(Failure::new(
                    FailureClass::Host,
                    format!("nginx uses {name}"),
                    format!(
                        "find the site with `nginx -T | grep {name}` and give it another certificate"
                    ),
                ));
            }
            Ok(certbot::delete(commands, &lock, &config.certbot, tenant.tenant, which)?)
        });
        Ok(match deleted {
            Ok(()) => {
                for name in names {
                    tracing::info!(tenant = %tenant.slug, %name, "a former certificate was deleted");
                }
                Tended::Well
            }
            Err(_) if self.is_stopping() => Tended::NotNow,
            Err(failure) => Tended::Failed(failure),
        })
    }

    fn has_open_saga(&self, tenant: TenantId) -> Result<bool, JournalError> {
        let mut open = self.journal.unfinished_sagas()?;
        open.extend(self.journal.stuck_sagas()?);
        Ok(open.iter().any(|saga| saga.tenant == Some(tenant)))
    }
}
