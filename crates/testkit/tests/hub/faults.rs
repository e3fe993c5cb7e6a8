//! Each fault is what it says, on the wire.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use dataflow_testkit::hub::{
    Ending, FakeHub, Fault, Place, Repository, RetryAfter, Stage, WrongRange,
};

use super::client::{Came, ask, get, raw};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

const SIZE: usize = 10_000;

fn content() -> Vec<u8> {
    (0..SIZE).map(|place| (place % 251) as u8).collect()
}

fn hub() -> FakeHub {
    let repository = Repository::model("acme/tiny")
        .file("small", content())
        .large_file("large", content());
    FakeHub::start([repository]).unwrap()
}

/// A link to the large file.
fn link(hub: &FakeHub) -> String {
    let url = format!("{}/acme/tiny/resolve/main/large", hub.endpoint());
    get(&url).header("location").unwrap().to_owned()
}

/// What comes for the large file from `start` on when this goes wrong, once. The next time all is well.
fn transfer(fault: Fault, start: usize) -> Came {
    let hub = hub();
    let link = link(&hub);
    hub.script("large", 1, fault);
    let range = format!("bytes={start}-");
    let headers = [("Range", range.as_str())];
    let headers = if start == 0 { &[][..] } else { &headers };
    let came = ask(&link, "GET", headers);
    let again = self::link(&hub);
    let well = ask(&again, "GET", headers);
    assert_eq!(well.body, content()[start..], "it is only once");
    came
}

#[test]
fn a_cut_ends_the_connection_after_so_many_bytes() {
    for after_bytes in [0, 1, 5000] {
        let ending = Ending::Fin;
        let came = transfer(
            Fault::Cut {
                after_bytes,
                ending,
            },
            0,
        );
        assert_eq!(came.header("content-length"), Some("10000"));
        assert_eq!(came.body, content()[..after_bytes as usize]);
        assert!(!came.is_reset);
        let ending = Ending::Rst;
        let came = transfer(
            Fault::Cut {
                after_bytes,
                ending,
            },
            2000,
        );
        assert!(content()[2000..].starts_with(&came.body));
        assert!(came.body.len() <= after_bytes as usize);
        assert!(came.is_reset);
    }
}

#[test]
fn an_answer_that_does_not_come_ends_the_connection() {
    for (ending, is_reset) in [(Ending::Fin, false), (Ending::Rst, true)] {
        let hub = hub();
        let link = link(&hub);
        hub.script("large", 1, Fault::NoAnswer(ending));
        assert_eq!(raw(&link, "GET", &[]), (Vec::new(), is_reset));
    }
}

#[test]
fn bodies_are_too_short_and_too_long_with_a_length_that_says_so() {
    let came = transfer(Fault::ShortBody { missing_bytes: 1 }, 0);
    assert_eq!(came.header("content-length"), Some("9999"));
    assert_eq!(came.body, content()[..9999]);
    let came = transfer(Fault::ShortBody { missing_bytes: 1 }, 5000);
    assert_eq!(came.header("content-range"), Some("bytes 5000-9998/10000"));
    assert_eq!(came.body, content()[5000..9999]);
    let came = transfer(Fault::LongBody { extra_bytes: 3 }, 5000);
    assert_eq!(came.header("content-length"), Some("5003"));
    assert_eq!(came.body, [&content()[5000..], b"xxx"].concat());
}

#[test]
fn lengths_lie_or_are_absent() {
    for by_bytes in [1, -1] {
        let came = transfer(Fault::LyingLength { by_bytes }, 0);
        assert_eq!(
            came.header("content-length"),
            Some((10_000 + by_bytes).to_string().as_str())
        );
        assert_eq!(came.body, content());
    }
    let came = transfer(Fault::AbsentLength { after_bytes: None }, 0);
    assert_eq!(came.header("content-length"), None);
    assert_eq!(came.body, content());
    let came = transfer(
        Fault::AbsentLength {
            after_bytes: Some(9),
        },
        0,
    );
    assert_eq!(came.body, content()[..9]);
    let came = transfer(Fault::Chunked { after_bytes: None }, 0);
    assert_eq!(came.header("transfer-encoding"), Some("chunked"));
    assert_eq!(
        came.body,
        [b"2710\r\n", content().as_slice(), b"\r\n0\r\n\r\n"].concat()
    );
    let came = transfer(
        Fault::Chunked {
            after_bytes: Some(9),
        },
        0,
    );
    assert_eq!(came.body, [b"9\r\n", &content()[..9], b"\r\n"].concat());
}

