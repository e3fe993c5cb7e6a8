//! Why a peer does not answer, as far as the system knows: QUIC's own socket hears nothing of it, one that is
//! connected to the address does.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use dataflow_core::peers::DialFailure;
use tokio::net::UdpSocket;

/// How often is asked: machines say at most once a second that nobody listens.
const EVERY: Duration = Duration::from_millis(500);
/// What is sent. Too short for QUIC, which drops it.
const NOTHING: [u8; 1] = [0];

/// Asks until the system knows a reason; for ever if it never does.
pub(super) async fn why_no_answer(address: SocketAddr) -> DialFailure {
    match ask(address).await {
        Ok(never) => match never {},
        Err(error) => reason(&error),
    }
}

async fn ask(address: SocketAddr) -> io::Result<std::convert::Infallible> {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    loop {
        socket.send(&NOTHING).await?;
        let mut answer = [0; 64];
        // Whatever is answered is not for us; only errors are.
        if let Ok(answered) = tokio::time::timeout(EVERY, socket.recv(&mut answer)).await {
            answered?;
            tokio::time::sleep(EVERY).await;
        }
    }
}

fn reason(error: &io::Error) -> DialFailure {
    let no_route = |what: &str| DialFailure::NoRoute(what.to_owned());
    match error.kind() {
        ErrorKind::ConnectionRefused => DialFailure::Refused,
        ErrorKind::HostUnreachable => no_route("no route to host"),
        ErrorKind::NetworkUnreachable => no_route("the network is unreachable"),
        ErrorKind::NetworkDown => no_route("the network is down"),
        ErrorKind::PermissionDenied => no_route("a firewall forbids it"),
        _ => DialFailure::Other(error.to_string()),
    }
}
