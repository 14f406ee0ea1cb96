//! Every job kind × every step × every fault, with real files, real processes and fake programs: at
//! rest the host is as it was before, or the saga is stuck and says so.
//!
//! Without libtest's own `main`, because this binary is also the fake programs.

// So neither clippy nor rustc takes it for a test.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "sweep/delivered.rs"]
mod delivered;
mod fakes;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use freehold_agent::clock::SystemClock;
use freehold_agent::host::{certbot, facts::Thresholds, nginx};
use freehold_agent::identity;
use freehold_agent::journal::{Journal, Missing};
use freehold_agent::plan::Order;
use freehold_agent::runner::{CancelToken, Program, Programs, System};
use freehold_agent::saga::context::{Host, HostConfig, Waits};
use freehold_agent::saga::engine::{Engine, Patience};
use freehold_agent::saga::locks::Locks;
use freehold_agent::saga::step::Step;
use freehold_agent::saga::{Deaf, Rest};
use freehold_protocol::app_env::AppEnv;
use freehold_protocol::blueprint::delivered::Delivered;
use freehold_protocol::job::{DataOnRemove, JobKind, Work};
use freehold_protocol::report::{JobResult, Outcome};
use freehold_protocol::seal::SealKey;
use freehold_protocol::secret::Secret;
use serde_json::json;

use fakes::faulty::{FAULTS, Fault, Faulty};

/// A host of files and fake programs in a folder.
struct World {
    root: tempfile::TempDir,
    journal: Journal,
    host: Arc<Host>,
    seal: SealKey,
    /// The key of this host.
    host_seal: SealKey,
    jobs: AtomicU32,
}

/// The API key that a job brings.
fn key_of(order: &Order) -> String {
    format!("fhl_live_{}", order.job)
}

fn env(values: &[(Delivered, &str)]) -> AppEnv {
    let mut env = AppEnv::default();
    values.iter().for_each(|(name, value)| env.set(*name, Secret::new((*value).to_owned())));
    env
}

fn id(kind: u8, n: u32) -> String {
    format!("0190b1c2-0000-7000-8{kind:03x}-{n:012x}")
}

impl World {
    /// `slot` keeps worlds that run at the same time off each other's ports.
    fn new(slot: usize) -> Self {
        // In memory where there is such a place: a sweep makes tens of thousands of durable writes,
        // and that they reach a disk is not what it looks at.
        let memory = Path::new("/dev/shm");
        let root = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap();
        let base = root.path();
        for folder in ["bin", "sites", "state"] {
            std::fs::create_dir(base.join(folder)).unwrap();
        }
        let exe = std::env::current_exe().unwrap();
        let mut programs = Programs::default();
        for (program, name) in
            [(Program::Docker, "docker"), (Program::Nginx, "nginx"), (Program::Certbot, "certbot")]
        {
            let path = base.join("bin").join(name);
            std::os::unix::fs::symlink(&exe, &path).unwrap();
            programs = programs.with(program, path).unwrap();
        }
        let first = 21_000 + u16::try_from(slot).unwrap() * 4;
        let range = format!("{first}-{}", first + 3).parse().unwrap();
        let config = HostConfig {
            tenants_dir: base.join("state/tenants"),
            seal_key: base.join("seal.key"),
            nginx: nginx::Settings {
                args: Vec::new(),
                include_dir: base.join("sites"),
                listen: vec![Ipv4Addr::LOCALHOST.into()],
                http_port: 1,
                https_port: 1,
                reload: nginx::ReloadWith::Nginx,
                webroot: base.join("webroot").to_str().unwrap().parse().unwrap(),
            },
            certbot: certbot::Settings {
                server: None,
                email: None,
                eab: None,
                config_dir: base.join("certbot"),
                work_dir: base.join("certbot-work"),
                logs_dir: base.join("certbot-logs"),
                ca_file: None,
                webroot: base.join("webroot"),
            },
            certificates_dir: base.join("certificates"),
            ports: BTreeMap::from([("backend".parse().unwrap(), range)]),
            thresholds: Thresholds {
                memory_percent: 10_000,
                cpu_percent: 100_000,
                disk_percent: 10_000,
            },
            roots: None,
            public: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
            waits: Waits {
                pause: Duration::from_millis(5),
                answer: Duration::from_millis(100),
                ..Waits::default()
            },
            measures_disk: false,
        };
        let runner = System::new(programs, base.to_owned(), base.join("docker-config"));
        let host = Host { runner: Box::new(runner), config, locks: Locks::default() };
        let journal = Journal::open(&base.join("state/journal.db"), Missing::Create).unwrap();
        let seal = SealKey::from_bytes(&[9; 32]).unwrap();
        let host_seal = identity::ensure_seal_key(&host.config.seal_key).unwrap();
        Self { root, journal, host: Arc::new(host), seal, host_seal, jobs: AtomicU32::new(0) }
    }

