//! What this machine has for nodes. Asked once, before a run begins.

use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};
use std::path::Path;

use dataflow_core::placement::Capabilities;
use dataflow_descriptor::{PeerCapabilities, ThisMachine};
use dataflow_ids::PeerId;

/// The part of the machine's memory that the outputs of one node may take, unless the description says.
const MEMORY_SHARE: u64 = 4;
/// What they may take when nothing tells how much memory there is, in bytes.
const MEMORY_FALLBACK_BYTES: u64 = 1024 * 1024 * 1024;

/// What the outputs of a node may take that says nothing about it, in bytes.
pub(crate) fn output_memory_bytes() -> u64 {
    dataflow_shm::memory_total_bytes().map_or(MEMORY_FALLBACK_BYTES, |total| total / MEMORY_SHARE)
}

/// What this machine has.
#[must_use]
pub fn capabilities() -> Capabilities {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    Capabilities {
        memory_bytes: dataflow_shm::memory_total_bytes().unwrap_or(0),
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
        gpu: has_gpu(),
        labels: BTreeMap::new(),
    }
}

/// What this machine offers as a peer: what its owner has declared, and what it has where nothing is said.
#[must_use]
pub fn offered(declared: &PeerCapabilities) -> Capabilities {
    let found = capabilities();
    Capabilities {
        memory_bytes: declared.memory_bytes.unwrap_or(found.memory_bytes),
        cpus: declared.cpus.unwrap_or(found.cpus),
        gpu: declared.gpu.unwrap_or(found.gpu),
        labels: declared.labels.clone(),
    }
}

/// What is compared with a file of peers in which this machine is `id`.
#[must_use]
pub fn as_peer(id: PeerId) -> ThisMachine<'static> {
    let found = capabilities();
    ThisMachine {
        id,
        memory_bytes: dataflow_shm::memory_total_bytes(),
        cpus: Some(found.cpus),
        gpu: Some(found.gpu),
        has_address: &has_address,
    }
}

/// Whether an address is one of this machine's: the system lets a socket have it. Nothing is sent.
#[must_use]
pub fn has_address(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// Whether a driver for computing has put its device where the common ones do.
fn has_gpu() -> bool {
    ["/dev/nvidia0", "/dev/kfd"]
        .iter()
        .any(|device| Path::new(device).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_this_machine_is_told_from_another() {
        assert!(has_address([127, 0, 0, 1].into()));
        // Set apart for documentation: nobody has it.
        assert!(!has_address([203, 0, 113, 7].into()));
    }

    #[test]
    fn what_is_declared_counts_and_the_rest_is_found() {
        let declared = PeerCapabilities {
            memory_bytes: Some(1 << 30),
            labels: [("room".to_owned(), "lab".to_owned())].into(),
            ..PeerCapabilities::default()
        };
        let found = capabilities();
        let expected = Capabilities {
            memory_bytes: 1 << 30,
            labels: declared.labels.clone(),
            ..found
        };
        assert_eq!(offered(&declared), expected);
    }
}
