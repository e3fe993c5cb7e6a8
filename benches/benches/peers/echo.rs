//! The floor: quinn alone, 16 bytes there and back on one stream, each side with a thread of its own as agents have.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use dataflow_benches::clock::now_ns;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Endpoint, ServerConfig};
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivatePkcs8KeyDer;

const BYTES: usize = 16;
const NAME: &str = "echo";

/// Echoes, one after the other.
pub(crate) struct Echo {
    wanted: Sender<u64>,
    measured: Receiver<Vec<u64>>,
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("an event loop")
}

fn configurations() -> (ServerConfig, ClientConfig) {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a key");
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .expect("the key of the certificate");
    let server = QuicServerConfig::try_from(tls).expect("TLS 1.3");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = QuicClientConfig::try_from(tls).expect("TLS 1.3");
    (
        ServerConfig::with_crypto(Arc::new(server)),
        ClientConfig::new(Arc::new(client)),
    )
}

impl Echo {
    pub(crate) fn new() -> Echo {
        let (server, client) = configurations();
        let loopback = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let (to_client, address) = channel();
        thread::spawn(move || {
            runtime().block_on(async move {
                let endpoint = Endpoint::server(server, loopback).expect("a port of loopback");
                let here = endpoint.local_addr().expect("an address");
                to_client.send(here).expect("it is waited for");
                let incoming = endpoint.accept().await.expect("somebody comes");
                let connection = incoming.await.expect("a handshake");
                let (mut send, mut receive) = connection.accept_bi().await.expect("a stream");
                let mut bytes = [0; BYTES];
                while receive.read_exact(&mut bytes).await.is_ok() {
                    if send.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
            });
        });
        let (wanted, orders) = channel::<u64>();
        let (to_bench, measured) = channel();
        let to = address.recv().expect("it listens");
        thread::spawn(move || {
            let runtime = runtime();
            let (_endpoint, mut send, mut receive) = runtime.block_on(async {
                let endpoint = Endpoint::client(loopback).expect("a port of loopback");
                let connecting = endpoint.connect_with(client, to, NAME).expect("a dial");
                let connection = connecting.await.expect("a handshake");
                let (send, receive) = connection.open_bi().await.expect("a stream");
                (endpoint, send, receive)
            });
            while let Ok(count) = orders.recv() {
                let round_trips = runtime.block_on(async {
                    let mut round_trips = Vec::new();
                    for _ in 0..count {
                        let began = now_ns();
                        send.write_all(&[7; BYTES]).await.expect("it is read");
                        let mut bytes = [0; BYTES];
                        receive.read_exact(&mut bytes).await.expect("an echo");
                        round_trips.push(now_ns() - began);
                    }
                    round_trips
                });
                if to_bench.send(round_trips).is_err() {
                    return;
                }
            }
        });
        Echo { wanted, measured }
    }

    /// How long echoes take.
    pub(crate) fn round_trips_ns(&mut self, count: u64) -> Vec<u64> {
        self.wanted.send(count).expect("it runs");
        self.measured.recv().expect("it runs")
    }
}
