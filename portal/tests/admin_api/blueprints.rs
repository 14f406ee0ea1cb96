//! Publishing blueprints.

use serde_json::json;

use crate::harness::{SHOP, World};

#[test]
fn releases_are_numbered_and_an_equal_one_is_the_same() {
    let world = World::new();
    let push =
        |source: &str| world.post("/api/v1/blueprints", json!({ "source": source, "note": "n" }));
    assert_eq!(push(SHOP).expect(201)["number"], 1);
    assert_eq!(push(SHOP).expect(200)["number"], 1);
    let second = push(&SHOP.replace("1.2.3", "1.2.4")).expect(201);
    assert_eq!(second["number"], 2);
    let list = world.get("/api/v1/blueprints").expect(200);
    assert_eq!(
        (&list["items"][0]["name"], &list["items"][0]["latest"]["number"]),
        (&json!("shop"), &json!(2))
    );
    assert_eq!(
        world.get("/api/v1/blueprints/shop").expect(200)["releases"].as_array().unwrap().len(),
        2
    );
    let release = world.get("/api/v1/blueprints/shop/releases/2").expect(200);
    assert_eq!(release["release"]["digest"], second["digest"]);
    assert_eq!(release["model"]["product"], "shop");
    assert!(release["source"].as_str().unwrap().contains("1.2.4"));
    world.get("/api/v1/blueprints/shop/releases/3").refused(404, "not_found");
    world.get("/api/v1/blueprints/other").refused(404, "not_found");
}

#[test]
fn a_bad_file_is_refused_with_lines_and_remedies() {
    let world = World::new();
    let bad = SHOP.replace("    image:", "    privileged: true\n    image:");
    let refused = world.post("/api/v1/blueprints", json!({ "source": bad }));
    let body = refused.refused(422, "blueprint_refused");
    let first = &body["errors"][0];
    assert!(first["pointer"].as_str().unwrap().starts_with("3:"), "{body}");
    assert!(first["detail"].as_str().unwrap().contains("privileged"), "{body}");
    world.post("/api/v1/blueprints", json!({ "source": "" })).refused(422, "blueprint_refused");
    let named = world.post("/api/v1/blueprints", json!({ "name": "other", "source": SHOP }));
    assert_eq!(named.pointers(), ["/name"]);
}
