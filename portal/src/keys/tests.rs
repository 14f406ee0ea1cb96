//! The key folder: first start, missing and foreign files, rotation cut short.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::*;

fn now() -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000)
}

fn open(folder: &Path, known: &KnownKeys) -> Result<KeyRing, KeyError> {
    KeyRing::open(folder, None, known, now())
}

fn known(ring: &KeyRing) -> KnownKeys {
    ring.current().known()
}

#[test]
fn first_start_draws_all_keys_and_later_starts_find_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let ring = open(&path, &KnownKeys::default()).unwrap();
    let known = known(&ring);
    let again = open(&path, &known).unwrap();
    assert_eq!(again.current().trust().digest(), ring.current().trust().digest());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    for file in ["master.key", "root.pem", "seal.key", "lease.pem", "trust/1.json"] {
        let mode = fs::metadata(path.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
}

#[test]
fn a_missing_key_is_never_drawn_again() {
    for file in ["master.key", "seal.key", "portal-id", "lease.pem", "trust/1.json"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let known = known(&open(&path, &KnownKeys::default()).unwrap());
        fs::remove_file(path.join(file)).unwrap();
        let error = open(&path, &known).unwrap_err();
        assert!(matches!(error, KeyError::Missing { .. }), "{file}: {error}");
        assert!(error.to_string().contains("from your backup"), "{error}");
        assert!(!path.join(file).exists(), "{file}");
    }
}

#[test]
fn a_missing_key_folder_is_not_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (path, backup) = (dir.path().join("keys"), dir.path().join("backup"));
    let known = known(&open(&path, &KnownKeys::default()).unwrap());
    fs::rename(&path, &backup).unwrap();
    assert!(matches!(open(&path, &known), Err(KeyError::Missing { .. })));
    // So that the backup can be moved to its place, not into an empty folder there.
    assert!(!path.exists());
    fs::rename(&backup, &path).unwrap();
    open(&path, &known).unwrap();
}

#[test]
fn a_first_start_that_was_cut_short_is_finished() {
    for missing in [&["trust/1.json"][..], &["trust/1.json", "root.pem", "seal.key"]] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        open(&path, &KnownKeys::default()).unwrap();
        let master = fs::read(path.join("master.key")).unwrap();
        missing.iter().for_each(|file| fs::remove_file(path.join(file)).unwrap());
        open(&path, &KnownKeys::default()).unwrap();
        assert_eq!(fs::read(path.join("master.key")).unwrap(), master);
    }
}

#[test]
fn files_that_others_may_read_are_refused_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    open(&path, &KnownKeys::default()).unwrap();
    let master = path.join("master.key");
    fs::set_permissions(&master, fs::Permissions::from_mode(0o644)).unwrap();
    let error = open(&path, &KnownKeys::default()).unwrap_err().to_string();
    assert!(error.contains(&format!("chmod 600 {}", master.display())), "{error}");
    fs::set_permissions(&master, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let error = open(&path, &KnownKeys::default()).unwrap_err().to_string();
    assert!(error.contains("chmod 700"), "{error}");
}

#[test]
fn another_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let good = known(&open(&path, &KnownKeys::default()).unwrap());
    let other_portal =
        KnownKeys { portal: Some(PortalId::from_uuid(uuid::Uuid::now_v7())), ..good.clone() };
    let other_master = KnownKeys { master: Some("00000000".into()), ..good.clone() };
    let older_folder = KnownKeys { trust_version: 2, ..good.clone() };
    for known in [other_portal, other_master, older_folder] {
        assert!(matches!(open(&path, &known), Err(KeyError::OtherDatabase(_))), "{known:?}");
    }
}

#[test]
fn routine_rotation_keeps_epoch_and_old_key_and_compromise_drops_both() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let ring = open(&path, &KnownKeys::default()).unwrap();
    let first = ring.current();
    let second = ring.rotate(Rotation::Routine, now()).unwrap();
    assert_eq!((second.trust_version(), second.epoch()), (2, 1));
    assert_eq!(second.trust().document().job_keys, [second.job().public(), first.job().public()]);
    assert_eq!(second.job_keys_of(1).len(), 2);
    let third = ring.rotate(Rotation::Compromised, now()).unwrap();
    assert_eq!((third.trust_version(), third.epoch()), (3, 2));
    assert_eq!(third.trust().document().job_keys, [third.job().public()]);
    // An agent that holds the first document walks to the newest.
    assert_eq!(first.trust().walk(third.trust_after(1)).unwrap(), *third.trust());
    assert_eq!(
        fs::read_dir(&path)
            .unwrap()
            .filter(|e| { e.as_ref().unwrap().file_name().to_string_lossy().starts_with("job-") })
            .count(),
        1
    );
    let again = open(&path, &KnownKeys::default()).unwrap();
    assert_eq!(again.current().job().public(), third.job().public());
}

