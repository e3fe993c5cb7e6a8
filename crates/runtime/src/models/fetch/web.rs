//! Requests: redirects are followed by hand, and the token never leaves the Hub.
//!
//! - `Authorization` goes to the origin of the Hub only: scheme, host and port.
//! - From https never to http; ten redirects at most, and to no place twice.
//! - So many requests at once, and no more: an answer holds its place until it is dropped.
//! - Nothing waits for ever: an answer's head, and each piece of its body, comes within the stall time.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION, RANGE,
};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::limits::FetchLimits;
use super::patience::{Failure, Setback};
use super::refusal::shown;
use crate::models::error::ModelError;

const REDIRECTS_MAX: usize = 10;
/// A redirect's own body is read up to here, so that its connection can be used again.
const REDIRECT_BODY_MAX: u64 = 16 << 10;

/// Who sends requests.
#[derive(Debug)]
pub(super) struct Web {
    client: Client,
    hub: Url,
    authorization: Option<HeaderValue>,
    places: Arc<Semaphore>,
    limits: FetchLimits,
}

/// An answer whose head has come.
#[derive(Debug)]
pub(super) struct Answer {
    response: Response,
    /// Host and port of who answers.
    pub(super) host: String,
    /// Whether the Hub answers, and not whom it sends us to.
    pub(super) is_hub: bool,
    /// What the Hub says about a large file when it sends us away: `X-Linked-Etag`, `X-Linked-Size`.
    pub(super) linked_etag: Option<String>,
    pub(super) linked_size: Option<u64>,
    limits: FetchLimits,
    _place: OwnedSemaphorePermit,
}

impl Web {
    /// Who sends requests to the Hub at `endpoint`.
    ///
    /// # Errors
    ///
    /// The endpoint is no URL, the token no header, or the system's certificates cannot be read.
    pub(super) fn new(
        endpoint: &str,
        token: Option<&str>,
        limits: FetchLimits,
    ) -> Result<Web, ModelError> {
        let bad = |why: String| ModelError::BadAnswer {
            host: shown(endpoint).chars().take(80).collect(),
            why,
        };
        let hub = Url::parse(endpoint).map_err(|error| bad(format!("it is no URL: {error}")))?;
        if !is_web(&hub) || hub.host_str().is_none() {
            return Err(bad("it is no URL of http or https".to_owned()));
        }
        let authorization = token
            .map(|secret| {
                let mut value = HeaderValue::from_str(&format!("Bearer {secret}"))
                    .map_err(|_| bad("the token has characters that no token has".to_owned()))?;
                value.set_sensitive(true);
                Ok::<_, ModelError>(value)
            })
            .transpose()?;
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // One transfer a connection: nobody's slowness holds up another, and the limit of connections means something.
            .http1_only()
            .connect_timeout(limits.connect)
            .user_agent(concat!("dataflow/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| bad(said(&error)))?;
        Ok(Web {
            client,
            hub,
            authorization,
            places: Arc::new(Semaphore::new(limits.connections.max(1))),
            limits,
        })
    }

    /// Host and port of the Hub.
    pub(super) fn hub_host(&self) -> String {
        host_of(&self.hub)
    }

    /// Asks for `url`, follows where it is sent to, and gives the first answer that is no redirect.
    ///
    /// # Errors
    ///
    /// Nobody answers, or a redirect leads where we do not go.
    pub(super) async fn get(&self, url: Url, range: Option<&str>) -> Result<Answer, Failure> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| ModelError::Cancelled)?;
        let (mut linked_etag, mut linked_size) = (None, None);
        let mut visited = vec![url];
        loop {
            let url = visited.last().cloned().unwrap_or_else(|| self.hub.clone());
            let host = host_of(&url);
            let is_hub = self.is_hub(&url);
            let response = self.send(url.clone(), range).await?;
            if is_hub {
                let text = |name: &'static str| text(response.headers(), name);
                linked_etag = linked_etag.or(text("x-linked-etag").map(str::to_owned));
                linked_size = linked_size.or(text("x-linked-size").and_then(|n| n.parse().ok()));
            }
            let Some(location) = location(&response) else {
                return Ok(Answer {
                    response,
                    host,
                    is_hub,
                    linked_etag,
                    linked_size,
                    limits: self.limits,
                    _place: place,
                });
            };
            let next = next_place(&visited, &location).map_err(|why| ModelError::BadAnswer {
                host: host.clone(),
                why,
            })?;
            visited.push(next);
            self.read_to_the_end(response).await;
        }
    }

