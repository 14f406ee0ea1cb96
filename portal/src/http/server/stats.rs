//! Counters of the server, for the metrics page.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What the server has done and is doing. Read while it runs; the numbers are not one snapshot.
#[derive(Debug, Default)]
pub struct ServerStats {
    pub(super) open_connections: AtomicUsize,
    pub(super) requests_in_flight: AtomicUsize,
    pub(super) body_bytes: AtomicUsize,
    pub(super) connections_total: AtomicU64,
    pub(super) requests_total: AtomicU64,
    pub(super) rejected_full_total: AtomicU64,
    pub(super) rejected_per_ip_total: AtomicU64,
    pub(super) refused_requests_total: AtomicU64,
    pub(super) timeouts_total: AtomicU64,
    pub(super) panics_total: AtomicU64,
    pub(super) failed_handshakes_total: AtomicU64,
}

impl ServerStats {
    /// Connections open now.
    pub fn open_connections(&self) -> usize {
        self.open_connections.load(Ordering::Relaxed)
    }

    /// Requests that a handler has in hand now, parked long polls included.
    pub fn requests_in_flight(&self) -> usize {
        self.requests_in_flight.load(Ordering::Relaxed)
    }

    /// Bytes of request bodies held in memory now.
    pub fn body_bytes(&self) -> usize {
        self.body_bytes.load(Ordering::Relaxed)
    }

    /// Connections taken since the start.
    pub fn connections_total(&self) -> u64 {
        self.connections_total.load(Ordering::Relaxed)
    }

    /// Requests given to the handler since the start.
    pub fn requests_total(&self) -> u64 {
        self.requests_total.load(Ordering::Relaxed)
    }

    /// Connections turned away because the server was full.
    pub fn rejected_full_total(&self) -> u64 {
        self.rejected_full_total.load(Ordering::Relaxed)
    }

    /// Connections turned away because their address held too many.
    pub fn rejected_per_ip_total(&self) -> u64 {
        self.rejected_per_ip_total.load(Ordering::Relaxed)
    }

    /// Connections turned away for either reason.
    pub fn rejected_total(&self) -> u64 {
        self.rejected_full_total() + self.rejected_per_ip_total()
    }

    /// Requests that the server refused without asking the handler.
    pub fn refused_requests_total(&self) -> u64 {
        self.refused_requests_total.load(Ordering::Relaxed)
    }

    /// Clients cut because a head, a body or the reading of an answer took too long.
    pub fn timeouts_total(&self) -> u64 {
        self.timeouts_total.load(Ordering::Relaxed)
    }

    /// Panics caught in handlers.
    pub fn panics_total(&self) -> u64 {
        self.panics_total.load(Ordering::Relaxed)
    }

    /// TLS handshakes that failed or took too long.
    pub fn failed_handshakes_total(&self) -> u64 {
        self.failed_handshakes_total.load(Ordering::Relaxed)
    }
}

/// Adds one to a total.
pub(super) fn count(total: &AtomicU64) {
    total.fetch_add(1, Ordering::Relaxed);
}

/// Holds a gauge one higher for as long as it lives.
pub(super) struct Held<'a>(&'a AtomicUsize);

impl<'a> Held<'a> {
    pub(super) fn one_more(gauge: &'a AtomicUsize) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