#[test]
fn a_rotation_that_was_cut_short_at_any_file_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let ring = open(&path, &KnownKeys::default()).unwrap();
    let before = ring.current();
    // Cut after the new key was written: the document was never renamed into place.
    let envelope = ring.prepare(&before, Rotation::Compromised, now()).unwrap();
    fs::write(path.join("trust/2.new"), "half").unwrap();
    let restarted = open(&path, &known(&ring)).unwrap();
    assert_eq!(restarted.current().trust().digest(), before.trust().digest());
    let after = restarted.rotate(Rotation::Routine, now()).unwrap();
    assert_eq!(after.trust_version(), 2);
    // Cut right after the commit point, before old keys were swept.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let ring = open(&path, &KnownKeys::default()).unwrap();
    let next = ring.prepare(&ring.current(), Rotation::Routine, now()).unwrap();
    write_trust(&ring.folder, 2, &next).unwrap();
    let restarted = open(&path, &known(&ring)).unwrap();
    assert_eq!(restarted.current().trust_version(), 2);
    drop(envelope);
}

#[test]
fn lease_keys_move_up_by_routine_and_are_all_drawn_anew_when_compromised() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let ring = open(&path, &KnownKeys::default()).unwrap();
    let first = ring.current();
    let [signs, next] = first.lease().published()[..] else { panic!("two keys at first") };
    let second = ring.rotate_lease(Rotation::Routine).unwrap();
    let published = second.lease().published();
    assert_eq!((second.lease().current().public(), published[2]), (next, signs));
    assert_eq!(published.len(), 3);
    // Agents' trust is another matter.
    assert_eq!(second.trust().digest(), first.trust().digest());
    let third = ring.rotate_lease(Rotation::Compromised).unwrap();
    assert_eq!(third.lease().published().len(), 2);
    assert!(third.lease().published().iter().all(|key| !published.contains(key)));
    let again = open(&path, &known(&ring)).unwrap();
    assert_eq!(again.current().lease().published(), third.lease().published());
}

#[test]
fn a_portal_from_before_leases_gets_its_lease_keys() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let before = KnownKeys { lease: None, ..known(&open(&path, &KnownKeys::default()).unwrap()) };
    fs::remove_file(path.join("lease.pem")).unwrap();
    open(&path, &before).unwrap();
    assert!(path.join("lease.pem").exists());
}

#[test]
fn what_a_lease_key_signs_is_nothing_to_those_who_trust_the_job_key() {
    let dir = tempfile::tempdir().unwrap();
    let ring = open(&dir.path().join("keys"), &KnownKeys::default()).unwrap();
    let keys = ring.current();
    let document = keys.trust().document();
    let every_trusted: Vec<PublicKey> =
        document.job_keys.iter().chain(&document.root_keys).copied().collect();
    for key in keys.lease().published() {
        assert!(!every_trusted.contains(&key));
    }
    let forged = TrustDocument { version: 2, epoch: 9, ..document.clone() };
    let envelope = Envelope::sign(&forged, &[keys.lease().current()]).unwrap();
    assert!(envelope.open::<TrustDocument>(&document.job_keys, 1).is_err());
    assert!(keys.trust().next(&envelope).is_err());
    // The same envelope by the root key is taken: it is the key that makes the difference.
    let root =
        parse_pem(&ring.folder, "root.pem", &required(&ring.folder, "root.pem").unwrap()).unwrap();
    let good = TrustDocument { version: 2, ..document.clone() };
    assert!(keys.trust().next(&Envelope::sign(&good, &[&root]).unwrap()).is_ok());
    let good = Envelope::sign(&good, &[keys.lease().current()]).unwrap();
    assert!(keys.trust().next(&good).is_err());
}

#[test]
fn an_offline_root_key_stops_only_the_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let known = known(&open(&path, &KnownKeys::default()).unwrap());
    fs::remove_file(path.join("root.pem")).unwrap();
    let ring = open(&path, &known).unwrap();
    let error = ring.rotate(Rotation::Routine, now()).unwrap_err();
    assert!(matches!(error, KeyError::RootOffline { .. }));
}

#[test]
fn systemds_credentials_go_before_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (path, credentials) = (dir.path().join("keys"), dir.path().join("credentials"));
    let known = known(&open(&path, &KnownKeys::default()).unwrap());
    fs::create_dir(&credentials).unwrap();
    for file in ["master.key", "root.pem", "seal.key", "portal-id"] {
        let credential = credentials.join(format!("freehold.{file}"));
        fs::rename(path.join(file), &credential).unwrap();
        // As systemd shows them.
        fs::set_permissions(&credential, fs::Permissions::from_mode(0o440)).unwrap();
    }
    assert!(matches!(open(&path, &known), Err(KeyError::Missing { .. })));
    let opened = || KeyRing::open(&path, Some(&credentials), &known, now());
    let ring = opened().unwrap();
    assert_eq!(ring.current().portal(), known.portal.unwrap());
    assert_eq!(Some(ring.current().master().id()), known.master);
    ring.rotate(Rotation::Routine, now()).unwrap();
    assert_eq!(ring.current().trust_version(), 2);

    // A damaged one is named where it lies, and another portal's is not taken.
    let master = credentials.join("freehold.master.key");
    fs::remove_file(&master).unwrap();
    fs::write(&master, "rubbish").unwrap();
    let error = opened().unwrap_err();
    assert!(error.to_string().contains("freehold.master.key"), "{error}");
}
