//! An executor with a real journal, a portal made of its keys alone, and a stage that only counts.

mod edges;
mod hostile;
mod idle;
mod world;

use std::sync::atomic::Ordering;

use freehold_protocol::{
    dsse::Envelope,
    ids::Sha256Digest,
    report::{Event, EventKind, Outcome, Report},
    wire::Head,
};
use world::{World, agent_id, attempt, job_id, portal_id};

use super::*;
use crate::socket::{Ack, Answerer, Caller, ErrorCode, OutWork, Reply, Request};

#[test]
fn a_job_is_recorded_run_and_told_until_it_is_acknowledged() {
    let world = World::new();
    let job = world.job(1, 1);
    let offered = world.offer(std::slice::from_ref(&job), |_| {}).unwrap();
    assert_eq!((offered.accepted, offered.next_poll_seconds), (1, 0));
    let status = world.status();
    assert_eq!((status.head.seq, status.free_workers, status.running.len()), (1, 1, 1));

    world.work_until_quiet();
    assert_eq!(world.stage.runs.load(Ordering::SeqCst), 1);
    let mut kinds = Vec::new();
    let report = loop {
        let item = world.next_out().expect("something to tell");
        match item.work {
            OutWork::Events { job, ref body } => {
                assert_eq!(job, job_id(1));
                // Numbered without gaps from 1.
                for event in &body.events {
                    kinds.push(event.what);
                    assert_eq!(event.n, kinds.len() as u64);
                }
                // Unacknowledged, the same comes again.
                assert_eq!(world.next_out().unwrap().id, item.id);
                world.ack(&item.id, Ack::Taken { next: Some(kinds.len() as u64 + 1) });
            }
            OutWork::Report { body, .. } => {
                world.ack(&item.id, Ack::Taken { next: None });
                break body.report;
            }
            OutWork::Inventory { .. } => panic!("no inventory was taken"),
        }
    };
    assert_eq!(kinds, [EventKind::Accepted, EventKind::StepStarted, EventKind::StepDone]);
    let report = report.open::<Report>(&[world.report_key.public()], 1).unwrap().into_inner();
    assert_eq!((report.outcome, report.events, report.attempt), (Outcome::Succeeded, 3, 1));
    assert_eq!(report.job_digest, world.status().head.hash);
    assert!(world.next_out().is_none());
}

#[test]
fn a_job_that_comes_again_is_not_run_again_but_told_again() {
    let world = World::new();
    world.offer(&[world.job(1, 1)], |_| {}).unwrap();
    world.work_until_quiet();
    world.tell_all();
    let mut again = world.job(2, 1);
    again.prev = world.status().head.hash;
    assert_eq!(world.offer(&[again], |_| {}).unwrap().accepted, 0);
    world.work_until_quiet();
    assert_eq!(world.stage.runs.load(Ordering::SeqCst), 1);
    let reports = world.tell_all();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].job_digest, world.status().head.hash);
    assert_eq!(reports[0].outcome, Outcome::Succeeded);
}

#[test]
fn expired_and_cancelled_jobs_are_reported_without_being_run() {
    let world = World::new();
    let mut expired = world.job(1, 1);
    expired.exp = world.now().plus_secs(-1);
    let mut cancelled = world.job(2, 2);
    cancelled.prev = world.digest(&expired);
    world.offer(&[expired, cancelled], |poll| poll.cancel = vec![attempt(2, 1)]).unwrap();
    world.work_until_quiet();
    assert_eq!(world.stage.runs.load(Ordering::SeqCst), 0);
    let outcomes: Vec<_> = world.tell_all().iter().map(|report| report.outcome).collect();
    assert_eq!(outcomes, [Outcome::Expired, Outcome::Cancelled]);
}

#[test]
fn what_was_accepted_survives_a_restart_and_runs_once() {
    let mut world = World::new();
    world.offer(&[world.job(1, 1)], |_| {}).unwrap();
    let head = world.status().head;
    world.restart();
    assert_eq!(world.status().head, head);
    world.work_until_quiet();
    world.restart();
    world.work_until_quiet();
    assert_eq!(world.stage.runs.load(Ordering::SeqCst), 1);
    assert_eq!(world.tell_all().len(), 1);
}

