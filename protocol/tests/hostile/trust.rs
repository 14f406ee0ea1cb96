//! Trust documents that must not come into force.

use freehold_protocol::{
    dsse::Envelope,
    ids::Sha256Digest,
    keys::SigningKey,
    time::Timestamp,
    trust::{Trust, TrustDocument, TrustError},
};

use crate::world::{OTHER_ID, World};

fn trust_code(result: Result<Trust, TrustError>) -> &'static str {
    match result {
        Ok(_) => "accepted",
        Err(error) => error.code(),
    }
}

#[test]
fn trust_documents() {
    let world = World::new();
    let held = &world.trust;
    let old_root = &world.root;
    let new_root = SigningKey::from_seed(&[50; 32]);
    let thief = SigningKey::from_seed(&[99; 32]);
    let document = |change: &dyn Fn(&mut TrustDocument)| {
        let mut document = held.document().clone();
        document.version += 1;
        change(&mut document);
        document
    };
    let sign =
        |document: &TrustDocument, keys: &[&SigningKey]| Envelope::sign(document, keys).unwrap();
    let same_root = document(&|_| {});
    assert_eq!(trust_code(held.next(&sign(&same_root, &[old_root]))), "accepted");

    let root_change = document(&|d| d.root_keys = vec![new_root.public()]);
    assert_eq!(trust_code(held.next(&sign(&root_change, &[old_root, &new_root]))), "accepted");
    assert_eq!(trust_code(held.next(&sign(&root_change, &[old_root]))), "wrong_key");
    assert_eq!(trust_code(held.next(&sign(&root_change, &[&new_root]))), "wrong_key");
    let stolen = document(&|d| d.root_keys = vec![thief.public()]);
    assert_eq!(trust_code(held.next(&sign(&stolen, &[&thief]))), "wrong_key");
    // The online job key must not be able to change trust.
    assert_eq!(trust_code(held.next(&sign(&same_root, &[&world.job_key]))), "wrong_key");

    let older = document(&|d| d.version -= 1);
    assert_eq!(trust_code(held.next(&sign(&older, &[old_root]))), "trust_older");
    let skipping = document(&|d| d.version += 1);
    assert_eq!(trust_code(held.next(&sign(&skipping, &[old_root]))), "trust_skipped");
    let other = document(&|d| d.portal = OTHER_ID.parse().unwrap());
    assert_eq!(trust_code(held.next(&sign(&other, &[old_root]))), "trust_other_portal");
    let back = document(&|d| d.epoch -= 1);
    assert_eq!(trust_code(held.next(&sign(&back, &[old_root]))), "trust_epoch_back");
    for keys in [
        document(&|d| d.job_keys.clear()),
        document(&|d| d.job_keys = vec![d.job_keys[0]; 2]),
        document(&|d| d.job_keys = d.root_keys.clone()),
        document(&|d| {
            d.job_keys = (0..5).map(|n| SigningKey::from_seed(&[n; 32]).public()).collect();
        }),
    ] {
        assert_eq!(trust_code(held.next(&sign(&keys, &[old_root]))), "trust_keys");
    }
}

#[test]
fn pinning_takes_only_the_document_that_the_token_names() {
    let world = World::new();
    let envelope = &world.trust_envelope;
    let digest = envelope.payload_digest().unwrap();
    assert_eq!(trust_code(Trust::pin(envelope, digest)), "accepted");
    assert_eq!(trust_code(Trust::pin(envelope, Sha256Digest::ZERO)), "trust_not_pinned");
    let thief = SigningKey::from_seed(&[99; 32]);
    let forged = Envelope::sign(world.trust.document(), &[&thief]).unwrap();
    assert_eq!(trust_code(Trust::pin(&forged, digest)), "wrong_key");
}

#[test]
fn walking_takes_each_step_and_passes_over_what_is_known() {
    let mut world = World::new();
    let start = world.trust.clone();
    let first = world.trust_envelope.clone();
    world.rotate_compromised();
    let second = world.trust_envelope.clone();
    world.rotate_compromised();
    let third = world.trust_envelope.clone();
    let end = start.walk(&[first, second.clone(), third.clone()]).unwrap();
    assert_eq!(end.document().version, 3);
    assert_eq!(trust_code(start.walk(std::slice::from_ref(&third))), "trust_skipped");
    assert_eq!(trust_code(end.walk(std::slice::from_ref(&second))), "accepted");
    assert_eq!(trust_code(start.walk(&vec![second; 65])), "trust_too_many");
    assert!(end.is_expired(Timestamp::from_millis(i64::MAX)));
}
