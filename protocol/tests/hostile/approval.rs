//! Jobs whose work is not, to the byte, what was approved.

use freehold_protocol::{admit, approval::Approval, ids::Sha256Digest, wire::PollAnswer};
use serde_json::{Value, json};

use super::{
    JOB, refused,
    world::{OTHER_ID, World, json_of},
};

/// What a person has approved.
const APPROVED: &str = r#"{"kind":"remove_tenant","params":{"tenant":"01936d2a-0000-7000-8000-0000000000aa","slug":"acme","data":"keep"}}"#;

/// An answer whose one job says `approval` and `work` to the letter.
fn approved(world: &World, approval: &Value, work: &str) -> PollAnswer {
    let mut job = json_of(&world.job(1, Sha256Digest::ZERO));
    job["approval"] = approval.clone();
    job["work"] = json!("HERE");
    let text = job.to_string().replace("\"HERE\"", work);
    world.answer(&[world.sign_bytes(JOB, text.as_bytes())])
}

/// An approval of exactly these bytes.
fn approval_of(work: &str) -> Value {
    json_of(&Approval {
        request: OTHER_ID.parse().unwrap(),
        digest: Sha256Digest::of(work.as_bytes()),
    })
}

#[test]
fn with_another_work_than_was_approved() {
    let world = World::new();
    let approval = approval_of(APPROVED);
    let admitted = admit::admit(&world.standing(), &approved(&world, &approval, APPROVED)).unwrap();
    assert_eq!(admitted.jobs[0].get().work.text(), APPROVED);
    let params = &APPROVED[APPROVED.find("\"params\"").unwrap()..APPROVED.len() - 1];
    for other in [
        // One byte.
        APPROVED.replace("acme", "acne"),
        APPROVED.replace("keep", "delete"),
        // The same to whoever reads it, and not what was approved.
        format!("{{{params},\"kind\":\"remove_tenant\"}}"),
        APPROVED.replace(r#""slug":"acme","data":"keep""#, r#""data":"keep","slug":"acme""#),
        APPROVED.replacen(':', ": ", 1),
        APPROVED.replace("acme", r"\u0061cme"),
    ] {
        assert_ne!(other, APPROVED);
        refused(&world, &approved(&world, &approval, &other), "other_work");
        // It is a good job to somebody who has approved these bytes: whatever wrote them.
        admit::admit(&world.standing(), &approved(&world, &approval_of(&other), &other)).unwrap();
    }
    let zero = json!({ "request": OTHER_ID, "digest": Sha256Digest::ZERO });
    refused(&world, &approved(&world, &zero, APPROVED), "other_work");
}

#[test]
fn with_an_approval_that_lacks_its_digest_or_its_request() {
    let world = World::new();
    for missing in ["digest", "request"] {
        let mut approval = approval_of(APPROVED);
        approval.as_object_mut().unwrap().remove(missing);
        refused(&world, &approved(&world, &approval, APPROVED), "malformed");
    }
    refused(&world, &approved(&world, &json!({}), APPROVED), "malformed");
    let mut more = approval_of(APPROVED);
    more["by"] = json!("anna");
    refused(&world, &approved(&world, &more, APPROVED), "unknown_field");
}

#[test]
fn approved_work_with_a_field_of_the_future_is_refused_for_the_field_and_not_for_the_digest() {
    let world = World::new();
    let newer = APPROVED.replace(r#""data""#, r#""grace":3,"data""#);
    for digested in [newer.as_str(), APPROVED] {
        refused(&world, &approved(&world, &approval_of(digested), &newer), "unknown_field");
    }
}
