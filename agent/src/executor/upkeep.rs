//! Looks after certificates: renews those that are due, has nginx load what is new on the disk,
//! whoever put it there (we, certbot's own timer, or the operator), and deletes what nobody uses any more.
//!
//! One thread, one tenant at a time, and never beside a job of the same tenant. A stop ends it at any
//! point: certbot replaces certificates atomically, and what nginx does not serve yet is noticed at
//! the next look.

mod former;
pub mod record;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use freehold_protocol::{
    failure::{Failure, FailureClass},
    ids::TenantId,
    job::CertificateSource,
    report::{HealthStatus, HostFacts, TenantHealth},
    time::Timestamp,
};

use super::{Executor, build::with_commands_until};
use crate::{
    clock::Clock,
    host::{
        certbot,
        certificate::{self, CertificateError, CertificateFacts},
        nginx, probe,
    },
    journal::{
        JournalError,
        tenants::{TenantRecord, TenantState},
    },
    poller::backoff::jittered,
    saga::context::HostConfig,
};
use record::{Record, Trouble};

/// Before a tenant is looked at again that a job was at work on.
const BUSY_PAUSE: Duration = Duration::from_secs(600);
/// Least pause between two rounds.
const LEAST_PAUSE: Duration = Duration::from_secs(60);
/// Longest time of one probe.
const REQUEST: Duration = Duration::from_secs(10);

/// When certificates are looked at and renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upkeep {
    /// From the start to the first look.
    pub first: Duration,
    /// Between two looks.
    pub every: Duration,
    /// A certificate with fewer days left is renewed.
    pub before_days: u32,
}

/// The right to work on a tenant: no worker takes a job of it meanwhile.
struct Claim<'a>(&'a Executor);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.live().tended = None;
        self.0.changed.notify_all();
    }
}

/// What came of looking after a tenant.
enum Tended {
    /// All is well.
    Well,
    /// A new certificate is on the disk, and nginx does not know it yet.
    Renewed,
    /// A job is at work on it, or we are stopping: nothing was done.
    NotNow,
    /// It did not work.
    Failed(Failure),
}

/// Where a tenant's certificate is: in certbot's folder, or in the operator's.
#[must_use]
pub fn folder(certbot_dir: &Path, installed_dir: &Path, tenant: &TenantRecord) -> PathBuf {
    match &tenant.certificate {
        CertificateSource::Acme => certbot::folder_in(certbot_dir, tenant.tenant, &tenant.domain),
        CertificateSource::Installed { name } => installed_dir.join(name.as_str()),
    }
}

fn folder_of(config: &HostConfig, tenant: &TenantRecord) -> PathBuf {
    folder(&config.certbot.config_dir, &config.certificates_dir, tenant)
}

impl Executor {
    /// Looks after certificates until the executor stops.
    pub fn keep_up(&self) {
        let mut pause = jittered(self.upkeep.first);
        while !self.halt.sleep(pause) {
            match self.tend_all() {
                Ok(next) => pause = jittered(next.max(LEAST_PAUSE)),
                Err(error) => return self.break_down(&error),
            }
        }
    }

