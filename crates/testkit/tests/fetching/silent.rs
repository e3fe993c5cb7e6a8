//! A Hub that says nothing holds up nobody: whoever wants no more is free at once, and who waits is told at last.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::support::{Site, order};

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(24 * 3600);
/// How long the end of a connection is waited for before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Takes connections and never answers.
fn mute() -> (TcpListener, Site) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::at(&format!("http://{}", listener.local_addr().unwrap()));
    (listener, site)
}

/// The same, and its silence is not given up: who waits for it waits until this test is.
fn mute_for_ever() -> (TcpListener, Site) {
    let (listener, mut site) = mute();
    site.limits.stall = NEVER;
    site.limits.retry.asked_max = NEVER;
    (listener, site)
}

/// Reads the head of a request, so that it has certainly come.
fn accept(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    // A connection that stays is an error, and no silence.
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn to_begin_and_to_cancel_wait_for_nobody_and_the_connection_goes() {
    let (listener, site) = mute_for_ever();
    let fetcher = site.fetcher();
    // Whoever waited for the Hub here would not be back.
    let fetch = crate::support::begin(&fetcher, order());
    let mut stream = accept(&listener);
    drop(fetch);
    // The other side sees the end: nothing holds the connection.
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
}

#[test]
fn a_fetcher_that_is_dropped_ends_what_it_fetches() {
    let (listener, site) = mute_for_ever();
    let fetcher = site.fetcher();
    let mut fetch = crate::support::begin(&fetcher, order());
    let mut stream = accept(&listener);
    drop(fetcher);
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
    assert_eq!(fetch.event(), None);
}

#[test]
fn who_never_answers_is_gone_after_some_attempts() {
    let (_listener, mut site) = mute();
    site.limits.stall = Duration::from_millis(100);
    site.limits.retry.attempts_max = 3;
    let began = Instant::now();
    let error = site.fetch(order()).unwrap_err();
    assert_eq!(error.code(), "server-gone", "{error}");
    assert!(error.to_string().contains("no answer for 100ms"), "{error}");
    assert!(began.elapsed() >= Duration::from_millis(300));
}
