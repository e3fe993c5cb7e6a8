//! The thread of a proxy: takes datagrams from its sockets, and sends each on at its moment.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::flight::Flights;
use super::udp::{Direction, Shared};
use super::weather::Fate;

/// The largest datagram.
const DATAGRAM_BYTES_MAX: usize = 65_536;

/// How many clients are known; the one that has been silent for longest is forgotten for a new one.
const CLIENTS_MAX: usize = 256;

/// How many datagrams one socket may hand over before the others have their turn.
const TURN_MAX: usize = 64;

/// A client, and its port towards the target.
#[derive(Debug)]
struct Client {
    port: UdpSocket,
    heard: Instant,
}

/// A datagram on its way.
#[derive(Debug, Clone)]
struct Cargo {
    direction: Direction,
    client: SocketAddr,
    bytes: Arc<[u8]>,
}

#[derive(Debug)]
pub(super) struct Forwarder {
    front: UdpSocket,
    shared: Arc<Shared>,
    clients: BTreeMap<SocketAddr, Client>,
    flights: Flights<Cargo>,
    rebound: u64,
}

impl Forwarder {
    pub(super) fn new(front: UdpSocket, shared: Arc<Shared>) -> io::Result<Forwarder> {
        front.set_nonblocking(true)?;
        Ok(Forwarder {
            front,
            shared,
            clients: BTreeMap::new(),
            flights: Flights::new(),
            rebound: 0,
        })
    }

    pub(super) fn run(&mut self) {
        let mut bytes = vec![0; DATAGRAM_BYTES_MAX];
        while !self.is_ending() {
            self.wait();
            self.take_from_clients(&mut bytes);
            self.take_from_target(&mut bytes);
            while let Some(cargo) = self.flights.arrived(Instant::now()) {
                self.deliver(&cargo);
            }
        }
    }

    /// Looks at what the test wants.
    fn is_ending(&mut self) -> bool {
        let mut counter = [0; 8];
        // Nothing to read: nobody has written since.
        let _ = rustix::io::read(&self.shared.wake, &mut counter);
        self.leave_ports();
        self.shared.state().is_ending
    }

    /// Leaves the ports towards the target, if the test has wanted that since the last look.
    fn leave_ports(&mut self) {
        let wanted = self.shared.state().rebound;
        if wanted != self.rebound {
            self.rebound = wanted;
            self.clients.clear();
        }
    }

    /// Until a socket has something, a datagram arrives, or the test wants something.
    fn wait(&self) {
        let left = self
            .flights
            .next_at()
            .map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut watched = vec![
            PollFd::new(&self.shared.wake, PollFlags::IN),
            PollFd::new(&self.front, PollFlags::IN),
        ];
        let ports = self.clients.values();
        watched.extend(ports.map(|client| PollFd::new(&client.port, PollFlags::IN)));
        // Interrupted, or for another reason not waited: the sockets are asked without waiting anyway.
        let _ = poll(&mut watched, timeout.as_ref());
    }

    fn take_from_clients(&mut self, bytes: &mut [u8]) {
        for _ in 0..TURN_MAX {
            match self.front.recv_from(bytes) {
                Ok((count, client)) => self.take(Direction::ToTarget, client, &bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // Of a client that is gone: it says nothing about the others.
                Err(_) => {}
            }
        }
    }

    fn take_from_target(&mut self, bytes: &mut [u8]) {
        let clients: Vec<_> = self.clients.keys().copied().collect();
        for client in clients {
            for _ in 0..TURN_MAX {
                let Some(known) = self.clients.get(&client) else {
                    break;
                };
                match known.port.recv(bytes) {
                    Ok(count) => self.take(Direction::FromTarget, client, &bytes[..count]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // Nobody listens there at the moment. A network that loses packets does not tell.
                    Err(_) => {}
                }
            }
        }
    }

    fn take(&mut self, direction: Direction, client: SocketAddr, bytes: &[u8]) {
        let now = Instant::now();
        let mut state = self.shared.state();
        let lane = state.lane(direction);
        lane.counts.came += 1;
        let Fate::Arrives {
            at,
            again_at,
            is_held_back,
        } = lane.sky.fate(now)
        else {
            lane.counts.lost += 1;
            return;
        };
        lane.counts.held_back += u64::from(is_held_back);
        lane.counts.doubled += u64::from(again_at.is_some());
        let cargo = Cargo {
            direction,
            client,
            bytes: bytes.into(),
        };
        if let Some(again_at) = again_at
            && self.flights.begin(again_at, cargo.clone()).is_err()
        {
            lane.counts.lost += 1;
        }
        if self.flights.begin(at, cargo).is_err() {
            lane.counts.lost += 1;
        }
    }

    fn deliver(&mut self, cargo: &Cargo) {
        let sent = match cargo.direction {
            Direction::FromTarget => self.front.send_to(&cargo.bytes, cargo.client),
            Direction::ToTarget => self
                .port(cargo.client)
                .and_then(|port| send(port, &cargo.bytes)),
        };
        let mut state = self.shared.state();
        let counts = &mut state.lane(cargo.direction).counts;
        match sent {
            Ok(_) => counts.sent_on += 1,
            // There is no way there, or nobody listens: for a datagram that is the same.
            Err(_) => counts.lost += 1,
        }
    }

    /// The client's port towards the target.
    fn port(&mut self, client: SocketAddr) -> io::Result<&UdpSocket> {
        // Looked at here too: what was sent after the test has said so must not leave by an old port.
        self.leave_ports();
        if !self.clients.contains_key(&client) {
            if self.clients.len() >= CLIENTS_MAX {
                let silent = self.clients.iter().min_by_key(|(_, client)| client.heard);
                let silent = silent.map(|(address, _)| *address);
                silent.and_then(|silent| self.clients.remove(&silent));
            }
            let target = self.shared.state().target;
            let any: SocketAddr = match target {
                SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
            };
            let port = UdpSocket::bind(any)?;
            port.set_nonblocking(true)?;
            port.connect(target)?;
            let heard = Instant::now();
            self.clients.insert(client, Client { port, heard });
        }
        let known = self.clients.get_mut(&client).expect("it was just put in");
        known.heard = Instant::now();
        Ok(&known.port)
    }
}

/// Sends on a connected socket. That an earlier datagram has found nobody is told in the place of sending this one.
fn send(port: &UdpSocket, bytes: &[u8]) -> io::Result<usize> {
    match port.send(bytes) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => port.send(bytes),
        sent => sent,
    }
}
