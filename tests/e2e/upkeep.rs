//! A certificate that is about to expire is renewed, and nginx serves the new one, and one that is left of
//! a former domain is deleted: real certbot, Pebble and nginx, with the executor's clock moved near the
//! certificate's end.

use freehold_agent::{
    clock::{Clock, FixedClock},
    config::{Config, ReloadWith},
    executor::{
        Executor, Parts, build, inventory::Survey, portal_time::PortalClock, upkeep::Upkeep,
    },
    host::{certbot, nginx, probe},
    journal::{Journal, JournalError, Missing},
    runner::CancelToken,
    saga::{
        context::Host,
        engine::{Engine, Patience},
        steps::Actions,
    },
};
use freehold_protocol::{
    ids::{Domain, TenantId},
    report::{HostFacts, TenantHealth},
    time::Timestamp,
};
use freehold_tests::{acme::Acme, nginx::Nginx, scratch::Scratch};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const TENANT: &str = "01936f2a-0000-7000-8000-000000000001";
const DOMAIN: &str = "acme.example.com";
const FORMER: &str = "former.example.com";

#[derive(Debug)]
struct NoSurvey;
impl Survey for NoSurvey {
    fn facts(&self) -> HostFacts {
        unreachable!("no inventory is taken")
    }
    fn tenants(&self) -> Result<Vec<TenantHealth>, JournalError> {
        Ok(Vec::new())
    }
}

fn configuration(scratch: &Scratch, nginx: &Nginx, acme: &Acme) -> Config {
    let mut config = Config { state_dir: scratch.folder("state"), ..Config::default() };
    config.nginx.args = nginx.args();
    config.nginx.include_dir = nginx.sites();
    config.nginx.listen = Nginx::LISTEN.into();
    (config.nginx.http_port, config.nginx.https_port) = (nginx.http_port(), nginx.https_port());
    config.nginx.reload = ReloadWith::Nginx;
    let home = scratch.folder("certbot");
    config.certbot.server = acme.directory_url();
    config.certbot.ca_file = acme.server_ca();
    (config.certbot.config_dir, config.certbot.work_dir) = (home.join("config"), home.join("work"));
    config.certbot.logs_dir = home.join("logs");
    config.certbot.webroot = scratch.folder("webroot");
    config.probe.ca_file = acme.issuer_ca();
    config
}

fn record() -> String {
    json!({
        "tenant": TENANT, "slug": "acme", "name": "Acme", "portal": TENANT, "mark": TENANT,
        "domain": DOMAIN, "project": "acme_shop",
        "release": { "blueprint": "shop", "number": 1, "digest": "0".repeat(64) },
        "blueprint": {
            "product": "shop",
            "services": { "web": { "image": "shop/web:1" } },
            "freehold": {
                "ports": { "backend": { "service": "web", "containerPort": 8080 } },
                "routes": [{ "path": "/", "port": "backend" }],
                "health": { "port": "backend", "path": "/health" },
            }
        },
        "settings": {}, "certificate": { "source": "acme" }, "onboarded": true, "state": "deployed"
    })
    .to_string()
}

