//! One table of good and one of bad texts per type.

use std::{fmt::Debug, str::FromStr};

use super::*;

fn check<T: FromStr + Debug + ToString>(good: &[&str], bad: &[&str])
where
    T::Err: Debug,
{
    for text in good {
        let parsed = text.parse::<T>();
        assert!(parsed.is_ok(), "{text:?} must parse: {parsed:?}");
        assert_eq!(parsed.unwrap().to_string(), *text);
    }
    for text in bad {
        let parsed = text.parse::<T>();
        assert!(parsed.is_err(), "{text:?} must be refused, but is {parsed:?}");
    }
}

const UUID: &str = "01936d2a-7c2b-7e3c-8b7a-0c8f3a2b1d4e";

#[test]
fn tenant_slug() {
    let long_ok = "a".repeat(32);
    let too_long = "a".repeat(33);
    let sixty_four = "a".repeat(64);
    check::<TenantSlug>(
        &["acme", "a1", "acme-berlin", "x-9", &long_ok],
        &[
            "",
            "a",
            "..",
            "../etc",
            "-acme",
            "acme-",
            "a--b",
            "Acme",
            "1acme",
            "a_b",
            "a b",
            "acme\n",
            "a.b",
            "a/b",
            "äb",
            &too_long,
            &sixty_four,
            "www",
            "admin",
            "a\0b",
        ],
    );
}

#[test]
fn domain() {
    let long_label = format!("{}.example.com", "a".repeat(64));
    let long = format!("{}.com", ["a".repeat(60).as_str(); 5].join("."));
    check::<Domain>(
        &["acme.example.com", "a.io", "xn--bcher-kva.example", "1.example.com"],
        &[
            "",
            "com",
            "localhost",
            "acme.example.com\n",
            "acme.example.com; location /etc/ {",
            "*.example.com",
            "~.*",
            "$host",
            "a b.com",
            "-a.com",
            "a-.com",
            "a..com",
            ".a.com",
            "a.com.",
            "10.0.0.1",
            "Acme.com",
            "a.com:80",
            "a.com/x",
            "bücher.example",
            &long_label,
            &long,
        ],
    );
}

#[test]
fn email() {
    check::<Email>(
        &["anna@example.com", "a.b+c@sub.example.org"],
        &[
            "",
            "anna",
            "@example.com",
            "anna@",
            "a b@example.com",
            "a@b",
            "a\n@example.com",
            "-x@example.com",
            "a..b@example.com",
        ],
    );
}

#[test]
fn names() {
    check::<BlueprintName>(&["recruitiq"], &["", "-x", "X", "a/b"]);
    check::<HostName>(&["vps-1"], &["", "-x", "a.b", "VPS"]);
}

#[test]
fn ports() {
    check::<Port>(&["1024", "65535"], &["0", "80", "1023", "65536", "-1", "", "3001 "]);
    check::<PortRange>(
        &["3001-3100", "5432-5432"],
        &["3100-3001", "80-90", "3001", "3001-", "-", "3001–3100", "3001-70000"],
    );
    let range: PortRange = "3001-3003".parse().unwrap();
    assert_eq!(range.iter().map(Port::get).collect::<Vec<_>>(), [3001, 3002, 3003]);
}

#[test]
fn images() {
    let digest = format!("shop/backend@sha256:{}", "0".repeat(64));
    let both = format!("shop/backend:1@sha256:{}", "a".repeat(64));
    check::<ImageRef>(
        &[
            "postgres:15",
            "freehold-sample/backend:1",
            "registry.example.com:5000/shop/backend:1.4.2",
            "localhost/x:1",
            &digest,
            &both,
        ],
        &[
            "",
            "postgres",
            "Postgres:15",
            "-x:1",
            "a b:1",
            "x:1\n",
            "x:",
            "x@sha256:12",
            "../x:1",
            "x:1;y",
            "http://x:1",
            "--privileged:1",
        ],
    );
}

#[test]
fn uuids_and_digests() {
    check::<JobId>(
        &[UUID],
        &["", "x", "01936D2A-7C2B-7E3C-8B7A-0C8F3A2B1D4E", "01936d2a7c2b7e3c8b7a0c8f3a2b1d4e"],
    );
    let digest = "0".repeat(64);
    let upper = "A".repeat(64);
    check::<Sha256Digest>(&[&digest], &["", "0", &upper]);
    let nonce = "0".repeat(32);
    check::<Nonce>(&[&nonce], &["", "x", "00"]);
}

#[test]
fn refusals_name_the_field_and_the_remedy_and_hold_no_control_character() {
    let error = "a\n; rm".parse::<TenantSlug>().unwrap_err().to_string();
    assert!(error.contains("tenant slug") && error.contains("for example acme-berlin"), "{error}");
    assert!(!error.contains('\n'));
    let error = serde_json::from_str::<Domain>("\"*.x.y\"").unwrap_err().to_string();
    assert!(error.contains("domain"), "{error}");
}
