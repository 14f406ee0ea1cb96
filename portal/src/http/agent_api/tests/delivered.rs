//! What jobs bring for tenants' apps: from the deploy that needs it over rotations that work and that do
//! not, to the values that the host gets to see.

use std::collections::BTreeMap;

use freehold_protocol::{
    app_env::{AppEnv, EnvContext},
    blueprint::delivered::Delivered,
    failure::{Failure, FailureClass},
    ids::{JobId, Sha256Digest, TenantId, TenantSlug},
    job::{Job, Work},
    report::{Deployed, HealthStatus, JobResult, Outcome, TenantHealth},
    seal::SealKey,
};

mod edges;

use super::world::{ACTOR, Agent, World};
use crate::{
    api::tenant_keys::RotateTenantKey,
    app::{
        blueprints::PublishRelease,
        tenant_keys::{self, RevokeTenantKey, RotateKey, Rotated},
        tenant_work::Deploy,
        tenants::CreateTenant,
    },
    clock::Clock as _,
    config::Config,
    db::{self, tenant_keys::TenantKeyRow},
    domain::{ids::TenantKeyId, job::JobState},
    error::AppError,
    licensing::KeyRefused,
};

const URL: &str = "http://127.0.0.1:8600";

/// A blueprint whose one service has this environment.
fn shop(environment: &str) -> String {
    format!(
        "services:\n  web:\n    image: shop/web:1\n    environment:\n{environment}
x-freehold:
  product: shop
  ports: {{ backend: {{ service: web, containerPort: 8080 }} }}
  routes: [{{ path: /, port: backend }}]
  health: {{ port: backend, path: /health }}\n"
    )
}

const ALL: &str = "      KEY: ${FREEHOLD_TENANT_KEY}
      PORTAL: ${FREEHOLD_PORTAL_URL:-}
      LICENSE: ${FREEHOLD_LICENSE_KEY:-}
      ORGANIZATION: ${FREEHOLD_ORGANIZATION_ID:-}
      KEYS: ${FREEHOLD_JWKS}
";

fn slug() -> TenantSlug {
    "acme".parse().unwrap()
}

fn with_url() -> World {
    World::with(Config { public_url: URL.into(), ..Config::default() })
}

impl World {
    fn publish(&self, environment: &str) {
        self.publish_source(shop(environment));
    }

    fn publish_source(&self, source: String) {
        let release = PublishRelease::parse(None, source, String::new(), ACTOR.into()).unwrap();
        self.portal.db.write(move |tx| release.apply(tx)).unwrap();
    }

    fn acme(&self) -> TenantId {
        let request = serde_json::from_value(serde_json::json!({
            "slug": "acme", "name": "Acme", "domain": "acme.example.com", "host": "vps-1", "blueprint": "shop",
        }));
        let rules = self.portal.config.job_rules();
        let create = CreateTenant { request: request.unwrap(), actor: ACTOR.into(), rules };
        self.portal.db.write(move |tx| create.apply(tx)).unwrap().0.id
    }

    fn deploy(&self, release: Option<u32>) -> Result<JobId, AppError> {
        let rules = self.portal.config.job_rules();
        let deploy = Deploy { slug: slug(), release, actor: ACTOR.into(), rules };
        self.portal.db.write(move |tx| deploy.apply(tx))
    }

    fn rotate(&self, id: TenantKeyId, grace_hours: u32) -> Result<(TenantKeyRow, JobId), AppError> {
        let request = RotateTenantKey { grace_hours: Some(grace_hours) };
        let rules = self.portal.config.job_rules();
        let rotate = RotateKey { slug: slug(), id, request, actor: ACTOR.into(), rules };
        let keys = self.portal.keys.current();
        match self.portal.db.write(move |tx| rotate.apply(tx, keys.master()))? {
            Rotated::Delivered(key, job) => Ok((key, job)),
            Rotated::Shown(..) => panic!("a delivered key was shown"),
        }
    }

