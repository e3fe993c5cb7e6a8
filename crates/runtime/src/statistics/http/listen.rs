//! The port of `--metrics`, bound before anything begins, so that who cannot have it is told at once.

use std::io;
use std::net::{SocketAddr, TcpListener};

use crate::error::ErrorClass;
use crate::ports::{self, Transport};

/// Why nobody can read metrics there.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// Somebody has the port.
    #[error(
        "port {} is taken{}: --metrics, or the variable DATAFLOW_METRICS, needs another one \
         (with port 0 the system chooses)",
        address.port(),
        match holder {
            Some(holder) => format!(" by {holder}"),
            None => format!(" (`ss -tlpn 'sport = :{}'` says by whom)", address.port()),
        }
    )]
    PortTaken {
        /// Where it was to listen.
        address: SocketAddr,
        /// Which process has it, when that can be seen.
        holder: Option<String>,
    },
    /// The address is not this machine's.
    #[error(
        "{} is no address of this machine: `ip address` lists them. With --metrics 127.0.0.1:{}, programs of this \
         machine can read",
        address.ip(),
        address.port()
    )]
    NotOurAddress {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// The port is set apart for the system.
    #[error(
        "port {} is for the system's own services: --metrics, or the variable DATAFLOW_METRICS, needs one of \
         1024 or above",
        address.port()
    )]
    NotAllowed {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// The system refused it.
    #[error("cannot listen on {address} (TCP) for --metrics: {source}")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl MetricsError {
    /// Whose turn it is.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            MetricsError::PortTaken { .. }
            | MetricsError::NotOurAddress { .. }
            | MetricsError::NotAllowed { .. } => ErrorClass::Input,
            MetricsError::Listen { .. } => ErrorClass::Failure,
        }
    }
}

/// A port on which programs will read metrics. Who connects before that waits.
#[derive(Debug)]
pub(crate) struct MetricsListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl MetricsListener {
    /// Binds the port. With port 0 the system chooses one.
    ///
    /// # Errors
    ///
    /// [`MetricsError`], which says what to do.
    pub(crate) fn bind(address: SocketAddr) -> Result<MetricsListener, MetricsError> {
        let bound = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(MetricsListener { listener, address })
        });
        bound.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => MetricsError::PortTaken {
                address,
                holder: ports::holder_of(address.port(), Transport::Tcp),
            },
            io::ErrorKind::AddrNotAvailable => MetricsError::NotOurAddress { address },
            io::ErrorKind::PermissionDenied => MetricsError::NotAllowed { address },
            _ => MetricsError::Listen { address, source },
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The socket, for an event loop.
    pub(super) fn into_std(self) -> TcpListener {
        self.listener
    }
}
