//! Upkeep against a certbot and an nginx that only write down what they are asked.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use freehold_protocol::{
    ids::{Domain, Sha256Digest},
    job::{AuditHead, Job, Work},
    wire::Inventory,
};
use serde_json::json;

mod disk;
mod former;

use super::*;
use crate::{
    clock::FixedClock,
    executor::{Parts, inventory::Survey, portal_time::PortalClock},
    journal::{
        Journal, Missing,
        chain::{JobRow, JobState},
        disk::Measured,
        tenants::TenantChange,
    },
    plan::tests_support::{check_of, tenant_id},
    runner::{Argv, CancelToken, CommandError, Limits, Output, Runner, Text, Watch},
    saga::{
        context::Host,
        engine::{Engine, Patience},
        steps::Actions,
    },
};

const DAY: i64 = 86_400_000;
/// 2026-01-01.
const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// What certbot does at its next call.
#[derive(Debug, Clone, Copy)]
enum Says {
    /// It does as it is told.
    Issues,
    Refuses,
    /// The executor is stopped while it works.
    IsStopped,
}

#[derive(Debug)]
struct Tools {
    live: PathBuf,
    clock: Arc<FixedClock>,
    says: Mutex<VecDeque<Says>>,
    calls: Mutex<Vec<String>>,
    /// What nginx says of its configuration.
    config: Mutex<String>,
    halt: Mutex<Option<Arc<Executor>>>,
}

#[derive(Debug)]
struct Lent(Arc<Tools>);

impl Runner for Lent {
    fn run(&self, argv: &Argv, _: Limits, _: Watch<'_>) -> Result<Output, CommandError> {
        let tools = &self.0;
        let command = argv.to_string();
        let words: Vec<&str> = command.split(' ').take(3).collect();
        tools.calls.lock().unwrap().push(words.join(" "));
        if !command.starts_with("certbot") {
            let head = self.0.config.lock().unwrap().clone();
            return Ok(Output { stdout: Text { head, ..Text::default() }, ..Output::default() });
        }
        let deletes = words[1] == "delete";
        assert!(deletes || command.contains(" --force-renewal"), "{command}");
        let says = tools.says.lock().unwrap().pop_front().expect("no call of certbot was expected");
        match says {
            Says::Issues => {
                if deletes {
                    former::delete(&command);
                } else {
                    put_certificate(&tools.live, tools.clock.now());
                }
                Ok(Output::default())
            }
            Says::Refuses => {
                let head = "urn:ietf:params:acme:error:unauthorized :: no such file".to_owned();
                let stderr = Text { head, ..Text::default() };
                let output = Box::new(Output { code: Some(1), stderr, ..Output::default() });
                Err(CommandError::NonZero { command, output })
            }
            Says::IsStopped => {
                tools.halt.lock().unwrap().take().unwrap().stop();
                Err(CommandError::Cancelled { command, output: Box::default() })
            }
        }
    }
}

/// A certificate for 90 days.
fn put_certificate(folder: &Path, from: Timestamp) {
    let (domain, key) = ("acme.example.com".to_owned(), rcgen::KeyPair::generate().unwrap());
    let mut params = rcgen::CertificateParams::new(vec![domain]).unwrap();
    let day = |days: i64| {
        let millis = u64::try_from(from.as_millis() + days * DAY).unwrap();
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis(millis)
    };
    (params.not_before, params.not_after) = (day(0), day(90));
    std::fs::create_dir_all(folder).unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    std::fs::write(folder.join(certificate::CHAIN_FILE), pem).unwrap();
    std::fs::write(folder.join(certificate::KEY_FILE), key.serialize_pem()).unwrap();
}

#[derive(Debug)]
struct NoSurvey;
impl Survey for NoSurvey {
    fn facts(&self) -> HostFacts {
        serde_json::from_value(json!({
            "at": 0, "os": "Debian", "kernel": "6", "arch": "x86_64", "memoryTotalMib": 1,
            "memoryAvailableMib": 1, "cpus": 1, "loadPercent": 0, "diskTotalMib": 1,
            "diskAvailableMib": 1, "tools": {}
        }))
        .unwrap()
    }
    fn tenants(&self) -> Result<Vec<TenantHealth>, JournalError> {
        Ok(Vec::new())
    }
}

struct World {
    executor: Arc<Executor>,
    journal: Journal,
    tools: Arc<Tools>,
    clock: Arc<FixedClock>,
    base: tempfile::TempDir,
}

fn domain() -> Domain {
    "acme.example.com".parse().unwrap()
}

