//! Signed bodies in which a list stands where an object belongs.

use freehold_protocol::{
    dsse::{Envelope, Payload},
    report::Report,
};
use serde_json::{Value, json};

use super::*;

/// A value's fields by position, in the order in which the struct has them.
fn listed(value: &impl serde::Serialize, fields: &[&str]) -> Value {
    let value = serde_json::to_value(value).unwrap();
    assert_eq!(value.as_object().unwrap().len(), fields.len());
    fields.iter().map(|name| value[name].clone()).collect()
}

#[test]
fn a_list_is_no_object_in_any_body_of_an_agent() {
    let world = World::new();
    let mut agent = world.agent();
    let id = world.probe();
    let (_, jobs) = agent.poll(&world);
    let (now, before) = (world.clock.now(), world.state(id));
    let host = listed(
        &facts(),
        &[
            "at",
            "os",
            "kernel",
            "arch",
            "memoryTotalMib",
            "memoryAvailableMib",
            "cpus",
            "loadPercent",
            "diskTotalMib",
            "diskAvailableMib",
            "tools",
        ],
    );
    let event = json!([1, now, "pull-images", "step_started", ""]);
    let mut poll = serde_json::to_value(agent.poll_request(&world, 0)).unwrap();
    poll["head"] = listed(&agent.head, &["epoch", "seq", "hash"]);
    let report = serde_json::to_value(agent.last.as_ref().unwrap()).unwrap();
    let signature = report["signatures"][0].clone();
    let bare = json!([report["payloadType"], report["payload"], [signature]]);
    let mut nested = report.clone();
    nested["signatures"] = json!([[signature["keyid"], signature["sig"]]]);
    for (route, body, place) in [
        (AgentRoute::Poll, poll, "/head"),
        (AgentRoute::Inventory, json!({ "facts": host, "tenants": [], "ports": [] }), "/facts"),
        (AgentRoute::Events(id), json!({ "attempt": 1, "events": [event] }), "/events/0"),
        (AgentRoute::Report(id), json!({ "report": bare }), "/report"),
        (AgentRoute::Report(id), json!({ "report": nested }), "/report/signatures/0"),
    ] {
        let error = agent.signed(&world.portal, &route, &body, now).unwrap_err();
        assert_eq!((error.kind, error.code), (Kind::Invalid, "invalid"), "{route:?}: {error}");
        assert_eq!(error.fields[0].pointer, place, "{route:?}: {:?}", error.fields);
    }
    let token = world.token();
    let mut body = serde_json::to_value(Agent::new(7).enroll_request(&token)).unwrap();
    body["facts"] = host;
    let body = serde_json::to_vec(&body).unwrap();
    let error = call(&world.portal, &AgentRoute::Enroll, body, &[]).unwrap_err();
    assert_eq!(error.fields[0].pointer, "/facts");
    // Inside what is signed once more.
    let report = agent.report_of(&world, &jobs[0], Outcome::Succeeded, None, None);
    let mut report = serde_json::to_value(report).unwrap();
    report["steps"] = json!([["probe", "done", 7]]);
    let text = report.to_string();
    let envelope = Envelope::sign_bytes(Report::TYPE, text.as_bytes(), &[&agent.report]);
    let error = agent.send_report(&world, id, envelope).unwrap_err();
    assert!(error.message.contains("wrong type at `/steps/0`"), "{error:?}");
    assert_eq!(world.state(id), before);
}
