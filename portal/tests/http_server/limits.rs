//! Clients that are slow, silent, gone or too many, and handlers that go deep.

use std::thread;
use std::time::{Duration, Instant};

use freehold_portal::http::server::{Limits, STACK_BYTES};

use crate::client::Client;
use crate::harness::{Running, eventually, quick};

#[test]
fn slow_clients_are_cut() {
    let server = Running::start(quick());
    let trickle = |start: &str, drop_by_drop: &str| {
        let mut client = server.client();
        client.send(start.as_bytes());
        let began = Instant::now();
        // Each byte comes well within any timeout that starts anew with it.
        for byte in drop_by_drop.bytes().cycle() {
            if client.has_answer() || !client.try_send(&[byte]) {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(2), "not cut");
            thread::sleep(Duration::from_millis(20));
        }
        let answer = client.answer();
        assert_eq!(answer.problem(), "request_timeout");
        answer.status
    };
    assert_eq!(trickle("GET / HTTP/1.1\r\nHost: a\r\nX: ", "y"), 408);
    let post = "POST /echo HTTP/1.1\r\nHost: a\r\n";
    assert_eq!(trickle(&format!("{post}Content-Length: 900\r\n\r\n"), "y"), 408);
    assert_eq!(trickle(&format!("{post}Transfer-Encoding: chunked\r\n\r\n"), "1\r\nx\r\n"), 408);
    assert_eq!(server.stats.timeouts_total(), 3);
}

#[test]
fn silent_and_idle_clients_are_closed_without_an_answer() {
    let server = Running::start(quick());
    assert!(server.client().is_closed());
    let mut idle = server.client();
    assert_eq!(idle.ask("GET /id HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    assert!(idle.is_closed());
    assert_eq!(server.stats.timeouts_total(), 0);
}

#[test]
fn clients_that_do_not_read_are_cut() {
    let server = Running::start(quick());
    let mut deaf = server.client();
    deaf.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the deaf client is cut", || server.stats.timeouts_total() == 1);
    eventually("its connection is gone", || server.stats.open_connections() == 0);
}

#[test]
fn a_client_that_has_gone_frees_its_parked_thread() {
    let server = Running::start(Limits::default());
    let mut client = server.client();
    client.send(b"GET /park HTTP/1.1\r\nHost: a\r\n\r\n");
    server.expect("parked");
    // With a pipelined request behind it, a peek at the socket would see bytes and not the end.
    client.send(b"GET /id HTTP/1.1\r\nHost: a\r\n\r\n");
    thread::sleep(Duration::from_millis(50));
    assert_eq!(server.stats.requests_in_flight(), 1);
    drop(client);
    server.expect("gone");
    eventually("the thread ends", || server.stats.open_connections() == 0);
    assert_eq!(server.stats.requests_in_flight(), 0);
}

#[test]
fn all_bodies_together_have_a_limit() {
    let server = Running::start(Limits { body_memory: 1 << 20, ..Limits::default() });
    let post = "POST /echo HTTP/1.1\r\nHost: a\r\n";
    let mut greedy = server.client();
    greedy.send(format!("{post}Content-Length: 900000\r\n\r\n").as_bytes());
    greedy.send(&[b'x'; 800_000]);
    eventually("the first body is held", || server.stats.body_bytes() >= 800_000);
    let mut other = server.client();
    let body = "y".repeat(400_000);
    let request = format!("{post}Content-Length: {}\r\n\r\n{body}", body.len());
    let answer = other.ask(&request);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    assert_eq!(answer.problem(), "too_much_data");
    let small = server
        .client()
        .ask(&format!("{post}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"));
    assert_eq!(small.text(), "a");
    drop(greedy);
    eventually("the memory is given back", || server.stats.body_bytes() == 0);
    assert_eq!(server.client().ask(&request).status, 200);
}

#[test]
fn a_full_server_says_so_at_once() {
    let server = Running::start(Limits { max_connections: 2, retry_after_secs: 7, ..quick() });
    let mut held: Vec<Client> = (0..2).map(|_| server.client()).collect();
    for client in &mut held {
        client.send(b"GET /park HTTP/1.1\r\nHost: a\r\n\r\n");
        server.expect("parked");
    }
    for _ in 0..20 {
        let answer = server.client().ask("GET /id HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("7")));
        assert_eq!(answer.problem(), "too_many_connections");
    }
    assert_eq!(server.stats.rejected_total(), 20);
    drop(held);
    eventually("places are free again", || server.stats.open_connections() == 0);
    assert_eq!(server.client().ask("GET /id HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
}

#[test]
fn silent_connections_keep_nobody_out_of_a_full_server() {
    let server = Running::start(Limits { max_connections: 3, ..Limits::default() });
    let mut parked = server.client();
    parked.send(b"GET /park HTTP/1.1\r\nHost: a\r\n\r\n");
    server.expect("parked");
    let mut first = server.client();
    eventually("the first has come", || server.stats.open_connections() == 2);
    thread::sleep(Duration::from_millis(50));
    let second = server.client();
    eventually("all places are taken", || server.stats.open_connections() == 3);
    thread::sleep(Duration::from_millis(1_100));
    let mut guest = server.client();
    assert_eq!(guest.ask("GET /id HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    assert!(first.is_closed(), "the one that was silent for longest makes room");
    assert!(!parked.has_answer(), "a request in hand is left alone");
    drop(second);
}

#[test]
fn the_deepest_handler_fits_the_stack() {
    let server = Running::start(Limits::default());
    let json = format!("{}1{}", "[{\"a\":".repeat(63), "}]".repeat(63));
    let length = json.len();
    let answer = server
        .client()
        .ask(&format!("POST /deep HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{json}"));
    assert_eq!(answer.status, 200);
    let touched: usize = answer.text().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(
        touched > 0 && touched <= STACK_BYTES / 1024 * 3 / 4,
        "{touched} KiB of {}",
        STACK_BYTES / 1024
    );
}
