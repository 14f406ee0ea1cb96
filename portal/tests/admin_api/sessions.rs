//! Logging in, going on, logging out.

use std::thread;

use freehold_portal::domain::session::Ending;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, World},
    users::PASSWORD,
};

const ANNA: &str = "anna@b.example";

fn refresh(world: &World, token: &Value) -> Answer {
    let body = json!({ "refreshToken": token });
    world.call("POST", "/api/v1/auth/refresh").json(&body).send()
}

fn me(world: &World, session: &Value) -> Answer {
    world.as_user(session, "GET", "/api/v1/me").send()
}

#[test]
fn a_session_goes_on_with_refresh_tokens_that_are_good_once() {
    let world = World::new();
    world.user(ANNA, "viewer");
    let first = world.session(ANNA);
    let (access, spent) =
        (first["accessToken"].as_str().unwrap(), first["refreshToken"].as_str().unwrap());
    assert!(access.starts_with("fha_") && spent.starts_with("fhr_"));
    me(&world, &first).expect(200);
    // A refresh token is no access token, and the other way round.
    world.call("GET", "/api/v1/me").bearer(spent).send().refused(401, "token_malformed");
    refresh(&world, &first["accessToken"]).refused(401, "refresh_malformed");

    world.clock.advance_secs(15 * 60);
    me(&world, &first).refused(401, "access_expired");
    let second = refresh(&world, &first["refreshToken"]).expect(200);
    assert_eq!(first["session"]["id"], second["session"]["id"]);
    assert_ne!(first["refreshToken"], second["refreshToken"]);
    me(&world, &second).expect(200);

    // The spent one comes again: it is in two hands, so that both lose the session.
    let reused = refresh(&world, &first["refreshToken"]);
    reused.refused(401, "refresh_reused");
    me(&world, &second).refused(401, "session_ended");
    refresh(&world, &second["refreshToken"]).refused(401, "session_ended");
    refresh(&world, &first["refreshToken"]).refused(401, "refresh_reused");
    let rows = world.audited("session.reuse");
    assert_eq!(rows.len(), 1, "once for the session");
    assert_eq!(rows[0]["detail"]["session"], first["session"]["id"]);
    // Other sessions of the user live.
    me(&world, &world.session(ANNA)).expect(200);
    assert_eq!(world.audited("login.succeed").len(), 2);
}