    fn order(&self, work: serde_json::Value) -> Order {
        let n = self.jobs.fetch_add(1, Ordering::SeqCst) + 1;
        let mut order = Order {
            portal: id(1, 1).parse().unwrap(),
            agent: id(2, 1).parse().unwrap(),
            job: id(3, n).parse().unwrap(),
            attempt: 1,
            actor: "ann".to_owned(),
            timeout_secs: 600,
            seal_to: Some(self.seal.public()),
            work: serde_json::from_value::<Work>(work).unwrap(),
            app_env: None,
        };
        // Each deploy brings another key, as after a rotation.
        if order.work.kind() == JobKind::DeployTenant {
            let context = order.env_context().unwrap();
            let env = env(&[(Delivered::TenantKey, &key_of(&order))]);
            order.app_env = Some(env.seal(&self.host_seal.public(), context).unwrap());
        }
        order
    }

    /// A file of the tenant's folder.
    fn tenant_file(&self, name: &str) -> String {
        let path = self.root.path().join("state/tenants/acme").join(name);
        std::fs::read_to_string(path).unwrap()
    }

    /// Runs a job to rest; the agent starts again after each kill.
    fn run(&self, order: &Order, fault: Option<(Step, Fault)>, trigger: Option<Step>) -> Rest {
        let cancel = CancelToken::new();
        let stage = Arc::new(Faulty::new(fault, trigger, &cancel));
        for _ in 0..10 {
            let patience = Patience { pause: Duration::ZERO, undo_tries: 3, ..Patience::default() };
            let engine = Engine::new(
                self.journal.clone(),
                self.host.clone(),
                stage.clone(),
                Arc::new(SystemClock),
                patience,
            );
            let saga = engine.begin(order).unwrap();
            let run = || engine.run(saga, &cancel, &Deaf).unwrap().unwrap();
            if let Ok(rest) = catch_unwind(AssertUnwindSafe(run)) {
                return rest;
            }
        }
        panic!("the saga does not come to rest");
    }

    /// Everything that a job could have changed, but images.
    fn snapshot(&self) -> BTreeMap<String, String> {
        let base = self.root.path();
        let mut all = BTreeMap::new();
        for folder in ["sites", "state/tenants", "certbot"] {
            files(&base.join(folder), base, &mut all);
        }
        let engine = std::fs::read(base.join("engine.json")).unwrap_or_default();
        let engine: serde_json::Value = serde_json::from_slice(&engine).unwrap_or_default();
        for kind in ["container", "network", "volume"] {
            for (name, one) in engine[kind].as_object().into_iter().flatten() {
                all.insert(format!("{kind} {name}"), one.to_string());
            }
        }
        for row in self.journal.all_ports().unwrap() {
            all.insert(format!("port {}", row.port), format!("{} {}", row.tenant, row.role));
        }
        for tenant in self.journal.tenants().unwrap() {
            all.insert(format!("tenant {}", tenant.slug), format!("{tenant:?}"));
        }
        all
    }
}

