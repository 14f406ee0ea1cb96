//! Rotations that follow each other, releases that use no key, wishes that wait, and jobs that bring
//! nothing.

use freehold_protocol::{app_env::key_mark, secret::Secret};

use super::*;
use crate::{
    api::tenants as wire,
    app::{tenant_keys::CreateTenantKey, tenants::UpdateTenant},
    db::codec,
    keys::Place,
};

/// One that uses nothing that is delivered.
const NONE: &str = "      PLAIN: \"1\"\n";

impl World {
    fn sql(&self, sql: &'static str) {
        let changed = self.portal.db.write(move |tx| Ok(tx.sql().execute(sql, [])?)).unwrap();
        assert_ne!(changed, 0, "{sql}");
    }

    fn make_by_hand(&self) -> TenantKeyId {
        let create = CreateTenantKey { slug: slug(), actor: ACTOR.into() };
        let keys = self.portal.keys.current();
        self.portal.db.write(move |tx| create.apply(tx, keys.master())).unwrap().0.id
    }

    /// What the audit log says of what jobs have brought.
    fn deliveries(&self) -> Vec<serde_json::Value> {
        let rows = self.portal.db.read(|read| db::audit::after(read, 0, 1000)).unwrap();
        let deliveries = rows.iter().filter(|row| row.action == "job.deliver");
        deliveries.map(|row| serde_json::from_str(&row.detail).unwrap()).collect()
    }

    fn wish(&self, request: serde_json::Value) {
        let request: wire::UpdateTenant = serde_json::from_value(request).unwrap();
        let update = UpdateTenant { slug: slug(), generation: None, request, actor: ACTOR.into() };
        self.portal.db.write(move |tx| update.apply(tx)).unwrap();
    }
}

/// Takes the one job that waits, which brings nothing, and reports it as done.
fn done_without(world: &World, agent: &mut Agent) {
    let (_, jobs) = agent.poll(world);
    assert_eq!((jobs.len(), &jobs[0].0.app_env), (1, &None));
    done(world, agent, &jobs[0]);
}

#[test]
fn a_job_that_was_done_with_another_key_has_not_brought_the_one_that_it_carries() {
    let world = with_url();
    let mut agent = world.agent();
    let (tenant, first) = deployed(&world, &mut agent);
    let (second, _) = world.rotate(world.keys_of(tenant)[0].id, 1).unwrap();
    let (job, _) = take(&world, &mut agent);
    // The host has done this very job before the database was restored, with a key that is not in it.
    let lost = key_mark(job.0.job_id, &Secret::new("fhl_lost".into()));
    done_with(&world, &mut agent, &job, Some(lost));
    assert_eq!(world.state(job.0.job_id), JobState::Succeeded);
    assert_eq!(world.states(tenant), ["valid", "valid"]);
    assert_eq!(world.keys_of(tenant)[1].delivered_at, None);
    assert_eq!(world.rotate(second.id, 1).unwrap_err().code, "key_not_delivered");
    // Neither has one that says nothing of a key, nor one that says what another job has brought.
    for mark in [None, Some(key_mark(job.0.job_id, &Secret::new(first.clone())))] {
        world.deploy(None).unwrap();
        let (job, _) = take(&world, &mut agent);
        done_with(&world, &mut agent, &job, mark);
        assert_eq!(world.keys_of(tenant)[1].delivered_at, None, "{mark:?}");
    }
    world.clock.advance_secs(24 * 3600);
    assert_eq!(world.says(&first), Ok(tenant), "no grace period has begun");

    world.deploy(None).unwrap();
    let (job, _) = take(&world, &mut agent);
    done(&world, &mut agent, &job);
    assert_eq!(world.states(tenant), ["replaced", "valid"]);
}

#[test]
fn rotating_again_ends_the_key_before_the_last_when_the_newest_has_arrived() {
    let world = with_url();
    let mut agent = world.agent();
    let (tenant, first) = deployed(&world, &mut agent);
    let (second, _) = world.rotate(world.keys_of(tenant)[0].id, 168).unwrap();
    let (job, _) = take(&world, &mut agent);
    done(&world, &mut agent, &job);
    world.rotate(second.id, 24).unwrap();
    let (job, _) = take(&world, &mut agent);
    assert_eq!(
        (world.states(tenant), world.says(&first)),
        (vec!["replaced", "valid", "valid"], Ok(tenant))
    );
    done(&world, &mut agent, &job);
    assert_eq!(world.states(tenant), ["ended", "replaced", "valid"]);
    assert_eq!(world.says(&first), Err(KeyRefused::Ended));
}

