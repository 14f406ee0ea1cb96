//! `check-tenant` and `probe-host`: they look, and change nothing.

use std::time::Duration;

use freehold_protocol::disk::DiskUse;
use freehold_protocol::failure::Failure;
use freehold_protocol::ids::TenantId;
use freehold_protocol::job::Work;
use freehold_protocol::report::{HealthStatus, JobResult, TenantHealth};

use super::verify::{Subject, look};
use super::{bug, ended, journal};
use crate::host::{docker, facts};
use crate::journal::disk::Measured;
use crate::journal::sagas::SagaId;
use crate::saga::Action;
use crate::saga::context::Context;
use crate::saga::step::{Before, RunEnd, StepOutput};

/// Longest time of a count within a check, which has five minutes.
const LONGEST_COUNT: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub(super) struct CheckTenant;

impl Action for CheckTenant {
    fn look(&self, _context: &Context<'_>) -> Result<Before, Failure> {
        Ok(Before::Nothing)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        ended(health(context).map(|health| result(JobResult::Checked(health))))
    }

    fn undo(&self, _context: &Context<'_>, _before: &Before) -> Result<(), Failure> {
        Ok(())
    }
}

fn result(result: JobResult) -> StepOutput {
    StepOutput::Result(Box::new(result))
}

fn health(context: &Context<'_>) -> Result<TenantHealth, Failure> {
    let Work::CheckTenant(check) = &context.plan.order.work else {
        return Err(bug("check-tenant is part of another job"));
    };
    let Some(record) = context.plan.running_before() else {
        return Ok(TenantHealth {
            tenant: check.tenant,
            at: context.now,
            status: HealthStatus::Absent,
            containers: Vec::new(),
            backend: None,
            public: None,
            certificate_expires: None,
            disk: None,
            problems: vec![format!("{} is not deployed on this host", check.slug)],
        });
    };
    let ports = context.journal.tenant_ports(check.tenant).map_err(journal)?;
    let subject = Subject {
        tenant: check.tenant,
        domain: &record.domain,
        blueprint: &record.blueprint,
        ports: &ports,
    };
    let mut health = context.with_commands(|commands| look(context, commands, &subject))?;
    health.disk = measure(context, check.tenant)?;
    Ok(health)
}

/// What the tenant has on the disk, when a person asks how it is: the look before every inventory would
/// read too much. That it cannot be counted says nothing of the tenant.
fn measure(context: &Context<'_>, tenant: TenantId) -> Result<Option<DiskUse>, Failure> {
    if context.saga == SagaId::NONE || !context.config().measures_disk {
        return Ok(None);
    }
    let counted = context.with_commands(|commands| docker::disk_used(commands, LONGEST_COUNT));
    match counted {
        Ok(used) => {
            let measured = Measured { at: context.now, used };
            context.journal.keep_disk_measured(&measured).map_err(journal)?;
            Ok(measured.of(tenant))
        }
        Err(error) => {
            (context.say)(&format!("{error}: what the tenant has on the disk is not told"));
            Ok(None)
        }
    }
}

#[derive(Debug)]
pub(super) struct ProbeHost;

impl Action for ProbeHost {
    fn look(&self, _context: &Context<'_>) -> Result<Before, Failure> {
        Ok(Before::Nothing)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        let config = context.config();
        let facts = context.with_commands(|commands| {
            facts::collect(commands, &config.nginx, &config.tenants_dir, context.now)
        });
        RunEnd::Done(result(JobResult::Probed(Box::new(facts))))
    }

    fn undo(&self, _context: &Context<'_>, _before: &Before) -> Result<(), Failure> {
        Ok(())
    }
}
