//! A small stack on the host's real Docker engine: started, looked at, broken and removed.
//!
//! Fails, with the remedy, where the engine or the sample images are missing.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]
#![expect(clippy::print_stderr, reason = "what a test leaves behind is told")]

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use freehold_agent::host::compose::{self, COMPOSE_FILE, ComposeError, ENV_FILE, Stack};
use freehold_agent::host::docker::{self, Volumes};
use freehold_agent::host::files::{Access, Folder};
use freehold_agent::host::names::{ProjectName, ServiceName, UrlPath};
use freehold_agent::host::{probe, sockets};
use freehold_agent::runner::{
    Activity, CancelToken, Commands, Programs, Stdin, Stream, System, Watch,
};
use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::{Domain, Port, TenantId};

const IMAGE: &str = "freehold-sample/frontend:1";
const WAIT: Duration = Duration::from_secs(60);

struct Bench {
    system: System,
    cancel: CancelToken,
    activity: Activity,
    folder: tempfile::TempDir,
    stack: Stack,
    tenant: TenantId,
}

impl Bench {
    /// A project of its own for each test, so that they can run side by side.
    fn new(name: &str, last: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project: ProjectName =
            format!("livehost{}-{name}_test", std::process::id()).parse().unwrap();
        let bench = Self {
            system: System::new(Programs::default(), "/root".into(), "/etc/freehold/docker".into()),
            cancel: CancelToken::new(),
            activity: Activity::new(),
            stack: Stack::new(project, folder.path()),
            folder,
            tenant: format!("01936f2a-0000-7000-8000-0000000000{last:02x}").parse().unwrap(),
        };
        let there = bench.with(|commands| docker::image_present(commands, &IMAGE.parse().unwrap()));
        assert!(
            matches!(there, Ok(true)),
            "no Docker engine with {IMAGE} ({there:?}): run  script/bootstrap --test  and  tests/images/build"
        );
        bench
    }

    fn with<T>(&self, work: impl FnOnce(&Commands<'_>) -> T) -> T {
        let on_line = |_: Stream, _: &str| {};
        let watch = Watch {
            cancel: &self.cancel,
            activity: &self.activity,
            on_line: &on_line,
            secrets: &[],
        };
        work(&Commands::new(&self.system, watch))
    }

    fn write(&self, port: Port, health: &str) {
        let labels = format!("{{\"io.freehold.tenant\":\"{}\"}}", self.tenant);
        let compose = format!(
            r#"{{"services":{{"web":{{"image":"{IMAGE}","restart":"unless-stopped","cap_drop":["ALL"],"security_opt":["no-new-privileges:true"],
              "environment":{{"TENANT_SLUG":"acme","TENANT_NAME":"${{NAME}}"}},"ports":["127.0.0.1:{port}:5173"],"networks":["front"],"volumes":["data:/data"],"labels":{labels},
              "healthcheck":{{"test":["CMD","/freehold-sample-app","probe","{health}"],"interval":"300ms","timeout":"3s","retries":3}}}}}},
              "networks":{{"front":{{"labels":{labels}}}}},"volumes":{{"data":{{"labels":{labels}}}}}}}"#
        );
        let folder = Folder::open(self.folder.path()).unwrap();
        folder.write(COMPOSE_FILE, compose.as_bytes(), Access::Private).unwrap();
        folder.write(ENV_FILE, b"NAME='Acme & Sons'\n", Access::Private).unwrap();
    }

    fn remove(&self) {
        self.with(|commands| {
            docker::remove_marked(commands, &self.stack.project, self.tenant, Volumes::Remove)
        })
        .unwrap();
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Also after a failed assertion: nothing of a test stays on the engine.
        self.cancel = CancelToken::new();
        let removed = self.with(|commands| {
            docker::remove_marked(commands, &self.stack.project, self.tenant, Volumes::Remove)
        });
        if let Err(error) = removed {
            eprintln!("left behind: {error}");
        }
    }
}

fn free_port() -> Port {
    let taken = sockets::listening().unwrap();
    let range = "20000-29999".parse().unwrap();
    // A different start for each call, so that parallel tests do not choose the same one.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    port.try_into().unwrap_or_else(|_| sockets::choose_port(range, &taken).unwrap())
}

const HEALTHY: &str = "http://127.0.0.1:5173/";

