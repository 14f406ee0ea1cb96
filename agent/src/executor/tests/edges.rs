//! What a hostile poller, a restored journal or a wrong clock could make of the executor, and does not.

use super::*;

#[test]
fn a_report_is_listed_with_each_poll_until_it_is_acknowledged() {
    let mut world = World::new();
    world.offer(&[world.job(1, 1)], |_| {}).unwrap();
    let view = world.asked();
    assert_eq!((view.running.len(), view.reporting.len()), (1, 0));
    world.work_until_quiet();
    // Whichever comes first at the portal, the poll or the report: the job is not lost.
    let view = world.asked();
    assert_eq!((view.running.len(), view.reporting), (0, vec![attempt(1, 1)]));
    world.tell_all();
    assert_eq!(world.asked().reporting, []);

    // What the portal refused for good will not come, and must not be waited for.
    world.restart();
    let mut second = world.job(2, 2);
    second.prev = world.status().head.hash;
    world.offer(&[second], |_| {}).unwrap();
    world.work_until_quiet();
    while let Some(item) = world.next_out() {
        world.ack(&item.id, Ack::Refused { status: 422, why: "no".into() });
    }
    assert_eq!((world.asked().reporting, world.status().set_aside), (vec![], 1));
}

#[test]
fn a_report_that_the_portal_lacks_is_told_again_on_its_signed_word() {
    let world = World::new();
    world.offer(&[world.job(1, 1)], |_| {}).unwrap();
    // A job that is not over has nothing to tell again.
    world.offer(&[], |poll| poll.report = vec![attempt(1, 1)]).unwrap();
    assert_eq!(world.asked().reporting, []);
    world.work_until_quiet();
    // The poller says that the portal has taken it, and never sent it.
    assert_eq!(world.tell_all().len(), 1);
    for _ in 0..2 {
        world.offer(&[], |poll| poll.report = vec![attempt(1, 1), attempt(9, 1)]).unwrap();
        assert_eq!(world.asked().reporting, [attempt(1, 1)]);
    }
    let told: Vec<_> = world.tell_all().iter().map(|report| report.outcome).collect();
    assert_eq!(told, [Outcome::Succeeded]);
    assert_eq!(world.stage.runs.load(Ordering::SeqCst), 1);
}

#[test]
fn a_cancel_order_is_about_one_attempt() {
    let world = World::new();
    // A journal that was restored from a backup: a settled attempt comes with the living one.
    let first = world.job(1, 1);
    let mut second = world.job(2, 1);
    (second.attempt, second.prev) = (2, world.digest(&first));
    world.offer(&[first, second], |poll| poll.cancel = vec![attempt(1, 1)]).unwrap();
    world.work_until_quiet();
    let told: Vec<_> =
        world.tell_all().iter().map(|report| (report.attempt, report.outcome)).collect();
    assert_eq!(told, [(1, Outcome::Cancelled), (2, Outcome::Succeeded)]);
    assert_eq!(world.stage.runs.load(Ordering::SeqCst), 1);
}

#[test]
fn an_answer_that_was_held_back_is_refused_and_does_not_turn_time_back() {
    let mut world = World::new();
    let nonce = world.nonce();
    let answer = world.answer(&world.job_key, nonce, &[world.job(1, 1)], |_| {});
    world.host_clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(world.executor.offer(&answer).unwrap_err().code(), "late");
    assert_eq!(world.status().running.len(), 0);

    // Held back for less, it is taken, and the job in it has expired meanwhile.
    let mut short = world.job(1, 1);
    short.exp = world.now().plus_secs(60);
    let signed_at = world.now();
    let nonce = world.nonce();
    let answer = world.answer(&world.job_key, nonce, &[short.clone()], |_| {});
    world.host_clock.advance(Duration::from_secs(61));
    world.executor.offer(&answer).unwrap();
    assert_eq!(world.status().contact.portal_now, Some(signed_at.plus_secs(61)));
    world.work_until_quiet();
    assert_eq!(world.tell_all()[0].outcome, Outcome::Expired);

    // What the portal itself has held the question for is no delay.
    world.restart();
    let mut held = world.job(2, 2);
    held.prev = world.digest(&short);
    held.exp = world.now().plus_secs(60 + 30);
    let nonce = world.nonce();
    world.host_clock.advance(Duration::from_secs(61));
    let signed_at = world.now();
    let answer = world.answer(&world.job_key, nonce, &[held], |poll| poll.held_millis = 60_000);
    world.executor.offer(&answer).unwrap();
    assert_eq!(world.status().contact.portal_now, Some(signed_at.plus_secs(1)));
    world.work_until_quiet();
    assert_eq!(world.tell_all()[0].outcome, Outcome::Succeeded);
}

