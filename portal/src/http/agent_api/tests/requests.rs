//! An approved request through its job: what the agent is given, and what its report changes.

use freehold_protocol::{
    ids::ProvisionRequestId,
    job::{Job, Work},
};

use super::*;
use crate::{
    api::{
        customers::CreateCustomer,
        licenses::CreateLicense,
        plans::CreatePlan,
        requests::{ApproveRequest, CreateRequest},
    },
    app::{self, request_decide, request_retry},
    db::{
        licenses::LicenseRow,
        requests::{self, RequestRow},
        tenants::{self, TenantRow},
    },
    domain::request::RequestStatus,
};

mod at_once;
mod between;

const SHOP: &str = "services: { web: { image: 'registry.example.com/shop/web:1' } }\n\
    x-freehold: { product: shop, ports: { web: { service: web, containerPort: 80, range: 8000-8999 } }, \
    routes: [ { path: /, port: web } ], resources: { memoryMb: 512 }, health: { port: web, path: / } }\n";

/// A world with an agent that has been given the job of an approved request.
struct Approved {
    world: World,
    agent: Agent,
    id: ProvisionRequestId,
    job: (Job, Sha256Digest),
}

fn sql(world: &World, text: impl Into<String>) {
    let text = text.into();
    world.portal.db.write(move |tx| Ok(tx.sql().execute_batch(&text)?)).unwrap();
}

fn request(world: &World) -> RequestRow {
    let keys = world.portal.keys.current();
    let rules = world.portal.config.job_rules();
    let ask = move |tx: &db::Tx<'_>| {
        let actor = || ACTOR.to_owned();
        let publish =
            app::blueprints::PublishRelease::parse(None, SHOP.into(), String::new(), actor())?;
        publish.apply(tx)?;
        let plan = CreatePlan {
            name: "pro".into(),
            products: vec!["shop".into()],
            expiry_strategy: "restrict".into(),
            ..Default::default()
        };
        app::plans::CreatePlan { request: plan, actor: actor() }.apply(tx)?;
        let customer = CreateCustomer { name: "Acme".into(), ..Default::default() };
        let customer =
            app::customers::CreateCustomer { request: customer, actor: actor() }.apply(tx)?;
        let license = CreateLicense {
            customer: customer.id.to_string(),
            plan: "pro".into(),
            ..Default::default()
        };
        let license = app::licenses::CreateLicense { request: license, actor: actor() };
        let (license, _) = license.apply(tx, keys.master())?;
        let request = CreateRequest {
            customer: customer.id.to_string(),
            license: license.id.to_string(),
            justification: "signed".into(),
            slug: "acme".into(),
            name: "Acme".into(),
            domain: "acme.example.com".into(),
            host: "vps-1".into(),
            blueprint: "shop".into(),
            ..Default::default()
        };
        app::requests::CreateRequest { request, actor: actor(), requester: "one".into(), rules }
            .apply(tx)
    };
    world.portal.db.write(ask).unwrap()
}

/// Somebody else's approval.
fn approval(world: &World, id: ProvisionRequestId) -> request_decide::Approve {
    request_decide::Approve {
        id,
        generation: None,
        request: ApproveRequest { despite_capacity: true, ..Default::default() },
        actor: ACTOR.into(),
        approver: "another".into(),
        four_eyes: true,
        rules: world.portal.config.job_rules(),
    }
}

impl Approved {
    fn new() -> Self {
        let world = World::new();
        let mut agent = world.agent();
        let id = request(&world).id;
        let approve = approval(&world, id);
        world.portal.db.write(move |tx| approve.apply(tx)).unwrap();
        let (_, mut jobs) = agent.poll(&world);
        let job = jobs.remove(0);
        Self { world, agent, id, job }
    }

    fn row(&self) -> RequestRow {
        self.world.portal.db.read(|read| requests::by_id(read, self.id)).unwrap().unwrap()
    }

    /// Where the request, its license and its tenant stand.
    fn standing(&self) -> (RequestStatus, LicenseStatus, TenantStatus) {
        let row = self.row();
        let license: LicenseRow = self.world.license_row(row.license);
        let tenant: TenantRow =
            self.world.portal.db.read(|read| tenants::by_id(read, row.tenant)).unwrap().unwrap();
        (row.status, license.status, tenant.status)
    }

