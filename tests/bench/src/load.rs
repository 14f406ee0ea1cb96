//! Requests as fast as they are answered: the same client for what is measured and its baseline.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::http::Connection;

/// Threads of the client. The machines that this is run on have few processors.
const THREADS: usize = 2;

/// What a load took.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// Requests that were answered with the expected status.
    pub requests: usize,
    /// From the first to the last.
    pub time: Duration,
}

impl Took {
    /// Requests a second.
    pub fn rate(self) -> f64 {
        self.requests as f64 / self.time.as_secs_f64()
    }
}

/// Sends `requests[i]` over connection i, one after the other, on all connections at once, and expects
/// `status` of each answer.
pub fn run(connections: &mut [Connection], requests: &[Vec<Vec<u8>>], status: u16) -> Took {
    assert_eq!(connections.len(), requests.len());
    let part = connections.len().div_ceil(THREADS);
    let began = Instant::now();
    thread::scope(|scope| {
        for (connections, requests) in connections.chunks_mut(part).zip(requests.chunks(part)) {
            scope.spawn(move || turn(connections, requests, status));
        }
    });
    Took { requests: requests.iter().map(Vec::len).sum(), time: began.elapsed() }
}

/// One thread's share: a request on each connection, then the answer of each.
fn turn(connections: &mut [Connection], requests: &[Vec<Vec<u8>>], status: u16) {
    let longest = requests.iter().map(Vec::len).max().unwrap_or(0);
    for n in 0..longest {
        let mut sent = Vec::with_capacity(connections.len());
        for (at, connection) in connections.iter_mut().enumerate() {
            if let Some(request) = requests[at].get(n) {
                connection.send(request);
                sent.push(at);
            }
        }
        for at in sent {
            connections[at].receive().expect(status);
        }
    }
}

/// The same request `count` times on each of `connections`.
pub fn repeated(request: &[u8], connections: usize, count: usize) -> Vec<Vec<Vec<u8>>> {
    vec![vec![request.to_vec(); count]; connections]
}
