//! Certificates that serve, and those that do not.

use super::*;

fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}

fn install(names: &[&str]) -> (tempfile::TempDir, rcgen::CertifiedKey<rcgen::KeyPair>) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("wildcard");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join(CHAIN_FILE), made.cert.pem()).unwrap();
    std::fs::write(folder.join(KEY_FILE), made.signing_key.serialize_pem()).unwrap();
    (base, made)
}

fn check(base: &tempfile::TempDir, domain: &str) -> Result<CertificateFacts, CertificateError> {
    let name = "wildcard".parse().unwrap();
    installed(base.path(), &name, &domain.parse().unwrap(), now()).map(|(_, facts)| facts)
}

#[test]
fn an_installed_wildcard_serves_one_label() {
    let (base, _) = install(&["*.example.com", "other.org"]);
    let facts = check(&base, "acme.example.com").unwrap();
    assert_eq!(facts.names, ["*.example.com", "other.org"]);
    assert!(facts.self_signed && facts.chain_length == 1);
    check(&base, "other.org").unwrap();
    for other in ["example.com", "a.b.example.com", "acme.example.org"] {
        assert!(matches!(check(&base, other), Err(CertificateError::Names { .. })), "{other}");
    }
}

#[test]
fn a_certificate_is_due_before_its_end_and_never_when_it_is_new() {
    let day = |n: i64| Timestamp::from_millis(n * 86_400_000);
    let living = |days| CertificateFacts {
        names: Vec::new(),
        not_before: day(0),
        not_after: day(days),
        issuer: String::new(),
        self_signed: false,
        chain_length: 1,
    };
    for (life, at, due) in [
        (90, 59, false),
        (90, 61, true),
        (90, 200, true),
        // The last third, where thirty days would be most of its life or all of it.
        (45, 29, false),
        (45, 31, true),
        (6, 0, false),
        (6, 3, false),
        (6, 5, true),
    ] {
        assert_eq!(living(life).is_due(30, day(at)), due, "{life} days, on day {at}");
    }
}

#[test]
fn what_cannot_serve_is_told_apart() {
    let (base, made) = install(&["a.example.com"]);
    let folder = base.path().join("wildcard");
    let expired =
        check_folder(&folder, &"a.example.com".parse().unwrap(), Timestamp::from_millis(0));
    assert!(matches!(expired, Err(CertificateError::Expired { .. })));

    let other = rcgen::generate_simple_self_signed(vec!["a.example.com".into()]).unwrap();
    std::fs::write(folder.join(KEY_FILE), other.signing_key.serialize_pem()).unwrap();
    assert!(matches!(check(&base, "a.example.com"), Err(CertificateError::Key { .. })));

    // A chain whose second certificate did not issue the first.
    let issued = rcgen::CertificateParams::new(vec!["b.example.com".into()]).unwrap();
    let mut issued = issued;
    issued.distinguished_name.push(rcgen::DnType::CommonName, "other");
    let foreign = issued.self_signed(&other.signing_key).unwrap();
    std::fs::write(folder.join(CHAIN_FILE), made.cert.pem() + &foreign.pem()).unwrap();
    assert!(matches!(check(&base, "a.example.com"), Err(CertificateError::Chain { .. })));

    std::fs::write(folder.join(CHAIN_FILE), "nothing").unwrap();
    assert!(matches!(check(&base, "a.example.com"), Err(CertificateError::Form { .. })));
    std::fs::remove_file(folder.join(CHAIN_FILE)).unwrap();
    let error = check(&base, "a.example.com").unwrap_err();
    assert!(matches!(error, CertificateError::Missing { .. }));
    assert!(Failure::from(error).advice.contains("fullchain.pem"));
}
