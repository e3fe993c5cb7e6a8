//! Models on virtual time: the service that fetches them, and runs whose nodes wait for them.

mod runs;
mod service;
mod support;