#[test]
fn a_stack_comes_up_is_seen_and_goes() {
    let bench = Bench::new("good", 1);
    let port = free_port();
    bench.write(port, HEALTHY);
    let ports = BTreeSet::from([port]);
    let project = &bench.stack.project;
    bench.with(|commands| {
        assert!(!docker::versions(commands).unwrap().engine.is_empty());
        assert!(docker::info(commands).unwrap().cpus > 0);
        assert!(compose::version(commands).unwrap().starts_with(|c: char| c.is_ascii_digit()));
        compose::check(commands, &bench.stack).unwrap();
        // Twice: `up` ensures.
        for _ in 0..2 {
            compose::up(commands, &bench.stack, &ports, WAIT).unwrap();
        }
        let containers = docker::containers(commands, project).unwrap();
        assert_eq!(containers.len(), 1);
        let web = &containers[0];
        assert!(web.is_well() && !web.privileged, "{web:?}");
        assert_eq!((web.service.as_str(), web.image.as_str()), ("web", IMAGE));
        assert_eq!(web.tenant_mark, bench.tenant.to_string());
        assert_eq!(web.ports[0].host_port, port.get());
        assert_eq!(docker::allocated_ports(commands).unwrap()[&port.get()], web.name);
        assert!(sockets::listening().unwrap().contains(&port.get()));

        let domain: Domain = "acme.example.com".parse().unwrap();
        let path: UrlPath = "/".parse().unwrap();
        let answer = probe::loopback(port, &domain, &path, Duration::from_secs(5)).unwrap();
        assert_eq!(answer.status, 200);

        // A command of the product, inside and beside the running container.
        let service: ServiceName = "web".parse().unwrap();
        let words = ["/freehold-sample-app", "probe", HEALTHY];
        let limit = Duration::from_secs(30);
        compose::run_in_running(commands, &bench.stack, &service, words, Stdin::Null, limit)
            .unwrap();
        let words = ["probe", "http://127.0.0.1:1/"];
        let error =
            compose::run_in_new(commands, &bench.stack, &service, words, Stdin::Null, limit)
                .unwrap_err();
        assert_eq!(Failure::from(&error).class, FailureClass::App);
        // `--rm` removed the hook's container.
        assert_eq!(docker::containers(commands, project).unwrap().len(), 1);

        compose::stop(commands, &bench.stack).unwrap();
        let stopped = docker::containers(commands, project).unwrap();
        assert_eq!(stopped[0].state, "exited");
        // A stopped container keeps its claim on the port.
        assert!(docker::allocated_ports(commands).unwrap().contains_key(&port.get()));
        compose::start(commands, &bench.stack).unwrap();

        docker::remove_marked(commands, project, bench.tenant, Volumes::Keep).unwrap();
        assert_eq!(docker::containers(commands, project).unwrap(), []);
        assert_eq!(docker::networks(commands, project).unwrap(), []);
        assert_eq!(docker::volumes(commands, project).unwrap().len(), 1);
        // Removal by another tenant's mark touches nothing.
        let stranger = "01936f2a-0000-7000-8000-0000000000ff".parse().unwrap();
        docker::remove_marked(commands, project, stranger, Volumes::Remove).unwrap();
        assert_eq!(docker::volumes(commands, project).unwrap().len(), 1);
    });
    bench.remove();
    bench.with(|commands| assert_eq!(docker::volumes(commands, project).unwrap(), []));
}

