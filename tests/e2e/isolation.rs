//! Isolation that is really broken, in the engine and in the web server, while a tenant is deployed:
//! `verify` finds it, and the deploy is undone.

use freehold_protocol::failure::FailureClass;
use freehold_tests::firewall::Hole;
use freehold_tests::nginx::Nginx;
use freehold_tests::world::{Tenant, World, blueprint, docker};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// What stands in the call that migrates the database: networks and containers are there, and `verify`
/// comes later.
const MIGRATE: &str = " migrate ";

/// An agent whose `docker` does something else first, in every call with these words.
fn meddle(world: &mut World, words: &str, script: &str) {
    let file = world.scratch().path().join("docker");
    let text = format!(
        "#!/bin/sh\n\
         case \" $* \" in *'{words}'*)\n\
         {script}\n\
         ;; esac\n\
         exec docker \"$@\"\n"
    );
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.agent().stop();
    world.agent().setup().agent = vec![format!("programs.docker={}", file.display())];
    world.agent().start();
}

fn leave_alone(world: &mut World) {
    world.agent().stop();
    world.agent().setup().agent.clear();
    world.agent().start();
}

/// Deploys, expects that `verify` turns the deploy back, and returns all that it says.
#[track_caller]
fn turned_back(world: &World, tenant: &Tenant, release: u64) -> String {
    let id = world.queue_deploy(tenant, release);
    let job = world.rests_as(&id, "rolled_back");
    let last = job.steps.last().map(|step| step.step.as_str());
    assert_eq!(last, Some("verify"), "{:#?}", job.steps);
    let failure = job.failure.unwrap();
    assert_eq!(failure.class, FailureClass::Host, "{failure:#?}");
    assert!(!failure.advice.is_empty(), "{failure:#?}");
    let told = world.events(&id).iter().map(|event| event.message.clone()).collect::<Vec<_>>();
    format!("{failure:?}\n{}", told.join("\n"))
}

#[test]
fn a_stranger_on_a_tenants_network_is_found_and_taken_off() {
    let mut world = World::start("stranger");
    let tenant = world.tenant("acme");
    let release = world.push(&blueprint(&[]));
    world.create(&tenant, release);
    let network = format!("{}_recruitiq_internal", tenant.slug);
    let name = format!("stranger-{}_x", world.tag());
    let id =
        docker(["run", "--detach", "--name", &name, "freehold-sample/frontend:1", "frontend"]).ok();
    let before = world.snapshot();
    meddle(&mut world, MIGRATE, &format!("docker network connect {network} {name} || exit 99"));

    let told = turned_back(&world, &tenant, release);
    assert!(told.contains(id.trim()) && told.contains(&network), "{told}");
    // The network could go because the stranger was taken off it; the stranger itself runs on.
    assert!(told.contains(&format!("disconnected: {name} from {network}")), "{told}");
    world.snapshot().assert_same(&before);
    let format =
        "{{.State.Running}} {{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}";
    assert_eq!(docker(["inspect", "--format", format, &name]).ok().trim(), "true bridge");

    leave_alone(&mut world);
    world.deploy(&tenant, release);
    world.assert_live(&tenant, "1");

    // A stranger does not stand in the way of a removal either.
    docker(["network", "connect", &network, &name]).ok();
    world.remove_with_data(&tenant);
    world.snapshot().assert_same(&before);
}

