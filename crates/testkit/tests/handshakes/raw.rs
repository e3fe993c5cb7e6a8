//! Somebody who speaks QUIC to an agent and does what it likes: shows any certificate with any key, says anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dataflow_ids::{BootId, ClusterName};
use dataflow_runtime::network::Identity;
use dataflow_wire::peer::{
    Frame, HELLO_BYTES_MAX, Hello, LENGTH_BYTES, PEER_ALPN, PEER_SERVER_NAME, PREAMBLE_BYTES,
    Preamble,
};
use dataflow_wire::peers::Offer;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream, ServerConfig,
};
use rustls::SignatureScheme;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::{default_provider, sign::any_eddsa_type};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;

use crate::agents::{PATIENCE, id};

/// What somebody shows: a certificate, and the key that it signs with, which need not be that of the certificate.
#[derive(Debug, Clone)]
pub(crate) struct Shows(Option<Arc<CertifiedKey>>);

impl Shows {
    pub(crate) fn nothing() -> Shows {
        Shows(None)
    }

    /// What an agent shows.
    pub(crate) fn of(identity: &Identity, pem: &str) -> Shows {
        Shows::with_key(identity.certificate(), pem)
    }

    /// A certificate that was copied, and a key of one's own.
    pub(crate) fn copied(certificate: CertificateDer<'static>) -> Shows {
        let own = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        Shows::with_key(certificate, &own.serialize_pem())
    }

    fn with_key(certificate: CertificateDer<'static>, pem: &str) -> Shows {
        let key = rcgen::KeyPair::from_pkcs8_pem_and_sign_algo(pem, &rcgen::PKCS_ED25519).unwrap();
        let key = any_eddsa_type(&PrivatePkcs8KeyDer::from(key.serialize_der())).unwrap();
        Shows(Some(Arc::new(CertifiedKey::new(vec![certificate], key))))
    }
}

impl rustls::client::ResolvesClientCert for Shows {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

impl rustls::server::ResolvesServerCert for Shows {
    fn resolve(&self, _hello: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}

/// Takes every key.
#[derive(Debug)]
struct Anybody;

macro_rules! no_look_at_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _certificate: &CertificateDer<'_>,
            _signature: &rustls::DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _message: &[u8],
            _certificate: &CertificateDer<'_>,
            _signature: &rustls::DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }
    };
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    no_look_at_signatures!();
}

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    no_look_at_signatures!();
}

/// How such a one dials.
pub(crate) fn client(shows: Shows, alpn: &[u8]) -> ClientConfig {
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_client_cert_resolver(Arc::new(shows));
    tls.alpn_protocols = vec![alpn.to_vec()];
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()))
}

/// How such a one is dialled.
pub(crate) fn server(shows: Shows, alpn: &[u8]) -> ServerConfig {
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(Arc::new(Anybody))
        .with_cert_resolver(Arc::new(shows));
    tls.alpn_protocols = vec![alpn.to_vec()];
    ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()))
}

/// Somebody with a socket, and a thread of tasks behind it.
pub(crate) struct Raw {
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) endpoint: Endpoint,
}

impl Raw {
    pub(crate) fn at(address: &str, server: Option<ServerConfig>) -> Raw {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let inside = runtime.enter();
        let socket = std::net::UdpSocket::bind(address).unwrap();
        let endpoint = Endpoint::new(
            quinn::EndpointConfig::default(),
            server,
            socket,
            Arc::new(quinn::TokioRuntime),
        )
        .unwrap();
        drop(inside);
        Raw { runtime, endpoint }
    }

    pub(crate) fn new() -> Raw {
        Raw::at("127.0.0.1:0", None)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.endpoint.local_addr().unwrap()
    }

    /// Runs something that must end.
    pub(crate) fn wait<T>(&self, what: &str, future: impl Future<Output = T>) -> T {
        self.runtime
            .block_on(async { tokio::time::timeout(PATIENCE, future).await })
            .unwrap_or_else(|_| panic!("{what} took too long"))
    }

    /// A handshake. With client certificates it may end well here and fail there.
    pub(crate) fn connect(
        &self,
        to: SocketAddr,
        shows: Shows,
    ) -> Result<Connection, ConnectionError> {
        self.connect_as(to, client(shows, PEER_ALPN))
    }

    pub(crate) fn connect_as(
        &self,
        to: SocketAddr,
        config: ClientConfig,
    ) -> Result<Connection, ConnectionError> {
        let connecting = {
            let _inside = self.runtime.enter();
            self.endpoint.connect_with(config, to, PEER_SERVER_NAME)
        };
        self.wait("a handshake", connecting.unwrap())
    }

    /// How the connection ends.
    pub(crate) fn closed(&self, connection: &Connection) -> ConnectionError {
        self.wait("the end of a connection", connection.closed())
    }

    /// Says this, as who has dialled; gives what is needed to go on.
    pub(crate) fn say(&self, connection: &Connection, bytes: &[u8]) -> (SendStream, RecvStream) {
        self.wait("a stream", async {
            let (mut send, receive) = connection.open_bi().await.unwrap();
            send.write_all(bytes).await.unwrap();
            (send, receive)
        })
    }

    /// A connection whose hellos have passed.
    pub(crate) fn come_in(
        &self,
        to: SocketAddr,
        shows: Shows,
        hello: Hello,
    ) -> (Connection, SendStream, RecvStream) {
        let connection = self.connect(to, shows).unwrap();
        let (send, mut receive) = self.say(&connection, &opening(hello));
        self.wait("the other side's hello", async {
            let mut first = [0; PREAMBLE_BYTES + LENGTH_BYTES];
            receive.read_exact(&mut first).await.unwrap();
            let length = first.last_chunk::<LENGTH_BYTES>().unwrap();
            let mut body = vec![0; Frame::body_bytes(*length, HELLO_BYTES_MAX).unwrap()];
            receive.read_exact(&mut body).await.unwrap();
        });
        (connection, send, receive)
    }
}

/// A preamble and a hello.
pub(crate) fn opening(hello: Hello) -> Vec<u8> {
    let mut bytes = Preamble::OURS.to_bytes().to_vec();
    bytes.extend(Frame::Hello(Box::new(hello)).encode().unwrap());
    bytes
}

pub(crate) fn hello(from: &str, to: &str) -> Hello {
    Hello {
        cluster: ClusterName::new("default").unwrap(),
        from: id(from),
        to: id(to),
        boot: BootId(4711),
        version: "0.1.0".to_owned(),
        offer: Offer::default(),
    }
}

/// A key that a test has in its hands, as nobody has that of an agent.
pub(crate) fn own_key() -> (Identity, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    let identity = Identity::load_or_make(&file).unwrap();
    (identity, std::fs::read_to_string(&file).unwrap())
}

/// The code and the reason of a close by the application on the other side.
pub(crate) fn close_of(error: &ConnectionError) -> Option<(u64, Vec<u8>)> {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            Some((close.error_code.into_inner(), close.reason.to_vec()))
        }
        _ => None,
    }
}

/// Whether the other side ended the handshake with this alert of TLS.
pub(crate) fn alert_of(error: &ConnectionError) -> Option<u8> {
    let ConnectionError::ConnectionClosed(close) = error else {
        return None;
    };
    (0..=u8::MAX).find(|alert| close.error_code == quinn::TransportErrorCode::crypto(*alert))
}

/// A moment that is long enough for something to go wrong that must not.
pub(crate) const MOMENT: Duration = Duration::from_millis(300);
