//! How many callers may be in the handshake: a flood of them must not keep others out.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use super::settings::NetworkLimits;

/// Who is counted together: a machine, as far as an address tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// Exactly where a peer of the file listens. It has room of its own.
    Listed(SocketAddr),
    /// An address; of IPv6 the half that a machine does not choose.
    Address(IpAddr),
}

#[derive(Debug, Default)]
struct Counts {
    strangers: usize,
    origins: BTreeMap<Origin, usize>,
}

/// Counts the callers that are in the handshake.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate(Arc<Mutex<Counts>>);

/// A caller's place. Dropping it makes room.
#[derive(Debug)]
pub(super) struct Place {
    gate: Gate,
    origin: Origin,
}

impl Gate {
    /// A place for a caller; `None` when too many are there. `listed` says whether a peer listens at that address.
    pub(super) fn enter(
        &self,
        from: SocketAddr,
        listed: bool,
        limits: &NetworkLimits,
    ) -> Option<Place> {
        let origin = if listed {
            Origin::Listed(from)
        } else {
            Origin::Address(machine(from.ip()))
        };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !listed && counts.strangers >= limits.handshakes_max {
            return None;
        }
        let here = counts.origins.entry(origin).or_default();
        if *here >= limits.handshakes_per_address_max {
            return None;
        }
        *here += 1;
        counts.strangers += usize::from(!listed);
        Some(Place {
            gate: self.clone(),
            origin,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.gate.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = counts.origins.get_mut(&self.origin) {
            *here -= 1;
            if *here == 0 {
                counts.origins.remove(&self.origin);
            }
        }
        if matches!(self.origin, Origin::Address(_)) {
            counts.strangers -= 1;
        }
    }
}

/// Of IPv6, the network that a machine is in: it has 2⁶⁴ addresses to itself.
fn machine(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_flood_from_one_machine_keeps_nobody_else_out() {
        let limits = NetworkLimits {
            handshakes_max: 5,
            handshakes_per_address_max: 3,
            ..NetworkLimits::default()
        };
        let gate = Gate::default();
        let enter = |from: &str, listed| gate.enter(at(from), listed, &limits);
        let flood: Vec<_> = (1..100)
            .filter_map(|port| enter(&format!("10.0.0.1:{port}"), false))
            .collect();
        assert_eq!(flood.len(), 3);
        let of_network: Vec<_> = (1..100)
            .filter_map(|host| enter(&format!("[2001:db8::{host:x}]:1"), false))
            .collect();
        assert_eq!(of_network.len(), 2, "all callers together are limited too");
        assert!(enter("10.0.0.3:1", false).is_none());
        let peer = enter("10.0.0.1:50051", true);
        assert!(peer.is_some(), "a peer on the same machine has its room");
        drop(flood);
        assert!(enter("10.0.0.1:9", false).is_some());
        drop((of_network, peer));
        let counts = gate.0.lock().unwrap();
        assert_eq!((counts.strangers, counts.origins.len()), (0, 0));
    }
}
