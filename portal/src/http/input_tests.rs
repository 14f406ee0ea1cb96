//! Reading bodies and queries.

use super::*;
use crate::app::check_generation;
use crate::http::server::Method;

fn request(headers: &[(&str, &str)], body: &str) -> Request {
    let head = Head::new(Method::Post, "/", headers).unwrap();
    Request::detached(head, body.as_bytes().to_vec())
}

fn head(target: &str) -> Head {
    Head::new(Method::Get, target, &[]).unwrap()
}

#[derive(Debug, serde::Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Sample {
    #[expect(dead_code, reason = "only its shape counts")]
    name: String,
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json; charset=utf-8")];

#[test]
fn bodies_are_refused_with_the_reason() {
    let kind = |request: &Request| body::<Sample>(request).unwrap_err();
    assert_eq!(kind(&request(JSON, "")).kind, Kind::BadRequest);
    assert_eq!(kind(&request(&[], "{}")).kind, Kind::UnsupportedMedia);
    assert_eq!(
        kind(&request(&[("content-type", "text/plain")], "{}")).kind,
        Kind::UnsupportedMedia
    );
    let broken = kind(&request(JSON, "{\n  \"name\": }"));
    assert_eq!(broken.kind, Kind::BadRequest);
    assert!(broken.advice.contains("line 2, column 11"), "{}", broken.advice);
    let unknown = kind(&request(JSON, r#"{"name":"a","nmae":"b"}"#));
    assert_eq!((unknown.kind, unknown.fields[0].pointer.as_str()), (Kind::Invalid, "/nmae"));
    let missing = kind(&request(JSON, "{}"));
    assert_eq!(missing.fields[0].pointer, "/name");
    assert_eq!(kind(&request(JSON, "[1]")).kind, Kind::Invalid);
    let deep = "[".repeat(5000);
    assert_eq!(kind(&request(JSON, &deep)).kind, Kind::Invalid);
    assert!(body::<Sample>(&request(JSON, r#"{"name":"a"}"#)).is_ok());
    assert!(no_body(&request(JSON, "{}")).is_ok());
    assert!(no_body(&request(&[], "")).is_ok());
    assert!(no_body(&request(JSON, r#"{"a":1}"#)).is_err());
}

#[test]
fn queries_are_read_strictly() {
    let query = Query::parse(&head("/?state=a%2Cb&limit=7"), &["state", "limit"]).unwrap();
    assert_eq!((query.get("state"), query.limit().unwrap()), (Some("a,b"), 7));
    for bad in
        ["/?statee=a", "/?state=a&state=b", "/?state=%", "/?state=%zz", "/?state=%ff", "/?state=%2"]
    {
        assert!(Query::parse(&head(bad), &["state"]).is_err(), "{bad}");
    }
    for bad in ["/?limit=0", "/?limit=201", "/?limit=-1", "/?limit=x", "/?limit="] {
        assert!(Query::parse(&head(bad), &["limit"]).unwrap().limit().is_err(), "{bad}");
    }
}

#[test]
fn a_cursor_fits_its_list_only() {
    let target = format!("/?cursor={}", cursor("hosts", "vps-1"));
    let query = Query::parse(&head(&target), &["cursor"]).unwrap();
    assert_eq!(query.after("hosts").unwrap(), "vps-1");
    assert!(query.after("host").is_err());
    assert!(query.after("jobs").is_err());
    let query = Query::parse(&head("/?cursor=%21"), &["cursor"]).unwrap();
    assert!(query.after("hosts").is_err());
    let mut items = vec![1, 2, 3];
    assert!(next_page(&mut items, 3, "n", ToString::to_string).is_none());
    assert_eq!(next_page(&mut items, 2, "n", ToString::to_string), Some(cursor("n", "2")));
    assert_eq!(items, [1, 2]);
}

#[test]
fn conditions_and_keys() {
    let with = |name, value| Head::new(Method::Patch, "/", &[(name, value)]).unwrap();
    assert_eq!(if_match(&head("/")).unwrap_err().kind, Kind::PreconditionRequired);
    assert_eq!(if_match(&with("if-match", "\"7\"")).unwrap(), Some(7));
    assert_eq!(if_match(&with("if-match", "*")).unwrap(), None);
    for bad in ["7", "W/\"7\"", "\"x\"", "\"1\", \"2\""] {
        assert_eq!(if_match(&with("if-match", bad)).unwrap_err().kind, Kind::BadRequest, "{bad}");
    }
    assert_eq!(check_generation(Some(1), 2).unwrap_err().kind, Kind::PreconditionFailed);
    assert!(check_generation(None, 2).is_ok() && check_generation(Some(2), 2).is_ok());
    assert_eq!(
        idempotency_key(&with("idempotency-key", "\"a-1\"")).unwrap().as_deref(),
        Some("a-1")
    );
    assert_eq!(idempotency_key(&with("idempotency-key", "a-1")).unwrap().as_deref(), Some("a-1"));
    assert!(idempotency_key(&with("idempotency-key", "a b")).is_err());
    assert!(idempotency_key(&with("idempotency-key", &"a".repeat(256))).is_err());
}
