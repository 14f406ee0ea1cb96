//! Hostile answers on the road that a real one takes: through the verb of the socket's other side,
//! with a journal. Each is refused with its own reason, and nothing on the disk changes but the
//! record of the refusal. The pure checks have a gallery of their own in `protocol/tests/hostile.rs`.

use std::sync::atomic::Ordering;

use freehold_protocol::{
    approval::Approval,
    dsse::Envelope,
    ids::{Nonce, Sha256Digest},
    job::{Job, MAX_JOB_BYTES},
    keys::SigningKey,
    report::Outcome,
    time::Timestamp,
    trust::MAX_STEPS,
};
use serde_json::{Value, json};

use super::world::{World, job_id};

const JOB: &str = "application/vnd.freehold.job.v1+json";

#[test]
fn hostile_offers_are_refused_by_name_and_change_nothing() {
    let world = World::new();
    world.offer(&[world.job(1, 1)], |_| {}).unwrap();
    let head = world.status().head;
    let stranger = SigningKey::from_seed(&[9; 32]);

    let change_job = |change: fn(&mut freehold_protocol::job::Job)| {
        let mut job = world.job(2, 2);
        job.prev = head.hash;
        change(&mut job);
        world.offer(&[job], |_| {}).unwrap_err().code()
    };
    assert_eq!(
        change_job(|job| job.portal = "0190b1c2-0000-7000-8000-0000000000ff".parse().unwrap()),
        "other_portal"
    );
    assert_eq!(
        change_job(|job| job.agent_id = "0190b1c2-0000-7000-8000-0000000000ff".parse().unwrap()),
        "other_agent"
    );
    assert_eq!(change_job(|job| job.agent_key = Sha256Digest::ZERO), "other_key");
    assert_eq!(change_job(|job| job.seq = 1), "replayed");
    assert_eq!(change_job(|job| job.seq = 3), "gap");
    assert_eq!(change_job(|job| job.prev = Sha256Digest::ZERO), "other_history");
    assert_eq!(change_job(|job| job.epoch = 2), "epoch");
    // What was approved is another work than what stands in the job.
    let request = "0190b1c2-0000-7000-8000-0000000000ff".parse().unwrap();
    let digest = world.deploy(2, 2).work.digest();
    let approval = Some(Approval { request, digest });
    let job = Job { prev: head.hash, approval, ..world.job(2, 2) };
    assert_eq!(world.offer(&[job], |_| {}).unwrap_err().code(), "other_work");

    let change_answer = |change: &dyn Fn(&mut freehold_protocol::wire::PollPayload)| {
        world.offer(&[], change).unwrap_err().code()
    };
    assert_eq!(change_answer(&|poll| poll.nonce = Nonce::from_bytes([7; 16])), "nonce");
    assert_eq!(change_answer(&|poll| poll.jobs = vec![Sha256Digest::ZERO]), "not_listed");
    assert_eq!(change_answer(&|poll| poll.epoch = 9), "epoch");
    assert_eq!(world.offer_signed_by(&stranger, &[], |_| {}).unwrap_err().code(), "wrong_key");

    // A poll can be answered once, well or badly.
    let nonce = world.nonce();
    let answer = world.answer(&world.job_key, nonce, &[], |_| {});
    world.executor.offer(&answer).unwrap();
    assert_eq!(world.executor.offer(&answer).unwrap_err().code(), "no_poll");
    // That is no refusal to worry people with: it is what an answer to a poll of before our own
    // restart looks like.
    let refusals = world.journal.refusals_since(Timestamp::from_millis(0)).unwrap();
    assert!(refusals.iter().all(|(code, ..)| code != "no_poll"), "{refusals:?}");

    assert_eq!(world.status().head, head);
    let refusals = world.journal.refusals_since(Timestamp::from_millis(0)).unwrap();
    assert!(refusals.iter().any(|(code, _, times)| code == "epoch" && *times == 2), "{refusals:?}");
}

