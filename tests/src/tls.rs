//! A private certificate authority of a test's own, and a look at what a server shows.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for a server's handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// An authority that no system knows.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A server's certificate with its key, both as PEM.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate.
    pub chain: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// A new one.
    pub fn new(name: &str) -> Self {
        let mut ca = CertificateParams::new(Vec::new()).expect("no names");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(ca, key).expect("an authority") }
    }

    /// Its own certificate, as PEM: what a client must know.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A new certificate for a server that goes by these names or addresses.
    pub fn certificate(&self, names: &[&str]) -> Certificate {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let mut server = CertificateParams::new(names).expect("names of a server");
        server.use_authority_key_identifier_extension = true;
        let server = server.signed_by(&key, &self.issuer).expect("a certificate");
        Certificate { chain: server.pem(), key: key.serialize_pem() }
    }
}

impl Certificate {
    /// Writes it where a server looks for it: the two files one after the other, as certbot does.
    pub fn write(&self, chain: &Path, key: &Path) {
        std::fs::write(chain, &self.chain).expect("a certificate");
        std::fs::write(key, &self.key).expect("a key");
    }

    /// The certificate's bytes.
    pub fn der(&self) -> Vec<u8> {
        CertificateDer::from_pem_slice(self.chain.as_bytes()).expect("our own PEM").to_vec()
    }
}

/// The certificate that a server on a loopback port shows to a new client that calls it `name` and
/// trusts `ca` alone. The error is that of the handshake.
pub fn shown(port: u16, name: &str, ca: &Path) -> Result<Vec<u8>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).map_err(|error| text(&error))? {
        roots.add(certificate.map_err(|error| text(&error))?).map_err(|error| text(&error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| text(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).map_err(|error| text(&error))?;
    let mut client =
        rustls::ClientConnection::new(Arc::new(config), name).map_err(|error| text(&error))?;
    let mut socket =
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(|error| text(&error))?;
    socket.set_read_timeout(Some(HANDSHAKE)).map_err(|error| text(&error))?;
    while client.is_handshaking() {
        client.complete_io(&mut socket).map_err(|error| text(&error))?;
    }
    client.send_close_notify();
    client.complete_io(&mut socket).map_err(|error| text(&error))?;
    socket.flush().map_err(|error| text(&error))?;
    let chain = client.peer_certificates().ok_or("no certificate was shown")?;
    chain.first().map(|first| first.to_vec()).ok_or_else(|| "an empty chain was shown".to_owned())
}
