//! The clock that messages are stamped with.

pub use dataflow_shm::monotonic_now_ns;