#[test]
fn a_certificate_near_its_end_is_renewed_and_served() {
    let scratch = Scratch::new("upkeep");
    let nginx = Nginx::start(&scratch);
    let acme = Acme::start(&scratch, nginx.http_port());
    let config = configuration(&scratch, &nginx, &acme);
    let (tenant, domain): (TenantId, Domain) = (TENANT.parse().unwrap(), DOMAIN.parse().unwrap());
    let former: Domain = FORMER.parse().unwrap();
    let runner = build::system(&config).unwrap();
    let host = Arc::new(Host::new(&config, Box::new(runner)).unwrap());
    let now = freehold_agent::clock::SystemClock.now();

    let site = |domain: &Domain, stage| nginx::Site {
        tenant,
        slug: "acme".parse().unwrap(),
        domain: domain.clone(),
        stage,
        routes: Vec::new(),
        body_limit_mib: nginx::Site::BODY_LIMIT_MIB,
        answer_timeout_secs: nginx::Site::ANSWER_TIMEOUT_SECS,
    };
    let first = build::with_commands(host.runner.as_ref(), |commands| {
        let (lock, settings) =
            (host.locks.nginx.lock(&CancelToken::new()).unwrap(), &host.config.nginx);
        let issue = |domain: &Domain| {
            let site = site(domain, nginx::Stage::Http);
            nginx::ensure_site(commands, &lock, settings, &site).unwrap();
            // A reload is done by new workers, on a busy machine a while later.
            std::thread::sleep(Duration::from_secs(2));
            let certbot_lock = host.locks.certbot.lock(&CancelToken::new()).unwrap();
            // Pebble's certificates begin at once, not an hour before as others' do.
            let now = freehold_agent::clock::SystemClock.now().plus_secs(60);
            let request = certbot::Request { tenant, domain, now };
            certbot::ensure(commands, &certbot_lock, &host.config.certbot, &request).unwrap()
        };
        issue(&former);
        let issued = issue(&domain);
        let stage = nginx::Stage::Https(issued.files);
        nginx::ensure_site(commands, &lock, settings, &site(&domain, stage)).unwrap();
        issued.facts
    });

    let journal = Journal::open(&config.journal_path(), Missing::Create).unwrap();
    journal
        .write("add a tenant", |tx| {
            tx.execute(
                "INSERT INTO tenants (tenant, slug, domain, project, state, record, updated_at)
                 VALUES (?1, 'acme', ?2, 'acme_shop', 'deployed', ?3, 0)",
                rusqlite::params![TENANT, DOMAIN, record()],
            )
            .map_err(|source| JournalError::Sql { doing: "add a tenant", source })
        })
        .unwrap();
    let fixed = Arc::new(FixedClock::at(now));
    let clock = Arc::new(PortalClock::new(Arc::clone(&fixed) as Arc<dyn Clock>));
    // Dates are judged once the portal has told the time.
    clock.set(now);
    let engine = Engine::new(
        journal.clone(),
        Arc::clone(&host),
        Arc::new(Actions),
        Arc::clone(&clock) as Arc<dyn Clock>,
        Patience::default(),
    );
    let executor = Executor::new(Parts {
        journal,
        engine,
        clock,
        survey: Box::new(NoSurvey),
        report_key: scratch.path().join("none"),
        workers: 1,
        inventory_interval: Duration::from_secs(300),
        measure_every: None,
        upkeep: Upkeep {
            first: Duration::ZERO,
            every: Duration::from_secs(43_200),
            before_days: 30,
        },
    })
    .unwrap();
    let served = || {
        let roots = host.config.roots.as_ref().unwrap();
        let limit = Duration::from_secs(5);
        let now = freehold_agent::clock::SystemClock.now();
        probe::certificate_expiry(&domain, host.config.public, roots, now, limit).ok()
    };
    let serves = |wanted: &dyn Fn(Timestamp) -> bool| {
        let began = Instant::now();
        while !served().is_some_and(wanted) {
            if began.elapsed() > Duration::from_secs(60) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        true
    };
    let held = |domain: &Domain| {
        let name = certbot::cert_name(tenant, domain);
        [format!("live/{name}"), format!("archive/{name}"), format!("renewal/{name}.conf")]
            .map(|path| host.config.certbot.config_dir.join(path).exists())
    };
    assert_eq!(held(&former), [true; 3]);
    executor.tend_all().unwrap();
    assert!(serves(&|at| at == first.not_after), "one that is new was renewed");
    // What the job that moved the tenant had to leave, certbot would renew for ever.
    assert_eq!((held(&former), held(&domain)), ([false; 3], [true; 3]));

    let near_end = u64::try_from(first.not_after.millis_since(now)).unwrap() - 3_600_000;
    fixed.advance(Duration::from_millis(near_end));
    let pause = executor.tend_all().unwrap();
    assert_eq!(pause, Duration::from_secs(43_200), "it did not work: {}", acme.log());
    assert!(serves(&|at| at > first.not_after), "nginx serves the old certificate");
}