#[test]
fn without_a_signed_time_the_hosts_clock_decides_nothing() {
    let mut world = World::new();
    let begun_at = world.now();
    world.stage.hold.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        scope.spawn(|| world.executor.work());
        world.offer(&[world.deploy(1, 1)], |_| {}).unwrap();
        world.until(|| world.stage.runs.load(Ordering::SeqCst) == 1);
        world.executor.stop();
        world.stage.hold.store(false, Ordering::SeqCst);
    });
    // The machine is started again; its clock is ahead by a day, and the portal is not there.
    world.journal.set_setting(PORTAL_TIME, "").unwrap();
    world.host_clock.advance(Duration::from_secs(24 * 3600));
    world.restart();
    assert_eq!(world.status().contact.portal_now, None);
    let before_certificate = u32::try_from(
        crate::saga::step::Step::ALL
            .iter()
            .position(|step| *step == crate::saga::step::Step::Certificate)
            .unwrap(),
    )
    .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| world.executor.work());
        // It goes on, up to the step that judges the dates of a certificate.
        world.until(|| world.stage.runs.load(Ordering::SeqCst) == before_certificate);
        std::thread::sleep(Duration::from_millis(600));
        assert_eq!(world.stage.runs.load(Ordering::SeqCst), before_certificate);
        assert_eq!(world.status().running[0].step, "certificate");
        world.offer(&[], |poll| poll.now = begun_at.plus_secs(60)).unwrap();
        world.until(|| world.status().running.is_empty());
        world.executor.stop();
    });
    world.executor.stop.store(false, Ordering::SeqCst);
    let report = world.tell_all().pop().unwrap();
    assert_eq!((report.outcome, report.failure), (Outcome::Succeeded, None));
    assert_eq!(world.stage.runs.load(Ordering::SeqCst), 12);
}

#[test]
fn a_step_that_makes_no_progress_is_recorded_and_told() {
    let quiet = Duration::from_millis(150);
    let world = World::with(crate::saga::engine::Patience { quiet, ..Default::default() });
    world.stage.hold.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        scope.spawn(|| world.executor.work());
        world.offer(&[world.job(1, 1)], |_| {}).unwrap();
        world.until(|| world.stage.runs.load(Ordering::SeqCst) == 1);
        let moved_at = world.status().running[0].progress_at;
        world.host_clock.advance(Duration::from_secs(5));
        let noticed = |what| {
            let events = world.journal.events(job_id(1), 1).unwrap();
            events.into_iter().find(|event| event.what == what)
        };
        world.until(|| noticed(EventKind::NoProgress).is_some());
        let event = noticed(EventKind::NoProgress).unwrap();
        assert!(event.message.contains("nothing was heard of probe-host"), "{event:?}");
        // To say so is no progress either.
        assert_eq!(world.status().running[0].progress_at, moved_at);
        // The portal hears of it while the step still runs.
        let Some(OutWork::Events { body, .. }) = world.next_out().map(|item| item.work) else {
            panic!("nothing to tell")
        };
        assert!(body.events.iter().any(|event| event.what == EventKind::NoProgress), "{body:?}");
        world.stage.hold.store(false, Ordering::SeqCst);
        world.until(|| world.status().running.is_empty());
        world.executor.stop();
    });
}
