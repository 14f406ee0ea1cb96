//! What may happen between an approval, its dispatch and another try.

use super::*;
use crate::{
    api::tenants::RemoveTenant as RemoveBody,
    app::{jobs_admin::RetryJob, tenant_work},
    error::AppError,
};

/// A world in which the approved job waits, and nobody has asked for it yet.
fn waiting() -> (World, Agent, RequestRow) {
    let world = World::new();
    let agent = world.agent();
    let approve = approval(&world, request(&world).id);
    let row = world.portal.db.write(move |tx| approve.apply(tx)).unwrap();
    (world, agent, row)
}

impl Approved {
    fn failed() -> Self {
        let mut approved = Self::new();
        let failure = Failure::new(FailureClass::App, "the container is unhealthy", "fix it");
        approved.report(Outcome::RolledBack, Some(failure));
        approved
    }

    fn retry(&self, approval_required: bool) -> Result<RequestRow, AppError> {
        let mut rules = self.world.portal.config.job_rules();
        rules.approval_required = approval_required;
        let retry = request_retry::Retry { id: self.id, actor: ACTOR.into(), rules };
        self.world.portal.db.write(move |tx| retry.apply(tx))
    }

    fn deploy(&self, approval_required: bool) -> Result<JobId, AppError> {
        let mut rules = self.world.portal.config.job_rules();
        rules.approval_required = approval_required;
        let slug = "acme".parse().unwrap();
        let deploy = tenant_work::Deploy { slug, release: None, actor: ACTOR.into(), rules };
        self.world.portal.db.write(move |tx| deploy.apply(tx))
    }

    fn remove(&mut self, outcome: Outcome, failure: Option<Failure>) {
        let remove = tenant_work::Remove {
            slug: "acme".parse().unwrap(),
            request: RemoveBody { data: "keep".into(), confirm: None },
            actor: ACTOR.into(),
            rules: self.world.portal.config.job_rules(),
        };
        self.world.portal.db.write(move |tx| remove.apply(tx)).unwrap();
        let (_, mut jobs) = self.agent.poll(&self.world);
        let job = jobs.remove(0);
        let removed = (outcome == Outcome::Succeeded).then(|| {
            JobResult::Removed(Removed {
                kept_volumes: vec!["data".into()],
                deleted_volumes: Vec::new(),
            })
        });
        self.agent.report(&self.world, &job, outcome, failure, removed).unwrap();
    }
}

#[test]
fn a_license_that_ends_before_the_dispatch_fails_the_job_and_says_so() {
    let (world, mut agent, row) = waiting();
    sql(&world, "UPDATE licenses SET status = 'suspended'");
    assert_eq!(agent.poll(&world).1, []);
    let job = world.job(row.job.unwrap());
    let failure = job.head.failure.unwrap();
    assert_eq!((job.head.state, failure.class), (JobState::Failed, FailureClass::Request));
    assert!(failure.what.contains("is suspended"), "{failure:?}");
    // The job itself is not tried again either, nor on a host that was given up.
    let retry = || {
        let (id, rules) = (row.job.unwrap(), world.portal.config.job_rules());
        let retry = RetryJob { id, actor: ACTOR.into(), rules };
        world.portal.db.write(move |tx| retry.apply(tx))
    };
    assert_eq!(retry().unwrap_err().code, "license_not_valid");
    sql(
        &world,
        "UPDATE licenses SET status = 'pending_deployment'; UPDATE hosts SET revoked_at = 1",
    );
    assert_eq!(retry().unwrap_err().code, "host_revoked");
    sql(&world, "UPDATE hosts SET revoked_at = NULL");
    retry().unwrap();
    assert_eq!(agent.poll(&world).1.len(), 1);
}

#[test]
fn a_tenant_that_is_not_what_was_approved_is_neither_handed_out_nor_tried_again() {
    for change in
        ["UPDATE tenants SET license_id = NULL", "UPDATE tenants SET domain = 'other.example.com'"]
    {
        let (world, mut agent, row) = waiting();
        sql(&world, change);
        assert_eq!(agent.poll(&world).1, []);
        assert_eq!(world.state(row.job.unwrap()), JobState::Failed);
        let rules = world.portal.config.job_rules();
        let retry = request_retry::Retry { id: row.id, actor: ACTOR.into(), rules };
        let error = world.portal.db.write(move |tx| retry.apply(tx)).unwrap_err();
        assert_eq!(error.code, "approved_as_is", "{change}");
    }
}

#[test]
fn removing_the_tenant_closes_its_failed_request() {
    let mut approved = Approved::failed();
    approved.remove(Outcome::Succeeded, None);
    assert_eq!(approved.row().status, RequestStatus::Withdrawn);
    assert_eq!(approved.retry(false).unwrap_err().code, "request_status");
    // It has never run, so its first deployment still must be approved, and the advice leads there.
    let error = approved.deploy(true).unwrap_err();
    assert_eq!(error.code, "approval_required");
    assert!(error.advice.contains("freehold request create"), "{}", error.advice);
}

