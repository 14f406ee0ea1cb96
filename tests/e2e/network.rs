//! What stands between agent and portal: TLS by a private authority, a certificate that changes,
//! and a proxy that alone knows the way.

use freehold_tests::proxy::Proxy;
use freehold_tests::tls::{Authority, shown};
use freehold_tests::world::{Setup, World, blueprint};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
/// A name that no DNS knows.
const PORTAL: &str = "portal.freehold.test";
const FAILED_POLL: &str = "a poll failed";

/// A world whose portal speaks TLS and is called `name`; the host is not added yet.
fn with_tls(world: &str, name: &str) -> World {
    let setup = Setup { tls: Some(name.to_owned()), no_host: true, ..Setup::default() };
    World::start_with(world, setup)
}

fn online(world: &World) -> bool {
    world.api().get("/hosts/vps-1")["presence"] == json!("online")
}

/// A job that comes back: agent and portal talk, both ways.
#[track_caller]
fn probe(world: &World) {
    let reply = world.api().call("POST", "/hosts/vps-1/probe", None);
    assert!((200..300).contains(&reply.status), "{}: {}", reply.status, reply.text);
    let job: Value = serde_json::from_str(&reply.text).unwrap();
    world.succeeds(job["id"].as_str().unwrap());
}

fn failed_polls(world: &World) -> usize {
    world.agent_ref().log().matches(FAILED_POLL).count()
}

#[test]
fn a_private_authority_is_trusted_when_named_and_its_certificate_renewed() {
    let mut world = with_tls("tls", "localhost");
    world.add_host();
    strangers_are_refused(&mut world);

    let token = world.enrollment_token(None);
    world.agent_ref().enroll(&token, &[]).ok();
    world.agent().start();
    world.eventually("the host is online", SOON, online);

    // From the command line to the tenant's own site.
    let tenant = world.tenant("acme");
    let release = world.push(&blueprint(&[]));
    world.create(&tenant, release);
    world.cli(["tenant", "deploy", &tenant.slug, "--watch"]).ok();
    world.assert_live(&tenant, "1");

    a_new_certificate_is_shown_to_new_connections(&world);
    a_broken_certificate_is_not(&world);
    let doctor = world.agent_ref().cli(&["doctor"]);
    assert!(doctor.stdout.contains("answers"), "{doctor}");
    world.remove_with_data(&tenant);
}

/// Without the authority, and with a certificate for another name: nothing is sent, and each is
/// told with its own remedy.
fn strangers_are_refused(world: &mut World) {
    let token = world.enrollment_token(None);
    world.agent().setup().agent = vec!["portal.ca_file=".to_owned()];
    let refused = world.agent_ref().enroll(&token, &[]);
    assert_eq!(refused.code, Some(5), "{refused}");
    assert!(refused.stderr.contains("UnknownIssuer"), "{refused}");
    assert!(refused.stderr.contains("portal.ca_file"), "{refused}");
    world.agent().setup().agent.clear();
    let refused = world.cli_as_is(["host", "list"]);
    assert!(!refused.success() && refused.stderr.contains("--ca-file"), "{refused}");

    let tls = world.portal_ref().tls().unwrap();
    tls.authority.certificate(&["other.freehold.test"]).write(&tls.chain, &tls.key);
    world.eventually("the other name is shown", SOON, |world| {
        shown(world.portal_ref().port(), "other.freehold.test", &tls_ca(world)).is_ok()
    });
    let refused = world.agent_ref().enroll(&token, &[]);
    assert_eq!(refused.code, Some(5), "{refused}");
    assert!(refused.stderr.contains("another server's"), "{refused}");
    let refused = world.cli(["host", "list"]);
    assert!(!refused.success() && refused.stderr.contains("another server's"), "{refused}");

    let tls = world.portal_ref().tls().unwrap();
    tls.authority.certificate(&["localhost"]).write(&tls.chain, &tls.key);
    world.eventually("its own name is shown again", SOON, |world| {
        shown(world.portal_ref().port(), "localhost", &tls_ca(world)).is_ok()
    });
    world.cli(["host", "list"]).ok();
}

fn tls_ca(world: &World) -> std::path::PathBuf {
    world.portal_ref().tls().unwrap().ca.clone()
}

fn now_shown(world: &World) -> Vec<u8> {
    shown(world.portal_ref().port(), "localhost", &tls_ca(world)).unwrap()
}

/// The agent's long poll stands on the old certificate all the while.
fn a_new_certificate_is_shown_to_new_connections(world: &World) {
    let failed = failed_polls(world);
    let tls = world.portal_ref().tls().unwrap();
    let renewed = tls.authority.certificate(&["localhost"]);
    assert_ne!(now_shown(world), renewed.der());
    renewed.write(&tls.chain, &tls.key);
    world.eventually("the new certificate is shown", SOON, |world| {
        now_shown(world) == renewed.der()
    });
    assert!(world.portal_ref().log().contains("TLS certificate renewed"));
    probe(world);
    world.cli(["host", "list"]).ok();
    assert_eq!(failed_polls(world), failed, "a renewal broke the agent's connection");
}

