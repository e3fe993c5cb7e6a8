//! Several machines on this one: network namespaces, each with a cable to a switch.
//!
//! A [`Network`] has a switch and [`Host`]s. A host has a network card with an IPv4 and an IPv6 address; its cable
//! can be pulled, its card set down, its address changed, and what it sends to another host can be made to get lost
//! on the way. Programs are started in it, and sockets made in it, by threads that are in it.
//!
//! Nothing has a name outside: a namespace is there for as long as the test has it open, so that a test which is
//! killed leaves no network behind. Programs that such a test has left running are ended by the next one.

mod allowed;
mod host;
mod leftovers;
mod namespace;
mod network;

pub use host::Host;
pub use network::Network;
