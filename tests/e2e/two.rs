//! Two tenants on one host: deployed at the same moment, and out of each other's reach.

use freehold_tests::curl;
use freehold_tests::world::{Tenant, World, blueprint, docker};
use std::time::{Duration, Instant};

#[test]
fn two_tenants_deploy_at_once_and_cannot_reach_each_other() {
    let world = World::start("two");
    let before = world.snapshot();
    let release = world.push(&blueprint(&[]));
    let tenants = [world.tenant("acme"), world.tenant("bolt")];
    for tenant in &tenants {
        world.create(tenant, release);
    }
    let jobs = tenants.each_ref().map(|tenant| world.queue_deploy(tenant, release));
    let views = jobs.map(|id| world.succeeds(&id));
    // At once: each began before the other ended.
    let [first, second] = &views;
    assert!(
        first.started_at < second.ended_at && second.started_at < first.ended_at,
        "one after the other"
    );

    let [acme, bolt] = &tenants;
    for tenant in &tenants {
        world.assert_live(tenant, "1");
    }
    let (ours, theirs) = (world.view(acme).ports, world.view(bolt).ports);
    assert!(
        ours.values().all(|port| theirs.values().all(|other| port != other)),
        "{ours:?} {theirs:?}"
    );

    let secret =
        |tenant: &Tenant| std::fs::read_to_string(world.folder(tenant).join(".env")).unwrap();
    let password =
        |text: &str| text.lines().find(|line| line.starts_with("PGPASSWORD")).unwrap().to_owned();
    assert_ne!(password(&secret(acme)), password(&secret(bolt)));

    a_database_answers_its_own_tenant_alone(acme, bolt);
    a_database_answers_its_own_tenant_alone(bolt, acme);

    knocking_disturbs_no_database(acme, bolt);

    a_connection_for_one_leads_to_no_other(&world, acme, bolt);
    a_connection_for_one_leads_to_no_other(&world, bolt, acme);
    who_connects_for_visitors_names_the_tenant_twice(&world, acme, bolt);
    the_agent_tries_it_too(&world, acme, release);

    let passwords = tenants.each_ref().map(|tenant| world.password(tenant));
    assert_eq!(world.login(acme, &passwords[1]), 401, "a password of another tenant works");

    // One goes, the other stays.
    world.remove_with_data(acme);
    world.assert_live(bolt, "1");
    world.remove_with_data(bolt);
    world.snapshot().assert_same(&before);
}

/// What the agent does in another tenant's database to see whether it is out of reach leaves that
/// database alone, however often and however busy the machine.
fn knocking_disturbs_no_database(from: &Tenant, to: &Tenant) {
    const KNOCK: &str = include_str!("../../agent/src/saga/steps/knock.bash");
    let place = format!("{}_recruitiq-db-1", from.slug);
    let many = vec![addresses(to); 24].concat();
    for _ in 0..5 {
        let fixed = ["container", "exec", &place, "bash", "-c", KNOCK, "knock"];
        let said = docker(fixed.into_iter().chain(many.iter().map(String::as_str))).ok();
        // An engine from 25.0 on leaves it no route.
        assert!(matches!(said.trim(), "tried" | ""), "{said}");
    }
    for tenant in [from, to] {
        let name = format!("{}_recruitiq-db-1", tenant.slug);
        let log = docker(["container", "logs", &name]);
        let log = format!("{}{}", log.stdout, log.stderr);
        assert!(log.contains("ready to accept connections"), "{log}");
        assert!(!log.contains("terminated by signal"), "{log}");
    }
}

/// Whoever asks for `to` over a connection with the certificate of `from` is sent away, and so is who
/// asks for a name that nobody has.
fn a_connection_for_one_leads_to_no_other(world: &World, from: &Tenant, to: &Tenant) {
    for path in ["/", "/api/health"] {
        let nobody = format!("nobody.{}", from.domain);
        for host in [to.domain.as_str(), &nobody] {
            let header = format!("host: {host}");
            let answer = world.https(from, path, &["--header", &header]).unwrap();
            // Nobody's is for the first server of the port, whoever's that is; `to` is for that site.
            let refused = answer.status == 421 || host == nobody && answer.status == 404;
            assert!(refused, "{}: {host}: {}", from.slug, answer.head);
            for tenant in [from, to] {
                assert!(!answer.body.contains(&tenant.slug), "{}", answer.body);
            }
            assert_eq!(answer.header("x-frontend"), None, "{}", answer.head);
        }
    }
}

