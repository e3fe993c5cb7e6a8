//! Hubs that list otherwise than the Hub does: without lengths, in pages, with nonsense, without end.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use crate::support::{Site, order, read};

/// A hash, of nothing in particular.
const HASH: &str = "4a4f9fa7ee1d4d0d5f0d2d5b4a1b0b8d8e3f2c1a";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Answers each request with what `answer` gives for its path: headers and a body. Tells the paths.
fn serve(
    answer: impl Fn(&str, &str) -> (String, String) + Send + 'static,
) -> (Site, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (told, paths) = mpsc::channel();
    let site = Site::at(&endpoint);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let path = head.split(' ').nth(1).unwrap_or("").to_owned();
            let (headers, body) = answer(&endpoint, &path);
            let length = body.len();
            // Told before the answer: whoever has the last one may look at once.
            if told.send(path).is_err() {
                return;
            }
            let written = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
            );
            if written.is_err() {
                return;
            }
        }
    });
    (site, paths)
}

fn git_hash(content: &str) -> String {
    let mut hasher =
        dataflow_runtime::models::cache::Hasher::new(&HASH.parse().unwrap(), content.len() as u64);
    hasher.update(content.as_bytes());
    hasher.finish().to_string()
}

#[test]
fn lengths_and_hashes_that_the_information_lacks_come_from_the_tree_page_by_page() {
    let (site, paths) = serve(|_, path| {
        let entry = |name: &str| {
            let hash = git_hash(name);
            let size = name.len();
            format!(r#"[{{"type":"file","path":"{name}","oid":"{hash}","size":{size}}}]"#)
        };
        // Mirrors name the original Hub in their links: it is not asked.
        let next = "Link: <https://hub.invalid/api/models/acme/tiny-detector/tree/x?cursor=2>; rel=\"next\"\r\n";
        match path {
            path if path.contains("/revision/") => (
                String::new(),
                format!(
                    r#"{{"sha":"{COMMIT}","siblings":[{{"rfilename":"a"}},{{"rfilename":"b c#?"}}]}}"#
                ),
            ),
            path if path.contains("cursor=2") => (String::new(), entry("b c#?")),
            path if path.contains("/tree/") => (next.to_owned(), entry("a")),
            path if path.ends_with("/a") => (String::new(), "a".to_owned()),
            _ => (String::new(), "b c#?".to_owned()),
        }
    });
    let snapshot = site.fetch(order()).unwrap();
    assert_eq!(read(&snapshot, "a"), b"a");
    assert_eq!(read(&snapshot, "b c#?"), b"b c#?");
    let paths: Vec<String> = paths.try_iter().collect();
    assert_eq!(
        paths[0],
        "/api/models/acme/tiny-detector/revision/main?blobs=true"
    );
    assert!(paths[1].starts_with(&format!(
        "/api/models/acme/tiny-detector/tree/{COMMIT}?recursive=true"
    )));
    assert!(paths[2].ends_with("?cursor=2"));
    let escaped = format!("/acme/tiny-detector/resolve/{COMMIT}/b%20c%23%3F");
    assert!(paths[3..].contains(&escaped), "{paths:?}");
}

#[test]
fn pages_without_end_have_one() {
    let (site, _paths) = serve(|endpoint, path| {
        if path.contains("/revision/") {
            let body = format!(r#"{{"sha":"{COMMIT}","siblings":[{{"rfilename":"a"}}]}}"#);
            return (String::new(), body);
        }
        let next = format!("Link: <{endpoint}{path}>; rel=next\r\n");
        (next, "[]".to_owned())
    });
    let error = site.fetch(order()).unwrap_err();
    assert_eq!(error.code(), "bad-answer", "{error}");
}

#[test]
fn a_listing_that_leads_out_of_the_cache_is_refused_and_nothing_is_written() {
    for path in ["../../x", "/etc/passwd", "a/../../x", ".."] {
        let (site, _paths) = serve(move |_, _| {
            let sibling = format!(r#"{{"rfilename":"{path}","size":1,"blobId":"{HASH}"}}"#);
            let body = format!(r#"{{"sha":"{COMMIT}","siblings":[{sibling}]}}"#);
            (String::new(), body)
        });
        let error = site.fetch(order()).unwrap_err();
        assert_eq!(error.code(), "bad-answer", "{path}: {error}");
        assert_eq!(site.names("snapshots"), [""; 0]);
    }
}

#[test]
fn an_answer_that_is_too_large_is_not_read_to_its_end() {
    let (mut site, _paths) = serve(|_, _| (String::new(), "x".repeat(1_000_000)));
    site.limits.listing_bytes_max = 10_000;
    let error = site.fetch(order()).unwrap_err();
    assert_eq!(error.code(), "bad-answer", "{error}");
    assert!(error.to_string().contains("10000 bytes"), "{error}");
}

#[test]
fn another_commit_than_the_one_asked_for_is_not_taken() {
    let (site, _paths) = serve(|_, _| {
        let sibling = format!(r#"{{"rfilename":"a","size":1,"blobId":"{HASH}"}}"#);
        let body = format!(r#"{{"sha":"{COMMIT}","siblings":[{sibling}]}}"#);
        (String::new(), body)
    });
    let mut order = order();
    order.spec.revision = COMMIT.replace('0', "1");
    let error = site.fetch(order).unwrap_err();
    assert_eq!(error.code(), "bad-answer", "{error}");
}