#[test]
fn a_clock_that_was_set_back_between_two_keys_does_not_bring_the_older_one() {
    let world = with_url();
    let mut agent = world.agent();
    let (tenant, first) = deployed(&world, &mut agent);
    // The identifier of the first is of a time to come, and so sorts after that of the second.
    let ahead: TenantKeyId = "ffffffff-0000-7000-8000-000000000000".parse().unwrap();
    let (keys, secret) = (world.portal.keys.current(), Secret::new(first.clone()));
    let renumber = move |tx: &db::Tx<'_>| {
        let (row, owner) = (ahead.to_string(), tenant.to_string());
        let place =
            Place { table: "tenant_keys", column: "sealed", row: &row, tenant: &owner, version: 1 };
        let sealed = keys.master().seal(&place, &secret)?;
        Ok(tx.sql().execute("UPDATE tenant_keys SET id = ?1, sealed = ?2", (&row, sealed))?)
    };
    assert_eq!(world.portal.db.write(renumber).unwrap(), 1);

    world.rotate(ahead, 1).unwrap();
    let (job, env) = take(&world, &mut agent);
    let second = value(&env, Delivered::TenantKey);
    assert_ne!(second, first);
    done(&world, &mut agent, &job);
    assert_eq!(world.states(tenant), ["valid", "replaced"]);
    world.deploy(None).unwrap();
    assert_eq!(value(&take(&world, &mut agent).1, Delivered::TenantKey), second);
}

#[test]
fn keys_end_when_the_release_that_runs_uses_none_and_are_not_rotated() {
    let world = with_url();
    let mut agent = world.agent();
    let (tenant, first) = deployed(&world, &mut agent);
    world.publish(NONE);
    let (second, _) = world.rotate(world.keys_of(tenant)[0].id, 1).unwrap();
    let (job, _) = take(&world, &mut agent);
    rolled_back(&world, &mut agent, &job);

    // A deploy that is undone ends nothing.
    world.deploy(Some(2)).unwrap();
    let (_, jobs) = agent.poll(&world);
    rolled_back(&world, &mut agent, &jobs[0]);
    assert_eq!(world.states(tenant), ["valid", "valid"]);
    world.deploy(Some(2)).unwrap();
    done_without(&world, &mut agent);
    assert_eq!(world.states(tenant), ["replaced", "replaced"]);
    world.clock.advance_secs(24 * 3600 - 1);
    assert_eq!(world.says(&first), Ok(tenant));
    world.clock.advance_secs(1);
    assert_eq!(world.states(tenant), ["ended", "ended"]);
    assert_eq!(world.rotate(second.id, 1).unwrap_err().code, "key_not_valid");

    // One that is good in spite of it, as of a version that did not end it.
    world.sql("UPDATE tenant_keys SET valid_until = NULL WHERE delivered_at IS NOT NULL");
    let error = world.rotate(world.keys_of(tenant)[0].id, 1).unwrap_err();
    assert_eq!(error.code, "key_not_used");
    assert!(error.advice.contains("freehold tenant key revoke acme"), "{error:?}");
    assert_eq!(world.keys_of(tenant).len(), 2);

    // Back to the release that uses one.
    world.sql("UPDATE tenant_keys SET valid_until = 1");
    world.deploy(Some(1)).unwrap();
    let (job, env) = take(&world, &mut agent);
    done(&world, &mut agent, &job);
    assert_eq!(world.says(&value(&env, Delivered::TenantKey)), Ok(tenant));
}

#[test]
fn a_rotation_deploys_what_runs_whatever_is_wanted_by_now() {
    let world = with_url();
    let mut agent = world.agent();
    let (tenant, _) = deployed(&world, &mut agent);
    world.license(tenant);
    // Wishes that the next deploy is for: a setting that only the newer release knows, an address, a plan
    // that gives less than what runs takes. And the job that has deployed it is long forgotten.
    world.publish_source(
        shop(&format!("{ALL}      MORE: ${{MORE}}\n")) + "  settings: { MORE: {} }\n",
    );
    world.wish(serde_json::json!({
        "name": "Acme II", "domain": "acme.example.org", "release": 2, "settings": { "MORE": "1" },
    }));
    world.sql("UPDATE plans SET memory_mb = 1");
    world.sql("DELETE FROM jobs");

    let (_, id) = world.rotate(world.keys_of(tenant)[0].id, 1).unwrap();
    let (job, _) = take(&world, &mut agent);
    let Work::DeployTenant(deploy) = &*job.0.work else { panic!("it deploys") };
    assert_eq!(job.0.job_id, id);
    assert_eq!((deploy.release.number, &*deploy.name), (1, "Acme"));
    assert_eq!((deploy.domain.as_str(), deploy.settings.len()), ("acme.example.com", 0));
    done(&world, &mut agent, &job);
    assert_eq!(world.states(tenant), ["replaced", "valid"]);
    let wanted = world.portal.db.read(|read| db::tenants::by_id(read, tenant)).unwrap().unwrap();
    assert_eq!((wanted.domain.as_str(), wanted.release_wanted), ("acme.example.org", 2));
    // A deploy is still judged by them.
    assert_eq!(world.deploy(Some(1)).unwrap_err().code, "invalid");

    // Without a good license no job would be handed out: it is said at once, and no key is left behind.
    world.sql("UPDATE licenses SET expires_at = 1");
    let last = world.keys_of(tenant).last().unwrap().id;
    assert_eq!(world.rotate(last, 1).unwrap_err().code, "license_not_valid");
    assert_eq!(world.states(tenant), ["replaced", "valid"]);
}

