//! A switch, and the hosts that are plugged into it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::allowed::is_allowed;
use super::host::Host;
use super::leftovers::end_leftovers;
use super::namespace::Namespace;

/// A network of its own: nothing leads out of it.
#[derive(Debug)]
pub struct Network {
    switch: Arc<Namespace>,
    plugged: AtomicU8,
}

impl Network {
    /// A network without hosts; `None`, said loudly, where the machine does not let us make one. `test` is what is
    /// skipped then.
    ///
    /// # Panics
    ///
    /// When it cannot be made although the machine has let us make others.
    #[must_use]
    pub fn new(test: &str) -> Option<Network> {
        if !is_allowed(test) {
            return None;
        }
        end_leftovers();
        let switch = Namespace::new().expect("another one could be made");
        for command in [
            "link add switch type bridge forward_delay 0 mcast_snooping 0",
            "link set switch up",
        ] {
            switch.ip(command).unwrap_or_else(|error| panic!("{error}"));
        }
        Some(Network {
            switch: Arc::new(switch),
            plugged: AtomicU8::new(0),
        })
    }

    /// A new host, plugged in: `10.77.0.N` and `fd77::N`, counted from 1.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    pub fn host(&self) -> Host {
        let number = self.plugged.fetch_add(1, Ordering::Relaxed) + 1;
        let v4 = Ipv4Addr::new(10, 77, 0, number);
        let v6 = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, number.into());
        Host::plugged_into(&self.switch, number, v4, v6)
    }
}
