//! What this machine has for nodes. Asked once, before a run begins.

use std::collections::BTreeMap;
use std::path::Path;

use dataflow_core::placement::Capabilities;
use dataflow_descriptor::PeerCapabilities;

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

/// Whether a driver for computing has put its device where the common ones do.
fn has_gpu() -> bool {
    ["/dev/nvidia0", "/dev/kfd"]
        .iter()
        .any(|device| Path::new(device).exists())
}
