//! Signatures, sealing and enrollment: the standards' own test vectors, and what must be refused.

use freehold_protocol::{
    dsse,
    enroll::{self, EnrollmentToken},
    httpsig::{self, HttpSigError, SignedParts},
    ids::Nonce,
    keys::SigningKey,
    seal::{self, SealContext, SealError, SealKey},
    secret::Secret,
    time::Timestamp,
};

const AGENT: &str = "01936d2a-7c2b-7e3c-8b7a-0c8f3a2b1d4e";
const OTHER: &str = "01936d2a-7c2b-7e3c-8b7a-0c8f3a2b1d4f";

#[test]
fn dsse_specification_vector() {
    // DSSE 1.0.2, protocol.md, "Pre-Authentication Encoding".
    assert_eq!(
        dsse::pre_authentication_encoding("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
}

#[test]
fn rfc_9421_b_2_6() {
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n-----END PRIVATE KEY-----\n";
    let key = SigningKey::from_pem(pem).unwrap();
    let components = [
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("@method", "POST"),
        ("@path", "/foo"),
        ("@authority", "example.com"),
        ("content-type", "application/json"),
        ("content-length", "18"),
    ];
    let base =
        httpsig::signature_base(&components, ";created=1618884473;keyid=\"test-key-ed25519\"");
    let expected =
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
    use base64::{Engine, engine::general_purpose::STANDARD};
    assert_eq!(STANDARD.encode(key.sign(base.as_bytes())), expected);
    // The PEM that we write is the PKCS#8 v1 form that we read.
    assert_eq!(key.to_pem().unwrap().as_str(), pem);
}

#[test]
fn rfc_9530_digest() {
    // RFC 9530, appendix B.1: the body is the JSON text with a newline.
    assert_eq!(
        httpsig::content_digest(b"{\"hello\": \"world\"}\n"),
        "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
    );
}

fn nonce() -> Nonce {
    Nonce::from_bytes([7; 16])
}

const PARTS: SignedParts<'_> = SignedParts {
    method: "POST",
    authority: "portal.example.com",
    path: "/api/v1/agent/poll",
    query: "?",
    body: b"{}",
};

#[test]
fn a_signed_request_holds_and_every_change_to_it_is_refused() {
    let key = SigningKey::from_seed(&[1; 32]);
    let now = Timestamp::from_millis(1_800_000_000_000);
    let headers = httpsig::sign(&key, AGENT.parse().unwrap(), now, &nonce(), &PARTS);
    let verify = |parts: &SignedParts<'_>, input: &str, signature: &str, digest: &str, at| {
        let claim = httpsig::claim(input, signature)?;
        httpsig::verify(&claim, &key.public(), parts, digest, at)
    };
    let (input, signature, digest) =
        (&headers.signature_input, &headers.signature, &headers.content_digest);
    assert_eq!(verify(&PARTS, input, signature, digest, now), Ok(()));

    for parts in [
        SignedParts { method: "GET", ..PARTS },
        SignedParts { authority: "evil.example.com", ..PARTS },
        SignedParts { path: "/api/v1/agent/inventory", ..PARTS },
        SignedParts { query: "?a=1", ..PARTS },
    ] {
        assert_eq!(verify(&parts, input, signature, digest, now), Err(HttpSigError::Signature));
    }
    let other_body = SignedParts { body: b"{ }", ..PARTS };
    assert_eq!(verify(&other_body, input, signature, digest, now), Err(HttpSigError::Digest));
    let other_digest = httpsig::content_digest(b"{ }");
    assert_eq!(
        verify(&other_body, input, signature, &other_digest, now),
        Err(HttpSigError::Signature)
    );
    for (skew, expected) in
        [(299, Ok(())), (301, Err(HttpSigError::Skew)), (-301, Err(HttpSigError::Skew))]
    {
        assert_eq!(verify(&PARTS, input, signature, digest, now.plus_secs(skew)), expected);
    }
    // Another agent's id, another time, another nonce: the signature does not cover them.
    for (from, to) in [
        (AGENT.to_owned(), OTHER.to_owned()),
        ("created=1800000000".to_owned(), "created=1800000001".to_owned()),
        (nonce().to_string(), Nonce::from_bytes([8; 16]).to_string()),
    ] {
        let changed = input.replace(&from, &to);
        assert_ne!(&changed, input);
        assert_eq!(verify(&PARTS, &changed, signature, digest, now), Err(HttpSigError::Signature));
    }
    // Every other spelling is refused before any arithmetic.
    for changed in [
        input.replace("fh=", "sig1="),
        input.replace(" \"content-digest\"", ""),
        input.replace("ed25519", "rsa-v1_5-sha256"),
        input.replace("freehold-agent-v1", "freehold-agent-v2"),
        input.replace("created=", "created=+"),
        input.replace("created=", "created=0"),
        format!("{input};expires=1"),
        format!("{input}, sig2=()"),
        format!(" {input}"),
        String::new(),
    ] {
        assert_eq!(
            verify(&PARTS, &changed, signature, digest, now),
            Err(HttpSigError::Form),
            "{changed}"
        );
    }
    for changed in [signature.replace("fh=:", "fh="), signature.replace("fh=", "x="), String::new()]
    {
        assert_eq!(verify(&PARTS, input, &changed, digest, now), Err(HttpSigError::Form));
    }
}

