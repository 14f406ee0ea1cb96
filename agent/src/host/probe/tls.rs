//! TLS for probes: chain, name and validity are judged at portal time, since the host's own clock
//! may be wrong and ureq's TLS knows no other. The certificate's end comes with the connection.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use freehold_protocol::ids::Domain;
use freehold_protocol::time::Timestamp;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Roots;

/// A connection to a domain that is not made yet, with what it will believe.
pub(super) struct Judge {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Judge {
    /// # Errors
    /// When the domain cannot stand in a certificate.
    pub(super) fn new(domain: &Domain, roots: &Roots, now: Timestamp) -> Result<Self, String> {
        let mut store = rustls::RootCertStore::empty();
        // The system's file may hold a root that rustls does not take; the others count.
        store.add_parsable_certificates(roots.certificates.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_details(provider, Arc::new(FixedTime(now)))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(store)
            .with_no_client_auth();
        let name = ServerName::try_from(domain.to_string()).map_err(|error| error.to_string())?;
        Ok(Self { config: Arc::new(config), name })
    }

    pub(super) fn connection(&self) -> Result<ClientConnection, rustls::Error> {
        ClientConnection::new(self.config.clone(), self.name.clone())
    }
}

/// When the certificate ends that a finished handshake has shown.
pub(super) fn expiry(connection: &ClientConnection) -> Result<Timestamp, String> {
    let leaf = connection
        .peer_certificates()
        .and_then(|chain| chain.first())
        .ok_or_else(|| "it shows none".to_owned())?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|error| error.to_string())?;
    Ok(Timestamp::from_millis(leaf.validity().not_after.timestamp().saturating_mul(1000)))
}

/// Puts TLS over ureq's plain connections, and keeps when the certificate ends.
pub(super) struct Tls {
    pub(super) judge: Judge,
    pub(super) expires: Arc<Mutex<Option<Timestamp>>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.judge.name).finish_non_exhaustive()
    }
}

impl<In: Transport> Connector<In> for Tls {
    type Out = Stream;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Stream>, ureq::Error> {
        let Some(plain) = chained else { return Ok(None) };
        let mut connection = self.judge.connection()?;
        let mut socket = TransportAdapter::new(plain.boxed(), details.current_time.clone());
        socket.set_timeout(details.timeout);
        // To the end of the handshake, which is where the certificate is judged.
        connection.complete_io(&mut socket)?;
        *self.expires.lock().unwrap_or_else(PoisonError::into_inner) = expiry(&connection).ok();
        let sizes = (details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Stream {
            buffers: LazyBuffers::new(sizes.0, sizes.1),
            stream: StreamOwned { conn: connection, sock: socket },
        }))
    }
}

/// A connection of [`Tls`].
pub(super) struct Stream {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl Transport for Stream {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// A clock that stands at portal time.
#[derive(Debug)]
struct FixedTime(Timestamp);

impl rustls::time_provider::TimeProvider for FixedTime {
    fn current_time(&self) -> Option<UnixTime> {
        let millis = u64::try_from(self.0.as_millis()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(millis)))
    }
}
