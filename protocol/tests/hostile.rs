//! A gallery of hostile documents: one test per attack, each refused with its own reason.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

#[path = "hostile/approval.rs"]
mod approval;
#[path = "hostile/trust.rs"]
mod trust;
mod world;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use freehold_protocol::{
    admit::{self, NotStarted},
    dsse::{Envelope, pre_authentication_encoding},
    ids::{Nonce, Sha256Digest},
    job::Job,
    keys::SigningKey,
    wire::{Head, PollAnswer},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use world::{JOB_SEED, OTHER_ID, World, json_of};

/// The payload type of jobs.
const JOB: &str = "application/vnd.freehold.job.v1+json";

/// Where every code is explained.
const DOCS: &str = include_str!("../../docs/agent-protocol.md");

/// Asserts the stable code with which an answer is refused, and that the docs explain it.
fn refused(world: &World, answer: &PollAnswer, code: &str) {
    match admit::admit(&world.standing(), answer) {
        Ok(_) => panic!("admitted, but must be refused as {code}"),
        Err(refusal) => assert_eq!(refusal.code(), code, "{refusal}"),
    }
    assert!(DOCS.contains(&format!("`{code}`")), "docs/agent-protocol.md does not explain {code}");
}

fn raw(value: Value) -> Envelope {
    serde_json::from_value(value).unwrap()
}

#[test]
fn an_honest_answer_is_admitted() {
    let world = World::new();
    let job = world.job(1, Sha256Digest::ZERO);
    let admitted = admit::admit(&world.standing(), &world.answer(&[world.sign(&job)])).unwrap();
    assert_eq!(admitted.jobs.len(), 1);
    assert_eq!(admitted.jobs[0].get(), &job);
    assert_eq!(admit::start_allowed(&job, world.now), Ok(()));
    let empty = admit::admit(&world.standing(), &world.answer(&[])).unwrap();
    assert!(empty.jobs.is_empty());
}

#[test]
fn two_jobs_in_a_row_are_admitted_in_order_and_refused_in_any_other() {
    let world = World::new();
    let first = world.sign(&world.job(1, Sha256Digest::ZERO));
    let second = world.sign(&world.job(2, first.payload_digest().unwrap()));
    let both = [first.clone(), second.clone()];
    assert_eq!(admit::admit(&world.standing(), &world.answer(&both)).unwrap().jobs.len(), 2);
    refused(&world, &world.answer(&[second.clone(), first.clone()]), "gap");
    refused(&world, &world.answer(&[first.clone(), first.clone()]), "replayed");
    refused(&world, &world.answer(&[second]), "gap");
}

#[test]
fn forged() {
    let world = World::new();
    let thief = SigningKey::from_seed(&[99; 32]);
    // A thief signs in the name of the portal's key, which is no secret.
    let name = world.job_key.public().fingerprint().to_string();
    let signed = |envelope: Envelope| {
        let mut value = json_of(&envelope);
        value["signatures"][0]["keyid"] = json!(name);
        raw(value)
    };
    let job = signed(Envelope::sign(&world.job(1, Sha256Digest::ZERO), &[&thief]).unwrap());
    refused(&world, &world.answer(&[job]), "forged");
    let mut answer = world.answer(&[]);
    answer.answer = signed(Envelope::sign(&world.poll(&[]), &[&thief]).unwrap());
    refused(&world, &answer, "forged");
    // Or takes the signature of another job.
    let mut value = json_of(&world.sign(&world.job(1, Sha256Digest::ZERO)));
    let other = json_of(&world.sign(&world.job(2, Sha256Digest::ZERO)));
    value["signatures"] = other["signatures"].clone();
    refused(&world, &world.answer(&[raw(value)]), "forged");
}

#[test]
fn signed_with_a_wrong_key() {
    let world = World::new();
    let thief = SigningKey::from_seed(&[99; 32]);
    let job = Envelope::sign(&world.job(1, Sha256Digest::ZERO), &[&thief]).unwrap();
    refused(&world, &world.answer(std::slice::from_ref(&job)), "wrong_key");
    // Without a hint of whose signature it is.
    let mut value = json_of(&job);
    value["signatures"][0].as_object_mut().unwrap().remove("keyid");
    refused(&world, &world.answer(&[raw(value)]), "wrong_key");
    let mut answer = world.answer(&[]);
    answer.answer = Envelope::sign(&world.poll(&[]), &[&thief]).unwrap();
    refused(&world, &answer, "wrong_key");
}

#[test]
fn signed_by_the_root_key_which_may_not_sign_jobs() {
    let world = World::new();
    let job = Envelope::sign(&world.job(1, Sha256Digest::ZERO), &[&world.root]).unwrap();
    refused(&world, &world.answer(&[job]), "wrong_key");
}

#[test]
fn unsigned() {
    let world = World::new();
    let mut value = json_of(&world.sign(&world.job(1, Sha256Digest::ZERO)));
    value["signatures"] = json!([]);
    refused(&world, &world.answer(&[raw(value)]), "unsigned");
}

#[test]
fn for_another_agent() {
    let world = World::new();
    let mut job = world.job(1, Sha256Digest::ZERO);
    job.agent_id = OTHER_ID.parse().unwrap();
    refused(&world, &world.answer(&[world.sign(&job)]), "other_agent");
    let mut poll = world.poll(&[]);
    poll.agent_id = OTHER_ID.parse().unwrap();
    refused(&world, &world.answer_with(&poll, &[]), "other_agent");
}

#[test]
fn for_an_earlier_enrollment_of_this_host() {
    let world = World::new();
    let mut job = world.job(1, Sha256Digest::ZERO);
    job.agent_key = Sha256Digest::of(b"the key before");
    refused(&world, &world.answer(&[world.sign(&job)]), "other_key");
}

#[test]
fn from_another_portal() {
    let world = World::new();
    let mut job = world.job(1, Sha256Digest::ZERO);
    job.portal = OTHER_ID.parse().unwrap();
    refused(&world, &world.answer(&[world.sign(&job)]), "other_portal");
    let mut poll = world.poll(&[]);
    poll.portal = OTHER_ID.parse().unwrap();
    refused(&world, &world.answer_with(&poll, &[]), "other_portal");
}

#[test]
fn expired_and_not_yet_valid() {
    let world = World::new();
    let job = world.job(1, Sha256Digest::ZERO);
    assert_eq!(admit::start_allowed(&job, job.exp.plus_millis(1)), Err(NotStarted::Expired));
    assert_eq!(admit::start_allowed(&job, job.nbf.plus_millis(-1)), Err(NotStarted::NotYet));
    assert_eq!(admit::start_allowed(&job, job.exp), Ok(()));
}

#[test]
fn an_old_answer_replayed() {
    let world = World::new();
    let mut poll = world.poll(&[]);
    poll.nonce = Nonce::from_bytes([1; 16]);
    refused(&world, &world.answer_with(&poll, &[]), "nonce");
}

#[test]
fn an_old_job_replayed_in_a_fresh_answer() {
    let mut world = World::new();
    let envelope = world.sign(&world.job(1, Sha256Digest::ZERO));
    world.head = Head { epoch: 1, seq: 1, hash: envelope.payload_digest().unwrap() };
    refused(&world, &world.answer(&[envelope]), "replayed");
}

#[test]
fn a_lower_number_and_a_gap() {
    let mut world = World::new();
    world.head = Head { epoch: 1, seq: 5, hash: Sha256Digest::of(b"five") };
    refused(&world, &world.answer(&[world.sign(&world.job(3, world.head.hash))]), "replayed");
    refused(&world, &world.answer(&[world.sign(&world.job(7, world.head.hash))]), "gap");
}

#[test]
fn the_right_number_on_another_history() {
    let mut world = World::new();
    world.head = Head { epoch: 1, seq: 5, hash: Sha256Digest::of(b"five") };
    let job = world.job(6, Sha256Digest::of(b"another five"));
    refused(&world, &world.answer(&[world.sign(&job)]), "other_history");
}

#[test]
fn signed_in_an_old_epoch() {
    let mut world = World::new();
    let old_answer = world.answer(&[]);
    let old_job = world.sign(&world.job(1, Sha256Digest::ZERO));
    world.rotate_compromised();
    refused(&world, &old_answer, "wrong_key");
    refused(&world, &world.answer(&[old_job]), "wrong_key");
    // Even one signed by the new key.
    let mut job = world.job(1, Sha256Digest::ZERO);
    job.epoch = 1;
    refused(&world, &world.answer(&[world.sign(&job)]), "epoch");
    let mut poll = world.poll(&[]);
    poll.epoch = 1;
    refused(&world, &world.answer_with(&poll, &[]), "epoch");
}

#[test]
fn a_new_epoch_starts_a_new_chain_whatever_number_a_thief_had_reached() {
    let mut world = World::new();
    world.head = Head { epoch: 1, seq: u64::MAX, hash: Sha256Digest::of(b"thief") };
    world.rotate_compromised();
    let job = world.sign(&world.job(1, Sha256Digest::ZERO));
    assert_eq!(admit::admit(&world.standing(), &world.answer(&[job])).unwrap().jobs.len(), 1);
}

#[test]
fn more_jobs_or_fewer_or_others_than_the_signed_answer_lists() {
    let world = World::new();
    let job = world.sign(&world.job(1, Sha256Digest::ZERO));
    let mut answer = world.answer(&[]);
    answer.jobs = vec![job.clone()];
    refused(&world, &answer, "not_listed");
    let mut answer = world.answer(std::slice::from_ref(&job));
    answer.jobs = Vec::new();
    refused(&world, &answer, "not_listed");
    let mut other = world.job(1, Sha256Digest::ZERO);
    other.actor = "somebody else".to_owned();
    let mut answer = world.answer(&[job]);
    answer.jobs = vec![world.sign(&other)];
    refused(&world, &answer, "not_listed");
}

#[test]
fn too_many_jobs() {
    let world = World::new();
    let job = world.sign(&world.job(1, Sha256Digest::ZERO));
    let many = vec![job; admit::MAX_JOBS_PER_ANSWER + 1];
    refused(&world, &world.answer(&many), "too_many");
}

#[test]
fn signed_twice_by_the_same_key() {
    let world = World::new();
    let value = json_of(&world.sign(&world.job(1, Sha256Digest::ZERO)));
    let mut twice = value.clone();
    twice["signatures"] = json!([value["signatures"][0], value["signatures"][0]]);
    refused(&world, &world.answer(&[raw(twice)]), "duplicate_signature");
    // Another signature of the same key over the same bytes: only its owner can make one.
    let mut again = value.clone();
    again["signatures"] = json!([value["signatures"][0], {"sig": second_signature(&value)}]);
    refused(&world, &world.answer(&[raw(again)]), "same_key_twice");
}

/// A signature of the job key over an envelope's bytes that is valid, and not the usual one: the
/// owner of a key may draw the number that RFC 8032 derives.
fn second_signature(envelope: &Value) -> String {
    let text = |name: &str| envelope[name].as_str().unwrap().to_owned();
    let payload = BASE64.decode(text("payload")).unwrap();
    let message = pre_authentication_encoding(&text("payloadType"), &payload);
    let seed = ed25519_dalek::SigningKey::from_bytes(&JOB_SEED);
    let mut expanded = ExpandedSecretKey::from(&JOB_SEED);
    expanded.hash_prefix = [7; 32];
    let signature = raw_sign::<sha2::Sha512>(&expanded, &message, &seed.verifying_key());
    BASE64.encode(signature.to_bytes())
}

#[test]
fn one_key_does_not_pass_for_two() {
    let world = World::new();
    let envelope = world.sign(&world.job(1, Sha256Digest::ZERO));
    let trusted = [world.job_key.public(), world.root.public()];
    let error = envelope.open::<Job>(&trusted, 2).unwrap_err();
    assert_eq!(error.code(), "not_enough_signatures");
    // The same key listed twice as trusted is still one key.
    let error = envelope.open::<Job>(&[world.job_key.public(); 2], 2).unwrap_err();
    assert_eq!(error.code(), "not_enough_signatures");
    // No threshold at all is no permission.
    assert_eq!(envelope.open::<Job>(&trusted, 0).unwrap_err().code(), "not_enough_signatures");
}

#[test]
fn too_many_signatures() {
    let world = World::new();
    let mut value = json_of(&world.sign(&world.job(1, Sha256Digest::ZERO)));
    let one = value["signatures"][0].clone();
    value["signatures"] = Value::Array(vec![one; 5]);
    refused(&world, &world.answer(&[raw(value)]), "too_many_signatures");
}

/// Signs a job whose JSON was changed by `change`.
fn signed_json(world: &World, change: impl FnOnce(&mut Value)) -> Envelope {
    let mut value = json_of(&world.job(1, Sha256Digest::ZERO));
    change(&mut value);
    world.sign_bytes(JOB, value.to_string().as_bytes())
}

#[test]
fn unknown_kind_unknown_field_and_missing_field() {
    let world = World::new();
    for (envelope, code) in [
        (signed_json(&world, |job| job["work"]["kind"] = json!("run_shell")), "unknown_kind"),
        (signed_json(&world, |job| job["sudo"] = json!(true)), "unknown_field"),
        (signed_json(&world, |job| job["work"]["params"]["sudo"] = json!(true)), "unknown_field"),
        (signed_json(&world, |job| job["work"]["extra"] = json!(1)), "unknown_field"),
        (
            signed_json(&world, |job| {
                job.as_object_mut().unwrap().remove("exp");
            }),
            "malformed",
        ),
        (signed_json(&world, |job| job["seq"] = json!(1.5)), "malformed"),
        (signed_json(&world, |job| job["seq"] = json!(-1)), "malformed"),
    ] {
        refused(&world, &world.answer(&[envelope]), code);
    }
}

#[test]
fn the_same_field_twice() {
    let world = World::new();
    let text = json_of(&world.job(1, Sha256Digest::ZERO)).to_string();
    let twice = text.replacen('{', "{\"seq\":1,", 1);
    let envelope = world.sign_bytes(JOB, twice.as_bytes());
    refused(&world, &world.answer(&[envelope]), "malformed");
}

#[test]
fn trailing_bytes_inside_the_signed_payload() {
    let world = World::new();
    let mut bytes = serde_json::to_vec(&world.job(1, Sha256Digest::ZERO)).unwrap();
    bytes.extend_from_slice(b"{}");
    let envelope = world.sign_bytes(JOB, &bytes);
    refused(&world, &world.answer(&[envelope]), "trailing_bytes");
}

#[test]
fn another_meaning_of_the_same_bytes() {
    let world = World::new();
    let bytes = serde_json::to_vec(&world.job(1, Sha256Digest::ZERO)).unwrap();
    let poll_type = "application/vnd.freehold.poll.v1+json";
    refused(&world, &world.answer(&[world.sign_bytes(poll_type, &bytes)]), "wrong_type");
    // Renaming the type of an honest envelope breaks its signature.
    let mut value = json_of(&world.sign_bytes(poll_type, &bytes));
    value["payloadType"] = json!(JOB);
    refused(&world, &world.answer(&[raw(value)]), "forged");
}

#[test]
fn oversized() {
    let world = World::new();
    let mut job = world.job(1, Sha256Digest::ZERO);
    job.actor = "a".repeat(freehold_protocol::job::MAX_JOB_BYTES);
    assert_eq!(Envelope::sign(&job, &[&world.job_key]).unwrap_err().code(), "too_large");
    let bytes = serde_json::to_vec(&job).unwrap();
    let envelope = world.sign_bytes(JOB, &bytes);
    refused(&world, &world.answer(&[envelope]), "too_large");
}

#[test]
fn non_canonical_base64() {
    let world = World::new();
    let honest = json_of(&world.sign(&world.job(1, Sha256Digest::ZERO)));
    let payload = honest["payload"].as_str().unwrap().to_owned();
    let sig = honest["signatures"][0]["sig"].as_str().unwrap().to_owned();
    // An Ed25519 signature's 64 bytes leave spare bits in the last character but one.
    let mut spare = sig.clone().into_bytes();
    let at = spare.len() - 3;
    spare[at] = if spare[at] == b'A' { b'B' } else { spare[at] + 1 };
    let spare = String::from_utf8(spare).unwrap();
    let mut changed: Vec<Value> = Vec::new();
    for bad in [
        format!("{payload}\n"),
        format!(" {payload}"),
        format!("{payload}="),
        format!("{payload}===="),
    ] {
        let mut value = honest.clone();
        value["payload"] = json!(bad);
        changed.push(value);
    }
    for bad in [sig.trim_end_matches('=').to_owned(), format!("{sig}\n"), spare] {
        let mut value = honest.clone();
        value["signatures"][0]["sig"] = json!(bad);
        changed.push(value);
    }
    for value in changed {
        let envelope = raw(value);
        let error = envelope.open::<Job>(&[world.job_key.public()], 1).unwrap_err();
        assert_eq!(error.code(), "base64", "{error}");
    }
}

#[test]
fn an_envelope_with_unknown_fields_is_not_even_parsed() {
    let world = World::new();
    let honest = json_of(&world.sign(&world.job(1, Sha256Digest::ZERO)));
    let mut extra = honest.clone();
    extra["alg"] = json!("none");
    assert!(serde_json::from_value::<Envelope>(extra).is_err());
    let mut extra = honest;
    extra["signatures"][0]["alg"] = json!("none");
    assert!(serde_json::from_value::<Envelope>(extra).is_err());
}

/// Flipping any bit of any byte of a valid envelope's text is refused. A key id alone may say what it
/// likes: it was never believed, and the very same job comes out.
#[test]
fn every_changed_bit_is_refused_but_in_the_hint() {
    let world = World::new();
    let honest = world.sign(&world.job(1, Sha256Digest::ZERO));
    let trusted = [world.job_key.public()];
    let job = honest.open::<Job>(&trusted, 1).unwrap();
    let text = serde_json::to_string(&honest).unwrap();
    let key_id = world.job_key.public().fingerprint().to_string();
    let start = text.find(&key_id).unwrap();
    let hint = start..start + key_id.len();
    let mut admitted = 0;
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let Ok(changed) = serde_json::from_slice::<Envelope>(&bytes) else { continue };
            let Ok(opened) = changed.open::<Job>(&trusted, 1) else { continue };
            assert!(hint.contains(&at), "bit {bit} of byte {at} may change in {text}");
            assert_eq!((opened.get(), opened.digest()), (job.get(), job.digest()));
            admitted += 1;
        }
    }
    // Else nothing was ever opened, and the loop would prove nothing.
    assert!(admitted > 0 && admitted < hint.len() * 8, "{admitted}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Nothing that arrives makes the parsers panic.
    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), text in ".{0,200}") {
        if let Ok(envelope) = serde_json::from_slice::<Envelope>(&bytes) {
            prop_assert!(envelope.open::<Job>(&[], 1).is_err());
        }
        prop_assert!(freehold_protocol::httpsig::claim(&text, &text).is_err());
        prop_assert!(text.parse::<freehold_protocol::enroll::EnrollmentToken>().is_err());
    }
}