    fn report(&mut self, outcome: Outcome, failure: Option<Failure>) {
        let done = (outcome == Outcome::Succeeded).then(|| self.deployed());
        self.agent.report(&self.world, &self.job, outcome, failure, done).unwrap();
    }

    fn deployed(&self) -> JobResult {
        let Work::DeployTenant(deploy) = &*self.job.0.work else { panic!("no deployment") };
        JobResult::Deployed(Box::new(Deployed {
            project: "acme_shop".into(),
            release: deploy.release.clone(),
            domain: deploy.domain.clone(),
            endpoints: BTreeMap::new(),
            ports: BTreeMap::new(),
            health: TenantHealth {
                tenant: deploy.tenant,
                at: self.world.clock.now(),
                status: HealthStatus::Healthy,
                containers: Vec::new(),
                backend: None,
                public: None,
                certificate_expires: None,
                disk: None,
                problems: Vec::new(),
            },
            sealed_password: None,
            app_key: None,
        }))
    }
}

#[test]
fn the_agent_gets_the_approval_and_its_report_moves_everything_at_once() {
    let mut approved = Approved::new();
    let row = approved.row();
    let job = &approved.job.0;
    let approval = job.approval.unwrap();
    assert_eq!((approval.request, approval.digest), (approved.id, row.digest));
    assert_eq!(job.work.digest(), row.digest);
    assert_eq!(row.job, Some(job.job_id));
    use {LicenseStatus as L, RequestStatus as R, TenantStatus as T};
    assert_eq!(approved.standing(), (R::Approved, L::PendingDeployment, T::Provisioning));
    approved.report(Outcome::Succeeded, None);
    assert_eq!(approved.standing(), (R::Deployed, L::Active, T::Active));
    // Nobody had to approve other work.
    let other = approved.world.probe();
    let (_, jobs) = approved.agent.poll(&approved.world);
    assert_eq!((jobs[0].0.job_id, jobs[0].0.approval), (other, None));
}

#[test]
fn a_failed_job_makes_the_request_retryable_with_the_same_work() {
    use {LicenseStatus as L, RequestStatus as R, TenantStatus as T};
    let mut approved = Approved::new();
    let first = approved.job.clone();
    let failure = Failure::new(FailureClass::App, "the container is unhealthy", "fix the release");
    approved.report(Outcome::RolledBack, Some(failure));
    assert_eq!(approved.standing(), (R::Failed, L::PendingDeployment, T::Failed));
    assert_eq!(approved.row().failure.unwrap().what, "the container is unhealthy");
    let retry = request_retry::Retry {
        id: approved.id,
        actor: ACTOR.into(),
        rules: approved.world.portal.config.job_rules(),
    };
    approved.world.portal.db.write(move |tx| retry.apply(tx)).unwrap();
    assert_eq!(approved.standing(), (R::Approved, L::PendingDeployment, T::Pending));
    let (_, mut jobs) = approved.agent.poll(&approved.world);
    approved.job = jobs.remove(0);
    let (second, _) = &approved.job;
    assert_eq!((second.job_id, second.attempt), (first.0.job_id, 2));
    assert_eq!((second.approval, &second.work), (first.0.approval, &first.0.work));
    approved.report(Outcome::Succeeded, None);
    assert_eq!(approved.standing(), (R::Deployed, L::Active, T::Active));
    assert_eq!(approved.row().failure, None);
}

#[test]
fn an_attempt_that_is_made_by_itself_leaves_the_request_approved() {
    let mut approved = Approved::new();
    approved.report(Outcome::RolledBack, Some(upstream()));
    assert_eq!(approved.row().status, RequestStatus::Approved);
}

#[test]
fn every_other_end_of_the_job_is_a_failure_of_the_request() {
    for outcome in [Outcome::Failed, Outcome::Cancelled, Outcome::Expired, Outcome::Stuck] {
        let mut approved = Approved::new();
        let failure = Failure::new(FailureClass::Host, "no", "look");
        approved.report(outcome, Some(failure));
        assert_eq!(approved.row().status, RequestStatus::Failed, "{outcome:?}");
    }
}

