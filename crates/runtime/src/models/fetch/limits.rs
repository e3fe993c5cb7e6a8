//! How much is fetched at once, how fast, and how long is waited for what.

use std::time::Duration;

use dataflow_core::models::RetryRules;

/// The limits of a fetcher, over all that it fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchLimits {
    /// Files that are transferred at the same time.
    pub files: usize,
    /// Requests that go on at the same time, those for files included.
    pub connections: usize,
    /// Bytes of files a second, over all transfers. `None`: as many as come.
    pub bytes_per_second: Option<u64>,
    /// So long nothing may come, neither the head of an answer nor a byte, before a connection counts as dead. There is
    /// no limit for a transfer as a whole.
    pub stall: Duration,
    /// How long connecting may take, TLS included.
    pub connect: Duration,
    /// How often, and after how long, something is tried again.
    pub retry: RetryRules,
    /// Bytes that a listing, or a page of one, may have.
    pub listing_bytes_max: usize,
    /// Files that a repository may have.
    pub listing_files_max: usize,
}

impl Default for FetchLimits {
    fn default() -> Self {
        FetchLimits {
            files: 4,
            connections: 8,
            bytes_per_second: None,
            stall: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            retry: RetryRules::default(),
            listing_bytes_max: 64 << 20,
            listing_files_max: 200_000,
        }
    }
}
