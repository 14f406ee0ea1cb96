//! certbot's words, retries and what counts as success.

use super::*;
use crate::runner::{Activity, CancelToken, Script, Stream, Watch};
use freehold_protocol::failure::{Failure, FailureClass};

const TENANT: &str = "01936f2a-0000-7000-8000-000000000001";
const DOMAIN: &str = "acme.example.com";

fn settings(base: &Path) -> Settings {
    Settings {
        server: Some("https://acme.test/dir".into()),
        email: None,
        eab: None,
        config_dir: base.join("etc"),
        work_dir: base.join("work"),
        logs_dir: base.join("logs"),
        ca_file: Some("/ca.pem".into()),
        webroot: base.join("www"),
    }
}

fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}

fn ensure_with(script: &Script, settings: &Settings) -> Result<Issued, CertbotError> {
    let (cancel, activity) = (CancelToken::new(), Activity::new());
    let on_line = |_: Stream, _: &str| {};
    let watch = Watch { cancel: &cancel, activity: &activity, on_line: &on_line, secrets: &[] };
    let mutex = CertbotMutex::default();
    let domain = "acme.example.com".parse().unwrap();
    ensure(
        &Commands::new(script, watch),
        &mutex.lock(&CancelToken::new()).unwrap(),
        settings,
        &Request { tenant: TENANT.parse().unwrap(), domain: &domain, now: now() },
    )
}

fn put_certificate(settings: &Settings, name: &str) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let home = folder(settings, TENANT.parse().unwrap(), &DOMAIN.parse().unwrap());
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(home.join(certificate::CHAIN_FILE), made.cert.pem()).unwrap();
    std::fs::write(home.join(certificate::KEY_FILE), made.signing_key.serialize_pem()).unwrap();
}

#[test]
fn the_words_are_the_documented_ones_and_the_binding_is_not_among_them() {
    let base = tempfile::tempdir().unwrap();
    let mut settings = settings(base.path());
    settings.email = Some("ops@example.com".parse().unwrap());
    settings.eab =
        Some(AccountBinding { kid: "kid-1".into(), hmac_key: Secret::new("hmac-canary".into()) });
    let binding = write_binding(&settings).unwrap().unwrap();
    let text = std::fs::read_to_string(&binding).unwrap();
    assert_eq!(text, "eab-kid = kid-1\neab-hmac-key = hmac-canary\n");
    let domain = "acme.example.com".parse().unwrap();
    let argv = issue_argv(&settings, TENANT.parse().unwrap(), &domain, Some(&binding)).to_string();
    for word in [
        "certonly",
        "--webroot",
        "--non-interactive",
        "--domain=acme.example.com",
        &format!("--cert-name={}", cert_name(TENANT.parse().unwrap(), &domain)),
        "--email=ops@example.com",
        "--server=https://acme.test/dir",
        "--key-type=ecdsa",
    ] {
        assert!(argv.split(' ').any(|found| found == word), "{word}: {argv}");
    }
    assert!(!argv.contains("canary"), "{argv}");
    remove_binding(&settings, true);
    assert!(!binding.exists());
    settings.eab =
        Some(AccountBinding { kid: "a\nb = c".into(), hmac_key: Secret::new("k".into()) });
    assert!(matches!(write_binding(&settings), Err(CertbotError::Binding)));
}

#[test]
fn success_is_what_is_on_the_disk() {
    let base = tempfile::tempdir().unwrap();
    let settings = settings(base.path());
    let script = || Script::new().prints("certbot certonly *", "Successfully received");
    let error = ensure_with(&script(), &settings).unwrap_err();
    assert!(matches!(error, CertbotError::OnDisk { .. }), "{error}");
    put_certificate(&settings, "other.example.com");
    let error = ensure_with(&script(), &settings).unwrap_err();
    assert!(matches!(error, CertbotError::OnDisk { .. }), "{error}");
    put_certificate(&settings, "acme.example.com");
    let issued = ensure_with(&script(), &settings).unwrap();
    assert!(issued.was_there && issued.facts.is_valid_at(now()));
    let listed = list(&settings).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].1.as_ref().unwrap().names, ["acme.example.com"]);
}