#[test]
fn a_sealed_text_opens_only_with_its_key_and_context() {
    let key = SealKey::from_bytes(&[3; 32]).unwrap();
    let other = SealKey::from_bytes(&[4; 32]).unwrap();
    let context = |tenant: &str| SealContext::TenantPassword {
        portal: AGENT.parse().unwrap(),
        agent: AGENT.parse().unwrap(),
        tenant: tenant.parse().unwrap(),
        job: AGENT.parse().unwrap(),
    };
    let secret = Secret::new("correct horse".to_owned());
    let sealed = seal::seal(&key.public(), &context(AGENT), &secret).unwrap();
    assert!(!sealed.contains("horse"));
    assert_eq!(key.open(&context(AGENT), &sealed).unwrap().expose(), "correct horse");
    assert_eq!(key.open(&context(OTHER), &sealed).unwrap_err(), SealError::Open);
    assert_eq!(other.open(&context(AGENT), &sealed).unwrap_err(), SealError::Open);
    for bad in ["", "AA==", "!", &sealed[..20]] {
        assert_eq!(key.open(&context(AGENT), bad).unwrap_err(), SealError::Open);
    }
    let again = SealKey::from_text(&key.to_text()).unwrap();
    assert_eq!(again.public(), key.public());
    assert!(!format!("{key:?} {secret:?}").contains("correct"));
}

#[test]
fn an_enrollment_token_travels_as_one_line_and_never_shows_itself() {
    let token = EnrollmentToken {
        url: "https://portal.example.com".to_owned(),
        trust: freehold_protocol::ids::Sha256Digest::of(b"x"),
        id: AGENT.parse().unwrap(),
        secret: Secret::new("s3cret".to_owned()),
    };
    let text = token.to_text();
    assert_eq!(format!("  {}\n", text.expose()).parse::<EnrollmentToken>().unwrap(), token);
    for bad in ["", "fhe1.", "fhe1.AAAA", "fhe2.e30", "fhe1.e30", &text.expose()[..40]] {
        let error = bad.parse::<EnrollmentToken>().unwrap_err().to_string();
        assert!(error.contains("fhe1.") && error.contains("(not shown)"), "{error}");
    }
    assert!(!format!("{token:?}{token}").contains("s3cret"));
}

#[test]
fn an_enrollment_proof_binds_the_token_and_all_three_keys() {
    let key = |n: u8| SigningKey::from_seed(&[n; 32]).public();
    let seal = |n: u8| SealKey::from_bytes(&[n; 32]).unwrap().public();
    let secret = Secret::new("s".to_owned());
    let (id, other_id) = (AGENT.parse().unwrap(), OTHER.parse().unwrap());
    let proof = enroll::proof(&secret, id, &key(1), &key(2), &seal(3));
    assert!(enroll::proof_holds(&secret, id, &key(1), &key(2), &seal(3), &proof));
    assert!(!enroll::proof_holds(&secret, other_id, &key(1), &key(2), &seal(3), &proof));
    assert!(!enroll::proof_holds(&secret, id, &key(9), &key(2), &seal(3), &proof));
    assert!(!enroll::proof_holds(&secret, id, &key(1), &key(9), &seal(3), &proof));
    assert!(!enroll::proof_holds(&secret, id, &key(1), &key(2), &seal(9), &proof));
    let wrong = Secret::new("t".to_owned());
    assert!(!enroll::proof_holds(&wrong, id, &key(1), &key(2), &seal(3), &proof));
    assert!(!enroll::proof_holds(&secret, id, &key(1), &key(2), &seal(3), ""));
}
