//! Removing a tenant: the data goes or stays as the admin says, and nothing else stays.

use freehold_protocol::report::JobResult;
use freehold_tests::world::{World, steps_of};
use serde_json::json;

#[test]
fn a_removal_must_say_what_happens_to_the_data() {
    let world = World::start("remove-refused");
    let tenant = world.deployed("acme");
    let path = format!("/tenants/{}/remove", tenant.slug);
    for (body, pointer) in [
        (json!({}), "/data"),
        (json!({ "data": "maybe" }), "/data"),
        (json!({ "data": "delete" }), "/confirm"),
        (json!({ "data": "delete", "confirm": "another" }), "/confirm"),
        (json!({ "data": "keep", "force": true }), "/force"),
    ] {
        let problem = world.api().call("POST", &path, Some(&body)).problem(422);
        let pointers: Vec<_> = problem.errors.iter().map(|e| e.pointer.as_str()).collect();
        assert_eq!(pointers, [pointer], "{body}: {problem:#?}");
    }
    for (args, advice) in [
        (vec!["tenant", "remove", &tenant.slug], "--keep-data"),
        (vec!["tenant", "remove", &tenant.slug, "--delete-data"], "--yes-delete"),
    ] {
        let refused = world.cli(&args);
        assert_eq!(refused.code, Some(8), "{args:?}: {refused}");
        assert!(refused.stderr.contains(advice), "{args:?}: {refused}");
    }
    world.assert_live(&tenant, "1");
}

#[test]
fn kept_data_comes_back_and_deleted_data_leaves_nothing() {
    let world = World::start("remove");
    let before = world.snapshot();
    let tenant = world.deployed("acme");
    let password = world.password(&tenant);
    assert_eq!(world.login(&tenant, &password), 200);

    let id = world.queue_remove(&tenant, "keep");
    let job = world.succeeds(&id);
    let Some(JobResult::Removed(removed)) = &job.result else { panic!("{:#?}", job.result) };
    assert_eq!(removed.kept_volumes.len(), 1, "{removed:?}");
    assert_eq!(
        steps_of(&world.events(&id)),
        ["check-removal", "site-off", "stop-stack", "remove-files"]
    );
    let kept = world.snapshot();
    assert_eq!(kept.names("volume"), removed.kept_volumes, "{kept:?}");
    assert!(kept.names("container").is_empty() && kept.names("site").is_empty(), "{kept:?}");
    assert!(world.https(&tenant, "/", &[]).is_err(), "a removed tenant still answers");
    assert_eq!(world.view(&tenant).status, "removed");

    let release = 1;
    let again = world.deploy(&tenant, release);
    assert!(!steps_of(&world.events(&again.id.to_string())).contains(&"onboard".to_owned()));
    world.assert_live(&tenant, "1");
    assert_eq!(world.login(&tenant, &password), 200, "the kept data is not there");

    let id = world.queue_remove(&tenant, "delete");
    let job = world.succeeds(&id);
    let Some(JobResult::Removed(removed)) = &job.result else { panic!("{:#?}", job.result) };
    assert_eq!((removed.kept_volumes.len(), removed.deleted_volumes.len()), (0, 1), "{removed:?}");
    world.snapshot().assert_same(&before);
}

#[test]
fn data_that_was_kept_can_be_deleted_later() {
    let world = World::start("remove-later");
    let before = world.snapshot();
    let tenant = world.deployed("acme");
    let id = world.queue_remove(&tenant, "keep");
    world.succeeds(&id);
    world.remove_with_data(&tenant);
    world.snapshot().assert_same(&before);
}
