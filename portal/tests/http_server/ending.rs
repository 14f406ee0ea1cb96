//! How a server ends.

use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use freehold_portal::http::server::{Ended, Limits};

use crate::harness::{Running, eventually, quick};

#[test]
fn the_end_waits_for_requests_in_hand_and_for_nothing_else() {
    let server = Running::start(Limits::default());
    let (mut parked, mut slow, mut idle, mut fresh) =
        (server.client(), server.client(), server.client(), server.client());
    assert_eq!(idle.ask("GET /id HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    parked.send(b"GET /park HTTP/1.1\r\nHost: a\r\n\r\n");
    server.expect("parked");
    slow.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    server.expect("working");
    let (woken, wakes) = channel();
    server.handle.on_shutdown(move || woken.send(()).unwrap());
    let address = server.address;

    let began = Instant::now();
    assert_eq!(server.end(), Ended { cut: 0, left: 0 });
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    wakes.try_recv().unwrap();
    assert_eq!(parked.answer().text(), "shutdown");
    let last = slow.answer();
    assert_eq!((last.text(), last.header("connection")), ("done", Some("close")));
    assert!(slow.is_closed() && idle.is_closed() && fresh.is_closed());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn the_end_does_not_wait_for_ever() {
    let grace = Duration::from_millis(200);
    let server = Running::start(Limits { grace, write: Duration::from_secs(60), ..quick() });
    let mut deaf = server.client();
    deaf.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the answer is being sent", || server.stats.requests_in_flight() == 1);
    thread::sleep(Duration::from_millis(100));
    assert_eq!(server.end(), Ended { cut: 1, left: 0 });
}

#[test]
fn a_callback_that_comes_too_late_runs_at_once() {
    let server = Running::start(quick());
    server.handle.shutdown();
    let (woken, wakes) = channel();
    server.handle.on_shutdown(move || woken.send(()).unwrap());
    wakes.try_recv().unwrap();
}
