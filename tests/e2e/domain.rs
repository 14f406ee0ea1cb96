//! A tenant that moves to another domain.

use freehold_tests::world::{Edge, Tenant, World, blueprint};
use serde_json::json;

/// The step after which the authority is asked.
const SITE_HTTP: usize = 8;

fn certificates(world: &World) -> usize {
    std::fs::read_dir(world.agent_ref().certbot().join("live"))
        .map_or(0, |entries| entries.flatten().filter(|entry| entry.path().is_dir()).count())
}

#[test]
fn a_move_that_fails_is_undone_without_the_authority() {
    let mut world = World::start("domain");
    let tenant = world.deployed("acme");
    let before = world.snapshot();
    let moved = Tenant { domain: format!("new-{}", tenant.domain), ..tenant.clone() };
    let path = format!("/tenants/{}", tenant.slug);
    let reply = world.api().patch(&path, &json!({ "domain": moved.domain }));
    assert_eq!(reply.status, 200, "{}", reply.text);

    // The new site cannot be verified, and by then there is no authority to ask any more.
    world.agent().stop();
    world.agent().setup().agent.push("probe.address=127.0.0.2".to_owned());
    world.agent().start();
    let release = world.push(&blueprint(&[]));
    let id = world.queue_deploy(&tenant, release);
    // Visitors of the former domain are served until the new one is ready.
    world.at_edge(&id, &[Edge::Done(SITE_HTTP), Edge::Started(SITE_HTTP + 1)], || {
        world.assert_live(&tenant, "1");
    });
    world.wait_step(&id, "verify");
    world.acme.pebble().stop();
    world.rests_as(&id, "rolled_back");
    world.assert_live(&tenant, "1");
    world.snapshot().assert_same(&before);
    assert_eq!(certificates(&world), 1);
}

#[test]
fn a_move_leaves_one_certificate() {
    let world = World::start("domain-move");
    let tenant = world.deployed("acme");
    let moved = Tenant { domain: format!("new-{}", tenant.domain), ..tenant.clone() };
    let path = format!("/tenants/{}", tenant.slug);
    let reply = world.api().patch(&path, &json!({ "domain": moved.domain }));
    assert_eq!(reply.status, 200, "{}", reply.text);
    let release = world.push(&blueprint(&[]));
    world.deploy(&tenant, release);
    world.assert_live(&moved, "1");
    assert!(world.https(&tenant, "/", &[]).is_err(), "the former domain is still served");
    assert_eq!(certificates(&world), 1);
}
