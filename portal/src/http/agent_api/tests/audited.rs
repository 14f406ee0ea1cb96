//! What the audit log says of agents' requests, and of what the portal does by itself.

use std::collections::BTreeSet;

use freehold_protocol::report::Outcome;

use serde_json::json;

use super::world::{Agent, World, open, upstream};
use crate::{
    clock::Clock as _,
    db::audit::{self, AuditRow},
    domain::audit::REQUEST,
    keys::Rotation,
};

fn entries(world: &World) -> Vec<AuditRow> {
    world.portal.db.read(|read| audit::after(read, 0, 1000)).unwrap()
}

fn request(row: &AuditRow) -> Option<String> {
    let detail: serde_json::Value = serde_json::from_str(&row.detail).unwrap();
    detail.get(REQUEST).map(|id| id.as_str().unwrap().to_owned())
}

fn enrolled(world: &World) -> Agent {
    let agent = world.agent();
    assert_eq!(entries(world).last().unwrap().action, "host.enroll");
    agent
}

#[test]
fn each_request_of_an_agent_is_named_by_what_it_changed_and_a_settled_job_by_none() {
    let world = World::new();
    let mut agent = enrolled(&world);
    let reported = world.probe();
    let (_, jobs) = agent.poll(&world);
    agent.report(&world, &jobs[0], Outcome::RolledBack, Some(upstream()), None).unwrap();
    assert_eq!(jobs[0].0.job_id, reported);
    let lost = world.probe();
    agent.poll(&world);
    world.clock.advance_secs(2 * 86_400);
    world.reap();

    let rows = entries(&world);
    let of_agent: Vec<&AuditRow> = rows.iter().filter(|row| row.actor == "agent:vps-1").collect();
    let asked: BTreeSet<String> = of_agent.iter().filter_map(|row| request(row)).collect();
    let what: Vec<&str> = of_agent.iter().map(|row| row.action.as_str()).collect();
    assert_eq!((what, asked.len()), (vec!["host.enroll", "job.report"], 2));
    assert!(asked.iter().all(|id| id.len() == 26), "{asked:?}");
    let settled = rows.last().unwrap();
    assert_eq!((&*settled.actor, &settled.object_id), ("system", &lost.to_string()));
    assert_eq!(request(settled), None);
}

#[test]
fn keys_that_changed_while_the_portal_was_down_are_noted_at_the_next_start() {
    let mut world = World::new();
    let restart = |world: World| {
        let World { dir, clock, portal } = world;
        portal.db.close();
        drop(portal);
        World { portal: open(dir.path(), &clock), dir, clock }
    };
    let count = entries(&world).len();
    world = restart(world);
    assert_eq!(entries(&world).len(), count, "the same keys are nothing new");
    let lease = world.portal.keys.current().lease().current_id().to_owned();
    // As far as a rotation comes that dies before it has written to the database.
    world.portal.keys.rotate(Rotation::Routine, world.clock.now()).unwrap();
    world.portal.keys.rotate_lease(Rotation::Routine).unwrap();
    world = restart(world);
    let rows = entries(&world);
    assert_eq!(rows.len(), count + 1);
    let (noted, keys) = (rows.last().unwrap(), world.portal.keys.current());
    assert_eq!((&*noted.actor, &*noted.action), ("system", "key.noted"));
    assert_eq!(noted.object_id, keys.portal().to_string());
    let detail: serde_json::Value = serde_json::from_str(&noted.detail).unwrap();
    let changed = json!({
        "trustVersion": [1, 2], "leaseKey": [lease, keys.lease().current_id()],
    });
    assert_eq!(detail, json!({ "changed": changed }));
    world = restart(world);
    assert_eq!(entries(&world).len(), count + 1, "once");
}
