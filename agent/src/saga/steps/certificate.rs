//! `certificate`, `delete-old-certificate` and `delete-certificate`.
//!
//! Each domain of a tenant has a certificate of its own. One that moves keeps the old one until the
//! job is done, so that going back needs no authority.

use std::path::PathBuf;
use std::time::Duration;

use freehold_protocol::failure::Failure;
use freehold_protocol::job::CertificateSource;

use super::{bug, decided, deploy, ended};
use crate::host::certbot::{self, Which};
use crate::host::certificate::{self, CertificateFacts};
use crate::host::nginx::CertificateFiles;
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
            && certbot::folder(&context.config().certbot, deploy.tenant, &deploy.domain).exists();
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
        if *existed { Ok(()) } else { delete(context, Which::For(&deploy.domain)) }
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
                    let issued = context.with_commands(|commands| {
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

fn delete(context: &Context<'_>, which: Which<'_>) -> Result<(), Failure> {
    let tenant = context.plan.order.work.tenant().ok_or_else(|| bug("the job has no tenant"))?;
    let lock = context.certbot_lock()?;
    context.with_commands(|commands| {
        certbot::delete(commands, &lock, &context.config().certbot, tenant, which)
    })?;
    Ok(())
}

/// The certificate that the tenant had before it moved to another domain, or to another source.
#[derive(Debug)]
pub(super) struct DeleteOldCertificate;

impl Action for DeleteOldCertificate {
    fn look(&self, _context: &Context<'_>) -> Result<Before, Failure> {
        Ok(Before::Nothing)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        let run = || {
            let deploy = deploy(context)?;
            match deploy.certificate {
                CertificateSource::Acme => delete(context, Which::AllBut(&deploy.domain)),
                CertificateSource::Installed { .. } => delete(context, Which::All),
            }
        };
        if let Err(failure) = run() {
            // The tenant has moved and works; what is left is unused, and upkeep tries again. That is no
            // reason to hold its jobs up until a person comes.
            tracing::warn!(what = %failure.what, detail = %failure.detail, "a superseded certificate stays");
            (context.say)(&format!(
                "the former certificate stays until the agent deletes it by itself: {}",
                failure.what
            ));
        }
        RunEnd::Done(StepOutput::Nothing)
    }

    fn undo(&self, _context: &Context<'_>, _before: &Before) -> Result<(), Failure> {
        Err(bug("a deleted certificate cannot be brought back"))
    }
}

#[derive(Debug)]
pub(super) struct DeleteCertificate;

impl Action for DeleteCertificate {
    fn look(&self, _context: &Context<'_>) -> Result<Before, Failure> {
        Ok(Before::Nothing)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        ended(delete(context, Which::All).map(|()| StepOutput::Nothing))
    }

    fn undo(&self, _context: &Context<'_>, _before: &Before) -> Result<(), Failure> {
        Err(bug("a deleted certificate cannot be brought back"))
    }
}
