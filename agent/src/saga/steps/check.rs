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
/// read too much. That it cannot be counted now says nothing of the tenant: then the last count stands.
fn measure(context: &Context<'_>, tenant: TenantId) -> Result<Option<DiskUse>, Failure> {
    if context.saga == SagaId::NONE || !context.config().measures_disk {
        return Ok(None);
    }
    let last = context.journal.disk_measured().map_err(journal)?;
    let known = || last.and_then(|last| last.of(tenant));
    let Some(_turn) = context.host.locks.counting() else {
        return Ok(known());
    };
    let counted = context.with_commands(|commands| docker::disk_used(commands, LONGEST_COUNT));
    match counted {
        Ok(used) => {
            let measured = Measured { at: context.now, used };
            context.journal.keep_disk_measured(&measured).map_err(journal)?;
            Ok(measured.of(tenant))
        }
        Err(error) => {
            (context.say)(&format!("{error}: what the tenant has on the disk is not counted anew"));
            Ok(known())
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use freehold_protocol::disk::ByteCount;
    use freehold_protocol::time::Timestamp;

    use super::*;
    use crate::journal::sagas::Begun;
    use crate::journal::{Journal, Missing};
    use crate::plan::Plan;
    use crate::plan::tests_support::{check_of, tenant_id};
    use crate::runner::{Activity, CancelToken, Reply, Script};
    use crate::saga::context::Host;
    use crate::saga::step::Step;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
    /// What the last count has found.
    const LAST: u64 = 7_000_000;

    struct Found {
        bytes: Option<u64>,
        kept: Option<Measured>,
        said: Vec<String>,
    }

    /// What is counted within a job, or for an inventory.
    fn found(is_job: bool, measures_disk: bool, script: Script) -> Found {
        found_after(None, false, (is_job, measures_disk), script)
    }

    /// The same so many seconds after the last count, or while somebody counts.
    fn found_after(
        last_secs_ago: Option<i64>,
        busy: bool,
        (is_job, measures_disk): (bool, bool),
        script: Script,
    ) -> Found {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db"), Missing::Create).unwrap();
        let mut host = Host::for_tests(Box::new(script));
        host.config.measures_disk = measures_disk;
        let host = Arc::new(host);
        let turn = busy.then(|| host.locks.counting().unwrap());
        if let Some(secs) = last_secs_ago {
            let used = [(tenant_id(1), ByteCount::saturating(LAST))].into();
            journal.keep_disk_measured(&Measured { at: NOW.plus_secs(-secs), used }).unwrap();
        }
        let order = check_of(1, 1);
        let plan = Plan { mark: order.job, order, previous: None, steps: vec![Step::CheckTenant] };
        let saga = if is_job {
            let begun = journal.begin_saga(&plan, NOW).unwrap();
            let Begun::New(saga) = begun else { panic!("{begun:?}") };
            saga
        } else {
            SagaId::NONE
        };
        let (cancel, activity) = (CancelToken::new(), Activity::new());
        let said = Mutex::new(Vec::new());
        let disk = measure(
            &Context {
                plan: &plan,
                saga,
                host: &host,
                journal: &journal,
                cancel: &cancel,
                activity: &activity,
                now: NOW,
                before: &Before::Nothing,
                outputs: &[],
                secrets: &[],
                progress: &|_| {},
                say: &|line| said.lock().unwrap().push(line.to_owned()),
            },
            tenant_id(1),
        )
        .unwrap();
        drop(turn);
        let said = said.into_inner().unwrap();
        let bytes = disk.map(|disk| disk.used_bytes.get());
        Found { bytes, kept: journal.disk_measured().unwrap(), said }
    }

    #[test]
    fn only_a_job_counts_and_what_it_counts_is_remembered_of_all() {
        let line =
            |n| format!("{{\"name\":\"v\",\"tenant\":\"{}\",\"size\":\"{n}MB\"}}\n", tenant_id(n));
        let script = Script::new().prints("docker system df *", &[line(1), line(2)].concat());
        let counted = found(true, true, script);
        assert_eq!((counted.bytes, counted.said.len()), (Some(1_000_000), 0));
        let kept = counted.kept.unwrap();
        assert_eq!((kept.at, kept.used.len()), (NOW, 2));
        // A look before an inventory runs no command at all, nor does a host that does not count.
        for (is_job, measures_disk) in [(false, true), (true, false)] {
            let found = found(is_job, measures_disk, Script::new());
            assert_eq!((found.bytes, found.kept, found.said.len()), (None, None, 0));
        }
    }

    #[test]
    fn a_count_that_does_not_work_is_said_and_fails_no_check() {
        let script = Script::new().expect("docker system df *", Reply::TimesOut);
        let found = found(true, true, script);
        assert_eq!((found.bytes, found.kept), (None, None));
        assert!(found.said[0].contains("is not counted anew"), "{:?}", found.said);
        let script = Script::new().expect("docker system df *", Reply::TimesOut);
        let found = found_after(Some(3600), false, (true, true), script);
        assert_eq!((found.bytes, found.said.len()), (Some(LAST), 1));
    }

    #[test]
    fn a_count_that_is_under_way_is_not_disturbed() {
        let found = found_after(Some(3600), true, (true, true), Script::new());
        assert_eq!((found.bytes, found.said.len()), (Some(LAST), 0));
    }
}
