//! The thread that answers, and its limits: what comes in may be anything.

use std::collections::VecDeque;
use std::time::Duration;
use std::{io, thread};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};

use super::answers::{Look, router};
use super::listen::MetricsListener;
use crate::statistics::beat::LISTENS_EVERY;

/// What the thread is called.
const THREAD: &str = "dataflow-http";
/// How long nobody is let in after the system had nothing left for a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// How much is given to whoever comes in.
#[derive(Debug, Clone, Copy)]
pub(super) struct HttpLimits {
    /// Connections at a time. When one more comes, the oldest ends: who answers quickly has long gone by then.
    pub(super) connections_max: usize,
    /// The bytes of a request.
    pub(super) request_bytes_max: usize,
    /// The lines of its head.
    pub(super) headers_max: usize,
    /// How long a request may take to come.
    pub(super) request_time_max: Duration,
    /// How long a connection lives: it is for one request and its answer.
    pub(super) connection_time_max: Duration,
}

impl Default for HttpLimits {
    fn default() -> HttpLimits {
        HttpLimits {
            connections_max: 32,
            request_bytes_max: 16 * 1024,
            headers_max: 64,
            request_time_max: Duration::from_secs(5),
            connection_time_max: Duration::from_secs(10),
        }
    }
}

/// A server of metrics. Dropped, it ends, and its port is free.
#[derive(Debug)]
pub(crate) struct HttpServer {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Answers on a thread of its own what `look` gives. `turn` is called there once in [`LISTENS_EVERY`].
///
/// # Errors
///
/// When the system gives no thread, or no event loop.
pub(crate) fn serve(
    listener: MetricsListener,
    look: Look,
    turn: impl Fn() + Send + 'static,
) -> io::Result<HttpServer> {
    serve_within(listener, look, turn, HttpLimits::default())
}

/// As [`serve`], with other limits.
pub(super) fn serve_within(
    listener: MetricsListener,
    look: Look,
    turn: impl Fn() + Send + 'static,
    limits: HttpLimits,
) -> io::Result<HttpServer> {
    let event_loop = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = {
        let _inside = event_loop.enter();
        TcpListener::from_std(listener.into_std())?
    };
    let (stop, stopped) = oneshot::channel();
    let thread = thread::Builder::new()
        .name(THREAD.to_owned())
        .spawn(move || {
            event_loop.block_on(async {
                tokio::select! {
                    () = let_in(listener, router(look), limits, stopped) => {}
                    () = take_turns(turn) => {}
                }
            })
        })?;
    Ok(HttpServer {
        stop: Some(stop),
        thread: Some(thread),
    })
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        // It hears of it when its sender goes.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("thread that answers over HTTP panicked");
        }
    }
}

/// Calls this again and again, without an end.
async fn take_turns(turn: impl Fn()) {
    loop {
        turn();
        tokio::time::sleep(LISTENS_EVERY).await;
    }
}

/// Lets in whoever comes, until it is stopped.
async fn let_in(
    listener: TcpListener,
    app: Router,
    limits: HttpLimits,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    let mut oldest: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let stream = tokio::select! {
            biased;
            _ = &mut stopped => return,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended
                    && error.is_panic()
                {
                    tracing::error!(%error, "answer over HTTP panicked");
                }
                oldest.retain(|connection| !connection.is_finished());
                continue;
            }
            stream = next(&listener) => stream,
        };
        if oldest.len() >= limits.connections_max
            && let Some(connection) = oldest.pop_front()
        {
            connection.abort();
        }
        oldest.push_back(connections.spawn(answer(stream, app.clone(), limits)));
    }
}

/// Who comes next.
async fn next(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // It has gone again.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "nobody is let in over HTTP");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Answers one request.
async fn answer(stream: TcpStream, app: Router, limits: HttpLimits) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.request_time_max)
        .max_buf_size(limits.request_bytes_max)
        .max_headers(limits.headers_max)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    match tokio::time::timeout(limits.connection_time_max, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "connection over HTTP broke off"),
        Err(_) => tracing::debug!("connection over HTTP took too long"),
    }
}
