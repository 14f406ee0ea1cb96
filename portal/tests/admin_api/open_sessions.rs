//! A user's open sessions: seen and ended by the user and by owners, and by nobody else.

use serde_json::{Value, json};

use crate::harness::World;

const ANNA: &str = "anna@b.example";
const BOB: &str = "bob@b.example";
const MINE: &str = "/api/v1/me/sessions";
const HOUR: i64 = 3_600;

fn id(session: &Value) -> &str {
    session["session"]["id"].as_str().unwrap()
}

fn refresh(world: &World, session: &Value) -> crate::harness::Answer {
    let body = json!({ "refreshToken": session["refreshToken"] });
    world.call("POST", "/api/v1/auth/refresh").json(&body).send()
}

/// The identifiers in a list, and which of them is said to be the caller's.
fn shown(list: &Value) -> (Vec<&str>, Vec<&str>) {
    let items = list["items"].as_array().unwrap().iter();
    let ids = items.map(|item| (item["id"].as_str().unwrap(), item["current"] == true));
    let own = ids.clone().filter(|(_, is_current)| *is_current);
    (ids.clone().map(|(id, _)| id).collect(), own.map(|(id, _)| id).collect())
}

/// Neither its access token nor its refresh token is good any more.
#[track_caller]
fn is_over(world: &World, session: &Value) {
    world.as_user(session, "GET", "/api/v1/me").send().refused(401, "session_ended");
    refresh(world, session).refused(401, "session_ended");
}

#[test]
fn a_user_sees_and_ends_its_own_sessions() {
    let world = World::new();
    world.user(ANNA, "viewer");
    let laptop = world.session(ANNA);
    world.clock.advance_secs(HOUR);
    let phone = world.session(ANNA);
    world.clock.advance_secs(HOUR);
    let laptop = refresh(&world, &laptop).expect(200);

    let mine = || world.as_user(&laptop, "GET", MINE).send().expect(200);
    let list = mine();
    assert_eq!(shown(&list), (vec![id(&laptop), id(&phone)], vec![id(&laptop)]));
    let (now, day) = (world.portal.db.now().as_millis(), 86_400_000);
    assert_eq!(
        list["items"][0],
        json!({
            "id": id(&laptop), "network": "127.0.0.1", "current": true,
            "createdAt": now - 2 * HOUR * 1000, "lastUsedAt": now, "idleEndsAt": now + 7 * day,
            "expiresAt": now - 2 * HOUR * 1000 + 30 * day,
        })
    );
    assert_eq!(list["items"][1]["lastUsedAt"], now - HOUR * 1000);

    let end = |which: &str| world.as_user(&laptop, "DELETE", &format!("{MINE}/{which}")).send();
    end(id(&phone)).expect(204);
    is_over(&world, &phone);
    assert_eq!(shown(&mine()).0, [id(&laptop)]);
    // Once more changes nothing, and is no second entry of the log.
    end(id(&phone)).expect(204);
    end("0190a000-0000-7000-8000-000000000001").refused(404, "not_found");
    let log = world.audited("session.end");
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!(log[0]["actor"], format!("user:{ANNA}"));
    assert_eq!(log[0]["detail"]["session"], id(&phone));
    assert_eq!(log[0]["detail"]["login"], ANNA);
    // The one that asks, too.
    end(id(&laptop)).expect(204);
    is_over(&world, &laptop);
}

#[test]
fn nobody_sees_or_ends_the_session_of_somebody_else() {
    let world = World::new();
    world.user(ANNA, "approver");
    let bob = world.user(BOB, "operator");
    let (anna, of_bob) = (world.session(ANNA), world.session(BOB));
    let as_anna = |method: &str, path: &str| world.as_user(&anna, method, path).send();
    assert_eq!(shown(&as_anna("GET", MINE).expect(200)).0, [id(&anna)]);
    as_anna("DELETE", &format!("{MINE}/{}", id(&of_bob))).refused(404, "not_found");
    let theirs = format!("/api/v1/users/{bob}/sessions");
    as_anna("GET", &theirs).refused(403, "forbidden");
    as_anna("DELETE", &format!("{theirs}/{}", id(&of_bob))).refused(403, "forbidden");
    world.as_user(&of_bob, "GET", "/api/v1/me").send().expect(200);
    refresh(&world, &of_bob).expect(200);
    assert!(world.audited("session.end").is_empty());
    // A token has no session.
    world.get(MINE).refused(403, "users_only");
    let path = format!("{MINE}/{}", id(&anna));
    world.as_owner("DELETE", &path).send().refused(403, "users_only");
    world.call("GET", MINE).send().refused(401, "token_missing");
    as_anna("GET", &format!("{MINE}?user={bob}")).refused(400, "bad_query");
}

#[test]
fn an_owner_sees_and_ends_the_sessions_of_others() {
    let world = World::new();
    let (anna, bob) = (world.user(ANNA, "viewer"), world.user(BOB, "owner"));
    let (first, of_bob) = (world.session(ANNA), world.session(BOB));
    let second = world.session(ANNA);
    let of = |user: &str| format!("/api/v1/users/{user}/sessions");
    let as_bob = |method: &str, path: &str| world.as_user(&of_bob, method, path).send();

    let list = as_bob("GET", &of(&anna)).expect(200);
    assert_eq!(shown(&list), (vec![id(&second), id(&first)], vec![]));
    assert_eq!(shown(&as_bob("GET", &of(&bob)).expect(200)).1, [id(&of_bob)]);
    // A session is found below its own user alone.
    as_bob("DELETE", &format!("{}/{}", of(&bob), id(&first))).refused(404, "not_found");
    as_bob("DELETE", &format!("{}/{}", of(&anna), id(&first))).expect(204);
    is_over(&world, &first);
    world.as_user(&second, "GET", "/api/v1/me").send().expect(200);
    let log = world.audited("session.end");
    assert_eq!((log.len(), &log[0]["actor"]), (1, &json!(format!("user:{BOB}"))));
    assert_eq!(log[0]["objectId"], anna.as_str());

    // An owner's token may as well; nobody's session is its own.
    let list = world.get(&of(&anna)).expect(200);
    assert_eq!(shown(&list), (vec![id(&second)], vec![]));
    let nobody = of("0190a000-0000-7000-8000-000000000001");
    world.get(&nobody).refused(404, "not_found");
    // What is over by age is not shown, and ending it changes nothing.
    world.clock.advance_secs(7 * 86_400);
    assert_eq!(shown(&world.get(&of(&anna)).expect(200)).0, [""; 0]);
    let path = format!("{}/{}", of(&anna), id(&second));
    world.as_owner("DELETE", &path).send().expect(204);
    assert_eq!(world.audited("session.end").len(), 1);
}

#[test]
fn whoever_is_limited_to_a_tenant_or_must_change_the_password_has_sessions_of_its_own() {
    let world = World::with_tenant();
    let body = json!({
        "login": ANNA, "role": "operator", "tenant": "acme", "password": crate::users::PASSWORD,
    });
    let anna = world.post("/api/v1/users", body).expect(201)["user"]["id"].clone();
    let session = world.session(ANNA);
    let list = world.as_user(&session, "GET", MINE).send().expect(200);
    assert_eq!(shown(&list).0, [id(&session)]);
    let theirs = format!("/api/v1/users/{}/sessions", anna.as_str().unwrap());
    assert_eq!(world.as_user(&session, "GET", &theirs).send().status, 403);
    let path = format!("{MINE}/{}", id(&session));
    world.as_user(&session, "DELETE", &path).send().expect(204);
    is_over(&world, &session);
}
