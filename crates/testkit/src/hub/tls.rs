//! An authority that nobody knows, and a certificate of it for loopback.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;

/// An authority, and what a server shows that it trusts.
#[derive(Debug)]
pub(super) struct Identity {
    /// The authority's certificate, as PEM.
    pub(super) authority: String,
    pub(super) server: Arc<ServerConfig>,
}

/// A certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It cannot be signed.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A server cannot show it.
    #[error("cannot use the certificate: {0}")]
    Server(#[from] rustls::Error),
}

impl Identity {
    /// A new authority, and a certificate for the hosts of the hub and of the CDN.
    pub(super) fn new() -> Result<Identity, TlsError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "the fake Hub's authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let key = KeyPair::generate()?;
        let names = ["127.0.0.1", "127.0.0.2", "localhost"].map(str::to_owned);
        let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|why| rustls::Error::General(why.to_owned()))?;
        let mut server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        // Every byte of an answer is ours: HTTP/1.1, nothing else.
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Identity {
            authority: authority.pem(),
            server: Arc::new(server),
        })
    }
}