fn files(folder: &Path, base: &Path, all: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            files(&path, base, all);
        } else {
            let name = path.strip_prefix(base).unwrap().display().to_string();
            all.insert(name, String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned());
        }
    }
}

fn deploy(image: &str) -> serde_json::Value {
    let blueprint = json!({
        "product": "shop",
        "services": {
            "web": {
                "image": image,
                "environment": {
                    "PGPASSWORD": "${PGPASSWORD}", "URL": "${FREEHOLD_PUBLIC_URL}",
                    "KEY": "${FREEHOLD_TENANT_KEY}", "PORTAL": "${FREEHOLD_PORTAL_URL:-}",
                },
                "dependsOn": { "db": "healthy" },
            },
            "db": {
                "image": "postgres:15",
                "environment": { "POSTGRES_PASSWORD": "${PGPASSWORD}" },
                "mounts": [{ "volume": "data", "target": "/var/lib/postgresql/data" }],
            },
        },
        "volumes": { "data": {} },
        "freehold": {
            "ports": { "backend": { "service": "web", "containerPort": 8080 } },
            "routes": [{ "path": "/", "port": "backend" }],
            "secrets": { "PGPASSWORD": {} },
            "hooks": {
                "migrate": { "service": "web", "command": ["/app", "migrate"] },
                "onboard": { "service": "web", "command": ["/app", "onboard"], "mode": "exec" },
            },
            "database": { "service": "db", "kind": "postgres", "user": "app", "database": "app" },
            "health": { "port": "backend", "path": "/health" },
        },
    });
    json!({ "kind": "deploy_tenant", "params": {
        "tenant": id(4, 1), "slug": "acme", "name": "Acme", "domain": "acme.example.com",
        "release": { "blueprint": "shop", "number": 1, "digest": "0".repeat(64) },
        "blueprint": blueprint, "settings": {},
        "admin": { "email": "ann@example.com", "name": "Ann" },
        "certificate": { "source": "acme" },
    }})
}

fn remove(data: DataOnRemove) -> serde_json::Value {
    json!({ "kind": "remove_tenant",
            "params": { "tenant": id(4, 1), "slug": "acme", "data": data } })
}

fn check() -> serde_json::Value {
    json!({ "kind": "check_tenant", "params": { "tenant": id(4, 1), "slug": "acme" } })
}

/// A job of the sweep, and with it what is done before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    FirstDeploy,
    Redeploy,
    Move,
    RemoveKeep,
    RemoveDelete,
    Check,
    Probe,
}

impl Kind {
    /// The jobs of a kind that have plans of their own. A new kind does not compile without.
    const fn of(kind: JobKind) -> &'static [Self] {
        match kind {
            JobKind::DeployTenant => &[Self::FirstDeploy, Self::Redeploy, Self::Move],
            JobKind::RemoveTenant => &[Self::RemoveKeep, Self::RemoveDelete],
            JobKind::CheckTenant => &[Self::Check],
            JobKind::ProbeHost => &[Self::Probe],
        }
    }

    fn work(self) -> serde_json::Value {
        match self {
            Self::FirstDeploy => deploy("shop/web:1"),
            Self::Redeploy => deploy("shop/web:2"),
            // To another domain, whose certificate must come and go without the former one's help.
            Self::Move => {
                let mut work = deploy("shop/web:2");
                work["params"]["domain"] = "acme.example.org".into();
                work
            }
            Self::RemoveKeep => remove(DataOnRemove::Keep),
            Self::RemoveDelete => remove(DataOnRemove::Delete),
            Self::Check => check(),
            Self::Probe => json!({ "kind": "probe_host", "params": {} }),
        }
    }

    fn world(self, slot: usize) -> World {
        let world = World::new(slot);
        if self != Self::FirstDeploy {
            let rest = world.run(&world.order(deploy("shop/web:1")), None, None);
            assert_eq!(rest.outcome, Outcome::Succeeded, "{:?}", rest.failure);
        }
        world
    }
}

