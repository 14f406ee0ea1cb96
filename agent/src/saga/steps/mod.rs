//! One file per step, `run` and `undo` side by side.

mod certificate;
mod check;
mod database;
mod hooks;
mod isolation;
mod misdirected;
mod ports;
mod preflight;
mod pull;
mod remove;
mod sites;
mod stack;
mod start;
mod verify;
mod write_stack;

use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::job::{DeployTenant, Work};
use freehold_protocol::secret::Secret;

use super::context::{Context, Host, tenant_dir};
use super::state::Status;
use super::step::{RunEnd, Step, StepOutput};
use super::{Action, Stage};
use crate::journal::JournalError;
use crate::journal::sagas::SagaId;
use crate::plan::Plan;

/// The real steps.
#[derive(Debug, Clone, Copy, Default)]
pub struct Actions;

impl Stage for Actions {
    fn action(&self, step: Step) -> &dyn Action {
        match step {
            Step::Preflight => &preflight::Preflight,
            Step::ReservePorts => &ports::ReservePorts,
            Step::WriteStack => &write_stack::WriteStack,
            Step::PullImages => &pull::PullImages,
            Step::Start => &start::Start,
            Step::DatabaseReady => &database::DatabaseReady,
            Step::Migrate => &hooks::Migrate,
            Step::Onboard => &hooks::Onboard,
            Step::SiteHttp => &sites::SiteHttp,
            Step::Certificate => &certificate::Certificate,
            Step::SiteHttps => &sites::SiteHttps,
            Step::Verify => &verify::Verify,
            Step::DeleteOldCertificate => &certificate::DeleteOldCertificate,
            Step::CheckRemoval => &remove::CheckRemoval,
            Step::SiteOff => &sites::SiteOff,
            Step::StopStack => &remove::StopStack,
            Step::RemoveFiles => &remove::RemoveFiles,
            Step::DeleteCertificate => &certificate::DeleteCertificate,
            Step::DeleteVolumes => &remove::DeleteVolumes,
            Step::CheckTenant => &check::CheckTenant,
            Step::ProbeHost => &check::ProbeHost,
        }
    }
}

/// How a run ends that gave this. A problem of the host or of a third party may be over the next
/// time; one of the request or the app will not.
fn ended(result: Result<StepOutput, Failure>) -> RunEnd {
    match result {
        Ok(output) => RunEnd::Done(output),
        Err(failure) => match failure.class {
            FailureClass::Host | FailureClass::Upstream => RunEnd::Unclear(failure),
            _ => RunEnd::Failed(failure),
        },
    }
}

/// As [`ended`], for what another try does not change.
fn decided(result: Result<StepOutput, Failure>) -> RunEnd {
    match result {
        Ok(output) => RunEnd::Done(output),
        Err(failure) => RunEnd::Failed(failure),
    }
}

fn journal(error: JournalError) -> Failure {
    error.to_failure()
}

fn bug(what: &str) -> Failure {
    Failure::new(FailureClass::Bug, what, "report this with the job's plan and events")
}

/// The parameters of the deploy that a step belongs to.
fn deploy<'a>(context: &Context<'a>) -> Result<&'a DeployTenant, Failure> {
    context.plan.deploy().ok_or_else(|| bug("a deploy step is part of another job"))
}

/// The tenant's secrets as they are on the host now; what commands print is cleaned of them.
#[must_use]
pub fn secrets_of(host: &Host, plan: &Plan, saga: SagaId) -> Vec<Secret> {
    match plan.slug() {
        Some(_) => stack::all_drawn(&tenant_dir(&host.config.tenants_dir, plan), saga),
        None => Vec::new(),
    }
}

/// After the saga rests: copies of files that only its undo needed. Best effort, since the job's end
/// is journaled already; what stays is small, private, and goes with the tenant's folder.
pub(super) fn clean_up(host: &Host, plan: &Plan, saga: SagaId, status: &Status) {
    let stuck = matches!(status, Status::Stuck { .. });
    if stuck || !matches!(plan.order.work, Work::DeployTenant(_) | Work::RemoveTenant(_)) {
        return;
    }
    let directory = tenant_dir(&host.config.tenants_dir, plan);
    if let Err(error) = stack::discard_copies(&directory, saga) {
        tracing::warn!(%error, folder = %directory.display(), "cannot remove copies of files");
    }
    if *status == Status::Done
        && let Err(failure) = stack::forget_password(&directory)
    {
        tracing::warn!(%failure, folder = %directory.display(), "cannot forget a temporary password");
    }
}