#[test]
fn a_job_that_is_not_handed_out_makes_no_key_and_is_not_said_to_have_brought_one() {
    let world = with_url();
    let mut agent = world.agent();
    world.publish(&ALL.replace("LICENSE_KEY:-}", "LICENSE_KEY}"));
    let tenant = world.acme();
    world.license(tenant);
    let no_license = world.deploy(None).unwrap();
    world.sql("UPDATE tenants SET license_id = NULL");
    assert_eq!(agent.poll(&world).1.len(), 0);
    assert_eq!(world.state(no_license), JobState::Failed);

    world.publish(ALL);
    let too_large = world.deploy(Some(2)).unwrap();
    let mut work = world.job(too_large).work.into_work();
    let Work::DeployTenant(deploy) = &mut work else { panic!("it deploys") };
    deploy.settings.insert("BIG".into(), "x".repeat(freehold_protocol::job::MAX_JOB_BYTES));
    let grow = move |tx: &db::Tx<'_>| {
        let (sql, id) = ("UPDATE jobs SET work = ?2 WHERE id = ?1", too_large.to_string());
        Ok(tx.sql().execute(sql, (id, codec::to_json(&work)?))?)
    };
    assert_eq!(world.portal.db.write(grow).unwrap(), 1);
    assert_eq!(agent.poll(&world).1.len(), 0);
    assert_eq!(world.state(too_large), JobState::Failed);
    assert_eq!((world.keys_of(tenant).len(), world.deliveries().len()), (0, 0));

    // Nothing to bring is not a delivery either.
    world.publish("      LICENSE: ${FREEHOLD_LICENSE_KEY:-}\n");
    world.deploy(Some(3)).unwrap();
    done_without(&world, &mut agent);
    assert_eq!(world.deliveries().len(), 0);
    world.deploy(Some(2)).unwrap();
    take(&world, &mut agent);
    let [delivery] = &world.deliveries()[..] else { panic!("one delivery") };
    assert_eq!(delivery["key"], serde_json::json!(world.keys_of(tenant)[0].id));
    assert_eq!(delivery["names"][0], "FREEHOLD_TENANT_KEY");
}

#[test]
fn a_tenant_with_many_keys_gets_none_that_its_app_can_do_without() {
    let world = with_url();
    let mut agent = world.agent();
    world.publish("      KEY: ${FREEHOLD_TENANT_KEY:-}\n      KEYS: ${FREEHOLD_JWKS}\n");
    let tenant = world.acme();
    let made: Vec<_> = (0..5).map(|_| world.make_by_hand()).collect();
    world.deploy(None).unwrap();
    let (job, env) = take(&world, &mut agent);
    assert_eq!(env.values().keys().collect::<Vec<_>>(), [&Delivered::Jwks]);
    done(&world, &mut agent, &job);
    assert_eq!(world.states(tenant), ["valid"; 5]);

    world.revoke(made[0]);
    world.deploy(None).unwrap();
    let (job, env) = take(&world, &mut agent);
    let key = value(&env, Delivered::TenantKey);
    done(&world, &mut agent, &job);
    assert_eq!(world.says(&key), Ok(tenant));
}

#[test]
fn many_keys_made_by_hand_do_not_fail_a_deploy_that_was_asked_for() {
    let world = with_url();
    let mut agent = world.agent();
    world.publish(ALL);
    let tenant = world.acme();
    let job = world.deploy(None).unwrap();
    for _ in 0..10 {
        let id = world.make_by_hand();
        world.revoke(id);
    }
    let (_, env) = take(&world, &mut agent);
    assert_eq!(world.state(job), JobState::Leased);
    assert_eq!(world.says(&value(&env, Delivered::TenantKey)), Ok(tenant));
}