/// What a blueprint never leads to any more, but a host may hold: the image declares a volume, and
/// nothing is mounted there.
#[test]
fn unnamed_volumes_go_with_their_containers() {
    const POSTGRES: &str = "freehold-sample/postgres:15";
    let bench = Bench::new("unnamed", 5);
    let project = &bench.stack.project;
    let folder = Folder::open(bench.folder.path()).unwrap();
    folder.write(ENV_FILE, b"", Access::Private).unwrap();
    let write = |memory: &str, mount: &str| {
        let compose = format!(
            r#"{{"services":{{"db":{{"image":"{POSTGRES}","entrypoint":["/bin/sh","-c","sleep 600"],"stop_grace_period":"1s","mem_limit":"{memory}","network_mode":"none","labels":{{"io.freehold.tenant":"{}"}}{mount}}}}}}}"#,
            bench.tenant
        );
        folder.write(COMPOSE_FILE, compose.as_bytes(), Access::Private).unwrap();
    };
    let volumes = || -> Vec<String> {
        let containers = bench.with(|commands| docker::containers(commands, project)).unwrap();
        let found = containers.iter().flat_map(docker::Container::unnamed_volumes);
        found.map(|volume| volume.to_string()).collect()
    };
    let exists = |volume: &String| {
        let look = Command::new("docker").args(["volume", "inspect", volume]).output().unwrap();
        look.status.success()
    };
    let up = || bench.with(|commands| compose::up(commands, &bench.stack, &BTreeSet::new(), WAIT));
    write("64m", "");
    up().unwrap();
    let first = volumes();
    assert_eq!(first.len(), 1, "{first:?}");
    // Made anew, the container gets the same volume by its name, which the engine then spares.
    write("65m", "");
    up().unwrap();
    assert_eq!(volumes(), first);
    bench.with(|commands| {
        let removal = docker::remove_marked(commands, project, bench.tenant, Volumes::Keep);
        assert_eq!(removal.unwrap().containers.len(), 1);
    });
    assert!(!first.iter().any(exists), "{first:?} stayed");

    // A memory file system at the very path keeps the engine from making a volume.
    write("64m", r#","volumes":[{"type":"tmpfs","target":"/var/lib/postgresql/data"}]"#);
    up().unwrap();
    assert_eq!(volumes(), [""; 0]);
    bench.remove();
}

#[test]
fn what_a_tenant_writes_is_counted() {
    const MB: u64 = 1_000_000;
    let bench = Bench::new("disk", 6);
    let folder = Folder::open(bench.folder.path()).unwrap();
    folder.write(ENV_FILE, b"", Access::Private).unwrap();
    let labels = format!("{{\"io.freehold.tenant\":\"{}\"}}", bench.tenant);
    // `other` has a name like ours and no mark of ours.
    let compose = format!(
        r#"{{"services":{{"db":{{"image":"freehold-sample/postgres:15","user":"0","entrypoint":["/bin/sh","-c","sleep 600"],"stop_grace_period":"1s","network_mode":"none","labels":{labels},
          "volumes":["data:/data","other:/other",{{"type":"tmpfs","target":"/var/lib/postgresql/data"}}]}}}},
          "volumes":{{"data":{{"labels":{labels}}},"other":{{}}}}}}"#
    );
    folder.write(COMPOSE_FILE, compose.as_bytes(), Access::Private).unwrap();
    let used = || {
        let used = bench.with(|commands| docker::disk_used(commands, WAIT)).unwrap();
        used[&bench.tenant].get()
    };
    let write = |file: &str, count: &str| {
        let service: ServiceName = "db".parse().unwrap();
        let (file, count) = (format!("of={file}"), format!("count={count}"));
        let words = ["dd", "if=/dev/zero", &file, "bs=1000000", &count];
        bench.with(|commands| {
            compose::run_in_running(commands, &bench.stack, &service, words, Stdin::Null, WAIT)
                .unwrap();
        });
    };
    bench.with(|commands| {
        compose::up(commands, &bench.stack, &BTreeSet::new(), WAIT).unwrap();
    });
    let before = used();
    assert!(before < MB, "{before}");
    write("/data/file", "20");
    assert_eq!((used() - before) / MB, 20);
    // The container's own layer counts, another's volume does not.
    write("/tmp/file", "7");
    write("/other/file", "9");
    assert_eq!((used() - before) / MB, 27);
    // Kept data stays the tenant's.
    let project = &bench.stack.project;
    let other = format!("{project}_other");
    bench.with(|commands| {
        docker::remove_marked(commands, project, bench.tenant, Volumes::Keep).unwrap();
    });
    let removed = Command::new("docker").args(["volume", "rm", &other]).output().unwrap();
    assert!(removed.status.success(), "{removed:?}");
    assert_eq!(used() / MB, 20);
    bench.remove();
}

#[test]
fn a_port_that_somebody_took_is_named() {
    let bench = Bench::new("port", 2);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port: Port = listener.local_addr().unwrap().port().try_into().unwrap();
    bench.write(port, HEALTHY);
    let error = bench
        .with(|commands| compose::up(commands, &bench.stack, &BTreeSet::from([port]), WAIT))
        .unwrap_err();
    match &error {
        ComposeError::PortTaken { ports, .. } => assert_eq!(ports, &[port]),
        other => panic!("{other:?}"),
    }
    bench.remove();
}

#[test]
fn an_unhealthy_service_is_the_apps_matter_with_its_log() {
    let bench = Bench::new("sick", 3);
    let port = free_port();
    bench.write(port, "http://127.0.0.1:1/");
    let error = bench
        .with(|commands| compose::up(commands, &bench.stack, &BTreeSet::from([port]), WAIT))
        .unwrap_err();
    let failure = Failure::from(&error);
    assert!(matches!(error, ComposeError::Unhealthy { .. }), "{failure:?}");
    assert_eq!(failure.class, FailureClass::App);
    assert!(failure.detail.contains("health check"), "{failure:?}");
    bench.remove();
}

#[test]
fn an_image_that_does_not_exist_is_upstreams_matter() {
    let bench = Bench::new("pull", 4);
    // Nothing listens there, so this needs no network.
    let image = "127.0.0.1:9/nobody/nothing:1".parse().unwrap();
    let error = bench
        .with(|commands| docker::ensure_image(commands, &image, Duration::from_secs(60)))
        .unwrap_err();
    assert_eq!(Failure::from(&error).class, FailureClass::Upstream);
}