#[test]
fn a_refusing_portal_is_given_up_on_after_bounded_tries() {
    let world = World::new();
    world.offer(&[world.job(1, 1)], |_| {}).unwrap();
    world.work_until_quiet();
    let mut tries = 0;
    while let Some(item) = world.next_out() {
        world.ack(&item.id, Ack::Refused { status: 404, why: "no such job".into() });
        tries += 1;
        assert!(tries < 20, "it is sent for ever");
    }
    // Events and report, five times each.
    assert_eq!(tries, 10);
    let status = world.status();
    assert_eq!((status.outbox, status.set_aside), (0, 1));
}

#[test]
fn a_second_attempt_waits_for_the_first_and_each_is_told_for_itself() {
    let world = World::new();
    let first = world.job(1, 1);
    let mut second = world.job(2, 1);
    (second.attempt, second.prev) = (2, world.digest(&first));
    world.stage.hold.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| world.executor.work());
        }
        world.offer(std::slice::from_ref(&first), |_| {}).unwrap();
        world.until(|| world.stage.runs.load(Ordering::SeqCst) == 1);
        // The lease was lost, say, and the portal tries anew while the first attempt still runs.
        world.offer(std::slice::from_ref(&second), |_| {}).unwrap();
        assert_eq!(world.status().running.len(), 2);
        assert_eq!(world.stage.runs.load(Ordering::SeqCst), 1);
        world.stage.hold.store(false, Ordering::SeqCst);
        world.until(|| world.status().running.is_empty());
        world.executor.stop();
    });
    world.executor.stop.store(false, Ordering::SeqCst);
    let told: Vec<_> =
        world.tell_all().iter().map(|report| (report.attempt, report.job_digest)).collect();
    assert_eq!(told, [(1, world.digest(&first)), (2, world.digest(&second))]);
}

#[test]
fn a_stop_lets_the_step_end_and_meanwhile_answers() {
    let world = World::new();
    world.stage.hold.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        scope.spawn(|| world.executor.work());
        world.offer(&[world.job(1, 1)], |_| {}).unwrap();
        world.until(|| world.stage.runs.load(Ordering::SeqCst) == 1);
        world.executor.stop();
        // The poller can still renew the lease, and takes no further job.
        let status = world.status();
        assert_eq!((status.running.len(), status.free_workers), (1, 0));
        assert_eq!((world.executor.busy(), world.executor.broken()), (1, None));
        let mut more = world.job(2, 2);
        more.prev = world.status().head.hash;
        world.offer(&[more], |_| {}).unwrap();
        world.stage.hold.store(false, Ordering::SeqCst);
    });
    // The worker has ended, the accepted job waits for the next start.
    assert_eq!((world.executor.busy(), world.stage.runs.load(Ordering::SeqCst)), (0, 1));
    let waiting: Vec<_> =
        world.journal.open_jobs().unwrap().iter().map(|row| row.job.job_id).collect();
    assert!(waiting.contains(&job_id(2)), "{waiting:?}");
}

#[test]
fn what_the_portal_fails_over_holds_up_nothing_else() {
    let world = World::new();
    let first = world.job(1, 1);
    let mut second = world.job(2, 2);
    second.prev = world.digest(&first);
    world.offer(&[first, second], |_| {}).unwrap();
    world.work_until_quiet();
    let poison = world.next_out().unwrap();
    world.ack(&poison.id, Ack::Later);
    // All of the other job goes first.
    let next = world.next_out().unwrap();
    assert_ne!(next.id, poison.id);
    world.ack(&next.id, Ack::Taken { next: None });
    let next = world.next_out().unwrap();
    assert!(matches!(next.work, OutWork::Report { job, .. } if job == job_id(2)));
    world.ack(&next.id, Ack::Taken { next: None });
    // And it is never given up.
    for _ in 0..20 {
        assert_eq!(world.next_out().unwrap().id, poison.id);
        world.ack(&poison.id, Ack::Later);
    }
    assert_eq!(world.tell_all().len(), 1);
    assert_eq!(world.status().set_aside, 0);
}