impl World {
    /// A tenant with a certificate of this age in days.
    fn new(age: i64, source: serde_json::Value, says: &[Says]) -> Self {
        let base = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::at(START));
        let journal = Journal::open(&base.path().join("journal.db"), Missing::Create).unwrap();
        let blueprint = json!({
            "product": "shop",
            "services": { "web": { "image": "shop/web:1" } },
            "freehold": {
                "ports": { "backend": { "service": "web", "containerPort": 8080 } },
                "routes": [{ "path": "/", "port": "backend" }],
                "health": { "port": "backend", "path": "/health" },
            }
        });
        let record: TenantRecord = serde_json::from_value(json!({
            "tenant": tenant_id(1), "slug": "acme", "name": "Acme",
            "portal": "0190b1c2-0000-7000-8000-000000000001",
            "mark": "0190b1c2-0000-7000-8000-000000000002",
            "domain": domain(), "project": "acme_shop",
            "release": { "blueprint": "shop", "number": 1, "digest": "0".repeat(64) },
            "blueprint": blueprint, "settings": {}, "certificate": source,
            "onboarded": true, "state": "deployed"
        }))
        .unwrap();
        let deployed = TenantChange::Deployed(Box::new(record.clone()));
        journal.write("add a tenant", |tx| deployed.apply(tx, START)).unwrap();
        let mut world = Self {
            tools: Arc::new(Tools {
                live: PathBuf::new(),
                clock: Arc::clone(&clock),
                says: Mutex::default(),
                calls: Mutex::default(),
                config: Mutex::default(),
                halt: Mutex::default(),
            }),
            executor: executor(
                &journal,
                &clock,
                base.path(),
                Box::new(crate::runner::Script::new()),
            ),
            journal,
            clock,
            base,
        };
        let live = folder_of(&world.executor.engine.host().config, &record);
        put_certificate(&live, START.plus_secs(-age * 86_400));
        world.tools = Arc::new(Tools {
            live,
            clock: Arc::clone(&world.clock),
            says: Mutex::new(says.iter().copied().collect()),
            calls: Mutex::default(),
            config: Mutex::default(),
            halt: Mutex::default(),
        });
        world.restart();
        world
    }

    fn restart(&mut self) {
        let runner = Box::new(Lent(Arc::clone(&self.tools)));
        self.executor = executor(&self.journal, &self.clock, self.base.path(), runner);
    }

    fn tend(&self) -> Duration {
        self.executor.tend_all().unwrap()
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.tools.calls.lock().unwrap())
    }

    fn record(&self) -> Record {
        record::load(&self.journal).unwrap().get(&tenant_id(1)).cloned().unwrap_or_default()
    }

    /// What the portal is told of a tenant that is well otherwise.
    fn inventory(&self) -> Inventory {
        let health = json!({
            "tenant": tenant_id(1), "at": 0, "status": "healthy", "containers": []
        });
        self.executor.take_inventory(vec![serde_json::from_value(health).unwrap()]).unwrap()
    }
}

fn executor(
    journal: &Journal,
    clock: &Arc<FixedClock>,
    base: &Path,
    runner: Box<dyn Runner>,
) -> Arc<Executor> {
    let mut host = Host::for_tests(runner);
    host.config.certbot.config_dir = base.join("letsencrypt");
    host.config.certbot.webroot = base.join("www");
    host.config.certificates_dir = base.join("certificates");
    let clock = Arc::new(PortalClock::new(Arc::clone(clock) as Arc<dyn Clock>));
    clock.set(clock.now());
    let engine = Engine::new(
        journal.clone(),
        Arc::new(host),
        Arc::new(Actions),
        Arc::clone(&clock) as Arc<dyn Clock>,
        Patience::default(),
    );
    Executor::new(Parts {
        journal: journal.clone(),
        engine,
        clock,
        survey: Box::new(NoSurvey),
        report_key: base.join("none"),
        workers: 1,
        inventory_interval: Duration::from_secs(300),
        measure_every: Some(Duration::from_secs(3600)),
        upkeep: Upkeep {
            first: Duration::ZERO,
            every: Duration::from_secs(43_200),
            before_days: 30,
        },
    })
    .unwrap()
}

fn acme() -> serde_json::Value {
    serde_json::to_value(CertificateSource::Acme).unwrap()
}

#[test]
fn what_is_due_is_renewed_and_loaded_and_then_left_alone() {
    let world = World::new(61, acme(), &[Says::Issues]);
    assert_eq!(world.tend(), Duration::from_secs(43_200));
    let calls = world.calls();
    assert!(calls[0].starts_with("certbot certonly"), "{calls:?}");
    assert_eq!(calls[1..], ["nginx -t -q", "nginx -s reload"]);
    let expires = Some(START.plus_secs(90 * 86_400));
    assert_eq!(world.record(), Record { expires, ..Record::default() });
    assert_eq!(world.inventory().tenants[0].certificate_expires, expires);

    world.clock.advance(Duration::from_secs(50 * 86_400));
    world.tend();
    assert_eq!(world.calls(), [""; 0]);
    assert!(world.executor.live().tended.is_none());
}

