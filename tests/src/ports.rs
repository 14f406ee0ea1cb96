//! Ports for the programs that tests start.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that the kernel gives to outgoing connections, above those that blueprints use.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// A loopback port that nothing uses, TCP and UDP, and that no other call in this process gets.
pub fn free() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    // Two test processes begin at different places.
    let start = (std::process::id() % 100) as u16 * 100;
    for _ in 0..COUNT {
        let port = FIRST + (start + TAKEN.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
            && UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        {
            return port;
        }
    }
    panic!("no free port from {FIRST} on: are programs of earlier tests still running?");
}

/// A range of TCP ports that one test of the whole machine has for itself.
#[derive(Debug)]
pub struct Range {
    /// Held until the range is dropped: the claim is its UDP port of the first number, which needs
    /// no file and ends with the process. The TCP ports themselves stay free.
    claim: UdpSocket,
}

impl Range {
    /// Its first port.
    pub fn first(&self) -> u16 {
        self.claim.local_addr().expect("a bound socket has an address").port()
    }
}

/// Claims one of `ranges` ranges of `size` ports each, the first of them at `first`. One in which
/// something listens is passed over: what a run that was killed has left behind, say.
pub fn claim(first: u16, size: u16, ranges: u16) -> Range {
    let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let found = (0..ranges).map(|number| first + number * size).find_map(|first| {
        let claim = UdpSocket::bind((Ipv4Addr::LOCALHOST, first)).ok()?;
        (first..first + size).all(is_free).then_some(claim)
    });
    let claim = found.unwrap_or_else(|| panic!("all {ranges} ranges of ports are in use"));
    Range { claim }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_range_is_claimed_once_at_a_time() {
        let first = super::claim(9_000, 10, 5);
        let second = super::claim(9_000, 10, 5);
        assert_ne!(first.first(), second.first());
        let listener = std::net::TcpListener::bind(("127.0.0.1", 9_500 + 13)).unwrap();
        assert_eq!(super::claim(9_500, 10, 5).first(), 9_500);
        assert_ne!(super::claim(9_510, 10, 5).first(), 9_510);
        drop(listener);
    }

    #[test]
    fn no_port_is_given_twice() {
        let mut ports: Vec<u16> = (0..50).map(|_| super::free()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 50);
    }
}
