//! Joins the server with the statistics of a run, or of an agent.

use std::io;
use std::sync::Arc;

use super::answers::{Look, Page};
use super::listen::MetricsListener;
use super::server::{HttpServer, serve};
use crate::statistics::beat::Listener;
use crate::statistics::metrics::Facts;
use crate::statistics::source::Source;

/// Lets programs read what is published, until what is returned is dropped.
///
/// # Errors
///
/// When the system gives no thread, or no event loop.
pub(crate) fn show_metrics(listener: MetricsListener, source: Source) -> io::Result<HttpServer> {
    let listens = Arc::new(Listener::new(source.beat.clone()));
    let hears = Arc::clone(&listens);
    let look: Look = Arc::new(move |page| {
        if page == Page::Metrics {
            source.readers.read_now_and_then();
        }
        Facts {
            snapshot: Arc::clone(&source.snapshots.borrow()),
            uptime: source.began.elapsed(),
            beat_age: hears.silence(),
        }
    });
    serve(listener, look, move || listens.listens())
}
