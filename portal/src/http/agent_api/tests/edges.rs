//! A portal near its limits, and jobs that stand still.

use super::*;

#[test]
fn near_the_connection_cap_agents_go_over_to_intervals_and_back() {
    let world = World::with(Config { max_connections: 16, ..Config::default() });
    let mut agent = world.agent();
    let request = agent.poll_request(&world, 1);
    let rhythm = |agent: &mut Agent| {
        let began = std::time::Instant::now();
        let poll = agent.poll_with(&world, &request).0;
        (poll.wait_seconds, poll.next_poll_seconds, began.elapsed() >= Duration::from_secs(1))
    };
    let others: Vec<_> = (1..=12)
        .map(|n| world.portal.waiting_room.enter(AgentId::from_uuid(uuid::Uuid::from_u128(n))))
        .collect();
    // Four fifths of the connections are parked: what is left is for admins.
    let mut pauses = std::collections::BTreeSet::new();
    for _ in 0..12 {
        let (wait, pause, held) = rhythm(&mut agent);
        assert!(wait == 0 && !held && (30..=40).contains(&pause), "{wait} {pause} {held}");
        pauses.insert(pause);
    }
    assert!(pauses.len() > 1, "all agents would come back at the same moment");
    // Nobody is called late for coming when it was told to.
    world.clock.advance_secs(40);
    let host = world.host();
    let seen = world.portal.db.read(|read| db::agents::get(read, host.agent_id.unwrap())).unwrap();
    let presence =
        crate::domain::presence::presence(seen.last_seen_at, seen.expected_at, world.clock.now());
    assert_eq!(presence, crate::domain::presence::Presence::Online);
    drop(others);
    assert_eq!(rhythm(&mut agent), (25, 0, true));
}

#[test]
fn a_step_that_makes_no_progress_is_shown_and_does_not_count_as_progress() {
    let world = World::new();
    let mut agent = world.agent();
    let id = world.probe();
    agent.poll(&world);
    let event = |n, what, message: &str| Event {
        n,
        at: world.clock.now(),
        step: "pull-images".into(),
        what,
        message: message.into(),
    };
    let route = AgentRoute::Events(id);
    let send = |agent: &mut Agent, event| {
        let body = EventsRequest { attempt: 1, events: vec![event] };
        agent.post::<EventsAnswer>(&world, &route, &body).unwrap();
    };
    send(&mut agent, event(1, EventKind::StepStarted, ""));
    let moved_at = world.job(id).progress_at;
    world.clock.advance_secs(1200);
    send(&mut agent, event(2, EventKind::NoProgress, "nothing was heard for 1200 s"));
    assert_eq!(world.job(id).progress_at, moved_at);
    let page =
        world.portal.db.read(|read| db::job_views::events_after(read, id, (0, 0), 10)).unwrap();
    let last = page.last().unwrap();
    assert_eq!(
        (last.what, last.message.as_str()),
        (EventKind::NoProgress, "nothing was heard for 1200 s")
    );
    // And so it is cancelled in the end, however often the agent says that it is there.
    world.clock.advance_secs(601);
    world.reap();
    assert_eq!(world.job(id).cancel_reason.as_deref(), Some("no progress for 30 minutes"));
}
