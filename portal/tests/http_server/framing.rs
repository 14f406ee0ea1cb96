//! Messages: where they begin and end, and which are refused.

use freehold_portal::http::server::{Config, Forwarded, Limits};

use crate::harness::Running;

#[test]
fn connections_are_kept_and_answers_are_framed() {
    let server = Running::start(Limits::default());
    let mut client = server.client();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let answer = client.ask("GET /id HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\n\r\n");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-request-id"), Some(answer.text()));
        assert!(answer.header("date").unwrap().ends_with(" GMT"));
        assert_eq!(answer.header("connection"), None);
        ids.push(answer.text().to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
    let none = client.ask("GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((none.status, none.header("content-length")), (204, None));
    client.send(b"HEAD /id HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.answer_to_head();
    assert_eq!((head.status, head.header("content-length")), (200, Some("26")));
    client.send(b"HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer_to_head().header("transfer-encoding"), Some("chunked"));
    let stream = client.ask("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(stream.header("transfer-encoding"), Some("chunked"));
    assert_eq!(stream.text().lines().count(), 10_000);
    let last = client.ask("GET /id HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(last.header("connection"), Some("close"));
    assert!(client.is_closed());
    assert_eq!(server.stats.requests_total(), 8);
}

#[test]
fn old_clients_get_one_answer() {
    let server = Running::start(Limits::default());
    let mut client = server.client();
    let answer = client.ask("GET /id HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(client.is_closed());
    let mut client = server.client();
    client.send(b"GET /stream HTTP/1.0\r\n\r\n");
    let text = client.rest();
    assert!(text.contains("\r\n\r\nline 0\n") && text.ends_with("line 9999\n"));
    assert!(!text.contains("chunked"));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Running::start(Limits::default());
    let mut client = server.client();
    let mut all = Vec::new();
    for number in 0..200 {
        let body = format!("body {number}");
        let head = "POST /echo HTTP/1.1\r\nHost: a\r\n";
        if number % 2 == 0 {
            let length = body.len();
            all.extend(format!("{head}Content-Length: {length}\r\n\r\n{body}").bytes());
        } else {
            let (a, b) = body.split_at(3);
            let (la, lb) = (a.len(), b.len());
            all.extend(format!("{head}Transfer-Encoding: chunked\r\n\r\n").bytes());
            all.extend(format!("{la:x}\r\n{a}\r\n{lb:X};x=y\r\n{b}\r\n0\r\nT: v\r\n\r\n").bytes());
        }
    }
    for piece in all.chunks(777) {
        client.send(piece);
    }
    for number in 0..200 {
        assert_eq!(client.answer().text(), format!("body {number}"));
    }
}

#[test]
fn large_bodies_arrive_whole_and_continue_is_said() {
    let server = Running::start(Limits::default());
    let mut client = server.client();
    let body: Vec<u8> = (0..3_000_000u32).map(|number| (number % 251) as u8).collect();
    let length = body.len();
    let head = format!(
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
    );
    client.send(head.as_bytes());
    assert_eq!(client.line(), "HTTP/1.1 100 Continue");
    assert_eq!(client.line(), "");
    client.send(&body);
    assert!(client.answer().body == body);
}

#[test]
fn what_two_servers_could_read_differently_is_refused_and_ends_the_connection() {
    let server = Running::start(Limits::default());
    let post = "POST /echo HTTP/1.1\r\nHost: a\r\n";
    let small = "POST /small HTTP/1.1\r\nHost: a\r\n";
    let long = "x".repeat(17_000);
    let cases = [
        (400, format!("{post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
        (400, format!("{post}Content-Length: 1\r\nContent-Length: 1\r\n\r\na")),
        (400, format!("{post}Content-Length: +1\r\n\r\na")),
        (400, format!("{post}Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n")),
        (400, "GET / HTTP/1.1\r\nHost: a\r\n x: folded\r\n\r\n".into()),
        (400, "GET / HTTP/1.1\nHost: a\n\n".into()),
        (400, "GET / HTTP/1.1\r\n\r\n".into()),
        (400, "\0\u{1}\u{2}garbage\r\n\r\n".into()),
        (501, format!("{post}Transfer-Encoding: gzip, chunked\r\n\r\n")),
        (501, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into()),
        (417, format!("{post}Expect: tea\r\nContent-Length: 1\r\n\r\n")),
        (413, format!("{small}Content-Length: 11\r\n\r\n")),
        (413, format!("{small}Transfer-Encoding: chunked\r\n\r\nb\r\n")),
        (431, format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n")),
        (431, format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "x: y\r\n".repeat(64))),
        (414, format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &long[..9000])),
    ];
    let refused = cases.len() as u64;
    for (status, request) in cases {
        let mut client = server.client();
        // A second request behind a refused one must not be answered: it may be part of the first.
        client.send(format!("{request}GET /id HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        let answer = client.answer();
        assert_eq!(answer.status, status, "{request:.80}");
        answer.problem();
        assert_eq!(answer.header("connection"), Some("close"));
        client.half_close();
        assert!(client.is_closed(), "{request:.80}");
    }
    assert_eq!(server.stats.refused_requests_total(), refused);
    assert_eq!(server.stats.requests_total(), 0);
}

#[test]
fn faults_of_handlers_do_not_spread() {
    let server = Running::start(Limits::default());
    let mut client = server.client();
    for path in ["/panic", "/split"] {
        let answer = client.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!((answer.status, answer.header("set-cookie")), (500, None));
        assert_eq!(answer.problem(), "internal");
        assert!(!answer.text().contains("boom"), "what a panic says is not for outsiders");
    }
    assert_eq!(client.ask("GET /id HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    client.send(b"GET /broken-stream HTTP/1.1\r\nHost: a\r\n\r\n");
    let text = client.rest();
    assert!(text.contains("4\r\nsome\r\n") && !text.contains("\r\n0\r\n"), "visibly not whole");
    assert_eq!(server.stats.panics_total(), 2);
}

#[test]
fn the_trusted_proxy_says_who_the_client_is() {
    let plain = Config::plain("127.0.0.1:0".parse().unwrap());
    let request = "GET /peer HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.9\r\n\
                   X-Forwarded-Proto: https\r\n\r\n";
    let server = Running::with(Config { forwarded: Forwarded::TrustLoopback, ..plain.clone() });
    assert_eq!(server.client().ask(request).text(), "203.0.113.9 true");
    let server = Running::with(plain);
    assert_eq!(server.client().ask(request).text(), "127.0.0.1 false");
}
