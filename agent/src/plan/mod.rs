//! A job and what is on the host → the steps to take, or a refusal. Pure: nothing is asked and
//! nothing is changed here, so that a plan can be shown without being run.

mod deploy;
mod describe;
mod remove;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod tests_support;

use freehold_protocol::app_env::{EnvContext, SealedEnv};
use freehold_protocol::blueprint::delivered::Need;
use freehold_protocol::blueprint::{Blueprint, project_name};
use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::{AgentId, JobId, PortalId, Sha256Digest, TenantId, TenantSlug};
use freehold_protocol::job::{DataOnRemove, DeployTenant, Work};
use freehold_protocol::keys::SealPublicKey;
use freehold_protocol::report::{JobResult, Removed};
use serde::{Deserialize, Serialize};

use crate::journal::sagas::SagaRow;
use crate::journal::tenants::{TenantChange, TenantRecord, TenantState};
use crate::saga::state::Shape;
use crate::saga::step::{Step, StepOutput};

pub use describe::Described;

/// What a verified job orders, without what belonged to its journey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Order {
    /// The portal that signed it.
    pub portal: PortalId,
    /// This agent.
    pub agent: AgentId,
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: u32,
    /// Who asked for it.
    pub actor: String,
    /// Longest run time in seconds.
    pub timeout_secs: u32,
    /// The portal's sealing key, for secrets in the result; none when it has none.
    pub seal_to: Option<SealPublicKey>,
    /// What to do.
    pub work: Work,
    /// What the tenant's app is given: sealed, also in the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_env: Option<SealedEnv>,
}

impl Order {
    /// What [`Self::app_env`] is bound to; nothing for work that is about no tenant.
    #[must_use]
    pub fn env_context(&self) -> Option<EnvContext> {
        Some(EnvContext {
            portal: self.portal,
            agent: self.agent,
            tenant: self.work.tenant()?,
            job: self.job,
            attempt: self.attempt,
        })
    }
}

/// What will be done. Journaled before anything else; recovery never plans again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// The order.
    pub order: Order,
    /// The tenant as it was deployed here before, if it was.
    pub previous: Option<Box<TenantRecord>>,
    /// The job whose mark everything of the tenant carries: the one that deployed it first.
    pub mark: JobId,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// Plans a job. `tenants` are those that the journal knows.
///
/// # Errors
/// When the job cannot be done here, with the reason and the remedy.
pub fn plan(order: &Order, tenants: &[TenantRecord]) -> Result<Plan, Failure> {
    admit_app_env(order)?;
    let previous = previous_of(order, tenants)?;
    let steps = match &order.work {
        Work::DeployTenant(deploy) => deploy::steps(deploy, previous, tenants)?,
        Work::RemoveTenant(removal) => remove::steps(removal, previous)?,
        Work::CheckTenant(_) => vec![Step::CheckTenant],
        Work::ProbeHost(_) => vec![Step::ProbeHost],
    };
    Ok(Plan {
        order: order.clone(),
        previous: previous.cloned().map(Box::new),
        mark: previous.map_or(order.job, |previous| previous.mark),
        steps,
    })
}

/// The tenant's record, when it is this portal's.
fn previous_of<'a>(
    order: &Order,
    tenants: &'a [TenantRecord],
) -> Result<Option<&'a TenantRecord>, Failure> {
    let Some(tenant) = order.work.tenant() else { return Ok(None) };
    let Some(previous) = tenants.iter().find(|record| record.tenant == tenant) else {
        return Ok(None);
    };
    if previous.portal != order.portal {
        return Err(Failure::new(
            FailureClass::Request,
            format!("the tenant {} of this host belongs to another portal", previous.slug),
            "deploy it under another tenant id, or remove it with the portal that deployed it",
        ));
    }
    if order.work.slug() != Some(&previous.slug) {
        return Err(Failure::new(
            FailureClass::Request,
            format!("the tenant is deployed here as {}; a short name never changes", previous.slug),
            format!("queue the job with the short name {}", previous.slug),
        ));
    }
    Ok(Some(previous))
}

/// Only a deploy brings values for the app, and brings them when its blueprint cannot do without. That
/// they open, and are the right ones, is seen before the plan is recorded.
fn admit_app_env(order: &Order) -> Result<(), Failure> {
    let refused = |what: String| {
        let advice = "queue a new job; if that is refused too, upgrade the portal or the agent";
        Err(Failure::new(FailureClass::Request, what, advice))
    };
    match (&order.work, &order.app_env) {
        (Work::DeployTenant(deploy), None) => {
            let mut used = deploy.blueprint.delivered().into_iter();
            match used.find(|(_, need)| *need == Need::Required) {
                Some((name, _)) => refused(format!("the job brings no value of {name}")),
                None => Ok(()),
            }
        }
        (Work::DeployTenant(_), Some(_)) | (_, None) => Ok(()),
        (work, Some(_)) => refused(format!("a job {} brings values for an app", work.kind())),
    }
}

/// Why a job of a tenant that is stuck is refused.
#[must_use]
pub fn refused_by_stuck(row: &SagaRow) -> Failure {
    Failure::new(
        FailureClass::Stuck,
        format!("an earlier job of this tenant, {}, is stuck on the host", row.job),
        format!(
            "follow that job's advice, then run `freehold-agent resume {}` on the host",
            row.job
        ),
    )
}