/// Offers an honest answer with this envelope in it, and expects the reason.
#[track_caller]
fn refused(world: &World, envelope: &Value, code: &str) {
    let head = world.status().head;
    let envelope: Envelope = serde_json::from_value(envelope.clone()).unwrap();
    // One whose digest cannot be told is refused before the list is looked at.
    let listed = envelope.payload_digest().unwrap_or(Sha256Digest::ZERO);
    let mut answer = world.answer(&world.job_key, world.nonce(), &[], |poll| {
        poll.jobs = vec![listed];
    });
    answer.jobs = vec![envelope];
    let error = world.executor.offer(&answer).unwrap_err();
    assert_eq!(error.code(), code, "{}", crate::cli::chain_of(&error));
    assert_eq!(world.status().head, head);
    assert_eq!(world.status().running.len(), 0, "{code}");
    let told = world.status().contact.refusal.unwrap();
    assert!(told.starts_with(code), "{told}");
    let recorded = world.journal.refusals_since(Timestamp::from_millis(0)).unwrap();
    assert!(recorded.iter().any(|(recorded, ..)| recorded == code), "{recorded:?}");
}

#[test]
fn hostile_envelopes_are_refused_by_name_and_leave_no_trace() {
    let world = World::new();
    let job = world.job(1, 1);
    let signed = |bytes: &[u8]| {
        serde_json::to_value(Envelope::sign_bytes(JOB, bytes, &[&world.job_key])).unwrap()
    };
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut value = serde_json::to_value(&job).unwrap();
        change(&mut value);
        signed(value.to_string().as_bytes())
    };
    let honest = serde_json::to_value(Envelope::sign(&job, &[&world.job_key]).unwrap()).unwrap();
    let with = |path: &str, value: Value| {
        let mut envelope = honest.clone();
        *envelope.pointer_mut(path).unwrap() = value;
        envelope
    };

    let stranger = SigningKey::from_seed(&[9; 32]);
    let sign = |key: &SigningKey, job: &Job| {
        serde_json::to_value(Envelope::sign(job, &[key]).unwrap()).unwrap()
    };
    refused(&world, &sign(&stranger, &job), "wrong_key");
    refused(&world, &sign(&world.root_key, &job), "wrong_key");
    refused(&world, &with("/signatures", json!([])), "unsigned");
    let one = honest["signatures"][0].clone();
    refused(&world, &with("/signatures", json!([one, one])), "duplicate_signature");
    // The same key under another name is the same key.
    let mut renamed = one.clone();
    renamed["keyid"] = json!("another");
    refused(&world, &with("/signatures", json!([one, renamed])), "duplicate_signature");
    refused(&world, &with("/signatures", json!([one, one, one, one, one])), "too_many_signatures");

    refused(&world, &changed(&|job| job["work"]["kind"] = json!("run_shell")), "unknown_kind");
    refused(&world, &changed(&|job| job["sudo"] = json!(true)), "unknown_field");
    // A list in place of an object, which serde alone reads.
    refused(&world, &changed(&|job| job["audit"] = json!([1, "0".repeat(64)])), "malformed");
    refused(&world, &changed(&|job| job["work"]["params"] = json!([])), "malformed");
    refused(&world, &changed(&|job| job["work"] = json!(["probe_host", []])), "malformed");
    refused(&world, &changed(&|job| job["work"]["params"]["sudo"] = json!(true)), "unknown_field");
    let mut trailing = serde_json::to_vec(&job).unwrap();
    trailing.extend_from_slice(b" {}");
    refused(&world, &signed(&trailing), "trailing_bytes");
    let huge = "a".repeat(MAX_JOB_BYTES);
    refused(&world, &changed(&|job| job["actor"] = json!(huge)), "too_large");
    let other_type = Envelope::sign_bytes("text/plain", b"{}", &[&world.job_key]);
    refused(&world, &serde_json::to_value(other_type).unwrap(), "wrong_type");

    let payload = honest["payload"].as_str().unwrap();
    refused(&world, &with("/payload", json!(format!("{payload}\n"))), "base64");
    let sig = one["sig"].as_str().unwrap();
    let bare = sig.trim_end_matches('=');
    refused(&world, &with("/signatures/0/sig", json!(bare)), "base64");

    // The honest one is taken afterwards.
    world.offer(std::slice::from_ref(&job), |_| {}).unwrap();
    assert_eq!(world.status().contact.refusal, None);
}

