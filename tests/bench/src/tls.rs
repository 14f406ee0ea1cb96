//! A certificate authority for the portal's own listener, and a client that trusts it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore};

/// An authority with one certificate, for 127.0.0.1.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    client: Arc<ClientConfig>,
}

impl Authority {
    /// Makes one, with its files in `folder`.
    pub fn new(folder: &Path) -> Self {
        let mut ca = CertificateParams::new(Vec::new()).expect("parameters");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(ca, KeyPair::generate().expect("a key"))
            .expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
        let server = server.signed_by(&key, &issuer).expect("a certificate");
        for (name, text) in
            [("ca.pem", issuer.pem()), ("tls.pem", server.pem()), ("tls.key", key.serialize_pem())]
        {
            std::fs::write(folder.join(name), text).expect("a file of the authority");
        }
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { folder: folder.to_owned(), client: Arc::new(client) }
    }

    /// What a client needs.
    pub fn client(&self) -> &Arc<ClientConfig> {
        &self.client
    }

    /// PEM file of the authority.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// PEM file of the server's certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("tls.pem")
    }

    /// PEM file of the server's key.
    pub fn key(&self) -> PathBuf {
        self.folder.join("tls.key")
    }
}
