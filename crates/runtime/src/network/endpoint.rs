//! The socket and what QUIC is told: TLS 1.3 alone, keys in both directions, nothing resumed, and little room for
//! whatever comes.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use dataflow_ids::BootId;
use dataflow_wire::peer::PEER_ALPN;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, IdleTimeout,
    ServerConfig, TransportConfig, VarInt,
};
use ring::hmac;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;

use super::identity::Identity;
use super::settings::{NetworkError, NetworkLimits};
use super::verify::KeyVerifier;
use crate::ports::{self, Transport};

/// What a side takes in before it is read. Probes and hellos are small.
const WINDOW_BYTES: u32 = 128 * 1024;
/// Packets of handshakes that wait to be looked at, in all.
const INCOMING_BYTES: u64 = 1024 * 1024;
const INCOMING_BYTES_EACH: u64 = 16 * 1024;
const INCOMING_MAX: usize = 256;
/// How often somebody is told, at most, that its connection is not known here.
const RESET_EVERY: Duration = Duration::from_millis(50);
const CONNECTION_ID_BYTES: usize = 8;

/// The cryptography, named explicitly: a default of the process could be another one.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// How connections behave. `streams` is how many the other side may open.
fn transport(limits: &NetworkLimits, streams: u32) -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    let idle = IdleTimeout::try_from(limits.idle).ok();
    transport
        .max_idle_timeout(idle)
        .keep_alive_interval(Some(limits.keep_alive))
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        // Edges come on such streams, and are not here yet.
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(WINDOW_BYTES))
        .receive_window(VarInt::from_u32(WINDOW_BYTES))
        .send_window(u64::from(WINDOW_BYTES));
    Arc::new(transport)
}

fn wrong_key(error: impl std::fmt::Display) -> NetworkError {
    NetworkError::Key(error.to_string())
}

/// How somebody who comes in is met.
pub(super) fn server_config(
    identity: &Identity,
    limits: &NetworkLimits,
    provider: &Arc<CryptoProvider>,
    verifier: Arc<KeyVerifier>,
) -> Result<ServerConfig, NetworkError> {
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(wrong_key)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![identity.certificate()], identity.key())
        .map_err(wrong_key)?;
    tls.alpn_protocols = vec![PEER_ALPN.to_vec()];
    // A resumed session would pass without a look at the pins as they are now.
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    tls.send_tls13_tickets = 0;
    tls.max_early_data_size = 0;
    let crypto = QuicServerConfig::try_from(tls).map_err(wrong_key)?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(transport(limits, 1))
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES_EACH)
        .incoming_buffer_size_total(INCOMING_BYTES);
    Ok(config)
}

/// How somebody is dialled. Without an identity no key is shown.
pub(super) fn client_config(
    identity: Option<&Identity>,
    limits: &NetworkLimits,
    provider: &Arc<CryptoProvider>,
    verifier: Arc<KeyVerifier>,
) -> Result<ClientConfig, NetworkError> {
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(wrong_key)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut tls = match identity {
        Some(identity) => builder
            .with_client_auth_cert(vec![identity.certificate()], identity.key())
            .map_err(wrong_key)?,
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![PEER_ALPN.to_vec()];
    tls.resumption = rustls::client::Resumption::disabled();
    tls.enable_early_data = false;
    let crypto = QuicClientConfig::try_from(tls).map_err(wrong_key)?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(transport(limits, 0));
    Ok(config)
}

/// Binds the socket.
pub(super) fn bind(address: SocketAddr) -> Result<UdpSocket, NetworkError> {
    UdpSocket::bind(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => NetworkError::PortTaken {
            address,
            holder: ports::holder_of(address.port(), Transport::Udp),
        },
        io::ErrorKind::AddrNotAvailable => NetworkError::NotOurAddress { address },
        _ => NetworkError::Listen { address, source },
    })
}

/// An endpoint on the socket. What tells a peer that this agent was started anew follows from the identity, and so is
/// the same after a restart: the peer learns of it by the next packet that it sends, and not by silence.
pub(super) fn endpoint(
    socket: UdpSocket,
    identity: &Identity,
    boot: BootId,
    server: ServerConfig,
) -> io::Result<Endpoint> {
    let reset_key = hmac::Key::new(
        hmac::HMAC_SHA256,
        &identity.derive("dataflow: stateless reset"),
    );
    let ids_key = hmac::Key::new(
        hmac::HMAC_SHA256,
        &identity.derive(&format!("dataflow: connection ids of {boot}")),
    );
    let mut config = EndpointConfig::new(Arc::new(reset_key));
    config
        .min_reset_interval(RESET_EVERY)
        .cid_generator(move || {
            Box::new(ConnectionIds {
                key: ids_key.clone(),
                next: 0,
            })
        });
    Endpoint::new(config, Some(server), socket, Arc::new(quinn::TokioRuntime))
}

/// Makes connection ids: of two starts of one agent never the same, so that what is meant for the one before is told
/// from what is for this one.
struct ConnectionIds {
    key: hmac::Key,
    next: u64,
}

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let id = hmac::sign(&self.key, &self.next.to_le_bytes());
        self.next += 1;
        ConnectionId::new(&id.as_ref()[..CONNECTION_ID_BYTES])
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// An endpoint that only dials, for a family of addresses that the listening socket does not reach.
pub(super) fn dialler(towards: SocketAddr) -> io::Result<Endpoint> {
    let any = match towards {
        SocketAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    Endpoint::client(any)
}
