//! Those who try passwords: how long they wait, and who does not wait with them.

use serde_json::{Value, json};

use crate::{
    harness::{Answer, World},
    users::PASSWORD,
};

const ANNA: &str = "anna@b.example";
/// Where Anna has never logged in from.
const ELSEWHERE: &str = "198.51.100.7";

#[test]
fn failed_logins_wait_longer_and_longer_and_never_for_good() {
    let world = World::new();
    world.user(ANNA, "owner");
    let answers: Vec<(u16, String)> = ["nobody@b.example", ANNA]
        .into_iter()
        .map(|login| {
            for _ in 0..5 {
                world.login(login, "a wrong password").refused(401, "login_failed");
            }
            let locked = world.login(login, "a wrong password");
            assert_eq!(locked.header("retry-after"), Some("1"));
            let mut problem = locked.refused(429, "login_locked");
            problem["requestId"] = Value::Null;
            (locked.status, problem.to_string())
        })
        .collect();
    // Whether there is such a user is not to be told from the answers.
    assert_eq!(answers[0], answers[1]);
    // The right password waits, too, and then it is let in.
    world.login(ANNA, PASSWORD).refused(429, "login_locked");
    world.clock.advance_secs(1);
    world.login(ANNA, "a wrong password").refused(401, "login_failed");
    assert_eq!(world.login(ANNA, PASSWORD).header("retry-after"), Some("2"));
    world.clock.advance_secs(2);
    world.login(ANNA, PASSWORD).expect(200);
    // It starts anew after that.
    for _ in 0..5 {
        world.login(ANNA, "a wrong password").refused(401, "login_failed");
    }
    // However often somebody has failed, a quarter of an hour is the most.
    for _ in 0..30 {
        world.clock.advance_secs(15 * 60);
        assert_eq!(world.login(ANNA, "a wrong password").status, 401);
    }
    world.clock.advance_secs(15 * 60);
    world.login(ANNA, PASSWORD).expect(200);
    let locked = world.audited("login.lock");
    assert!(locked.iter().all(|row| row["actor"] == "anonymous"), "{locked:?}");
    let text = world.get("/api/v1/audit?limit=200").text;
    assert!(!text.contains("nobody@b.example") && !text.contains("a wrong password"));
    // Forty wrong passwords are a few rows.
    let failed = world.audited("login.fail").len() + locked.len();
    assert!((4..30).contains(&failed), "{failed}");
}

#[test]
fn one_network_waits_after_many_names() {
    let world = World::new();
    let mut statuses = Vec::new();
    for n in 0..25 {
        statuses.push(world.login(&format!("user{n}@b.example"), "a wrong password").status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 20);
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 5);
    // Tokens of the same network are not locked by it.
    world.get("/api/v1/me").expect(200);
}

fn behind_proxy() -> World {
    World::with(|config| config.behind_proxy = true)
}

fn post_from(world: &World, peer: &str, path: &str, body: &Value) -> Answer {
    world.call("POST", path).header("x-forwarded-for", peer).json(body).send()
}

fn guess_from(world: &World, peer: &str, login: &str) -> Answer {
    let body = json!({ "login": login, "password": "a wrong password" });
    post_from(world, peer, "/api/v1/auth/login", &body)
}

#[test]
fn a_session_goes_on_and_ends_while_logins_of_its_user_wait() {
    let world = behind_proxy();
    world.user(ANNA, "viewer");
    let session = world.session(ANNA);
    for _ in 0..5 {
        guess_from(&world, ELSEWHERE, ANNA).refused(401, "login_failed");
        guess_from(&world, "127.0.0.1", ANNA).refused(401, "login_failed");
    }
    let is_locked = || {
        guess_from(&world, ELSEWHERE, ANNA).refused(429, "login_locked");
        world.login(ANNA, PASSWORD).refused(429, "login_locked");
    };
    is_locked();
    // Who has a session has shown the password: nobody's guesses end it or hold it up.
    let body = json!({ "refreshToken": session["refreshToken"] });
    let next = post_from(&world, ELSEWHERE, "/api/v1/auth/refresh", &body).expect(200);
    world.as_user(&next, "GET", "/api/v1/me").send().expect(200);
    // But it is no way to go on guessing.
    let guess = json!({ "old": "a wrong password", "new": "another password" });
    let change = world
        .as_user(&next, "POST", "/api/v1/me/password")
        .header("x-forwarded-for", ELSEWHERE)
        .json(&guess);
    change.send().refused(429, "login_locked");
    // A refresh opens the door of the login for nobody.
    is_locked();

    let body = json!({ "refreshToken": next["refreshToken"] });
    let logout = |peer: &str| post_from(&world, peer, "/api/v1/auth/logout", &body);
    logout(ELSEWHERE).expect(204);
    world.as_user(&next, "GET", "/api/v1/me").send().refused(401, "session_ended");
    let over = post_from(&world, ELSEWHERE, "/api/v1/auth/refresh", &body);
    over.refused(401, "session_ended");
    // What is over for the session changes nothing about the wait.
    is_locked();
    world.clock.advance_secs(1);
    world.login(ANNA, PASSWORD).expect(200);
}

#[test]
fn a_network_that_waits_with_its_logins_goes_on_with_its_sessions() {
    let world = behind_proxy();
    world.user(ANNA, "viewer");
    let body = json!({ "login": ANNA, "password": PASSWORD });
    let login = || post_from(&world, ELSEWHERE, "/api/v1/auth/login", &body);
    let session = login().expect(200);
    for n in 0..20 {
        guess_from(&world, ELSEWHERE, &format!("user{n}@b.example")).refused(401, "login_failed");
    }
    login().refused(429, "login_locked");
    let body = json!({ "refreshToken": session["refreshToken"] });
    let next = post_from(&world, ELSEWHERE, "/api/v1/auth/refresh", &body).expect(200);
    let body = json!({ "refreshToken": next["refreshToken"] });
    post_from(&world, ELSEWHERE, "/api/v1/auth/logout", &body).expect(204);
    // From elsewhere, nobody waits.
    world.login(ANNA, PASSWORD).expect(200);
}
