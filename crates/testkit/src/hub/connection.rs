//! A connection: requests are read, answers are written, one after the other.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::ServerConfig;

use super::answer::Answer;
use super::delivery::Delivery;
use super::record::{Listener, Request};
use super::request::{Came, Head, Reading};
use super::routes;
use super::sending::{After, Sending};
use super::shared::Shared;
use super::stream::Stream;
use super::wrong::Wrong;

/// Serves a connection until it ends. `Err` when the client goes in the middle of something.
pub(super) fn serve(
    shared: &Shared,
    listener: Listener,
    connection: u64,
    tcp: TcpStream,
    tls: Option<&Arc<ServerConfig>>,
) -> io::Result<()> {
    let mut stream = Stream::new(tcp, tls)?;
    let mut reading = Reading::default();
    loop {
        let (head, is_last) = match reading.next(&mut stream)? {
            Came::Request(head, is_last) => (head, is_last),
            Came::End => return Ok(()),
            Came::Nonsense(why) => {
                let answer = Answer::text(400, &why);
                Sending::new(shared, None, &mut stream, Delivery::default())
                    .send(&answer, false, true)?;
                return stream.close();
            }
        };
        let mut routed = routes::answer(shared, listener, &head);
        let (record, faults) = shared.change(|state| {
            let file = routed.file.clone();
            let faults = state
                .script
                .next(routed.stage, file.as_deref(), &head.method);
            let record = state.records.note(Request {
                listener,
                connection,
                method: head.method.clone(),
                target: head.target.clone(),
                headers: head.headers.clone(),
                stage: routed.stage,
                file,
                status: None,
                sent_bytes: 0,
                is_silent: false,
                faults: faults.clone(),
            });
            (record, faults)
        });
        let mut delivery = Delivery::default();
        for fault in &faults {
            let mut wrong = Wrong {
                shared,
                listener,
                head: &head,
                routed: &mut routed,
                delivery: &mut delivery,
            };
            wrong.go(fault)?;
        }
        let answer = dressed(routed.answer, listener, &head, record);
        let sending = Sending::new(shared, Some(record), &mut stream, delivery);
        match sending.send(&answer, head.is_head(), is_last)? {
            After::Next => {}
            After::Close => return stream.close(),
            After::End => return Ok(()),
        }
    }
}

/// With the header lines that each answer of a listener has.
fn dressed(answer: Answer, listener: Listener, head: &Head, record: usize) -> Answer {
    if listener != Listener::Hub {
        return answer;
    }
    let answer = answer
        .with("X-Powered-By", "huggingface-moon")
        .with("X-Request-Id", &format!("Root=1-{record:08x}"));
    if answer.headers.iter().any(|(name, _)| name == "RateLimit") {
        return answer;
    }
    let (limit, policy) = if head.target.starts_with("/api/") {
        ("api", "\"fixed window\";\"api\";q=500;w=300")
    } else {
        ("resolvers", "\"fixed window\";\"resolvers\";q=3000;w=300")
    };
    answer
        .with("RateLimit", &format!("\"{limit}\";r=499;t=300"))
        .with("RateLimit-Policy", policy)
}
