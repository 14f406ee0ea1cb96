//! Polls that find nothing: seen at once, written a moment later, and never in the way of what must be
//! on the disk before its answer.

use std::{path::Path, sync::Arc};

use freehold_protocol::{
    time::Timestamp,
    wire::{Head, PollAnswer, PollRequest},
};

use super::world::{Agent, World};
use crate::{
    clock::Clock as _,
    db::{self, Db},
    domain::presence::{Presence, presence},
    error::Kind,
    http::{route::AgentRoute, server::ServerStats, tally::Tally},
    metrics,
};

/// What stands in the row itself.
#[derive(Debug, PartialEq)]
struct Row {
    seen: Option<i64>,
    expected: Option<i64>,
    acked: i64,
    version: String,
    draining: bool,
}

fn row(db: &Db) -> Row {
    let columns = "SELECT last_seen_at, expected_at, acked_seq, version, draining FROM agents";
    db.read(|read| {
        Ok(read.sql().query_row(columns, [], |row| {
            Ok(Row {
                seen: row.get(0)?,
                expected: row.get(1)?,
                acked: row.get(2)?,
                version: row.get(3)?,
                draining: row.get(4)?,
            })
        })?)
    })
    .unwrap()
}

/// What an operator is shown.
fn shown(db: &Db, agent: &Agent, now: Timestamp) -> (Option<Timestamp>, Presence) {
    let row = db.read(|read| db::agents::get(read, agent.id())).unwrap();
    (row.last_seen_at, presence(row.last_seen_at, row.expected_at, now))
}

#[test]
fn an_empty_poll_is_seen_at_once_and_written_later() {
    let world = World::new();
    let mut agent = world.agent();
    let db = &world.portal.db;
    let before = row(db);
    assert_eq!(shown(db, &agent, world.clock.now()), (None, Presence::Never));
    for _ in 0..3 {
        world.clock.advance_secs(25);
        agent.poll(&world);
        assert_eq!(row(db), before, "no statement");
        let now = world.clock.now();
        assert_eq!(shown(db, &agent, now), (Some(now), Presence::Online));
        let page =
            metrics::page(&world.portal, &ServerStats::default(), &Tally::default()).unwrap();
        assert!(page.contains("freehold_hosts{presence=\"online\"} 1"), "{page}");
    }
    let seen = world.clock.now();
    world.clock.advance_secs(2);
    assert_eq!(db.save_seen().unwrap(), 1);
    assert_eq!(row(db).seen, Some(seen.as_millis()), "when it came, not when it was written");
    assert_eq!(db.save_seen().unwrap(), 0, "once");
    // And time alone makes it late and offline, from the memory as from the row.
    for (secs, expected) in [(60, Presence::Late), (120, Presence::Offline)] {
        world.clock.advance_secs(secs);
        assert_eq!(shown(db, &agent, world.clock.now()), (Some(seen), expected));
    }
}

/// The database as it would be found after a crash now.
fn after_a_crash(world: &World) -> (tempfile::TempDir, Db) {
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("portal.db");
    for suffix in ["", "-wal"] {
        let file = format!("{}{suffix}", world.portal.db.path().display());
        std::fs::copy(Path::new(&file), format!("{}{suffix}", path.display())).unwrap();
    }
    let db = Db::open(&path, Arc::new(world.clock.clone())).unwrap();
    (copy, db)
}

#[test]
fn a_crash_leaves_an_older_time_and_an_orderly_end_the_newest() {
    let world = World::new();
    let mut agent = world.agent();
    agent.poll(&world);
    let first = world.clock.now();
    world.portal.db.save_seen().unwrap();
    world.clock.advance_secs(25);
    agent.poll(&world);
    let second = world.clock.now();
    let (_copy, crashed) = after_a_crash(&world);
    assert_eq!(shown(&crashed, &agent, second), (Some(first), Presence::Online));
    world.portal.db.close();
    let (_copy, ended) = after_a_crash(&world);
    assert_eq!(shown(&ended, &agent, second), (Some(second), Presence::Online));
}

type Change = fn(&mut PollRequest);
type Written = fn(&Row) -> bool;

#[test]
fn a_poll_with_news_is_written_before_its_answer() {
    let news: [(Change, Written); 3] = [
        (|poll| poll.agent_version = "0.2.0".into(), |row| row.version == "0.2.0"),
        (|poll| poll.draining = true, |row| row.draining),
        // The journal is an older copy: the database must not think any more that it has what came after.
        (|poll| poll.head = Head::start_of(1), |row| row.acked == 0),
    ];
    for (number, (change, written)) in news.into_iter().enumerate() {
        let world = World::new();
        let mut agent = world.agent();
        world.probe();
        let (_, jobs) = agent.poll(&world);
        agent
            .report(&world, &jobs[0], freehold_protocol::report::Outcome::Succeeded, None, None)
            .unwrap();
        agent.poll(&world);
        world.portal.db.save_seen().unwrap();
        assert_eq!(row(&world.portal.db).acked, 1);
        let mut request = agent.poll_request(&world, 0);
        change(&mut request);
        agent.post::<PollAnswer>(&world, &AgentRoute::Poll, &request).map(drop).unwrap();
        let (_copy, crashed) = after_a_crash(&world);
        assert!(written(&row(&crashed)), "change {number}: {:?}", row(&crashed));
    }
}

#[test]
fn an_empty_poll_is_not_answered_while_nothing_can_be_written() {
    let world = World::new();
    let mut agent = world.agent();
    agent.poll(&world);
    let failed = world.portal.db.write(|_| Err::<(), _>(db::storage_failed()));
    assert!(failed.is_err() && world.portal.db.fatal().is_some());
    let request = agent.poll_request(&world, 0);
    let error = agent.post::<PollAnswer>(&world, &AgentRoute::Poll, &request).unwrap_err();
    assert!(matches!(error.kind, Kind::Unavailable { .. }), "{error:?}");
    assert!(world.portal.db.save_seen().is_err(), "it waits for a better disk");
}
