//! How a fake Hub is set up.

use std::time::Duration;

/// How many files a page of `/tree` lists when nothing else is said; the Hub's own number.
pub const PAGE_FILES: usize = 1000;

/// How a fake Hub is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The port of the hub on loopback; 0: any that is free.
    pub port: u16,
    /// Whether what it says can be read on the way.
    pub encryption: Encryption,
    /// How many files and folders a page of `/tree` lists, at most.
    pub page_files: usize,
    /// What is said about a repository.
    pub information: Information,
    /// How long a link to the CDN works. `None`: until [`expire_links`](super::FakeHub::expire_links).
    pub link_lifetime: Option<Duration>,
    /// How fast each answer's body is sent, at most.
    pub bytes_per_second: Option<u64>,
    /// Tokens that are somebody's, besides those that repositories name. Any other one is refused.
    pub tokens: Vec<String>,
}

impl Default for Settings {
    /// As the Hub is, but plain, on any port.
    fn default() -> Settings {
        Settings {
            port: 0,
            encryption: Encryption::Plain,
            page_files: PAGE_FILES,
            information: Information::Whole,
            link_lifetime: None,
            bytes_per_second: None,
            tokens: Vec::new(),
        }
    }
}

/// What is said about a repository when `?blobs=true` asks for lengths and hashes of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Information {
    /// All that is asked for.
    Whole,
    /// Names of files alone, as mirrors do that do not know the question: `/tree` has the rest.
    Names,
}

/// How clients talk to the hub and to the CDN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// `http://`
    Plain,
    /// `https://`, with a certificate of an authority of its own: see
    /// [`FakeHub::authority`](super::FakeHub::authority).
    Tls,
}