    fn revoke(&self, id: TenantKeyId) {
        let revoke = RevokeTenantKey { slug: slug(), id, actor: ACTOR.into() };
        self.portal.db.write(move |tx| revoke.apply(tx)).unwrap();
    }

    fn keys_of(&self, tenant: TenantId) -> Vec<TenantKeyRow> {
        self.portal.db.read(|read| db::tenant_keys::list(read, tenant, "", 50)).unwrap()
    }

    fn states(&self, tenant: TenantId) -> Vec<&'static str> {
        let now = self.clock.now();
        self.keys_of(tenant).iter().map(|key| tenant_keys::state(key, now)).collect()
    }

    /// What the portal says to a key, asked as an app asks.
    fn says(&self, key: &str) -> Result<TenantId, KeyRefused> {
        let snapshot = self.portal.licensing.snapshot();
        self.portal.licensing.tenant_key(&snapshot, key, self.clock.now()).map(|key| key.tenant)
    }
}

fn context(job: &Job) -> EnvContext {
    EnvContext {
        portal: job.portal,
        agent: job.agent_id,
        tenant: job.work.tenant().unwrap(),
        job: job.job_id,
        attempt: job.attempt,
    }
}

fn open(agent: &Agent, job: &Job) -> AppEnv {
    let opened = job.app_env.as_ref().unwrap().open(&agent.seal, context(job)).unwrap();
    let Work::DeployTenant(deploy) = &*job.work else { panic!("it deploys") };
    assert_eq!(opened.check(&deploy.blueprint), Ok(()));
    opened
}

fn value(env: &AppEnv, name: Delivered) -> String {
    env.values()[&name].expose().to_owned()
}

/// Polls for the one job that waits, and opens what it brings.
fn take(world: &World, agent: &mut Agent) -> ((Job, Sha256Digest), AppEnv) {
    let (_, mut jobs) = agent.poll(world);
    assert_eq!(jobs.len(), 1);
    let job = jobs.remove(0);
    let env = open(agent, &job.0);
    (job, env)
}

fn done(world: &World, agent: &mut Agent, job: &(Job, Sha256Digest)) {
    let mark = job.0.app_env.is_some().then(|| open(agent, &job.0).key_mark(job.0.job_id));
    done_with(world, agent, job, mark.flatten());
}

/// Reports a job as done that was done with the key of this mark.
fn done_with(
    world: &World,
    agent: &mut Agent,
    job: &(Job, Sha256Digest),
    app_key: Option<Sha256Digest>,
) {
    let Work::DeployTenant(deploy) = &*job.0.work else { panic!("it deploys") };
    let deployed = Deployed {
        project: "acme_shop".into(),
        release: deploy.release.clone(),
        domain: deploy.domain.clone(),
        endpoints: BTreeMap::new(),
        ports: BTreeMap::new(),
        health: TenantHealth {
            tenant: deploy.tenant,
            at: world.clock.now(),
            status: HealthStatus::Healthy,
            containers: Vec::new(),
            backend: None,
            public: None,
            certificate_expires: None,
            disk: None,
            problems: Vec::new(),
        },
        sealed_password: None,
        app_key,
    };
    let result = Some(JobResult::Deployed(Box::new(deployed)));
    agent.report(world, job, Outcome::Succeeded, None, result).unwrap();
}

fn rolled_back(world: &World, agent: &mut Agent, job: &(Job, Sha256Digest)) {
    let failure = Failure::new(FailureClass::App, "it is not healthy", "mend it");
    agent.report(world, job, Outcome::RolledBack, Some(failure), None).unwrap();
}

/// A tenant whose app has its first key.
fn deployed(world: &World, agent: &mut Agent) -> (TenantId, String) {
    world.publish(ALL);
    let tenant = world.acme();
    world.deploy(None).unwrap();
    let (job, env) = take(world, agent);
    done(world, agent, &job);
    (tenant, value(&env, Delivered::TenantKey))
}

