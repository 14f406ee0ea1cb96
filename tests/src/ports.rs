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

#[cfg(test)]
mod tests {
    #[test]
    fn no_port_is_given_twice() {
        let mut ports: Vec<u16> = (0..50).map(|_| super::free()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 50);
    }
}