/// A key that is not the certificate's, then half a file: the old one serves on.
fn a_broken_certificate_is_not(world: &World) {
    let tls = world.portal_ref().tls().unwrap();
    let good = (std::fs::read(&tls.chain).unwrap(), std::fs::read(&tls.key).unwrap());
    let before = now_shown(world);
    let other = Authority::new("another").certificate(&["localhost"]);
    let half = &good.1[..good.1.len() / 2];
    for (what, key) in [("a stranger's key", other.key.as_bytes()), ("half a key", half)] {
        let told = refusals(world);
        std::fs::write(&tls.key, key).unwrap();
        world.eventually(&format!("{what} is told"), SOON, |world| refusals(world) > told);
        assert_eq!(now_shown(world), before, "{what}");
        probe(world);
    }
    std::fs::write(&tls.key, &good.1).unwrap();
    std::fs::write(&tls.chain, &good.0).unwrap();
    probe(world);
    assert_eq!(now_shown(world), before);
}

fn refusals(world: &World) -> usize {
    world.portal_ref().log().matches("new TLS certificate refused").count()
}

#[test]
fn the_portal_is_reached_through_a_proxy_that_may_die() {
    let mut world = with_tls("proxy", PORTAL);
    world.add_host();
    let port = world.portal_ref().port();
    let place = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut proxy = Proxy::start([(format!("{PORTAL}:{port}"), place)]);
    let token = world.enrollment_token(None);

    // There is no other way.
    let refused = world.agent_ref().enroll(&token, &[]);
    assert_eq!(refused.code, Some(5), "{refused}");
    assert!(refused.stderr.contains("DNS") && refused.stderr.contains("proxy"), "{refused}");

    // NO_PROXY holds for this portal, and the proxy is not asked.
    let env = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let by_proxy = env("HTTPS_PROXY", &proxy.url());
    world.agent().setup().agent_env = vec![by_proxy.clone(), env("NO_PROXY", PORTAL)];
    let refused = world.agent_ref().enroll(&token, &[]);
    assert_eq!(refused.code, Some(5), "{refused}");
    assert_eq!(proxy.seen(), [] as [String; 0]);

    // A proxy that leads elsewhere only.
    let elsewhere = Proxy::start([]);
    world.agent().setup().agent_env = vec![env("HTTPS_PROXY", &elsewhere.url())];
    let refused = world.agent_ref().enroll(&token, &[]);
    assert_eq!(refused.code, Some(5), "{refused}");
    assert!(refused.stderr.contains("403") && refused.stderr.contains("CONNECT"), "{refused}");
    assert_eq!(elsewhere.seen().len(), 1, "{:?}", elsewhere.seen());

    // NO_PROXY for others changes nothing.
    world.agent().setup().agent_env = vec![by_proxy, env("NO_PROXY", "other.freehold.test")];
    world.agent_ref().enroll(&token, &[]).ok();
    assert!(!proxy.seen().is_empty());
    world.agent().start();
    world.eventually("the host is online", SOON, online);
    probe(&world);
    it_dies_and_comes_back(&world, &mut proxy);

    // The configuration goes before the environment.
    world.agent().stop();
    world.agent().setup().agent_env = vec![env("HTTPS_PROXY", &elsewhere.url())];
    world.agent().setup().agent = vec![format!("portal.proxy={}", proxy.url())];
    let before = proxy.seen().len();
    world.agent().start();
    probe(&world);
    assert!(proxy.seen().len() > before && elsewhere.seen().len() == 1);
    let expected = format!("CONNECT {PORTAL}:{port} HTTP/1.1 -> 200 Connection established");
    assert!(proxy.seen().iter().all(|line| *line == expected), "{:?}", proxy.seen());
}

/// The agent tries again, ever more slowly, and goes on as soon as there is a way again.
fn it_dies_and_comes_back(world: &World, proxy: &mut Proxy) {
    let (failed, asked) = (failed_polls(world), proxy.seen().len());
    proxy.die();
    world.eventually("three polls have failed", SOON, |world| failed_polls(world) >= failed + 3);
    let log = world.agent_ref().log();
    let last = log.lines().rfind(|line| line.contains(FAILED_POLL)).unwrap();
    assert!(last.contains("failures=3") || last.contains("failures=4"), "{last}");
    assert!(last.contains("proxy"), "{last}");
    let status = world.agent_ref().cli(&["status"]).ok();
    assert!(status.contains("unreachable since"), "{status}");
    // Pauses of one, two and four seconds stand between four tries.
    assert!(failed_polls(world) <= failed + 5, "it hurries: {} polls", failed_polls(world));
    proxy.revive();
    probe(world);
    assert!(proxy.seen().len() > asked);
    let status = world.agent_ref().cli(&["status"]).ok();
    assert!(!status.contains("unreachable"), "{status}");
}
