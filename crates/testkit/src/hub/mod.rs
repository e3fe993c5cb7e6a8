//! A Hub on loopback that speaks what `huggingface.co` speaks today.
//!
//! It runs on threads of its own, beside any runtime and any clock, and serves repositories that a test describes
//! ([`Repository`]), from memory or from a folder. Two listeners, as in the world: the hub, which knows tokens, and
//! the CDN, which must never see one. Small files lie in git and come from the hub after a relative redirect; large
//! ones lie in large file storage and come from the CDN, by links that expire. Hashes of blobs, trees and commits are
//! real.
//!
//! It writes down every request, and what it has sent of which file, so a test can say "one transfer".
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//!
//! use dataflow_testkit::hub::{FakeHub, Repository, Stage};
//!
//! let repository = Repository::model("acme/tiny-detector")
//!     .file("config.json", b"{}")
//!     .large_file("model.safetensors", vec![7; 100_000]);
//! let commit = repository.commit();
//! let hub = FakeHub::start([repository])?;
//!
//! // A client: `HF_ENDPOINT` is `hub.endpoint()`.
//! let address = hub.endpoint().replace("http://", "");
//! let mut stream = TcpStream::connect(address)?;
//! stream.write_all(b"GET /api/models/acme/tiny-detector HTTP/1.1\r\nConnection: close\r\n\r\n")?;
//! let mut answer = String::new();
//! stream.read_to_string(&mut answer)?;
//!
//! assert!(answer.starts_with("HTTP/1.1 200 OK"));
//! assert!(answer.contains(&commit));
//! assert_eq!(hub.requests()[0].stage, Stage::Information);
//! assert!(hub.transfers("model.safetensors").is_empty());
//! assert!(hub.violations().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! And it is as nasty as the world: [`FakeHub::script`] lets each answer go wrong in one of the ways of [`Fault`], the
//! first time, each time or whenever a test wants.
//!
//! From a terminal, a folder is served so:
//!
//! ```text
//! cargo run -p dataflow-testkit --example fake_hub -- --repo acme/tiny-detector=FOLDER
//! ```

mod answer;
mod cdn;
mod connection;
mod content;
mod date;
mod delivery;
mod fake;
mod fault;
mod files;
mod git;
mod gzip;
mod listing;
mod record;
mod repository;
mod request;
mod routes;
mod script;
mod sending;
mod settings;
mod shared;
mod stream;
mod tls;
mod wrong;

pub use content::Content;
pub use fake::{FakeHub, FakeHubError};
pub use fault::{Attempts, Ending, Fault, Place, RetryAfter, WrongRange};
pub use record::{Listener, Request, Stage};
pub use repository::{Repository, Storage};
pub use settings::{Encryption, Information, PAGE_FILES, Settings};
pub use tls::TlsError;
