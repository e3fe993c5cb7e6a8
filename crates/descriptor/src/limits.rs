//! The limits of a description. Each has a diagnostic that names it.

use std::time::Duration;

/// The largest description read, in bytes.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// The deepest nesting of lists and mappings.
pub const DEPTH_MAX: usize = 32;
/// The most values in a description, after its aliases are expanded.
pub const VALUES_MAX: usize = 250_000;
/// How many of them aliases may stand for. A few lines can ask for any number, and each costs time.
pub const ALIASED_VALUES_MAX: usize = 50_000;
/// The most nodes in a dataflow.
pub const NODES_MAX: usize = 1_000;
/// The most edges in a dataflow.
pub const EDGES_MAX: usize = 10_000;
/// The most models in a dataflow.
pub const MODELS_MAX: usize = 100;
/// The most patterns of files that a model may have.
pub const PATTERNS_MAX: usize = 100;
/// The most diagnostics reported for one description; what follows is usually an echo of the first ones.
pub const DIAGNOSTICS_MAX: usize = 200;

/// The longest queue of an edge, in messages. The data plane's limit of the same name.
pub const QUEUE_SIZE_MAX: u32 = 16_384;
/// The queue of an edge that does not say, in messages.
pub const QUEUE_SIZE_DEFAULT: u32 = 10;
/// The most messages that a receiver may hold of one edge. The data plane's limit of the same name.
pub const HELD_MAX: u32 = 4_096;
/// The messages that a receiver may hold of an edge that does not say.
pub const HELD_DEFAULT: u32 = 64;
/// The longest time a receiver may spin before it sleeps.
pub const SPIN_MAX: Duration = Duration::from_millis(100);

/// The shortest period of a timer.
pub const TIMER_MIN: Duration = Duration::from_micros(100);
/// The longest period of a timer.
pub const TIMER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The most restarts that a window may allow.
pub const RESTARTS_MAX: u32 = 1_000_000;
/// The shortest window in which restarts are counted.
pub const RESTART_WINDOW_MIN: Duration = Duration::from_secs(1);
/// The longest window in which restarts are counted.
pub const RESTART_WINDOW_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The shortest wait before a restart.
pub const BACKOFF_MIN: Duration = Duration::from_millis(1);
/// The longest wait before a restart.
pub const BACKOFF_MAX: Duration = Duration::from_secs(60 * 60);

/// The most memory a node's outputs may share, in MB of 1024 × 1024 bytes.
pub const OUTPUT_MEMORY_MB_MAX: u64 = 1024 * 1024;
/// The most memory a node may require, in GB of 1024³ bytes.
pub const REQUIRED_MEMORY_GB_MAX: u64 = 64 * 1024;

/// The most peers in a file.
pub const PEERS_MAX: usize = 1_000;
/// The most fingerprints of a peer: the one that it has, and the one that takes its place.
pub const FINGERPRINTS_MAX: usize = 2;
/// The most memory that a peer may declare, in GB of 1024³ bytes.
pub const CAPABILITY_MEMORY_GB_MAX: u64 = REQUIRED_MEMORY_GB_MAX;
/// The most logical processors that a peer may declare.
pub const CAPABILITY_CPUS_MAX: u32 = 65_536;
/// The most labels that a peer may declare.
pub const LABELS_MAX: usize = 64;
/// The longest label, and the longest value of one, in bytes.
pub const LABEL_BYTES_MAX: usize = 256;
/// The shortest time between two probes of a peer.
pub const PROBE_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// The longest time between two probes of a peer.
pub const PROBE_INTERVAL_MAX: Duration = Duration::from_secs(60 * 60);
/// The shortest time that an answer to a probe may take.
pub const PROBE_TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// The longest time that an answer to a probe may take.
pub const PROBE_TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// The most misses in a row before a peer is unreachable.
pub const UNREACHABLE_AFTER_MAX: u32 = 1_000;