/// Runs a case in a world. Says whether the world is as it was, so that the next case can have it.
fn one(world: &World, kind: Kind, at: Step, fault: Fault) -> bool {
    let before = world.snapshot();
    let order = world.order(kind.work());
    let plan = freehold_agent::plan::plan(&order, &world.journal.tenants().unwrap()).unwrap();
    let index = plan.steps.iter().position(|step| *step == at).unwrap();
    let no_return = plan.shape().no_return.unwrap_or(plan.steps.len());
    let of_undo =
        matches!(fault, Fault::UndoFailsOnce | Fault::UndoFailsAlways | Fault::KilledInUndo);
    if of_undo && (index >= no_return || !at.changes()) {
        return true;
    }
    let trigger = of_undo.then(|| plan.steps[no_return - 1]);
    let rest = world.run(&order, Some((at, fault)), trigger);
    let harmless = matches!(
        fault,
        Fault::UnclearOnce | Fault::KilledBefore | Fault::KilledAfterItsEffect | Fault::RunTwice
    ) || fault == Fault::Cancelled && index >= no_return;
    let rest_outcome = rest.outcome;
    match rest.outcome {
        Outcome::Succeeded => assert!(harmless, "it should not succeed"),
        Outcome::Stuck => {
            let failure = rest.failure.unwrap();
            assert!(fault == Fault::UndoFailsAlways || index >= no_return, "{failure:?}");
            assert!(failure.advice.contains("freehold-agent resume"), "{failure:?}");
            // A person mends it, and the job goes on to a clean end.
            let engine = Engine::new(
                world.journal.clone(),
                world.host.clone(),
                Arc::new(Faulty::new(None, None, &CancelToken::new())),
                Arc::new(SystemClock),
                Patience::default(),
            );
            let saga = engine.resume(order.job, "ann").unwrap();
            let rest = engine.run(saga, &CancelToken::new(), &Deaf).unwrap().unwrap();
            if index < no_return {
                assert_eq!(world.snapshot(), before, "after resume: {:?}", rest.failure);
            } else {
                assert_eq!(rest.outcome, Outcome::Succeeded, "{:?}", rest.failure);
            }
        }
        outcome => {
            assert!(!harmless, "{outcome:?}: {:?}", rest.failure);
            assert_eq!(outcome == Outcome::Cancelled, fault == Fault::Cancelled);
            assert_eq!(world.snapshot(), before, "{outcome:?}: {:?}", rest.failure);
        }
    }
    // Of a job that was undone, the app's key is not there: the former one is.
    if kind != Kind::FirstDeploy && order.app_env.is_some() && rest_outcome != Outcome::Stuck {
        let done = world.tenant_file(".env").contains(&key_of(&order));
        assert_eq!(done, rest_outcome == Outcome::Succeeded, "the app's key");
    }
    if fault == Fault::FailsAfterItsEffect && kind == Kind::FirstDeploy {
        let rest = world.run(&world.order(deploy("shop/web:1")), None, None);
        assert_eq!(rest.outcome, Outcome::Succeeded, "again: {:?}", rest.failure);
    }
    world.snapshot() == before
}

fn sweep() {
    let mut cases = Vec::new();
    for kind in JobKind::ALL.into_iter().flat_map(Kind::of).copied() {
        let world = kind.world(0);
        let plan = freehold_agent::plan::plan(
            &world.order(kind.work()),
            &world.journal.tenants().unwrap(),
        );
        for step in plan.unwrap().steps {
            cases.extend(FAULTS.map(|fault| (kind, step, fault)));
        }
    }
    // Most cases leave the host as they found it, as they must, and a worker's next case of the same
    // kind goes on with it: that saves three quarters of the deploys, and lets sagas follow each other
    // on one journal. So every case is run every time, in about 90 s of processor time.
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for slot in 1..=4 {
            let (cases, next, failed) = (&cases, &next, &failed);
            scope.spawn(move || {
                let mut kept: Option<(Kind, World)> = None;
                while let Some((kind, step, fault)) = cases.get(next.fetch_add(1, Ordering::SeqCst))
                {
                    let world = kept
                        .take()
                        .filter(|(of, _)| of == kind)
                        .map_or_else(|| kind.world(slot), |(_, world)| world);
                    let case = || one(&world, *kind, *step, *fault);
                    match catch_unwind(AssertUnwindSafe(case)) {
                        Ok(true) => kept = Some((*kind, world)),
                        Ok(false) => {}
                        Err(_) => {
                            eprintln!("FAILED: {kind:?}, {step}, {fault:?}");
                            failed.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }
            });
        }
    });
    println!("{} cases", cases.len());
    assert_eq!(failed.load(Ordering::SeqCst), 0, "cases failed");
}