#[test]
fn a_failing_renewal_waits_longer_each_time_and_is_told() {
    let mut world = World::new(70, acme(), &[Says::Refuses, Says::Refuses, Says::Issues]);
    let hour = Duration::from_secs(3600);
    assert_eq!(world.tend(), hour);
    assert_eq!(world.calls().len(), 1);
    // Neither the next look nor the next start asks the authority again.
    world.clock.advance(hour / 2);
    assert_eq!(world.tend(), hour / 2);
    world.restart();
    assert_eq!(world.tend(), hour / 2);
    assert_eq!(world.calls(), [""; 0]);

    let told = world.inventory();
    assert_eq!(told.tenants[0].status, HealthStatus::Degraded);
    assert_eq!(told.tenants[0].certificate_expires, Some(START.plus_secs(20 * 86_400)));
    let problem = &told.tenants[0].problems[0];
    let want = "the certificate of acme.example.com expires in 19 days: renewal failed: certbot did not get a certificate";
    assert!(problem.starts_with(want) && problem.contains("port 80"), "{problem}");
    let problem = &told.facts.problems[0];
    assert!(problem.what.starts_with(want) && problem.advice.contains("tried again by itself"));
    assert!(problem.detail.contains("unauthorized"), "{problem:?}");

    world.clock.advance(hour / 2);
    assert_eq!(world.tend(), hour * 2);
    assert_eq!(world.record().trouble.unwrap().attempts, 2);
    world.clock.advance(hour * 2);
    world.tend();
    assert_eq!(world.record().trouble, None);
    assert!(world.inventory().facts.problems.is_empty());
}

#[test]
fn what_somebody_else_renewed_ends_the_trouble_at_once() {
    let world = World::new(70, acme(), &[Says::Refuses]);
    world.tend();
    put_certificate(&world.tools.live, START);
    world.tend();
    assert_eq!(
        world.record(),
        Record { expires: Some(START.plus_secs(90 * 86_400)), ..Record::default() }
    );
}

#[test]
fn a_missing_certificate_is_asked_for_and_an_installed_one_never() {
    let world = World::new(1, acme(), &[Says::Issues]);
    std::fs::remove_file(world.tools.live.join(certificate::CHAIN_FILE)).unwrap();
    world.tend();
    assert_eq!(world.calls().len(), 3);

    let name: serde_json::Value =
        serde_json::to_value(CertificateSource::Installed { name: "wildcard".parse().unwrap() })
            .unwrap();
    let world = World::new(80, name, &[]);
    world.tend();
    assert_eq!(world.calls(), [""; 0]);
    assert_eq!(world.record().expires, Some(START.plus_secs(10 * 86_400)));
    world.clock.advance(Duration::from_secs(11 * 86_400));
    world.tend();
    let told = world.inventory();
    assert!(told.tenants[0].problems[0].contains("has expired"), "{told:?}");
}

fn row_of_a_job() -> JobRow {
    let order = check_of(1, 1);
    let job = Job {
        portal: order.portal,
        agent_id: order.agent,
        agent_key: Sha256Digest::ZERO,
        epoch: 1,
        seq: 1,
        prev: Sha256Digest::ZERO,
        job_id: order.job,
        attempt: 1,
        iat: START,
        nbf: START,
        exp: START.plus_secs(3600),
        timeout_secs: 600,
        actor: "ann".into(),
        audit: AuditHead { n: 1, hash: Sha256Digest::ZERO },
        approval: None,
        work: order.work.into(),
        app_env: None,
    };
    assert!(matches!(*job.work, Work::CheckTenant(_)));
    JobRow {
        seq: 1,
        job,
        digest: Sha256Digest::ZERO,
        state: JobState::Running,
        cancelled: false,
        accepted_at: START,
        report: None,
    }
}

#[test]
fn a_tenant_is_not_touched_beside_a_job_of_it_and_no_job_beside_upkeep() {
    let world = World::new(61, acme(), &[Says::Issues]);
    let executor = &world.executor;
    executor.live().queue.push(row_of_a_job());
    assert_eq!(world.tend(), BUSY_PAUSE);
    assert_eq!(world.calls(), [""; 0]);
    assert_eq!(world.record(), Record::default());

    executor.live().queue.clear();
    let claim = executor.claim(tenant_id(1)).unwrap();
    assert_eq!(executor.busy(), 1);
    executor.live().queue.push(row_of_a_job());
    assert_eq!(executor.first_ready(&executor.live()), None);
    drop(claim);
    assert_eq!(executor.first_ready(&executor.live()), Some(0));
    executor.live().queue.clear();
    world.tend();
    assert_eq!(world.calls().len(), 3);
}

#[test]
fn a_stop_ends_it_and_is_no_failure() {
    let world = World::new(61, acme(), &[Says::IsStopped]);
    *world.tools.halt.lock().unwrap() = Some(Arc::clone(&world.executor));
    world.tend();
    assert_eq!(world.record(), Record::default());
    // The thread ends without another look.
    world.executor.keep_up();
    assert_eq!(world.calls().len(), 1);
    assert!(CancelToken::clone(&world.executor.halt).is_cancelled());
}