impl Plan {
    /// What the state machine needs to know.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let no_return = self.steps.iter().position(|step| {
            matches!(
                step,
                Step::DeleteOldCertificate | Step::DeleteCertificate | Step::DeleteVolumes
            )
        });
        Shape { steps: self.steps.len(), no_return }
    }

    /// Digest of the plan: two plans with the same digest do the same.
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        let json = serde_json::to_vec(self).unwrap_or_default();
        Sha256Digest::of(&json)
    }

    /// Parameters of the deploy that this plan is for.
    #[must_use]
    pub fn deploy(&self) -> Option<&DeployTenant> {
        match &self.order.work {
            Work::DeployTenant(deploy) => Some(deploy),
            _ => None,
        }
    }

    /// The tenant's short name.
    #[must_use]
    pub fn slug(&self) -> Option<&TenantSlug> {
        self.order.work.slug()
    }

    /// The tenant that the job changes; nothing for jobs that only look.
    #[must_use]
    pub fn changed_tenant(&self) -> Option<TenantId> {
        match &self.order.work {
            Work::DeployTenant(_) | Work::RemoveTenant(_) => self.order.work.tenant(),
            Work::CheckTenant(_) | Work::ProbeHost(_) => None,
        }
    }

    /// The blueprint that the job is about: the new one of a deploy, else the deployed one.
    #[must_use]
    pub fn blueprint(&self) -> Option<&Blueprint> {
        match self.deploy() {
            Some(deploy) => Some(&deploy.blueprint),
            None => self.previous.as_deref().map(|previous| &previous.blueprint),
        }
    }

    /// The compose project.
    #[must_use]
    pub fn project(&self) -> Option<String> {
        match self.deploy() {
            Some(deploy) => Some(project_name(&deploy.blueprint, &deploy.slug)),
            None => self.previous.as_deref().map(|previous| previous.project.clone()),
        }
    }

    /// The tenant as it runs before the job; nothing when it does not.
    #[must_use]
    pub fn running_before(&self) -> Option<&TenantRecord> {
        self.previous.as_deref().filter(|previous| previous.state == TenantState::Deployed)
    }

    /// What the success of the job means for the list of tenants.
    #[must_use]
    pub fn change(&self, _outputs: &[StepOutput]) -> TenantChange {
        match &self.order.work {
            Work::DeployTenant(deploy) => TenantChange::Deployed(Box::new(self.record_of(deploy))),
            Work::RemoveTenant(removal) => match (removal.data, self.previous.as_deref()) {
                (DataOnRemove::Keep, Some(previous)) => {
                    TenantChange::Kept(Box::new(TenantRecord {
                        state: TenantState::Kept,
                        ..previous.clone()
                    }))
                }
                _ => TenantChange::Gone(removal.tenant),
            },
            Work::CheckTenant(_) | Work::ProbeHost(_) => TenantChange::None,
        }
    }

    /// The tenant as it will be when this deploy succeeds.
    #[must_use]
    pub fn coming_record(&self) -> Option<TenantRecord> {
        self.deploy().map(|deploy| self.record_of(deploy))
    }

    /// What a stuck job says.
    #[must_use]
    pub fn stuck_failure(
        &self,
        step: usize,
        undoing: bool,
        failure: &Failure,
        why: &Failure,
    ) -> Failure {
        let name = self.steps.get(step).map_or("a step", |step| step.name());
        let what = if undoing {
            format!("{} and undoing {name} did not work: {}", why.what, failure.what)
        } else {
            format!("{name} did not work and cannot be undone: {}", failure.what)
        };
        let mut detail = failure.detail.clone();
        if undoing && !why.detail.is_empty() {
            detail = format!(
                "{detail}
first failure:
{}",
                why.detail
            );
        }
        let mut look = Vec::new();
        if let Some(project) = self.project() {
            look.push(format!(
                "docker ps --all --filter=label=com.docker.compose.project={project}"
            ));
        }
        look.push(format!("freehold-agent journal {}", self.order.job));
        let looks = look.iter().map(|line| format!("`{line}`")).collect::<Vec<_>>().join(" and ");
        Failure::new(
            FailureClass::Stuck,
            what,
            format!(
                "{}; look with {looks}; then go on with `freehold-agent resume {}`",
                failure.advice, self.order.job
            ),
        )
        .with_detail(detail)
    }

    fn record_of(&self, deploy: &DeployTenant) -> TenantRecord {
        TenantRecord {
            tenant: deploy.tenant,
            slug: deploy.slug.clone(),
            name: deploy.name.clone(),
            portal: self.order.portal,
            mark: self.mark,
            domain: deploy.domain.clone(),
            project: project_name(&deploy.blueprint, &deploy.slug),
            release: deploy.release.clone(),
            blueprint: deploy.blueprint.clone(),
            settings: deploy.settings.clone(),
            certificate: deploy.certificate.clone(),
            onboarded: self.previous.as_deref().is_some_and(|previous| previous.onboarded)
                || self.steps.contains(&Step::Onboard),
            state: TenantState::Deployed,
        }
    }

    /// The job's result, from what its steps have handed on.
    #[must_use]
    pub fn result(&self, outputs: &[StepOutput]) -> Option<JobResult> {
        let found = outputs.iter().rev().find_map(|output| match output {
            StepOutput::Result(result) => Some((**result).clone()),
            _ => None,
        });
        if found.is_some() || !matches!(self.order.work, Work::RemoveTenant(_)) {
            return found;
        }
        let mut removed = Removed { kept_volumes: Vec::new(), deleted_volumes: Vec::new() };
        for output in outputs {
            match output {
                StepOutput::Kept { volumes } => removed.kept_volumes.clone_from(volumes),
                StepOutput::Deleted { volumes } => removed.deleted_volumes.clone_from(volumes),
                _ => {}
            }
        }
        Some(JobResult::Removed(removed))
    }
}
