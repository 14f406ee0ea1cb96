//! Connections per client address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections by address. One IPv6 customer has a whole /64, so that this is what is counted.
#[derive(Debug)]
pub(super) struct PerIp {
    limit: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// A counted connection, until dropped.
#[derive(Debug)]
pub(super) struct Place(Option<(Arc<PerIp>, IpAddr)>);

impl PerIp {
    /// 0 is no limit.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, open: Mutex::default() })
    }

    /// Takes a place, or `None` when this address has as many as it may. Loopback is not counted: there
    /// all clients of a proxy look alike.
    pub(super) fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        if self.limit == 0 || peer.is_loopback() {
            return Some(Place(None));
        }
        let key = network_of(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(key).or_insert(0);
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Place(Some((Arc::clone(self), key))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((per_ip, key)) = self.0.take() else { return };
        let mut open = per_ip.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&key);
            }
        }
    }
}

fn network_of(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_address_and_given_back() {
        let per_ip = PerIp::new(2);
        let take = |peer: &str| per_ip.take(peer.parse().unwrap());
        let first = take("2001:db8::1");
        let _second = take("2001:db8::2");
        assert!(first.is_some() && take("2001:db8::3").is_none());
        assert!(take("2001:db8:0:1::3").is_some() && take("192.0.2.1").is_some());
        drop(first);
        assert!(take("2001:db8::3").is_some());
        let loopback: Vec<_> = (0..5).map(|_| take("127.0.0.1")).collect();
        assert!(loopback.iter().all(Option::is_some));
        drop(loopback);
        assert_eq!(per_ip.open.lock().unwrap().len(), 1);
    }
}
