//! Joins the server with the statistics of a run, or of an agent.

use std::io;
use std::sync::Arc;
use std::time::Duration;

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
    let (look, turn) = watching(source);
    serve(listener, look, turn)
}

/// How one looks at a source, and what is to be called once a second by whoever looks.
fn watching(source: Source) -> (Look, impl Fn() + Send + 'static) {
    let control = Arc::new(Listener::new(source.beat.clone()));
    let published = Arc::new(Listener::new(source.published.clone()));
    let (hears_control, hears_published) = (Arc::clone(&control), Arc::clone(&published));
    let look: Look = Arc::new(move |page| {
        if page == Page::Metrics {
            source.readers.read_now_and_then();
        }
        let snapshot = Arc::clone(&source.snapshots.borrow());
        // After the last one, none is missing.
        let snapshot_age = match source.snapshots.has_changed() {
            Ok(_) => hears_published.silence(),
            Err(_) => Duration::ZERO,
        };
        Facts {
            snapshot,
            snapshot_age,
            uptime: source.began.elapsed(),
            beat_age: hears_control.silence(),
        }
    });
    let turn = move || {
        control.listens();
        published.listens();
    };
    (look, turn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Publisher;
    use crate::statistics::beat::LISTENS_EVERY;
    use crate::statistics::metrics::tests::{book, facts};

    #[tokio::test(start_paused = true)]
    async fn a_snapshot_is_as_old_as_its_publishing_and_what_is_published_unchanged_is_new() {
        let snapshot = facts(&mut book(&[])).snapshot;
        let publisher = Publisher::new(Arc::clone(&snapshot));
        let source = publisher.source().clone();
        let (look, turn) = watching(source.clone());
        let ages = || {
            let facts = look(Page::Health);
            (facts.snapshot_age.as_secs(), facts.beat_age.as_secs())
        };
        // The control loop lives, and whoever publishes is stuck.
        for _ in 0..12 {
            tokio::time::advance(LISTENS_EVERY).await;
            turn();
            source.beat.lives();
        }
        assert_eq!(ages(), (12, 0));
        publisher.publish(Arc::clone(&snapshot));
        assert_eq!(ages(), (0, 0));
        // The process was stopped.
        tokio::time::advance(LISTENS_EVERY * 20).await;
        assert_eq!(ages(), (0, 0));
        turn();
        tokio::time::advance(LISTENS_EVERY).await;
        turn();
        assert_eq!(ages(), (1, 1));
        // Nothing follows: none is missing.
        publisher.end();
        tokio::time::advance(LISTENS_EVERY).await;
        assert_eq!(ages(), (0, 2));
    }
}