#[test]
fn each_domain_of_a_tenant_has_a_certificate_of_its_own() {
    let base = tempfile::tempdir().unwrap();
    let settings = settings(base.path());
    let tenant: TenantId = TENANT.parse().unwrap();
    let (old, new) = (DOMAIN.parse().unwrap(), "b.example.com".parse().unwrap());
    let (old_name, new_name) = (cert_name(tenant, &old), cert_name(tenant, &new));
    assert_ne!(old_name, new_name);
    // The longest domain still fits into the name of a file.
    let long = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61)).parse().unwrap();
    assert!(cert_name(tenant, &long).len() < 200);
    let live = settings.config_dir.join("live");
    let renewal = settings.config_dir.join("renewal");
    let stranger = "01936f2a-0000-7000-8000-0000000000ff";
    for name in [&old_name, &new_name, "own.example.com", stranger] {
        std::fs::create_dir_all(live.join(name)).unwrap();
    }
    // Half there: a renewal file alone.
    let half = cert_name(tenant, &"c.example.com".parse().unwrap());
    std::fs::create_dir_all(&renewal).unwrap();
    std::fs::write(renewal.join(format!("{half}.conf")), "").unwrap();
    let (cancel, activity) = (CancelToken::new(), Activity::new());
    let on_line = |_: Stream, _: &str| {};
    let watch = Watch { cancel: &cancel, activity: &activity, on_line: &on_line, secrets: &[] };
    let mut others = vec![&old_name, &half];
    others.sort();
    let mut all = vec![&old_name, &half, &new_name];
    all.sort();
    for (which, names) in
        [(Which::For(&old), vec![&old_name]), (Which::AllBut(&new), others), (Which::All, all)]
    {
        let script = names.iter().fold(Script::new(), |script, name| {
            let words =
                [("config", "etc"), ("work", "work"), ("logs", "logs")].map(|(flag, folder)| {
                    format!("--{flag}-dir={}", base.path().join(folder).display())
                });
            let command =
                format!("certbot delete --non-interactive {} --cert-name={name}", words.join(" "));
            script.prints(&command, "")
        });
        let mutex = CertbotMutex::default();
        delete(
            &Commands::new(&script, watch),
            &mutex.lock(&cancel).unwrap(),
            &settings,
            tenant,
            which,
        )
        .unwrap();
    }
}

#[test]
fn only_what_may_pass_is_tried_again() {
    let base = tempfile::tempdir().unwrap();
    let settings = settings(base.path());
    put_certificate(&settings, "acme.example.com");
    let call = "certbot certonly *";
    let nonce = "acme.messages.Error: urn:ietf:params:acme:error:badNonce :: x";
    let script = Script::new().fails(call, 1, nonce).prints(call, "");
    ensure_with(&script, &settings).unwrap();
    let lost = "An unexpected error occurred:\nAttributeError: can't set attribute\n";
    let script = Script::new().fails(call, 1, lost).prints(call, "");
    ensure_with(&script, &settings).unwrap();

    let refused = "urn:ietf:params:acme:error:unauthorized :: x";
    let error = ensure_with(&Script::new().fails(call, 1, refused), &settings).unwrap_err();
    let failure = Failure::from(&error);
    assert_eq!(failure.class, FailureClass::Upstream);
    assert!(failure.advice.contains("port 80") && failure.detail.contains("unauthorized"));

    let refused = "  Domain: acme.example.com\n  Type:   unauthorized\n  Detail: 404\n";
    ensure_with(&Script::new().fails(call, 1, refused), &settings).unwrap_err();

    let limited = "urn:ietf:params:acme:error:rateLimited :: x";
    let error = ensure_with(&Script::new().fails(call, 1, limited), &settings).unwrap_err();
    assert!(matches!(error, CertbotError::RateLimited { .. }), "{error}");
    let rejected = "urn:ietf:params:acme:error:rejectedIdentifier :: x";
    let error = ensure_with(&Script::new().fails(call, 1, rejected), &settings).unwrap_err();
    // Nobody gets such a certificate by waiting: the job is not given out again.
    assert_eq!(Failure::from(&error).class, FailureClass::Request);
    let script = Script::new().expect(call, crate::runner::Reply::IsMissing);
    let failure = Failure::from(ensure_with(&script, &settings).unwrap_err());
    assert_eq!(failure.class, FailureClass::Host);
}

#[test]
fn the_web_server_can_read_the_folder_of_challenges_whatever_the_umask() {
    let base = tempfile::tempdir().unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (www, challenges) = (base.path().join("www"), base.path().join("www/freehold-acme"));
    // The test's own umask must stay, so what a strict one would leave is made by hand.
    ensure_webroot(&challenges).unwrap();
    assert_eq!((mode(&www), mode(&challenges)), (0o755, 0o755));
    // What is there belongs to the operator.
    std::fs::set_permissions(&www, std::fs::Permissions::from_mode(0o711)).unwrap();
    ensure_webroot(&challenges).unwrap();
    assert_eq!(mode(&www), 0o711);
}