#[test]
fn a_job_of_a_former_enrollment_goes_on_numbering_its_events() {
    let world = World::new();
    world.offer(&[world.job(1, 1)], |_| {}).unwrap();
    world.journal.unenroll().unwrap();
    let event = Event {
        n: 0,
        at: world.now(),
        step: String::new(),
        what: EventKind::Progress,
        message: String::new(),
    };
    assert_eq!(world.journal.event(job_id(1), 1, event).unwrap(), 2);
}

#[test]
fn the_portal_says_where_to_resume() {
    let world = World::new();
    world.offer(&[world.job(1, 1)], |_| {}).unwrap();
    world.work_until_quiet();
    let first = world.next_out().unwrap();
    world.ack(&first.id, Ack::Taken { next: Some(3) });
    let OutWork::Events { body, .. } = world.next_out().unwrap().work else { panic!() };
    assert_eq!(body.events[0].n, 3);
    world.ack(&first.id, Ack::Taken { next: Some(2) });
    let OutWork::Events { body, .. } = world.next_out().unwrap().work else { panic!() };
    assert_eq!(body.events[0].n, 2);
    assert!(matches!(
        world.ack_reply("events:x:1", Ack::Taken { next: None }),
        Reply::Error { code: ErrorCode::NotFound, .. }
    ));
}

#[test]
fn a_new_trust_document_and_epoch_are_taken_with_the_answer() {
    let world = World::new();
    world.offer(&[world.job(1, 1)], |_| {}).unwrap();
    let (trust, new_key) = world.rotated();
    let mut job = world.job(1, 2);
    job.epoch = 2;
    job.prev = Sha256Digest::ZERO;
    let nonce = world.nonce();
    let mut answer = world.answer(&new_key, nonce, &[job], |poll| {
        poll.epoch = 2;
        poll.trust_version = 2;
    });
    // Without the document the new key is a stranger's.
    assert_eq!(world.executor.offer(&answer).unwrap_err().code(), "wrong_key");
    answer = world.answer(&new_key, world.nonce(), &[], |poll| {
        poll.epoch = 2;
        poll.trust_version = 2;
    });
    answer.trust = vec![trust];
    world.executor.offer(&answer).unwrap();
    let status = world.status();
    assert_eq!((status.trust_version, status.head), (2, Head::start_of(2)));
    // The stolen key is worth nothing now.
    assert_eq!(world.offer(&[], |poll| poll.epoch = 2).unwrap_err().code(), "wrong_key");
}

#[test]
fn the_poller_may_not_do_what_the_operator_may() {
    let world = World::new();
    for request in [Request::Drain { on: true }, Request::Resume { job: job_id(1) }] {
        let reply = world.executor.answer(Caller::Poller, request);
        assert!(matches!(reply, Reply::Error { code: ErrorCode::Forbidden, .. }));
    }
    let drained = world.executor.answer(Caller::Operator, Request::Drain { on: true });
    assert!(matches!(drained, Reply::Done));
    let status = world.status();
    assert_eq!((status.draining, status.free_workers), (true, 0));
    // Asking for people does not spoil the open poll.
    let nonce = world.nonce();
    assert_eq!(world.status().nonce, None);
    world.executor.offer(&world.answer(&world.job_key, nonce, &[], |_| {})).unwrap();
}

#[test]
fn three_silent_intervals_are_a_freeze() {
    let world = World::new();
    assert!(!world.status().contact.frozen);
    // No answer at all is one too.
    world.host_clock.advance(Duration::from_secs(181));
    assert!(world.status().contact.frozen);
    world.offer(&[], |poll| (poll.wait_seconds, poll.next_poll_seconds) = (20, 0)).unwrap();
    assert!(!world.status().contact.frozen);
    world.host_clock.advance(Duration::from_secs(80));
    assert!(!world.status().contact.frozen);
    world.host_clock.advance(Duration::from_secs(11));
    assert!(world.status().contact.frozen);
}

#[test]
fn a_conflict_is_answered_with_the_last_envelope() {
    let world = World::new();
    world.offer(&[world.job(1, 1)], |poll| poll.conflict = true).unwrap();
    let view = world.asked();
    let proof: Envelope = view.head_proof.unwrap();
    assert_eq!(proof.payload_digest().unwrap(), view.head.hash);
    assert_eq!((view.portal, view.agent_id), (portal_id(), agent_id()));
}
