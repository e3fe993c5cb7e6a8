//! A real server and whoever may come in: readers, and those who only take room.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use super::answers::Look;
use super::health::SILENCE_MAX;
use super::server::{HttpLimits, HttpServer, serve_within};
use super::{MetricsError, MetricsListener, show_metrics};
use crate::statistics::Publisher;
use crate::statistics::metrics::tests::{add_node, at, book, facts};

/// How long something may take that takes no time: only a test that fails waits for so long.
const AT_MOST: Duration = Duration::from_secs(60);

struct Server {
    address: SocketAddr,
    _server: HttpServer,
}

fn start(look: Look, limits: HttpLimits) -> Server {
    let listener = MetricsListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = listener.address();
    Server {
        address,
        _server: serve_within(listener, look, || {}, limits).unwrap(),
    }
}

fn look() -> Look {
    let facts = facts(&mut book(&[]));
    Arc::new(move |_| facts.clone())
}

/// Limits of time that a test can wait for.
fn short() -> HttpLimits {
    HttpLimits {
        request_time_max: Duration::from_millis(300),
        connection_time_max: Duration::from_millis(600),
        ..HttpLimits::default()
    }
}

impl Server {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(AT_MOST)).unwrap();
        stream.set_write_timeout(Some(AT_MOST)).unwrap();
        stream
    }

    /// Sends these bytes, and gives what comes until the end. Whether all of them are taken is the server's choice.
    fn ask(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        let _ = stream.write_all(request);
        rest_of(stream)
    }

    fn get(&self, path: &str) -> String {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
    }
}

/// What comes until the connection ends.
fn rest_of(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    String::from_utf8(answer).unwrap()
}

fn status(answer: &str) -> &str {
    let line = answer.lines().next().unwrap_or_default();
    line.strip_prefix("HTTP/1.1 ").map_or("", |rest| &rest[..3])
}

#[test]
fn a_scrape_gets_a_whole_page_with_the_type_of_its_format() {
    let server = start(look(), HttpLimits::default());
    let answer = server.get("/metrics");
    assert_eq!(status(&answer), "200");
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    let has = |line: &str| assert!(head.lines().any(|header| header == line), "{line}: {head}");
    has("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8");
    has(&format!("content-length: {}", page.len()));
    has("cache-control: no-store");
    assert!(page.ends_with("# EOF\n"));

    let classic =
        server.ask(b"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: text/plain;version=0.0.4\r\n\r\n");
    assert_eq!(status(&classic), "200");
    assert!(classic.contains("content-type: text/plain; version=0.0.4; charset=utf-8"));
    assert!(!classic.contains("# EOF"));
}