/// Files of the portal that hold a text.
fn holders(world: &World, text: &str) -> Vec<String> {
    let data = world.dir.path().join("data");
    let files = std::fs::read_dir(data).unwrap().flatten().filter(|entry| entry.path().is_file());
    files
        .filter(|entry| {
            let bytes = std::fs::read(entry.path()).unwrap();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_deploy_brings_what_its_blueprint_asks_for_sealed_for_its_agent() {
    let world = with_url();
    let mut agent = world.agent();
    world.publish(ALL);
    let tenant = world.acme();
    let license = world.license(tenant);
    world.deploy(None).unwrap();
    assert_eq!(world.keys_of(tenant).len(), 0, "a job that is never handed out makes no key");
    let (job, env) = take(&world, &mut agent);

    let key = value(&env, Delivered::TenantKey);
    assert_eq!(world.says(&key), Ok(tenant));
    assert_eq!(value(&env, Delivered::PortalUrl), URL);
    let keys = world.portal.keys.current();
    let held = world.license_row(license);
    let reveal = crate::app::licenses::RevealKey { id: license, actor: ACTOR.into() };
    let shown = world.portal.db.write(move |tx| reveal.apply(tx, keys.master())).unwrap();
    assert_eq!(value(&env, Delivered::LicenseKey), shown.expose());
    let customer = held.customer;
    let customer = world.portal.db.read(|read| db::customers::by_id(read, customer)).unwrap();
    assert_eq!(value(&env, Delivered::OrganizationId), customer.unwrap().organization_id);
    let jwks = crate::licensing::jwks(world.portal.keys.current().lease()).to_string();
    assert_eq!(value(&env, Delivered::Jwks), jwks);

    // Nobody else opens it, and this agent not as another attempt.
    let sealed = job.0.app_env.as_ref().unwrap();
    let stranger = SealKey::from_bytes(&[99; 32]).unwrap();
    assert!(sealed.open(&stranger, context(&job.0)).is_err());
    assert!(sealed.open(&agent.seal, EnvContext { attempt: 2, ..context(&job.0) }).is_err());

    // Neither database nor audit log has it in the clear.
    done(&world, &mut agent, &job);
    for secret in [&key[..], shown.expose()] {
        assert_eq!(holders(&world, secret), [""; 0]);
    }
    let rows = world.portal.db.read(|read| db::audit::after(read, 0, 1000)).unwrap();
    for action in ["job.deliver", "tenant_key.create", "tenant_key.deliver"] {
        assert!(rows.iter().any(|row| row.action == action), "{action}");
    }
    assert!(rows.iter().all(|row| !row.detail.contains(&key)));

    // The next deploy brings the same key, whatever happened in between.
    world.deploy(None).unwrap();
    let (job, env) = take(&world, &mut agent);
    assert_eq!(value(&env, Delivered::TenantKey), key);
    rolled_back(&world, &mut agent, &job);
    assert_eq!(world.states(tenant), ["valid"]);
}

#[test]
fn a_rotation_counts_the_grace_period_from_the_report_of_its_job() {
    let world = with_url();
    let mut agent = world.agent();
    let (tenant, first) = deployed(&world, &mut agent);
    let old = world.keys_of(tenant)[0].id;

    let (new, job) = world.rotate(old, 2).unwrap();
    assert_eq!(world.rotate(old, 2).unwrap_err().code, "key_not_delivered");
    assert_eq!(world.rotate(new.id, 2).unwrap_err().code, "key_not_delivered");
    // While the host has not taken it, nothing ends.
    world.clock.advance_secs(3000);
    assert_eq!(world.says(&first), Ok(tenant));
    let (taken, env) = take(&world, &mut agent);
    assert_eq!(taken.0.job_id, job);
    let second = value(&env, Delivered::TenantKey);
    assert_ne!(second, first);
    assert_eq!((world.says(&first), world.says(&second)), (Ok(tenant), Ok(tenant)));
    done(&world, &mut agent, &taken);
    assert_eq!(world.states(tenant), ["replaced", "valid"]);
    world.clock.advance_secs(2 * 3600 - 1);
    assert_eq!((world.says(&first), world.says(&second)), (Ok(tenant), Ok(tenant)));
    world.clock.advance_secs(1);
    assert_eq!((world.says(&first), world.says(&second)), (Err(KeyRefused::Ended), Ok(tenant)));
    // And on it goes from there.
    let (_, job) = world.rotate(new.id, 0).unwrap();
    let (taken, env) = take(&world, &mut agent);
    assert_eq!(taken.0.job_id, job);
    done(&world, &mut agent, &taken);
    assert_eq!(world.states(tenant), ["ended", "ended", "valid"]);
    assert_eq!(world.says(&value(&env, Delivered::TenantKey)), Ok(tenant));
}

#[test]
fn a_rotation_that_does_not_arrive_leaves_the_old_key_good_and_the_next_deploy_brings_the_new_one()
{
    let world = with_url();
    let mut agent = world.agent();
    let (tenant, first) = deployed(&world, &mut agent);
    // A newer release is wanted, and not what a rotation deploys.
    world.publish(&format!("{ALL}      MORE: \"1\"\n"));
    world.deploy(Some(2)).unwrap();
    let (job, _) = take(&world, &mut agent);
    rolled_back(&world, &mut agent, &job);

    let old = world.keys_of(tenant)[0].id;
    let (new, _) = world.rotate(old, 1).unwrap();
    let (job, env) = take(&world, &mut agent);
    let Work::DeployTenant(deploy) = &*job.0.work else { panic!("it deploys") };
    assert_eq!(deploy.release.number, 1);
    let tenants = world.portal.db.read(|read| db::tenants::by_id(read, tenant)).unwrap().unwrap();
    assert_eq!(tenants.release_wanted, 2);
    let second = value(&env, Delivered::TenantKey);
    rolled_back(&world, &mut agent, &job);
    world.clock.advance_secs(90 * 86_400);
    assert_eq!(world.states(tenant), ["valid", "valid"]);
    assert_eq!((world.says(&first), world.says(&second)), (Ok(tenant), Ok(tenant)));

    // Nobody takes the next one in time.
    let late = world.deploy(Some(1)).unwrap();
    world.clock.advance_secs(3601);
    world.reap();
    assert_eq!(world.state(late), JobState::Expired);
    assert_eq!(world.states(tenant), ["valid", "valid"]);

    world.deploy(Some(1)).unwrap();
    let (job, env) = take(&world, &mut agent);
    assert_eq!(value(&env, Delivered::TenantKey), second);
    done(&world, &mut agent, &job);
    assert_eq!(world.states(tenant), ["replaced", "valid"]);
    world.clock.advance_secs(3600);
    assert_eq!((world.says(&first), world.says(&second)), (Err(KeyRefused::Ended), Ok(tenant)));

    // A pending key that is revoked is not brought: the one before it is.
    let (third, _) = world.rotate(new.id, 1).unwrap();
    let (job, _) = take(&world, &mut agent);
    rolled_back(&world, &mut agent, &job);
    world.revoke(third.id);
    world.deploy(Some(1)).unwrap();
    let (job, env) = take(&world, &mut agent);
    assert_eq!(value(&env, Delivered::TenantKey), second);
    done(&world, &mut agent, &job);

    // One that is in use and revoked is refused at once, and the next deploy brings a new one.
    world.revoke(new.id);
    assert_eq!(world.says(&second), Err(KeyRefused::Revoked));
    world.deploy(Some(1)).unwrap();
    let (job, env) = take(&world, &mut agent);
    let fourth = value(&env, Delivered::TenantKey);
    assert!(fourth != second && world.says(&fourth) == Ok(tenant));
    done(&world, &mut agent, &job);
}

#[test]
fn a_retry_brings_the_same_key_sealed_for_its_own_attempt() {
    let world = with_url();
    let mut agent = world.agent();
    world.publish(ALL);
    let tenant = world.acme();
    world.deploy(None).unwrap();
    let (first, env) = take(&world, &mut agent);
    agent
        .report(&world, &first, Outcome::RolledBack, Some(super::world::upstream()), None)
        .unwrap();
    world.clock.advance_secs(3600);
    let (second, again) = take(&world, &mut agent);
    assert_eq!((second.0.job_id, second.0.attempt), (first.0.job_id, 2));
    assert_eq!(again, env);
    assert!(second.0.app_env.as_ref().unwrap().open(&agent.seal, context(&first.0)).is_err());
    done(&world, &mut agent, &second);
    assert_eq!(world.states(tenant), ["valid"]);
}

#[test]
fn what_there_is_not_is_refused_when_it_is_needed_and_left_out_when_it_is_not() {
    let world = World::new();
    let mut agent = world.agent();
    world.publish("      PORTAL: ${FREEHOLD_PORTAL_URL}\n");
    let tenant = world.acme();
    assert_eq!(world.deploy(None).unwrap_err().code, "public_url_missing");
    world.publish(
        "      LICENSE: ${FREEHOLD_LICENSE_KEY}\n      ORG: ${FREEHOLD_ORGANIZATION_ID}\n",
    );
    let error = world.deploy(Some(2)).unwrap_err();
    let pointers: Vec<_> = error.fields.iter().map(|field| field.pointer.as_str()).collect();
    assert_eq!(pointers, ["/license", "/license"], "{error:?}");
    assert!(error.fields[0].detail.contains("FREEHOLD_LICENSE_KEY"), "{error:?}");

    // The license goes away between the wish and its fulfilment.
    world.license(tenant);
    let job = world.deploy(Some(2)).unwrap();
    let text = tenant.to_string();
    world
        .portal
        .db
        .write(move |tx| {
            Ok(tx.sql().execute("UPDATE tenants SET license_id = NULL WHERE id = ?1", [&text])?)
        })
        .unwrap();
    assert_eq!(agent.poll(&world).1.len(), 0);
    assert_eq!(world.state(job), JobState::Failed);
    let failure = world.job(job).failure.clone().unwrap();
    assert!(failure.what.contains("FREEHOLD_LICENSE_KEY"), "{failure:?}");

    world.publish(
        "      PORTAL: ${FREEHOLD_PORTAL_URL:-}\n      LICENSE: ${FREEHOLD_LICENSE_KEY:-}\n",
    );
    world.deploy(Some(3)).unwrap();
    let (_, jobs) = agent.poll(&world);
    assert_eq!(jobs[0].0.app_env, None);
    assert_eq!(world.keys_of(tenant).len(), 0);
}

#[test]
fn a_key_that_does_not_open_fails_its_own_job_alone() {
    let world = with_url();
    let mut agent = world.agent();
    let (tenant, _) = deployed(&world, &mut agent);
    world
        .portal
        .db
        .write(|tx| Ok(tx.sql().execute("UPDATE tenant_keys SET sealed = x'0011'", [])?))
        .unwrap();
    let (job, probe) = (world.deploy(None).unwrap(), world.probe());
    let (_, jobs) = agent.poll(&world);
    assert_eq!(jobs.iter().map(|job| job.0.job_id).collect::<Vec<_>>(), [probe]);
    assert_eq!(world.state(job), JobState::Failed);
    let failure = world.job(job).failure.clone().unwrap();
    assert!(failure.advice.contains("freehold tenant key revoke acme"), "{failure:?}");
    world.revoke(world.keys_of(tenant)[0].id);
    world.deploy(None).unwrap();
    let (_, jobs) = agent.poll(&world);
    open(&agent, &jobs[0].0);
}