#[test]
fn a_report_that_comes_late_still_deploys_the_request() {
    let mut approved = Approved::new();
    let running = RunningJob {
        job_id: approved.job.0.job_id,
        attempt: 1,
        step: "preflight".into(),
        undoing: false,
        progress_at: approved.world.clock.now(),
    };
    approved.agent.running = vec![running];
    approved.agent.poll(&approved.world);
    approved.agent.running.clear();
    // The agent knows nothing of the job, and nothing is heard of it.
    for _ in 0..4 {
        approved.world.clock.advance_secs(16 * 60);
        approved.agent.poll(&approved.world);
    }
    assert_eq!(approved.row().status, RequestStatus::Failed);
    approved.report(Outcome::Succeeded, None);
    assert_eq!(approved.row().status, RequestStatus::Deployed);
}

#[test]
fn work_that_was_changed_in_the_database_is_not_given_out() {
    let world = World::new();
    let mut agent = world.agent();
    let id = request(&world).id;
    let approve = approval(&world, id);
    let row = world.portal.db.write(move |tx| approve.apply(tx)).unwrap();
    world
        .portal
        .db
        .write(|tx| {
            let change = "UPDATE jobs SET work = replace(work, 'shop/web:1', 'evil/web:1')";
            assert_eq!(tx.sql().execute(change, [])?, 1);
            Ok(())
        })
        .unwrap();
    assert_eq!(agent.poll(&world).1, []);
    let job = world.job(row.job.unwrap());
    assert_eq!(job.state, JobState::Failed);
    assert_eq!(job.failure.as_ref().unwrap().class, FailureClass::Refused);
    let row = world.portal.db.read(|read| requests::by_id(read, id)).unwrap().unwrap();
    assert_eq!(row.status, RequestStatus::Failed);
}

#[test]
fn work_that_another_version_has_written_is_sent_byte_for_byte() {
    let world = World::new();
    let mut agent = world.agent();
    let id = request(&world).id;
    let kept = world.portal.db.read(|read| requests::work(read, id)).unwrap();
    let text = kept.text();
    // The other way round, and with a space here and there.
    let params = &text[text.find("\"params\"").unwrap()..text.len() - 1];
    let text = format!("{{ {params}, \"kind\":\"deploy_tenant\" }}");
    let digest = Sha256Digest::of(text.as_bytes());
    let change = (id.to_string(), text.clone(), digest.to_string());
    let rewrite = move |tx: &db::Tx<'_>| {
        let sql = "UPDATE requests SET work = ?2, digest = ?3 WHERE id = ?1";
        Ok(tx.sql().execute(sql, change)?)
    };
    assert_eq!(world.portal.db.write(rewrite).unwrap(), 1);
    let approve = approval(&world, id);
    world.portal.db.write(move |tx| approve.apply(tx)).unwrap();
    let (_, jobs) = agent.poll(&world);
    let job = &jobs[0].0;
    assert_eq!((job.work.text(), job.approval.unwrap().digest), (text.as_str(), digest));
    assert_eq!(*job.work, *kept);
}

#[test]
fn a_host_that_is_given_up_fails_its_request_and_takes_no_retry() {
    let approved = Approved::new();
    let revoke = app::revoke_host::RevokeHost {
        name: "vps-1".parse().unwrap(),
        request: crate::api::hosts::RevokeHost { confirm: "vps-1".into() },
        actor: ACTOR.into(),
    };
    approved.world.portal.db.write(move |tx| revoke.apply(tx)).unwrap();
    let row = approved.row();
    assert_eq!(row.status, RequestStatus::Failed);
    assert!(row.failure.unwrap().what.contains("was revoked"));
    let retry = request_retry::Retry {
        id: approved.id,
        actor: ACTOR.into(),
        rules: approved.world.portal.config.job_rules(),
    };
    let error = approved.world.portal.db.write(move |tx| retry.apply(tx)).unwrap_err();
    assert_eq!(error.code, "host_revoked");
}