/// As docs/security.md tells those who put a CDN, a proxy or a health check before a host.
fn who_connects_for_visitors_names_the_tenant_twice(
    world: &World,
    tenant: &Tenant,
    other: &Tenant,
) {
    // As nginx is installed: no server of the operator's catches unknown names.
    let file = world.nginx.sites().with_file_name("nginx.conf");
    let whole = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = whole.rsplit_once("    server {").unwrap();
    let (catcher, after) = rest.split_once("    }\n").unwrap();
    assert!(catcher.contains("ssl_reject_handshake"), "{catcher}");
    std::fs::write(&file, format!("{before}{after}")).unwrap();
    world.nginx.reload().unwrap();
    let ask = |name: &str, args: &[&str]| {
        let url = format!("https://{name}:{}/api/health", world.nginx.https_port());
        let began = Instant::now();
        // Workers of before the reload refuse the handshake until the new ones have taken over.
        loop {
            match curl::send(&url, None, args.iter().chain(&["--insecure"])) {
                Ok(answer) => return answer,
                Err(error) => assert!(began.elapsed() < Duration::from_secs(20), "{error}"),
            }
        }
    };
    for to in [tenant, other] {
        let host = format!("host: {}", to.domain);
        for protocol in ["--http1.1", "--http1.0"] {
            // A fixed name of the origin; then none, which is how curl asks an address.
            let fixed = ask("origin.freehold.test", &["--header", &host, protocol]);
            assert_eq!(fixed.status, 421, "{}", fixed.head);
            let none = ask("127.0.0.1", &["--header", &host, protocol]);
            assert_eq!(none.status, 200, "{}", none.head);
            assert_eq!(none.json()["tenant"], to.slug.as_str(), "{}", none.body);
        }
    }
    // Without a host it is for the first server of the port, with the name of the handshake or without.
    let nameless = |name: &str| ask(name, &["--header", "Host:", "--http1.0"]);
    let first = nameless("127.0.0.1");
    assert_eq!(first.status, 200, "{}", first.head);
    for to in [tenant, other] {
        let answer = nameless(&to.domain);
        let is_first = first.json()["tenant"] == to.slug.as_str();
        assert_eq!(answer.status, if is_first { 200 } else { 421 }, "{}", answer.head);
    }
    std::fs::write(&file, whole).unwrap();
    world.nginx.reload().unwrap();
}

/// `verify` asks for its own tenant on a connection that was made for the other one, and is refused.
fn the_agent_tries_it_too(world: &World, tenant: &Tenant, release: u64) {
    let refused = |log: &str| {
        log.lines()
            .filter(|line| line.contains("\" 421 ") && line.contains("freehold-agent"))
            .count()
    };
    let before = refused(&world.nginx.access_log());
    world.deploy(tenant, release);
    let log = world.nginx.access_log();
    assert!(refused(&log) > before, "{log}");
}

/// Where a tenant's database is.
fn addresses(tenant: &Tenant) -> Vec<String> {
    let name = format!("{}_recruitiq-db-1", tenant.slug);
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
    let text = docker(["inspect", "--format", format, &name]).ok();
    let found: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
    assert!(!found.is_empty(), "{name} has no address");
    found
}

/// Real attempts to connect, from a container of `from` to the database of `to`, by address: the
/// way that a break-in would take.
fn a_database_answers_its_own_tenant_alone(from: &Tenant, to: &Tenant) {
    let backend = format!("{}_recruitiq-backend-1", from.slug);
    let ask = |address: &str| {
        docker([
            "exec",
            &backend,
            "timeout",
            "5",
            "pg_isready",
            "--host",
            address,
            "--timeout",
            "3",
        ])
    };
    let own = addresses(from);
    assert!(
        own.iter().any(|address| ask(address).success()),
        "not even its own database answers at {own:?}: the test proves nothing"
    );
    for address in addresses(to) {
        let outcome = ask(&address);
        assert!(!outcome.success(), "{} reaches the database of {}: {outcome}", from.slug, to.slug);
    }
    // Nor by name.
    assert!(!ask(&format!("{}_recruitiq-db-1", to.slug)).success());
}
