//! What an idle host costs: nothing is written for an answer that brings nothing, and nobody looks
//! around for what wakes him.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{PORTAL_TIME, world::World};
use crate::socket::{
    Ack, Answerer as _, Caller, MAX_REPORT_WAIT_MS, OutWork, PollFailure, PollFault, Reply, Request,
};

#[test]
fn an_answer_that_brings_nothing_is_not_written_down() {
    let mut world = World::new();
    let kept = |world: &World| world.journal.setting(PORTAL_TIME).unwrap();
    world.offer(&[], |_| {}).unwrap();
    let first = kept(&world).expect("the first time is kept");
    for _ in 0..3 {
        world.host_clock.advance(Duration::from_secs(25));
        world.offer(&[], |_| {}).unwrap();
    }
    assert_eq!(kept(&world).as_ref(), Some(&first));
    // What was kept still tells the time after a restart of the process.
    world.host_clock.advance(Duration::from_secs(5));
    world.restart();
    assert_eq!(world.status().contact.portal_now, Some(world.now()));
    // A portal whose clock was set is believed, and so remembered.
    let set = world.now().plus_secs(90);
    world.offer(&[], |poll| poll.now = set).unwrap();
    assert_ne!(kept(&world).as_ref(), Some(&first));
    world.restart();
    assert_eq!(world.status().contact.portal_now, Some(set));
}

#[test]
fn whoever_waits_for_something_to_tell_is_woken_by_it() {
    let world = World::new();
    world.offer(&[], |_| {}).unwrap();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let teller = scope.spawn(|| {
            let question = Request::NextReport { wait_ms: MAX_REPORT_WAIT_MS };
            world.executor.answer(Caller::Poller, question)
        });
        std::thread::sleep(Duration::from_millis(100));
        assert!(!teller.is_finished());
        world.offer(&[world.job(1, 1)], |_| {}).unwrap();
        let Reply::Report(Some(item)) = teller.join().unwrap() else { panic!("nothing to tell") };
        assert!(matches!(item.work, OutWork::Events { .. }));
        world.ack(&item.id, Ack::Taken { next: None });
        // So is whoever waits when everything stops.
        let teller = scope.spawn(|| {
            let question = Request::NextReport { wait_ms: MAX_REPORT_WAIT_MS };
            world.executor.answer(Caller::Poller, question)
        });
        std::thread::sleep(Duration::from_millis(100));
        assert!(!teller.is_finished());
        world.executor.close();
        assert!(matches!(teller.join().unwrap(), Reply::Report(None)));
    });
    assert!(begun.elapsed() < Duration::from_secs(60), "only the end of the wait ended it");
}

#[test]
fn an_idle_worker_and_the_inventory_are_woken_by_what_they_wait_for() {
    let world = World::new();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| world.executor.work());
        scope.spawn(|| world.executor.keep_inventory());
        std::thread::sleep(Duration::from_millis(100));
        // The first answer brings the time, for which the first inventory waits.
        world.offer(&[], |_| {}).unwrap();
        world.until(|| world.executor.live().inventory.is_some());
        world.offer(&[world.job(1, 1)], |_| {}).unwrap();
        world.until(|| world.stage.runs.load(Ordering::SeqCst) == 1);
        world.until(|| world.status().running.is_empty());
        world.executor.stop();
    });
    assert!(begun.elapsed() < Duration::from_secs(60), "somebody slept on");
}

#[test]
fn the_poller_is_told_what_it_needs_and_people_the_rest() {
    let world = World::new();
    world.offer(&[world.job(1, 1)], |_| {}).unwrap();
    let (asked, shown) = (world.asked(), world.status());
    assert!(asked.nonce.is_some() && shown.nonce.is_none());
    assert_eq!((asked.running.len(), asked.jobs.len(), asked.outbox), (1, 0, 0));
    assert_eq!((shown.running.len(), shown.jobs.len(), shown.outbox), (1, 1, 1));
}

#[test]
fn a_poll_that_failed_is_shown_to_people_until_the_portal_answers() {
    let world = World::new();
    let tell = |fault| {
        let (what, remedy) = ("it is revoked".to_owned(), "ask an admin".to_owned());
        let failure = PollFailure { fault, what, remedy, lasting_ms: 5_000 };
        let reply = world.executor.answer(Caller::Poller, Request::PollFailed { failure });
        assert!(matches!(reply, Reply::Done), "{reply:?}");
    };
    assert_eq!(world.status().failed_poll, None);
    tell(PollFault::Unreachable);
    tell(PollFault::Refused);
    world.host_clock.advance(Duration::from_secs(7));
    let shown = world.status().failed_poll.unwrap();
    assert_eq!((shown.fault, shown.over), (PollFault::Refused, false));
    assert_eq!((shown.since_ms_ago, shown.last_ms_ago), (12_000, 7_000));
    assert_eq!(world.asked().failed_poll, None);
    // An answer that is not believed is an answer: the refusal tells of it.
    world.offer(&[], |poll| poll.epoch = 9).unwrap_err();
    assert!(world.status().failed_poll.unwrap().over && world.status().contact.refusal.is_some());
    tell(PollFault::Refused);
    assert!(!world.status().failed_poll.unwrap().over);
    world.offer(&[], |_| {}).unwrap();
    assert!(world.status().failed_poll.unwrap().over);
}
