//! What is answered to whom.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use tokio::time::Instant;

use super::health::Health;
use super::kept::Kept;
use crate::statistics::metrics::{Exporter, Facts, Format};

/// What somebody reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    /// All that is counted: whoever reads it does so again and again.
    Metrics,
    /// Whether the process lives.
    Health,
}

/// Gives what is known at this moment, at once, to be read like this.
pub(crate) type Look = Arc<dyn Fn(Page) -> Facts + Send + Sync>;

/// What all answers share.
struct Shared {
    look: Look,
    pages: Mutex<Pages>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

#[derive(Debug, Default)]
struct Pages {
    exporter: Exporter,
    open_metrics: Kept<Bytes>,
    classic: Kept<Bytes>,
}

/// Everything that there is to read.
pub(super) fn router(look: Look) -> Router {
    let pages = Mutex::default();
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .fallback(nothing)
        .with_state(Arc::new(Shared { look, pages }))
}

/// What every answer says about itself.
const HEADERS: [(header::HeaderName, &str); 2] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let format = format_for(&headers);
    let Some(page) = shared.page(format) else {
        return (StatusCode::INTERNAL_SERVER_ERROR, HEADERS).into_response();
    };
    let content_type = [(header::CONTENT_TYPE, format.content_type())];
    (HEADERS, content_type, page).into_response()
}

async fn health(State(shared): State<Arc<Shared>>) -> Response {
    let health = Health::of(&(shared.look)(Page::Health));
    let status = match health.is_well() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    (
        status,
        HEADERS,
        content_type,
        format!("{}\n", health.json()),
    )
        .into_response()
}

async fn nothing() -> Response {
    let text = "There is /metrics, for Prometheus, and /healthz.\n";
    (StatusCode::NOT_FOUND, HEADERS, text).into_response()
}

impl Shared {
    fn page(&self, format: Format) -> Option<Bytes> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let Pages {
            exporter,
            open_metrics,
            classic,
        } = &mut *pages;
        let kept = match format {
            Format::OpenMetrics => open_metrics,
            Format::Classic => classic,
        };
        let begins = Instant::now();
        if let Some(page) = kept.get(begins) {
            return Some(page);
        }
        let page = Bytes::from(exporter.page((self.look)(Page::Metrics), format)?);
        let ends = Instant::now();
        kept.put(ends, ends - begins, page.clone());
        Some(page)
    }
}

/// The format that a reader asks for. OpenMetrics is for whoever names it, or nothing in particular; programs that only
/// know the older one name that, and a browser shows it as text instead of storing it as a file.
fn format_for(headers: &HeaderMap) -> Format {
    let accepted: Vec<String> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .map(str::to_ascii_lowercase)
        .collect();
    let names = |what: &str| accepted.iter().any(|value| value.contains(what));
    let is_classic = !names("application/openmetrics-text") && names("text/");
    match is_classic {
        true => Format::Classic,
        false => Format::OpenMetrics,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_gets_the_format_that_it_names() {
        let for_accept = |accept: Option<&'static str>| {
            let values = accept.map(|accept| (header::ACCEPT, accept.parse().unwrap()));
            format_for(&values.into_iter().collect())
        };
        for accept in [
            None,
            Some("*/*"),
            Some("application/openmetrics-text;version=1.0.0"),
            Some(
                "Application/OpenMetrics-Text; version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ),
        ] {
            assert_eq!(for_accept(accept), Format::OpenMetrics, "{accept:?}");
        }
        for accept in [
            "text/plain",
            "text/plain;version=0.0.4;q=1,*/*;q=0.1",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        ] {
            assert_eq!(for_accept(Some(accept)), Format::Classic, "{accept}");
        }
    }
}