#[test]
fn only_reading_is_answered_and_only_what_there_is() {
    let server = start(look(), HttpLimits::default());
    let head = server.ask(b"HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(status(&head), "200");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT"] {
        let answer = server.ask(
            format!("{method} /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
                .as_bytes(),
        );
        assert!(["405", "404"].contains(&status(&answer)), "{answer}");
    }
    let posted = server.ask(b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert!(
        posted.to_ascii_lowercase().contains("allow: get,head"),
        "{posted}"
    );
    for path in [
        "/",
        "/metrics/",
        "/../etc/passwd",
        "/metrics%2f",
        "/healthz/x",
    ] {
        assert_eq!(status(&server.get(path)), "404", "{path}");
    }
}

#[test]
fn bytes_that_are_no_request_are_refused_and_others_are_answered() {
    let server = start(look(), HttpLimits::default());
    let long_line = [b"GET /".to_vec(), vec![b'a'; 64 * 1024]].concat();
    let mut many_headers = b"GET /metrics HTTP/1.1\r\n".to_vec();
    for number in 0..1000 {
        many_headers.extend_from_slice(format!("h{number}: x\r\n").as_bytes());
    }
    let bodies =
        b"GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n";
    let requests: [&[u8]; 9] = [
        b"",
        b"\0\0\0\0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        &long_line,
        &many_headers,
        bodies,
    ];
    for (number, request) in requests.into_iter().enumerate() {
        let mut stream = server.connect();
        let _ = stream.write_all(request);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let answer = rest_of(stream);
        let is_refused = answer.is_empty() || status(&answer).starts_with('4');
        // What has a body that never comes is a request all the same.
        assert!(is_refused || number == 8, "{number}: {answer}");
        assert_eq!(status(&server.get("/metrics")), "200");
    }
}

#[test]
fn who_says_nothing_or_says_it_slowly_is_let_go() {
    let server = start(look(), short());
    let silent = server.connect();
    let mut slow = server.connect();
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost:").unwrap();
    for stream in [silent, slow] {
        let answer = rest_of(stream);
        assert!(answer.is_empty() || status(&answer) == "408", "{answer}");
    }
}

#[test]
fn those_who_only_connect_keep_no_reader_out() {
    let limits = HttpLimits {
        connections_max: 4,
        request_time_max: AT_MOST,
        connection_time_max: AT_MOST,
        ..HttpLimits::default()
    };
    let server = start(look(), limits);
    let idle: Vec<TcpStream> = (0..12).map(|_| server.connect()).collect();
    assert_eq!(status(&server.get("/metrics")), "200");
    // The first ones have gone.
    for stream in idle.into_iter().take(8) {
        assert_eq!(rest_of(stream), "");
    }
}

#[test]
fn a_reader_that_takes_nothing_of_a_large_page_delays_no_other() {
    let mut book = book(&[]);
    let run = facts(&mut book).snapshot.dataflows().next().unwrap().number;
    for node in 2..1000 {
        add_node(&mut book, run, node, &format!("node{node}"));
    }
    let facts = facts(&mut book);
    // The page may take as long as it does to be made and read.
    let limits = HttpLimits {
        request_time_max: AT_MOST,
        connection_time_max: AT_MOST,
        ..HttpLimits::default()
    };
    let server = start(Arc::new(move |_| facts.clone()), limits);
    let mut stalled = server.connect();
    stalled
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut first = [0; 1];
    stalled.read_exact(&mut first).unwrap();
    assert_eq!(status(&server.get("/healthz")), "200");
    let announced = |answer: &str| -> usize {
        let (head, _) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        length.unwrap().parse().unwrap()
    };
    let whole = server.get("/metrics");
    let (_, page) = whole.split_once("\r\n\r\n").unwrap();
    assert_eq!(page.len(), announced(&whole));
    assert!(page.len() > 4_000_000, "{} bytes", page.len());
}

/// What `/healthz` answers: its status and its object.
fn health(server: &Server) -> (String, serde_json::Value) {
    let answer = server.get("/healthz");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body = serde_json::from_str(body).unwrap();
    (status(&answer).to_owned(), body)
}

#[test]
fn health_follows_the_control_loop_and_what_is_wrong_with_statistics_is_a_warning() {
    let looks = Arc::new(Mutex::new((facts(&mut book(&[])), 0)));
    let seen = Arc::clone(&looks);
    let look: Look = Arc::new(move |_| {
        let (mut facts, mismatches) = seen.lock().unwrap().clone();
        let mut book = book(&[]);
        book.audited(0, mismatches);
        facts.snapshot = book.publish(at(3.5));
        facts
    });
    let server = start(look, HttpLimits::default());
    let set = |beat_age_s, snapshot_age_s, mismatches| {
        let mut looks = looks.lock().unwrap();
        looks.0.beat_age = Duration::from_secs(beat_age_s);
        looks.0.snapshot_age = Duration::from_secs(snapshot_age_s);
        looks.1 = mismatches;
    };
    let limit = SILENCE_MAX.as_secs();
    set(limit, limit, 0);
    let (code, body) = health(&server);
    assert_eq!((code.as_str(), &body["status"]), ("200", &"ok".into()));
    assert_eq!(body["uptime_s"], 3.5);
    assert_eq!(body["reasons"], json!([]));
    assert_eq!(body["warnings"], json!([]));

    set(limit + 1, 0, 0);
    let (code, body) = health(&server);
    assert_eq!(
        (code.as_str(), &body["status"]),
        ("503", &"unhealthy".into())
    );
    let silent = "the control loop gives no sign of life for 11 s";
    assert_eq!(body["reasons"], json!([silent]));
    assert_eq!(body["warnings"], json!([]));

    // What watches over processes must not end dataflows for it, and what is wrong with a sum stays counted for ever.
    set(0, limit + 2, 2);
    let (code, body) = health(&server);
    assert_eq!((code.as_str(), &body["status"]), ("200", &"ok".into()));
    assert_eq!(body["reasons"], json!([]));
    let still = "the statistics stand still for 12 s";
    let wrong = "2 sums of the statistics were not those of their members: please report it";
    assert_eq!(body["warnings"], json!([still, wrong]));
    assert_eq!(body["audit_mismatches"], 2);
    assert_eq!(body["snapshot_age_s"], 12.0);
}

#[test]
fn the_thread_that_answers_says_again_and_again_that_it_is_there() {
    let (says, hears) = std::sync::mpsc::channel();
    let listener = MetricsListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let turn = move || says.send(()).unwrap();
    let _server = serve_within(listener, look(), turn, HttpLimits::default()).unwrap();
    for _ in 0..2 {
        hears.recv_timeout(AT_MOST).unwrap();
    }
}

#[test]
fn an_answer_that_panics_ends_its_connection_and_nothing_else() {
    let count = AtomicU64::new(0);
    let look = look();
    let faulty: Look = Arc::new(move |page| {
        assert!(count.fetch_add(1, Ordering::Relaxed) > 0, "on purpose");
        look(page)
    });
    let server = start(faulty, HttpLimits::default());
    assert_eq!(server.get("/healthz"), "");
    assert_eq!(status(&server.get("/healthz")), "200");
    assert_eq!(status(&server.get("/metrics")), "200");
}

#[test]
fn a_server_that_has_ended_gives_its_port_back() {
    let server = start(look(), HttpLimits::default());
    let address = server.address;
    let taken = MetricsListener::bind(address);
    assert!(
        matches!(&taken, Err(MetricsError::PortTaken { address: wanted, holder: Some(holder) })
            if *wanted == address && holder.contains(&std::process::id().to_string())),
        "{taken:?}"
    );
    let mut idle = server.connect();
    drop(server);
    assert_eq!(idle.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn an_address_of_another_machine_is_refused_and_says_so() {
    // Set apart for documentation: nobody has it.
    let refused = MetricsListener::bind(SocketAddr::from(([203, 0, 113, 7], 9090)));
    let error = refused.unwrap_err();
    assert!(
        matches!(error, MetricsError::NotOurAddress { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("--metrics 127.0.0.1:9090"),
        "{error}"
    );
}

#[test]
fn whoever_asks_for_metrics_is_expected_again_and_whoever_asks_for_health_alone_is_not() {
    let publisher = Publisher::new(facts(&mut book(&[])).snapshot);
    let source = publisher.source();
    let listener = MetricsListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let server = Server {
        address: listener.address(),
        _server: show_metrics(listener, source.clone()).unwrap(),
    };
    assert_eq!(status(&server.get("/healthz")), "200");
    assert_eq!(source.readers.now_and_then(), None);
    assert_eq!(status(&server.get("/metrics")), "200");
    assert!(source.readers.now_and_then().is_some());
}