    async fn send(&self, url: Url, range: Option<&str>) -> Result<Response, Setback> {
        let host = host_of(&url);
        let mut request = self.client.get(url.clone());
        // What is hashed is the file itself, so it must come as it is.
        request = request.header(ACCEPT_ENCODING, "identity");
        if let Some(range) = range {
            request = request.header(RANGE, range);
        }
        if let Some(authorization) = self.authorization.as_ref().filter(|_| self.is_hub(&url)) {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        match timeout(self.limits.stall, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(Setback::gone(&host, said(&error))),
            Err(_) => Err(Setback::gone(
                &host,
                format!("no answer for {:?}", self.limits.stall),
            )),
        }
    }

    fn is_hub(&self, url: &Url) -> bool {
        url.origin() == self.hub.origin()
    }

    /// So that the connection can be used again. Whether that works does not matter.
    async fn read_to_the_end(&self, mut response: Response) {
        if response
            .content_length()
            .is_some_and(|length| length <= REDIRECT_BODY_MAX)
        {
            let read = async { while let Ok(Some(_)) = response.chunk().await {} };
            let _ = timeout(self.limits.stall.min(SHORT), read).await;
        }
    }
}

const SHORT: std::time::Duration = std::time::Duration::from_secs(1);

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// A header's value, if it is there and a text.
    pub(super) fn header(&self, name: &'static str) -> Option<&str> {
        text(self.response.headers(), name)
    }

    /// The length that its `Content-Length` says.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    ///
    /// The connection broke, or nothing came for the stall time.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, Setback> {
        match timeout(self.limits.stall, self.response.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => Err(Setback::gone(&self.host, said(&error))),
            Err(_) => Err(Setback::gone(
                &self.host,
                format!("no byte for {:?}", self.limits.stall),
            )),
        }
    }

    /// The whole body, when it is short.
    ///
    /// # Errors
    ///
    /// As [`piece`](Self::piece), or it has more than `bytes_max`.
    pub(super) async fn body(mut self, bytes_max: usize) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await? {
            if body.len() + piece.len() > bytes_max {
                return Err(Failure::Final(ModelError::BadAnswer {
                    host: self.host,
                    why: format!("its answer has more than {bytes_max} bytes"),
                }));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }
}

/// Where it sends us, if it does.
fn location(response: &Response) -> Option<String> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

/// The place that `location` means for who was at the last of `visited`, if we go there.
fn next_place(visited: &[Url], location: &str) -> Result<Url, String> {
    let from = visited.last().ok_or("no place to come from")?;
    let next = from
        .join(location)
        .map_err(|error| format!("it sends us to what is no URL: {error}"))?;
    if !is_web(&next) {
        return Err(format!("it sends us to `{}:`", next.scheme()));
    }
    if from.scheme() == "https" && next.scheme() != "https" {
        return Err(format!(
            "it sends us from https to plain http, at {}",
            host_of(&next)
        ));
    }
    if visited.contains(&next) {
        return Err(format!("it sends us in a circle, by {}", host_of(&next)));
    }
    if visited.len() > REDIRECTS_MAX {
        return Err(format!("it sends us on more than {REDIRECTS_MAX} times"));
    }
    Ok(next)
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

/// Host and port, without what may be secret in a URL.
pub(super) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<&'a str> {
    headers
        .get(HeaderName::from_static(name))
        .and_then(|value| value.to_str().ok())
}

/// What an error says, down to its cause, and without the URL: links to a CDN are as good as keys.
fn said(error: &reqwest::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    let what = if error.is_connect() {
        "cannot connect: "
    } else if error.is_body() || error.is_decode() {
        "the connection broke: "
    } else {
        ""
    };
    if std::ptr::addr_eq(deepest, error) {
        return "the request failed".to_owned();
    }
    format!("{what}{deepest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(texts: &[&str]) -> Vec<Url> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn redirects_go_on_to_the_web_and_never_down_to_plain_http() {
        let hub = urls(&["https://hub.example/a/resolve/x/f"]);
        let to = |location| next_place(&hub, location).map(|url| url.to_string());
        assert_eq!(
            to("/api/resolve-cache/f").unwrap(),
            "https://hub.example/api/resolve-cache/f"
        );
        assert_eq!(
            to("https://cdn.example/f?key=1").unwrap(),
            "https://cdn.example/f?key=1"
        );
        assert!(
            to("http://cdn.example/f")
                .unwrap_err()
                .contains("plain http")
        );
        assert!(to("file:///etc/passwd").unwrap_err().contains("`file:`"));
        assert!(to("https://[").unwrap_err().contains("no URL"));
        let plain = urls(&["http://127.0.0.1:1/f"]);
        assert!(next_place(&plain, "http://127.0.0.1:2/f").is_ok());
    }

    #[test]
    fn redirects_go_to_no_place_twice_and_ten_times_at_most() {
        let circle = urls(&["http://a/1", "http://a/2"]);
        assert!(next_place(&circle, "/1").unwrap_err().contains("circle"));
        assert!(next_place(&circle, "/2").unwrap_err().contains("circle"));
        let mut visited = urls(&["http://a/0"]);
        for number in 1..=REDIRECTS_MAX {
            let next = next_place(&visited, &format!("/{number}")).unwrap();
            visited.push(next);
        }
        assert!(next_place(&visited, "/x").unwrap_err().contains("10 times"));
    }
}