#[test]
fn a_removed_tenant_is_not_revived_and_a_job_that_tries_fails_alone() {
    let (world, mut agent, row) = waiting();
    // As it was before removals closed requests: another tenant has the name by now.
    sql(
        &world,
        "UPDATE tenants SET status = 'removed', removed_at = 1;
         INSERT INTO tenants (id, slug, name, domain, host_id, blueprint, release_wanted, status, certificate, created_by,
             created_at, updated_at)
         SELECT '01936d2a-7c2b-7e3c-8b7a-0c8f3a2b1d99', slug, name, domain, host_id, blueprint, release_wanted, 'active',
             certificate, created_by, created_at, updated_at FROM tenants",
    );
    let probe = world.probe();
    let (_, jobs) = agent.poll(&world);
    assert_eq!(jobs.iter().map(|(job, _)| job.job_id).collect::<Vec<_>>(), [probe]);
    assert_eq!(world.state(row.job.unwrap()), JobState::Failed);
    assert_eq!(world.tenant_status(row.tenant), TenantStatus::Removed);
    sql(&world, "UPDATE requests SET status = 'failed'");
    for delete in [false, true] {
        if delete {
            sql(&world, "DELETE FROM jobs WHERE kind = 'deploy_tenant'");
        }
        let rules = world.portal.config.job_rules();
        let retry = request_retry::Retry { id: row.id, actor: ACTOR.into(), rules };
        let error = world.portal.db.write(move |tx| retry.apply(tx)).unwrap_err();
        assert_eq!(error.code, "tenant_removed");
    }
}

#[test]
fn a_job_of_a_removed_tenant_expires_and_the_reaper_goes_on() {
    let (world, _, row) = waiting();
    sql(
        &world,
        "UPDATE tenants SET status = 'removed', removed_at = 1;
         INSERT INTO tenants (id, slug, name, domain, host_id, blueprint, release_wanted, status, certificate, created_by,
             created_at, updated_at)
         SELECT '01936d2a-7c2b-7e3c-8b7a-0c8f3a2b1d99', slug, name, domain, host_id, blueprint, release_wanted, 'active',
             certificate, created_by, created_at, updated_at FROM tenants",
    );
    world.clock.advance_secs(30 * 86_400);
    world.reap();
    assert_eq!(world.state(row.job.unwrap()), JobState::Expired);
}

#[test]
fn another_deployment_that_succeeds_deploys_the_failed_request_and_is_named() {
    let mut approved = Approved::failed();
    let own = approved.row().job;
    let beside = approved.deploy(false).unwrap();
    let (_, mut jobs) = approved.agent.poll(&approved.world);
    approved.job = jobs.remove(0);
    assert_eq!((approved.job.0.job_id, approved.job.0.approval), (beside, None));
    approved.report(Outcome::Succeeded, None);
    let row = approved.row();
    assert_eq!((row.status, row.job), (RequestStatus::Deployed, own));
    let what = row.failure.unwrap().what;
    assert!(what.contains(&beside.to_string()) && what.contains("unhealthy"), "{what}");
    // The approved job would go back behind what runs now.
    let rules = approved.world.portal.config.job_rules();
    let retry = RetryJob { id: own.unwrap(), actor: ACTOR.into(), rules };
    let error = approved.world.portal.db.write(move |tx| retry.apply(tx)).unwrap_err();
    assert_eq!(error.code, "overtaken");
}

#[test]
fn a_removal_that_failed_has_not_overtaken_what_was_approved() {
    let mut approved = Approved::failed();
    let failure = Failure::new(FailureClass::Host, "no docker", "start it");
    approved.remove(Outcome::Failed, Some(failure));
    let row = approved.retry(true).unwrap();
    assert_eq!(row.status, RequestStatus::Approved);
}

#[test]
fn another_release_that_failed_leaves_the_promise_of_the_approved_one() {
    let mut approved = Approved::failed();
    approved
        .world
        .portal
        .db
        .write(|tx| {
            let actor = ACTOR.to_owned();
            let source = SHOP.replace("web:1", "web:2");
            app::blueprints::PublishRelease::parse(None, source, String::new(), actor)?.apply(tx)
        })
        .unwrap();
    let rules = approved.world.portal.config.job_rules();
    let slug = "acme".parse().unwrap();
    let deploy = tenant_work::Deploy { slug, release: Some(2), actor: ACTOR.into(), rules };
    approved.world.portal.db.write(move |tx| deploy.apply(tx)).unwrap();
    let (_, mut jobs) = approved.agent.poll(&approved.world);
    approved.job = jobs.remove(0);
    let failure = Failure::new(FailureClass::App, "worse", "fix it");
    approved.report(Outcome::RolledBack, Some(failure));
    let row = approved.retry(false).unwrap();
    let tenant = approved.world.portal.db.read(|read| tenants::by_id(read, row.tenant)).unwrap();
    assert_eq!(tenant.unwrap().release_wanted, 1);
}