#[test]
fn of_two_refreshes_at_the_same_moment_one_wins_and_the_session_ends() {
    let world = World::new();
    world.user(ANNA, "viewer");
    let session = world.session(ANNA);
    let answers: Vec<Answer> = thread::scope(|scope| {
        let asking: Vec<_> =
            (0..4).map(|_| scope.spawn(|| refresh(&world, &session["refreshToken"]))).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let won: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    for lost in answers.iter().filter(|answer| answer.status != 200) {
        lost.refused(401, "refresh_reused");
    }
    me(&world, &won[0].json()).refused(401, "session_ended");
    assert_eq!(world.audited("session.reuse").len(), 1);
}

#[test]
fn an_access_token_outlives_one_refresh_and_no_second() {
    let world = World::new();
    world.user(ANNA, "viewer");
    let first = world.session(ANNA);
    let second = refresh(&world, &first["refreshToken"]).expect(200);
    me(&world, &first).expect(200);
    let third = refresh(&world, &second["refreshToken"]).expect(200);
    me(&world, &first).refused(401, "token_unknown");
    me(&world, &second).expect(200);
    me(&world, &third).expect(200);
}

#[test]
fn a_session_ends_when_it_is_idle_and_when_it_is_old() {
    let world = World::new();
    world.user(ANNA, "viewer");
    let day = 86_400;
    let idle = world.session(ANNA);
    world.clock.advance_secs(7 * day);
    refresh(&world, &idle["refreshToken"]).refused(401, "session_ended");
    let mut session = world.session(ANNA);
    for _ in 0..5 {
        world.clock.advance_secs(6 * day - 60);
        session = refresh(&world, &session["refreshToken"]).expect(200);
    }
    world.clock.advance_secs(300);
    me(&world, &session).refused(401, "session_ended");
    refresh(&world, &session["refreshToken"]).refused(401, "session_ended");
    // What is over for long is swept away.
    world.clock.advance_secs(31 * day);
    let limits = freehold_portal::app::retention::Limits::of(&world.portal.config);
    freehold_portal::app::retention::sweep(&world.portal.db, &limits, &|| false).unwrap();
    refresh(&world, &session["refreshToken"]).refused(401, "refresh_unknown");
}

#[test]
fn logging_out_ends_the_session_at_once() {
    let world = World::new();
    world.user(ANNA, "viewer");
    let (session, other) = (world.session(ANNA), world.session(ANNA));
    let logout = |session: &Value| {
        let body = json!({ "refreshToken": session["refreshToken"] });
        world.call("POST", "/api/v1/auth/logout").json(&body).send()
    };
    logout(&session).expect(204);
    me(&world, &session).refused(401, "session_ended");
    refresh(&world, &session["refreshToken"]).refused(401, "session_ended");
    logout(&session).expect(204);
    me(&world, &other).expect(200);
    assert_eq!(world.audited("logout").len(), 1);
    let unknown = json!({ "refreshToken": "fhr_nothing" });
    world
        .call("POST", "/api/v1/auth/logout")
        .json(&unknown)
        .send()
        .refused(401, "refresh_malformed");
}

#[test]
fn a_disabled_or_removed_user_is_out_at_once() {
    let world = World::new();
    for (login, method, end) in [
        ("a@b.example", "POST", "/disable"),
        ("b@b.example", "POST", "/reset-password"),
        ("c@b.example", "DELETE", ""),
    ] {
        let id = world.user(login, "operator");
        let session = world.session(login);
        me(&world, &session).expect(200);
        let ended = world.as_owner(method, &format!("/api/v1/users/{id}{end}")).send();
        assert!(ended.status < 300, "{ended:?}");
        let answer = me(&world, &session);
        assert_eq!(answer.status, 401, "{end}: {}", answer.text);
        assert_eq!(refresh(&world, &session["refreshToken"]).status, 401, "{end}");
        world.login(login, PASSWORD).refused(401, "login_failed");
    }
}

#[test]
fn a_new_password_needs_the_old_one_and_ends_other_sessions() {
    let world = World::new();
    world.user(ANNA, "viewer");
    let (session, other) = (world.session(ANNA), world.session(ANNA));
    let change = |old: &str, new: &str| {
        world
            .as_user(&session, "POST", "/api/v1/me/password")
            .json(&json!({ "old": old, "new": new }))
            .send()
    };
    change("not the old one", "another password").refused(403, "wrong_password");
    assert_eq!(change(PASSWORD, "short").pointers(), ["/new"]);
    assert_eq!(change(PASSWORD, PASSWORD).pointers(), ["/new"]);
    assert_eq!(change(PASSWORD, "ANNA@b.example").pointers(), ["/new"]);
    change(PASSWORD, "another password").expect(204);
    me(&world, &session).expect(200);
    me(&world, &other).refused(401, "session_ended");
    refresh(&world, &session["refreshToken"]).expect(200);
    world.login(ANNA, PASSWORD).refused(401, "login_failed");
    world.login(ANNA, "another password").expect(200);
    // Whoever has found an open session does not guess the password through it.
    let mut last = change("guess", "another password 2");
    for _ in 0..6 {
        last = change("guess", "another password 2");
    }
    last.refused(429, "login_locked");
    assert!(!world.get("/api/v1/audit").text.contains("another password"));
}

#[test]
fn what_is_no_login_is_refused_and_harms_nothing() {
    let world = World::new();
    world.user(ANNA, "owner");
    let send = |body: &[u8]| {
        let call =
            world.call("POST", "/api/v1/auth/login").header("content-type", "application/json");
        call.bytes(body.to_vec()).send()
    };
    send(b"").refused(400, "body_missing");
    send(b"{\"login\":\"\xff\xfe\",\"password\":\"x\"}").refused(400, "malformed_json");
    send(br#"{"login":"anna@b.example","password":"x","role":"owner"}"#).refused(422, "invalid");
    send(br#"{"login":"anna@b.example"}"#).refused(422, "invalid");
    send(br#"{"login":["anna@b.example"],"password":"x"}"#).refused(422, "invalid");
    send(&[b"[".repeat(5000), b"]".repeat(5000)].concat()).refused(422, "invalid");
    let huge = json!({ "login": ANNA, "password": "x".repeat(1024 * 1024) }).to_string();
    assert_eq!(send(huge.as_bytes()).status, 413);
    let long = json!({ "login": ANNA, "password": "x".repeat(20 * 1024) }).to_string();
    send(long.as_bytes()).refused(401, "login_failed");
    for login in
        ["' OR '1'='1", "anna@b.example' --", "anna@b.example\u{0}", "", "%", "ＡＮＮＡ@b.example"]
    {
        world.login(login, PASSWORD).refused(401, "login_failed");
        world.clock.advance_secs(3_700);
    }
    world.login(ANNA, PASSWORD).expect(200);
}

#[test]
fn a_user_has_so_many_sessions_and_no_more() {
    let world = World::new();
    world.user(ANNA, "viewer");
    let first = world.session(ANNA);
    for _ in 0..20 {
        world.clock.advance_secs(1);
        world.session(ANNA);
    }
    me(&world, &first).refused(401, "session_ended");
    // What is over is not kept without end.
    let count = |sql: &'static str| {
        let open = |path| rusqlite::Connection::open(path).unwrap();
        open(world.portal.db.path()).query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap()
    };
    assert_eq!(count("SELECT count(*) FROM sessions"), 21);
    let user =
        world.get("/api/v1/users").expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    world
        .portal
        .db
        .write(move |tx| {
            let user = user.parse().unwrap();
            freehold_portal::db::sessions::end_of_user(tx, user, None, Ending::Reset)?;
            freehold_portal::db::sessions::keep_ended(tx, user, 3)
        })
        .unwrap();
    assert_eq!(count("SELECT count(*) FROM sessions"), 3);
    assert_eq!(count("SELECT count(*) FROM session_tokens"), 6);
}

#[test]
fn a_creation_is_repeated_per_user() {
    let world = World::new();
    world.user(ANNA, "operator");
    world.user("bob@b.example", "operator");
    let (anna, bob) = (world.session(ANNA), world.session("bob@b.example"));
    let create = |session: &Value| {
        let body = json!({ "name": "Acme GmbH" });
        world
            .as_user(session, "POST", "/api/v1/customers")
            .header("idempotency-key", "k1")
            .json(&body)
            .send()
    };
    let made = create(&anna).expect(201);
    assert_eq!(create(&anna).expect(201)["id"], made["id"]);
    assert_ne!(create(&bob).expect(201)["id"], made["id"]);
    assert_eq!(made["createdBy"], "user:anna@b.example");
}