#[test]
fn a_flipped_byte_is_one_of_the_file() {
    for (start, at) in [(0, 0), (0, 9999), (5000, 5000), (5000, 7000)] {
        let came = transfer(Fault::FlippedByte { at }, start);
        let wrong = content()[start..]
            .iter()
            .zip(&came.body)
            .position(|(right, came)| right != came);
        assert_eq!(wrong, Some(at as usize - start));
    }
    assert_eq!(
        transfer(Fault::FlippedByte { at: 3 }, 5000).body,
        content()[5000..]
    );
}

#[test]
fn pages_and_refusals_come_instead() {
    for status in [200, 403, 502] {
        let came = transfer(Fault::ErrorPage { status }, 5000);
        assert_eq!(came.status, status);
        assert!(came.body.starts_with(b"<!DOCTYPE html>"));
    }
    for (retry_after, name, starts) in [
        (RetryAfter::Seconds(7), "retry-after", "7"),
        (RetryAfter::Date(7), "retry-after", ""),
        (RetryAfter::RateLimit(7), "ratelimit", "\"api\";r=0;t=7"),
        (RetryAfter::Nonsense, "retry-after", "-"),
    ] {
        let status = 429;
        let came = transfer(
            Fault::Status {
                status,
                retry_after,
            },
            0,
        );
        assert_eq!(came.status, 429);
        assert!(came.header(name).unwrap().starts_with(starts));
    }
}

#[test]
fn ranges_are_ignored_or_wrong() {
    let came = transfer(Fault::IgnoredRange, 5000);
    assert_eq!((came.status, came.body), (200, content()));
    for (wrong, range, begin) in [
        (WrongRange::OtherStart, Some("bytes 5001-9999/10000"), 5001),
        (WrongRange::HiddenShift, Some("bytes 5000-9998/10000"), 5001),
        (WrongRange::OtherTotal, Some("bytes 5000-9999/10001"), 5000),
        (WrongRange::Missing, None, 5000),
        (WrongRange::Garbled, Some("bytes of the file"), 5000),
    ] {
        let came = transfer(Fault::WrongRange(wrong), 5000);
        assert_eq!((came.status, came.header("content-range")), (206, range));
        assert_eq!(came.body, content()[begin..]);
        assert_eq!(transfer(Fault::WrongRange(wrong), 0).status, 206, "unasked");
    }
}

#[test]
fn a_file_changes_between_attempts() {
    let hub = hub();
    let before = get(&link(&hub));
    hub.clear_script();
    hub.script("large", 1, Fault::ChangedEtag);
    let etag = before.header("etag").unwrap();
    let headers = [("Range", "bytes=5-"), ("If-Range", etag)];
    let after = ask(&link(&hub), "GET", &headers);
    assert_ne!(after.header("etag"), Some(etag));
    assert_eq!((after.status, after.body), (200, content()));

    for by_bytes in [1, -1] {
        let came = transfer(Fault::ChangedSize { by_bytes }, 5000);
        let size = 10_000 + by_bytes;
        let range = format!("bytes 5000-{}/{size}", size - 1);
        assert_eq!(came.header("content-range"), Some(range.as_str()));
        assert_eq!(came.body.len() as i64, size - 5000);
    }

    let file = Place::File(Stage::Resolve, "large".to_owned());
    hub.clear_script();
    hub.script(file.clone(), 1, Fault::ChangedEtag);
    hub.script(file, 1, Fault::ChangedSize { by_bytes: 5 });
    let url = format!("{}/acme/tiny/resolve/main/large", hub.endpoint());
    let (wrong, right) = (get(&url), get(&url));
    assert_eq!(wrong.header("x-linked-size"), Some("10005"));
    assert_eq!(right.header("x-linked-size"), Some("10000"));
    assert_ne!(wrong.header("x-linked-etag"), right.header("x-linked-etag"));
}

#[test]
fn redirects_lead_nowhere() {
    let came = transfer(Fault::RedirectLoop, 0);
    let location = came.header("location").unwrap();
    // The hub of that transfer has gone: a loop of one that is there.
    let path = &location[location.find("/-/").unwrap()..];
    let hub = hub();
    let looping = format!("{}{path}", hub.cdn());
    assert_eq!(get(&looping).header("location"), Some(looping.as_str()));

    hub.script(Stage::Resolve, .., Fault::RedirectToPlain);
    let plain = link(&hub);
    assert!(plain.starts_with(&hub.plain()));
    assert_eq!(get(&plain).body, content());
}

