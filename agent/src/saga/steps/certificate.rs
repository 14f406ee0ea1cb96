//! `certificate` and `delete-certificate`.

use std::path::PathBuf;
use std::time::Duration;

use freehold_protocol::failure::Failure;
use freehold_protocol::job::CertificateSource;

use super::{bug, decided, deploy, ended, sites};
use crate::host::certbot;
use crate::host::certificate::{self, CertificateFacts};
use crate::host::nginx::{self, CertificateFiles, Site, Stage};
use crate::saga::Action;
use crate::saga::context::Context;
use crate::saga::step::{Before, RunEnd, StepOutput};

/// certbot's own attempts together.
const DEADLINE: Duration = Duration::from_secs(960);

#[derive(Debug)]
pub(super) struct Certificate;

impl Action for Certificate {
    fn look(&self, context: &Context<'_>) -> Result<Before, Failure> {
        let deploy = deploy(context)?;
        let existed = deploy.certificate == CertificateSource::Acme
            && certbot::folder(&context.config().certbot, deploy.tenant).exists();
        Ok(Before::Certificate { existed })
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        // certbot has tried more than once itself, and authorities count failures.
        decided(obtain(context))
    }

    fn undo(&self, context: &Context<'_>, before: &Before) -> Result<(), Failure> {
        let Before::Certificate { existed } = before else {
            return Err(bug("certificate has no record"));
        };
        let deploy = deploy(context)?;
        if deploy.certificate != CertificateSource::Acme {
            return Ok(());
        }
        if !existed {
            return delete(context);
        }
        match context.plan.running_before() {
            Some(previous) if previous.domain != deploy.domain => bring_back(context),
            _ => Ok(()),
        }
    }

    fn deadline(&self, _context: &Context<'_>) -> Duration {
        DEADLINE
    }
}

fn obtain(context: &Context<'_>) -> Result<StepOutput, Failure> {
    let deploy = deploy(context)?;
    let config = context.config();
    let (files, facts) = match &deploy.certificate {
        CertificateSource::Acme => {
            let request = certbot::Request {
                tenant: deploy.tenant,
                domain: &deploy.domain,
                now: context.now,
            };
            match certbot::good(&config.certbot, &request) {
                Some(good) => good,
                None => {
                    let lock = context.certbot_lock()?;
                    let issued = context.with_commands(&[], |commands| {
                        certbot::ensure(commands, &lock, &config.certbot, &request)
                    })?;
                    (issued.files, issued.facts)
                }
            }
        }
        CertificateSource::Installed { name } => {
            certificate::installed(&config.certificates_dir, name, &deploy.domain, context.now)?
        }
    };
    Ok(output(&files, &facts))
}

fn output(files: &CertificateFiles, facts: &CertificateFacts) -> StepOutput {
    StepOutput::Certificate {
        chain: PathBuf::from(files.chain.as_str()),
        key: PathBuf::from(files.key.as_str()),
        expires: facts.not_after,
    }
}

fn delete(context: &Context<'_>) -> Result<(), Failure> {
    let tenant = context.plan.order.work.tenant().ok_or_else(|| bug("the job has no tenant"))?;
    let lock = context.certbot_lock()?;
    context.with_commands(&[], |commands| {
        certbot::delete(commands, &lock, &context.config().certbot, tenant)
    })?;
    Ok(())
}

/// The certificate for the previous domain took the new one's place under the same name: the
/// authority is asked again, through a plain site for the previous domain. `site-http`, undone after
/// this, puts the previous site back as it was.
fn bring_back(context: &Context<'_>) -> Result<(), Failure> {
    let Some(previous) = context.plan.running_before() else { return Ok(()) };
    let config = context.config();
    let site = Site { domain: previous.domain.clone(), ..sites::site(context, Stage::Http)? };
    context.with_commands(&[], |commands| {
        let lock = context.nginx_lock()?;
        nginx::ensure_site(commands, &lock, &config.nginx, &site).map_err(Failure::from)
    })?;
    let lock = context.certbot_lock()?;
    context.with_commands(&[], |commands| {
        let request = certbot::Request {
            tenant: previous.tenant,
            domain: &previous.domain,
            now: context.now,
        };
        certbot::ensure(commands, &lock, &config.certbot, &request)
    })?;
    Ok(())
}

#[derive(Debug)]
pub(super) struct DeleteCertificate;

impl Action for DeleteCertificate {
    fn look(&self, _context: &Context<'_>) -> Result<Before, Failure> {
        Ok(Before::Nothing)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        ended(delete(context).map(|()| StepOutput::Nothing))
    }

    fn undo(&self, _context: &Context<'_>, _before: &Before) -> Result<(), Failure> {
        Err(bug("a deleted certificate cannot be brought back"))
    }
}