    /// Looks at every deployed tenant once. Returns how long the next look may wait.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn tend_all(&self) -> Result<Duration, JournalError> {
        // By a host's clock that is wrong everything may look expired.
        if self.clock.certain().is_none() {
            return Ok(LEAST_PAUSE);
        }
        let mut tenants = self.journal.tenants()?;
        tenants.retain(|tenant| tenant.state == TenantState::Deployed);
        self.change_records(|records| {
            records.retain(|known, _| tenants.iter().any(|tenant| tenant.tenant == *known));
        })?;
        let mut next = self.upkeep.every;
        for tenant in &tenants {
            if self.is_stopping() {
                break;
            }
            next = next.min(self.tend(tenant)?).min(self.clear_former(tenant)?);
        }
        Ok(next)
    }

    /// Looks at one tenant and records what was found; returns how long the next look may wait.
    fn tend(&self, tenant: &TenantRecord) -> Result<Duration, JournalError> {
        let before = self.live().certificates.get(&tenant.tenant).cloned().unwrap_or_default();
        let folder = folder_of(&self.engine.host().config, tenant);
        let now = self.clock.now();
        let found = certificate::read_chain(&folder);
        let waiting = before.trouble.as_ref().map(|trouble| trouble.wait(now));
        let waiting = waiting.filter(|left| !left.is_zero());
        let due = self.is_due(tenant, &found, now);
        let tended = match (due, waiting) {
            // What has failed lately waits; when somebody has mended it meanwhile, that shows.
            (true, Some(left)) => return Ok(left),
            (true, None) => self.renew(tenant)?,
            (false, _) => Tended::Well,
        };
        let on_disk = || certificate::read_chain(&folder).ok().map(|facts| facts.not_after);
        let tended = match tended {
            // A failure of nginx waits too, unless it is about another certificate.
            Tended::Well if waiting.is_some() && on_disk() == before.expires => Tended::NotNow,
            Tended::Well => self.load(tenant, false)?,
            Tended::Renewed => self.load(tenant, true)?,
            other => other,
        };
        let expires = on_disk();
        let (trouble, next) = match tended {
            Tended::Well | Tended::Renewed => (None, self.upkeep.every),
            Tended::NotNow => return Ok(waiting.unwrap_or(BUSY_PAUSE)),
            Tended::Failed(failure) => {
                let now = self.clock.now();
                let trouble = Trouble::after(before.trouble.as_ref(), failure, now);
                let next = trouble.wait(now);
                tracing::warn!(
                    tenant = %tenant.slug, domain = %tenant.domain, attempts = trouble.attempts,
                    what = %trouble.failure.what, detail = %trouble.failure.detail,
                    again_in_min = next.as_secs() / 60, "a certificate is not as it should be"
                );
                (Some(trouble), next)
            }
        };
        let after = Record { expires, trouble, ..before.clone() };
        if after != before {
            if before.trouble.is_some() && after.trouble.is_none() {
                tracing::info!(tenant = %tenant.slug, domain = %tenant.domain, "the certificate is well again");
            }
            self.change_records(|records| {
                records.insert(tenant.tenant, after);
            })?;
            self.live().look_again = true;
            self.changed.notify_all();
        }
        Ok(next)
    }

    /// One that is missing or cannot be read is due too: the authority gives another.
    fn is_due(
        &self,
        tenant: &TenantRecord,
        found: &Result<CertificateFacts, CertificateError>,
        now: Timestamp,
    ) -> bool {
        tenant.certificate == CertificateSource::Acme
            && found.as_ref().map_or(true, |facts| facts.is_due(self.upkeep.before_days, now))
    }

    /// Gets a new certificate from the authority.
    fn renew(&self, tenant: &TenantRecord) -> Result<Tended, JournalError> {
        let host = self.engine.host();
        let settings = &host.config.certbot;
        // certbot's turn comes first: a tenant is not held from its jobs while others use certbot.
        let Some(lock) = host.locks.certbot.lock(&self.halt) else { return Ok(Tended::NotNow) };
        let Some(_claim) = self.claim(tenant.tenant) else { return Ok(Tended::NotNow) };
        // Until it was our turn a job may have moved or removed the tenant, and certbot's timer may
        // have renewed.
        if self.journal.tenant(tenant.tenant)?.as_ref() != Some(tenant) {
            return Ok(Tended::NotNow);
        }
        let now = self.clock.now();
        let found =
            certificate::read_chain(&certbot::folder(settings, tenant.tenant, &tenant.domain));
        if !self.is_due(tenant, &found, now) {
            return Ok(Tended::Well);
        }
        let renewed = with_commands_until(host.runner.as_ref(), &self.halt, |commands| {
            let request = certbot::Request { tenant: tenant.tenant, domain: &tenant.domain, now };
            certbot::renew(commands, &lock, settings, &request)
        });
        Ok(match renewed {
            Ok(issued) => {
                tracing::info!(
                    tenant = %tenant.slug, domain = %tenant.domain,
                    until_secs = issued.facts.not_after.as_secs(), "a certificate was renewed"
                );
                Tended::Renewed
            }
            // Ended by us: no fault of anybody.
            Err(_) if self.is_stopping() => Tended::NotNow,
            Err(error) => {
                let mut failure = Failure::from(error);
                failure.what = format!("renewal failed: {}", failure.what);
                failure.advice.push_str(
                    "; it is tried again by itself, and when you deploy the tenant again",
                );
                Tended::Failed(failure)
            }
        })
    }

    /// Has nginx serve what is on the disk. `is_new`: it cannot do so yet.
    fn load(&self, tenant: &TenantRecord, is_new: bool) -> Result<Tended, JournalError> {
        let host = self.engine.host();
        let config = &host.config;
        let checked =
            certificate::check_folder(&folder_of(config, tenant), &tenant.domain, self.clock.now());
        let facts = match checked {
            Ok(facts) => facts,
            Err(error) => return Ok(Tended::Failed(error.into())),
        };
        if !is_new && self.is_served(tenant, &facts).is_ok() {
            return Ok(Tended::Well);
        }
        let Some(_claim) = self.claim(tenant.tenant) else { return Ok(Tended::NotNow) };
        if self.journal.tenant(tenant.tenant)?.as_ref() != Some(tenant) {
            return Ok(Tended::NotNow);
        }
        let reloaded = {
            let Some(lock) = host.locks.nginx.lock(&self.halt) else { return Ok(Tended::NotNow) };
            with_commands_until(host.runner.as_ref(), &self.halt, |commands| {
                nginx::test(commands, &config.nginx)?;
                nginx::reload(commands, &lock, &config.nginx)
            })
        };
        if let Err(error) = reloaded {
            return Ok(if self.is_stopping() {
                Tended::NotNow
            } else {
                Tended::Failed(error.into())
            });
        }
        tracing::info!(tenant = %tenant.slug, domain = %tenant.domain, "nginx loads a new certificate");
        // nginx follows a reload a moment later.
        let waits = config.waits;
        let looks = (waits.answer.as_millis() / waits.pause.as_millis().max(1)).clamp(1, 600);
        for _ in 0..looks {
            if self.is_served(tenant, &facts).is_ok() {
                return Ok(Tended::Well);
            }
            if self.halt.sleep(waits.pause) {
                break;
            }
        }
        Ok(match self.is_served(tenant, &facts) {
            Ok(()) => Tended::Well,
            Err(_) if self.is_stopping() => Tended::NotNow,
            Err(failure) => Tended::Failed(failure),
        })
    }

    /// Whether nginx shows the certificate that is on the disk.
    fn is_served(&self, tenant: &TenantRecord, facts: &CertificateFacts) -> Result<(), Failure> {
        let config = &self.engine.host().config;
        let Some(roots) = &config.roots else { return Ok(()) };
        let shown = probe::certificate_expiry(
            &tenant.domain,
            config.public,
            roots,
            self.clock.now(),
            REQUEST,
        )?;
        if shown == facts.not_after {
            return Ok(());
        }
        Err(Failure::new(
            FailureClass::Host,
            "nginx does not serve the certificate that is on the disk",
            "run `nginx -t` and `systemctl reload nginx` on the host, and see `journalctl -u nginx`",
        ))
    }

    /// Claims a tenant, unless a job of it runs or waits.
    fn claim(&self, tenant: TenantId) -> Option<Claim<'_>> {
        let mut live = self.live();
        let jobs = live.running.values().map(|running| &running.row).chain(&live.queue);
        let busy = jobs.into_iter().any(|row| row.job.work.tenant() == Some(tenant));
        if busy || live.tended.is_some() {
            return None;
        }
        live.tended = Some(tenant);
        Some(Claim(self))
    }

    fn change_records(
        &self,
        change: impl FnOnce(&mut record::Records),
    ) -> Result<(), JournalError> {
        let mut records = self.live().certificates.clone();
        change(&mut records);
        if records != self.live().certificates {
            record::store(&self.journal, &records)?;
            self.live().certificates = records;
        }
        Ok(())
    }

    /// Adds what upkeep knows to what the portal is told.
    pub(super) fn tell_certificates(
        &self,
        tenants: &mut [TenantHealth],
        facts: &mut HostFacts,
    ) -> Result<(), JournalError> {
        let now = self.clock.now();
        let records = self.live().certificates.clone();
        for health in tenants {
            let Some(record) = records.get(&health.tenant) else { continue };
            // A certificate that no browser takes any more has its date on the disk only.
            health.certificate_expires = health.certificate_expires.or(record.expires);
            // The tenant is none the worse for it.
            facts.problems.extend(record.former.as_ref().map(|trouble| trouble.failure.clone()));
            let Some(trouble) = &record.trouble else { continue };
            let tenant = self.journal.tenant(health.tenant)?;
            let problem = tenant.and_then(|tenant| record.problem(&tenant.domain, now));
            let Some(problem) = problem else { continue };
            if health.status == HealthStatus::Healthy {
                health.status = HealthStatus::Degraded;
            }
            let failure = &trouble.failure;
            health.problems.push(format!("{problem} (to do: {})", failure.advice));
            facts.problems.push(
                Failure::new(failure.class, problem, failure.advice.clone())
                    .with_detail(failure.detail.clone()),
            );
        }
        Ok(())
    }
}