#[test]
fn what_is_packed_says_so() {
    let came = transfer(Fault::Gzip, 5000);
    assert_eq!(came.status, 200);
    assert_eq!(came.header("content-encoding"), Some("gzip"));
    assert_eq!(came.body[..2], [0x1f, 0x8b]);
    assert_eq!(
        came.header("content-length"),
        Some(came.body.len().to_string().as_str())
    );
}

#[test]
fn a_link_that_has_expired_stays_so() {
    let hub = hub();
    let old = link(&hub);
    hub.script("large", 1, Fault::ExpiredLink);
    assert_eq!(get(&old).status, 403);
    assert_eq!(get(&old).status, 403);
    assert_eq!(get(&link(&hub)).body, content());
}

#[test]
fn what_takes_time_takes_it() {
    let tenth = Duration::from_millis(100);
    for fault in [
        Fault::DelayedHead(tenth),
        Fault::Drip {
            bytes: 5000,
            every: tenth / 2,
        },
        Fault::Slow {
            bytes_per_second: 100_000,
        },
    ] {
        let hub = hub();
        let link = link(&hub);
        hub.script("large", 1, fault.clone());
        let begun = Instant::now();
        assert_eq!(get(&link).body, content());
        assert!(begun.elapsed() >= tenth, "{fault:?}");
    }
    assert!(raw_of(Fault::NoHttp).starts_with(&[0x16]));
}

fn raw_of(fault: Fault) -> Vec<u8> {
    let hub = hub();
    let link = link(&hub);
    hub.script("large", 1, fault);
    raw(&link, "GET", &[]).0
}

#[test]
fn a_stall_ends_when_it_is_released() {
    let hub = hub();
    let link = link(&hub);
    hub.script("large", 1, Fault::Stall { after_bytes: 3000 });
    std::thread::scope(|scope| {
        let client = scope.spawn(|| get(&link));
        assert!(hub.wait_until(LONG, |requests| {
            requests.iter().any(|request| request.sent_bytes == 3000)
        }));
        hub.release();
        assert_eq!(client.join().unwrap().body, content());
    });
}

#[test]
fn a_hub_ends_at_once_whoever_waits_for_it() {
    let hub = hub();
    let link = link(&hub);
    hub.script("large", 1, Fault::Mute);
    hub.script("large", 2, Fault::Stall { after_bytes: 1 });
    hub.script("large", 3, Fault::DelayedHead(Duration::from_secs(3600)));
    hub.script(
        "large",
        4,
        Fault::Slow {
            bytes_per_second: 1,
        },
    );
    let (host, target) = link
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut clients = Vec::new();
    for number in 1..=4 {
        let mut client = TcpStream::connect(host).unwrap();
        write!(client, "GET /{target} HTTP/1.1\r\n\r\n").unwrap();
        clients.push(client);
        assert!(hub.wait_until(LONG, |requests| {
            requests
                .iter()
                .filter(|request| request.stage == Stage::Content)
                .count()
                == number
        }));
    }
    // And one that says nothing at all.
    clients.push(TcpStream::connect(host).unwrap());
    let begun = Instant::now();
    drop(hub);
    let took = begun.elapsed();
    // Who waited for one of them would wait for an hour at least.
    assert!(took < Duration::from_secs(300), "{took:?}");
    for mut client in clients {
        // It may end in any way, but it ends.
        let _ = client.read_to_end(&mut Vec::new());
    }
}

#[test]
fn everything_can_be_mute() {
    let hub = hub();
    hub.script(Place::Anywhere, .., Fault::Mute);
    let host = hub.endpoint().replace("http://", "");
    let mut client = TcpStream::connect(host).unwrap();
    write!(client, "GET /api/models/acme/tiny HTTP/1.1\r\n\r\n").unwrap();
    assert!(hub.wait_until(LONG, |requests| requests.len() == 1));
    assert_eq!(hub.requests()[0].status, None);
    drop(hub);
    let mut came = Vec::new();
    let _ = client.read_to_end(&mut came);
    assert!(came.is_empty());
}