/// A whole life: deploy, redeploy with ports and secrets kept, check, remove, deploy with the data.
fn life() {
    let world = World::new(9);
    let rest = world.run(&world.order(deploy("shop/web:1")), None, None);
    let Some(JobResult::Deployed(first)) = rest.result else { panic!("{:?}", rest.failure) };
    assert!(first.sealed_password.is_some());
    // The key comes anew with each job.
    let kept = || {
        let text = world.tenant_file(".env");
        text.lines().filter(|line| !line.contains("TENANT_KEY")).collect::<Vec<_>>().join("\n")
    };
    let drawn = kept();
    assert!(!world.tenant_file("secrets.json").contains("adminPassword"));
    let rest = world.run(&world.order(deploy("shop/web:2")), None, None);
    let Some(JobResult::Deployed(second)) = rest.result else { panic!("{:?}", rest.failure) };
    assert_eq!((&second.ports, second.sealed_password), (&first.ports, None));
    assert_eq!(kept(), drawn);
    let rest = world.run(&world.order(Kind::Move.work()), None, None);
    assert_eq!(rest.outcome, Outcome::Succeeded, "{:?}", rest.failure);
    let live = std::fs::read_dir(world.root.path().join("certbot/live")).unwrap();
    assert_eq!(live.count(), 1, "the former certificate stays");
    let rest = world.run(&world.order(check()), None, None);
    assert!(matches!(rest.result, Some(JobResult::Checked(_))), "{:?}", rest.failure);
    let rest = world.run(&world.order(remove(DataOnRemove::Keep)), None, None);
    let Some(JobResult::Removed(removed)) = rest.result else { panic!("{:?}", rest.failure) };
    assert_eq!(removed.kept_volumes, ["acme_shop_data"]);
    assert!(!world.root.path().join("state/tenants/acme/delivered.json").exists());
    let rest = world.run(&world.order(deploy("shop/web:2")), None, None);
    assert_eq!(rest.outcome, Outcome::Succeeded, "{:?}", rest.failure);
    assert_eq!(kept(), drawn);
    let rest = world.run(&world.order(remove(DataOnRemove::Delete)), None, None);
    let Some(JobResult::Removed(gone)) = rest.result else { panic!("{:?}", rest.failure) };
    assert_eq!(gone.deleted_volumes, ["acme_shop_data"]);
    assert!(world.snapshot().is_empty(), "{:#?}", world.snapshot());
}

fn main() {
    if let Some(status) = fakes::act() {
        std::process::exit(status);
    }
    // Panics of the simulated kills would fill the output.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<&str>() != Some(&"killed") {
            usual(info);
        }
    }));
    // What `cargo test NAME` and `cargo test -- --list` expect of a test binary.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let tests: [(&str, fn()); 3] =
        [("delivered", delivered::delivered), ("life", life), ("sweep", sweep)];
    let wanted = arguments.iter().find(|word| !word.starts_with('-'));
    for (name, test) in tests {
        if arguments.iter().any(|word| word == "--list") {
            println!("{name}: test");
        } else if wanted.is_none_or(|wanted| name.contains(wanted.as_str())) {
            let begun = std::time::Instant::now();
            test();
            println!("test {name} ... ok ({:.1} s)", begun.elapsed().as_secs_f32());
        }
    }
}
