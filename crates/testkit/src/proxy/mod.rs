//! A bad network between two programs on one machine: a proxy of UDP that delays, loses, doubles and reorders
//! datagrams, lets them through in one direction alone, and moves its port as a router does that forgets.
//!
//! It stands in front of one program (the _target_). Whoever is to reach that one through the bad network sends to
//! [`UdpProxy::address`] instead. Each client has a port of its own towards the target, as behind a router.
//!
//! ```
//! use std::net::UdpSocket;
//! use std::time::Duration;
//!
//! use dataflow_testkit::proxy::{Direction, UdpProxy, Weather};
//!
//! # fn main() -> std::io::Result<()> {
//! let server = UdpSocket::bind("127.0.0.1:0")?;
//! let proxy = UdpProxy::start("127.0.0.1:0".parse().unwrap(), server.local_addr()?, 1)?;
//! proxy.set_weather(Direction::ToTarget, Weather {
//!     delay: Duration::from_millis(5),
//!     ..Weather::GOOD
//! });
//!
//! let client = UdpSocket::bind("127.0.0.1:0")?;
//! client.send_to(b"hello", proxy.address())?;
//! let mut bytes = [0; 16];
//! let (count, from) = server.recv_from(&mut bytes)?;
//! assert_eq!(&bytes[..count], b"hello");
//! assert_ne!(from, client.local_addr()?);
//! # Ok(())
//! # }
//! ```

mod flight;
mod forward;
mod udp;
mod weather;

pub use udp::{Counts, Direction, UdpProxy};
pub use weather::Weather;
