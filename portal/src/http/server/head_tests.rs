//! Heads that are taken, and heads that are not.

use super::*;

fn status(text: &str) -> u16 {
    match Head::parse(text.as_bytes()) {
        Ok(Some(_)) => 200,
        Ok(None) => 0,
        Err(refusal) => refusal.status(),
    }
}

#[test]
fn parts_of_a_head_are_found() {
    let text = "POST /a%20b/c?x=1&y HTTP/1.1\r\nHost: Portal.example:8443\r\nX-A:  one \t\r\n\
                x-a: two\r\nConnection: foo, Close\r\n\r\nbody";
    let (head, length) = Head::parse(text.as_bytes()).unwrap().unwrap();
    assert_eq!(&text[length..], "body");
    assert_eq!((head.method(), head.version()), (Method::Post, Version::Http11));
    assert_eq!((head.path(), head.query()), ("/a%20b/c", Some("x=1&y")));
    assert_eq!(head.host(), Some("Portal.example:8443"));
    assert_eq!(head.get("X-a"), Some("one"));
    assert_eq!(head.get_all("X-A").collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(head.get_single("x-a").unwrap_err().status(), 400);
    assert_eq!(head.get_single("none").unwrap(), None);
    assert!(head.has_token("connection", "close") && !head.has_token("connection", "clos"));
    assert!(!format!("{head:?}").contains("two"), "values of headers are not for logs");
}

#[test]
fn absolute_targets_name_the_host_and_must_agree_with_it() {
    let head = |target: &str, host: &str| {
        status(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    };
    assert_eq!(head("http://a.example/x?y", "a.example"), 200);
    assert_eq!(head("HTTPS://a.example:1/x", "A.example:1"), 200);
    assert_eq!(head("http://a.example/x", "b.example"), 400);
    assert_eq!(head("http://a.example", "a.example"), 400);
    assert_eq!(head("http://u@a.example/", "a.example"), 400);
    assert_eq!(head("http:///x", "a.example"), 400);
    assert_eq!(head("ftp://a.example/", "a.example"), 400);
    assert_eq!(head("a.example:443", "a.example"), 400);
}

#[test]
fn heads_that_two_servers_could_read_differently_are_refused() {
    let with = |lines: &str| status(&format!("GET / HTTP/1.1\r\n{lines}\r\n"));
    assert_eq!(with("Host: a\r\n"), 200);
    assert_eq!(with(""), 400, "no host");
    assert_eq!(with("Host: a\r\nHost: a\r\n"), 400, "two hosts");
    assert_eq!(with("Host: a b\r\n"), 400);
    assert_eq!(with("Host: a/b\r\n"), 400);
    assert_eq!(with("Host : a\r\n"), 400, "space before the colon");
    assert_eq!(with("Host: a\r\n folded\r\n"), 400, "folded");
    assert_eq!(with("Host: a\nX: b\r\n"), 400, "bare LF");
    assert_eq!(with("Host: a\r\nX: b\0\r\n"), 400, "NUL");
    assert_eq!(with("Host: a\r\nX: b\rc\r\n"), 400, "bare CR");
    assert_eq!(with("Host: a\r\n: b\r\n"), 400, "no name");
    assert_eq!(with("Host: a\r\nno colon\r\n"), 400);
    assert_eq!(with("Host: a\r\nX: é\r\n"), 200);
    let latin = b"GET / HTTP/1.1\r\nHost: a\r\nX: \xe9\r\n\r\n";
    assert_eq!(Head::parse(latin).unwrap_err().status(), 400);
}

#[test]
fn request_lines_are_checked() {
    let line = |line: &str| status(&format!("{line}\r\nHost: a\r\n\r\n"));
    assert_eq!(line("OPTIONS * HTTP/1.1"), 200);
    assert_eq!(line("GET * HTTP/1.1"), 400);
    assert_eq!(line("GET /#x HTTP/1.1"), 400);
    assert_eq!(line("GET /é HTTP/1.1"), 400);
    assert_eq!(line("GET  / HTTP/1.1"), 400);
    assert_eq!(line("GET /"), 400);
    assert_eq!(line("get / HTTP/1.1"), 501);
    assert_eq!(line("CONNECT a:443 HTTP/1.1"), 501);
    // Known, so that an address can say which methods it has instead.
    assert_eq!(line("TRACE / HTTP/1.1"), 200);
    assert_eq!(line("QUERY / HTTP/1.1"), 200);
    assert_eq!(line("GET / HTTP/2.0"), 505);
    assert_eq!(status("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
    assert_eq!(status("GET / HTTP/1.0\r\n\r\n"), 200, "1.0 needs no host");
    assert_eq!(line(&format!("GET /{} HTTP/1.1", "a".repeat(9000))), 414);
}

#[test]
fn large_heads_are_refused_and_short_ones_waited_for() {
    let pad =
        |length: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(length));
    assert_eq!(status(&pad(MAX_HEAD_BYTES - 40)), 200);
    assert_eq!(status(&pad(MAX_HEAD_BYTES)), 431);
    assert_eq!(status(&pad(MAX_HEAD_BYTES)[..MAX_HEAD_BYTES - 1]), 0);
    assert_eq!(status(&pad(MAX_HEAD_BYTES)[..MAX_HEAD_BYTES]), 431);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\n{}", "Host: a\r\n".repeat(65))), 431);
    let text = pad(3);
    for length in 0..text.len() {
        assert_eq!(status(&text[..length]), 0);
    }
}