#[test]
fn a_site_that_answers_to_other_names_is_found() {
    let mut world = World::start("names");
    let other = world.deployed("bolt");
    let tenant = world.tenant("acme");
    let release = world.push(&blueprint(&[]));
    world.create(&tenant, release);

    // A server of somebody else's leads every name below the tenant's to the tenant.
    let catcher = world.nginx.sites().join("catcher.conf");
    let text = format!(
        "server {{ listen {}:{}; server_name *.{domain}; return 301 https://{domain}/; }}\n",
        Nginx::LISTEN,
        world.nginx.http_port(),
        domain = tenant.domain
    );
    std::fs::write(&catcher, text).unwrap();
    world.nginx.reload().unwrap();
    let before = world.snapshot();
    let told = turned_back(&world, &tenant, release);
    assert!(told.contains(&format!("freehold-isolation-check.{}", tenant.domain)), "{told}");
    world.snapshot().assert_same(&before);
    std::fs::remove_file(&catcher).unwrap();
    world.nginx.reload().unwrap();

    // Somebody takes the rule out of the new site before it is looked at.
    let before = world.snapshot();
    let sites = world.nginx.sites();
    // Until ten answers in a row come without it, since workers of before end a moment later.
    let script = format!(
        "file=$(grep --files-with-matches 'server_name {domain};' {sites}/*.conf)\n\
         if [ -n \"$file\" ] && grep --quiet ssl_server_name \"$file\"; then\n\
         \x20 sed --in-place '/ssl_server_name/,+2d' \"$file\"\n\
         \x20 PATH=$PATH:/usr/sbin nginx {args} -s reload >/dev/null 2>&1 || exit 99\n\
         \x20 n=0; while [ $n -lt 10 ]; do\n\
         \x20   code=$(curl --silent --insecure --noproxy '*' --output /dev/null --write-out '%{{http_code}}' \\\n\
         \x20     --connect-to ::127.0.0.1: --header 'host: {domain}' https://{other}:{port}/)\n\
         \x20   if [ \"$code\" = 200 ]; then n=$((n + 1)); else n=0; fi\n\
         \x20 done\n\
         fi",
        domain = tenant.domain,
        sites = sites.display(),
        args = world.nginx.args().join(" "),
        other = other.domain,
        port = world.nginx.https_port(),
    );
    meddle(&mut world, "", &script);
    let told = turned_back(&world, &tenant, release);
    let words = format!("on a connection that was made for {}", other.domain);
    assert!(told.contains(&tenant.domain) && told.contains(&words), "{told}");
    world.snapshot().assert_same(&before);
    world.assert_live(&other, "1");

    leave_alone(&mut world);
    world.deploy(&tenant, release);
    world.assert_live(&tenant, "1");
    for tenant in [&tenant, &other] {
        world.remove_with_data(tenant);
    }
}

/// Takes a container's way to other networks away.
fn enclose(container: &str) {
    let pid = docker(["inspect", "--format", "{{.State.Pid}}", container]).ok();
    let mut command = Command::new("nsenter");
    command.args(["--net", "--target", pid.trim(), "ip", "route"]);
    let shown = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    // An engine of today gives none.
    if shown(&mut command).contains("default") {
        shown(command.args(["delete", "default"]));
    }
}

#[test]
fn a_firewall_that_lets_others_through_to_a_database_is_found() {
    let mut world = World::start("firewall");
    let hole = Hole::new(world.tag());
    let release = world.push(&blueprint(&[]));
    let tenants = [world.tenant("acme"), world.tenant("bolt")];
    let database = format!("{}_recruitiq-db-1", tenants[0].slug);
    // The first is knocked at from the engine's default bridge; the second from the first one's database,
    // and from the bridge again when nothing leaves that place, as on an engine of today.
    for (tenant, enclosed) in [(&tenants[0], false), (&tenants[1], false), (&tenants[1], true)] {
        if enclosed {
            enclose(&database);
        } else {
            world.create(tenant, release);
        }
        let before = world.snapshot();
        let network = format!("{}_recruitiq_internal", tenant.slug);
        meddle(&mut world, MIGRATE, &hole.script(&network));
        let told = turned_back(&world, tenant, release);
        let what = "the database answers to containers outside the tenant, at 1";
        assert!(told.contains(what) && told.contains("iptables -S DOCKER-USER"), "{told}");
        world.snapshot().assert_same(&before);
        world.assert_unserved(tenant);

        // Without the rules the same release is let in.
        assert!(hole.close() >= 2, "the hole was not there");
        assert_eq!(hole.rules(), [""; 0]);
        leave_alone(&mut world);
        if tenant.slug == tenants[1].slug && !enclosed {
            continue;
        }
        let job = world.deploy(tenant, release);
        let told = world.events(&job.id.to_string());
        assert!(!told.iter().any(|event| event.message.contains("no attempt")), "{told:#?}");
        world.assert_live(tenant, "1");
    }
    for tenant in &tenants {
        world.assert_live(tenant, "1");
        world.remove_with_data(tenant);
    }
}
