//! The proxy as a test holds it: its weather, its counts, its end.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::event::{EventfdFlags, eventfd};

use super::forward::Forwarder;
use super::weather::{Sky, Weather};

/// Which way a datagram goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From a client to the program that the proxy stands in front of.
    ToTarget,
    /// From that program to a client.
    FromTarget,
}

/// What has become of the datagrams of one direction. All of them only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Those that came to the proxy.
    pub came: u64,
    /// Those that it has sent on, doubles counted too.
    pub sent_on: u64,
    /// Those that the weather took, or that found the proxy full.
    pub lost: u64,
    /// Those that arrived twice, or are going to.
    pub doubled: u64,
    /// Those that were held back.
    pub held_back: u64,
}

/// What the test and the proxy's thread share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// Readable when the thread should look at the state.
    pub(super) wake: OwnedFd,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) target: SocketAddr,
    pub(super) to_target: Lane,
    pub(super) from_target: Lane,
    /// How often the ports towards the target were left.
    pub(super) rebound: u64,
    pub(super) is_ending: bool,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) sky: Sky,
    pub(super) counts: Counts,
}

impl State {
    pub(super) fn lane(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::ToTarget => &mut self.to_target,
            Direction::FromTarget => &mut self.from_target,
        }
    }
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        // A counter that is full cannot be more readable.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

/// A proxy in front of one program, on a thread of its own. It ends when it is dropped.
#[derive(Debug)]
pub struct UdpProxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl UdpProxy {
    /// A proxy at `front` (port 0 for any) that sends on to `target` and back, in good weather. One `seed` gives one
    /// sequence of luck.
    ///
    /// Its sockets and its thread are made in the network namespace of the thread that calls this.
    ///
    /// # Errors
    ///
    /// When it cannot listen there, or there is no thread.
    pub fn start(front: SocketAddr, target: SocketAddr, seed: u64) -> io::Result<UdpProxy> {
        let front = UdpSocket::bind(front)?;
        let address = front.local_addr()?;
        let lane = |seed| Lane {
            sky: Sky::new(seed),
            counts: Counts::default(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                target,
                to_target: lane(seed),
                from_target: lane(!seed),
                rebound: 0,
                is_ending: false,
            }),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        });
        let mut forwarder = Forwarder::new(front, Arc::clone(&shared))?;
        let thread = thread::Builder::new()
            .name("udp-proxy".to_owned())
            .spawn(move || forwarder.run())?;
        Ok(UdpProxy {
            shared,
            address,
            thread: Some(thread),
        })
    }

    /// Where clients send to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the weather of this direction is another. What is on its way already arrives as it would have.
    pub fn set_weather(&self, direction: Direction, weather: Weather) {
        self.shared
            .change(|state| state.lane(direction).sky.weather = weather);
    }

    /// As [`UdpProxy::set_weather`], for both directions.
    pub fn set_weather_both_ways(&self, weather: Weather) {
        self.set_weather(Direction::ToTarget, weather);
        self.set_weather(Direction::FromTarget, weather);
    }

    /// The program is somewhere else now. What is on its way goes there too.
    pub fn set_target(&self, target: SocketAddr) {
        self.shared.change(|state| {
            state.target = target;
            state.rebound += 1;
        });
    }

    /// Leaves the ports towards the target, as a router does that has forgotten its clients: what they send next
    /// comes from new ports, and what the target sends to the old ones is lost.
    pub fn rebind(&self) {
        self.shared.change(|state| state.rebound += 1);
    }

    /// What has become of the datagrams of one direction.
    #[must_use]
    pub fn counts(&self, direction: Direction) -> Counts {
        self.shared.state().lane(direction).counts
    }
}

impl Drop for UdpProxy {
    fn drop(&mut self) {
        self.shared.change(|state| state.is_ending = true);
        let ended = self.thread.take().map(JoinHandle::join);
        if matches!(ended, Some(Err(_))) && !thread::panicking() {
            panic!("the thread of the proxy at {} has panicked", self.address);
        }
    }
}