#[test]
fn a_job_that_is_not_valid_yet_waits_and_one_that_expired_is_told() {
    let world = World::new();
    let mut early = world.job(1, 1);
    early.nbf = world.now().plus_secs(60);
    let mut late = world.job(2, 2);
    (late.prev, late.exp) = (world.digest(&early), world.now().plus_secs(-1));
    std::thread::scope(|scope| {
        scope.spawn(|| world.executor.work());
        world.offer(&[early, late], |_| {}).unwrap();
        world.until(|| world.status().running.len() == 1);
        assert_eq!(world.stage.runs.load(Ordering::SeqCst), 0);
        let waits = world.status().running[0].job_id;
        assert_eq!(waits, job_id(1));
        world.host_clock.advance(std::time::Duration::from_secs(61));
        world.until(|| world.status().running.is_empty());
        world.executor.stop();
    });
    world.executor.stop.store(false, Ordering::SeqCst);
    assert_eq!(world.stage.runs.load(Ordering::SeqCst), 1);
    let outcomes: Vec<_> = world.tell_all().iter().map(|report| report.outcome).collect();
    // Told in the order of the chain.
    assert_eq!(outcomes, [Outcome::Succeeded, Outcome::Expired]);
}

#[test]
fn trust_documents_are_walked_one_by_one_and_never_back() {
    let world = World::new();
    let (documents, key) = world.rotations(3);
    let offer = |key: &SigningKey, epoch: u64, trust: &[Envelope]| {
        let mut answer = world.answer(key, world.nonce(), &[], |poll| poll.epoch = epoch);
        answer.trust = trust.to_vec();
        world.executor.offer(&answer).map_err(|error| error.code())
    };
    assert_eq!(offer(&key, 4, &documents[1..]).unwrap_err(), "trust_skipped");
    assert_eq!(world.status().trust_version, 1);
    let thief = SigningKey::from_seed(&[99; 32]);
    let forged = Envelope::sign_bytes("application/vnd.freehold.trust.v1+json", b"{}", &[&thief]);
    assert_eq!(offer(&key, 4, &[forged]).unwrap_err(), "wrong_key");
    offer(&key, 4, &documents).unwrap();
    // An older document has no force, and brings no lost key back.
    assert_eq!(offer(&world.job_key, 1, &documents[..1]).unwrap_err(), "wrong_key");
    offer(&key, 4, &documents[..1]).unwrap();
    assert_eq!(world.status().trust_version, 4);
    let many = vec![documents[2].clone(); MAX_STEPS + 1];
    assert_eq!(offer(&key, 4, &many).unwrap_err(), "trust_too_many");
}

#[test]
fn an_agent_that_slept_through_many_rotations_catches_up_page_by_page() {
    let world = World::new();
    let rotations = 2 * MAX_STEPS + 20;
    let (documents, key) = world.rotations(rotations as u64);
    let last = rotations as u64 + 1;
    let mut pages = 0;
    loop {
        let held = usize::try_from(world.status().trust_version).unwrap();
        let mut answer = world.answer(&key, world.nonce(), &[], |poll| poll.epoch = last);
        answer.trust = documents[held - 1..].iter().take(MAX_STEPS).cloned().collect();
        pages += 1;
        match world.executor.offer(&answer) {
            Ok(_) => break,
            Err(error) => assert_eq!(error.code(), "trust_behind"),
        }
        assert!(pages < 4, "it does not come to an end");
    }
    assert_eq!((pages, world.status().trust_version), (3, last));
    // That is how it should be, and nothing to worry people with.
    let refusals = world.journal.refusals_since(Timestamp::from_millis(0)).unwrap();
    assert!(refusals.is_empty(), "{refusals:?}");
}
