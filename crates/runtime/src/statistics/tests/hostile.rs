//! Those who do not keep to the conversation.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use dataflow_ids::stats::Statistics;
use dataflow_wire::client::{
    CLIENT_PROTOCOL, ClientReply, ClientRequest, Parts, in_frames, in_parts,
};
use dataflow_wire::frame::{self, FrameReader, Received};
use tokio::time::Instant;

use super::support::{Kept, OFTEN, Served, joined};
use crate::client::{Client, ClientError, Watcher};
use crate::statistics::Publisher;

/// A command that says hello, and then this.
fn command(served: &Served, requests: &[ClientRequest]) -> UnixStream {
    let stream = served.accept();
    let protocol = CLIENT_PROTOCOL;
    frame::send(&stream, &ClientRequest::Hello { protocol }, &[]).unwrap();
    for request in requests {
        frame::send(&stream, request, &[]).unwrap();
    }
    stream
}

/// Everything that is said to it until its connection closes.
fn hear(stream: &UnixStream) -> Vec<ClientReply> {
    let (mut reader, mut parts, mut heard) = (FrameReader::new(), Parts::default(), Vec::new());
    loop {
        while let Some((reply, _)) = reader.next::<ClientReply>().unwrap() {
            heard.extend(parts.take(reply).unwrap());
        }
        if reader.receive(stream).unwrap() == Received::End {
            return heard;
        }
    }
}

const WATCH: ClientRequest = ClientRequest::Watch { every: OFTEN };

#[test]
fn who_asks_for_something_else_is_refused_and_told_why() {
    let publisher = Publisher::new(Kept::with_nodes(3).publish());
    let served = Served::new(&publisher);
    let heard = hear(&command(&served, &[WATCH, ClientRequest::Status]));
    match heard.last() {
        Some(ClientReply::Refused { reason }) => {
            assert!(reason.contains("on another connection"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    served.wait_for_readers(0);
}

#[test]
fn who_sends_what_is_no_request_is_refused_and_the_others_go_on() {
    let mut kept = Kept::with_nodes(3);
    let publisher = Publisher::new(kept.publish());
    let served = Served::new(&publisher);
    let mut other = served.watcher(OFTEN);
    other.next().unwrap();
    for garbage in [
        &[0xff; 64][..],
        &[8, 0, 0, 0, 0, 0, 0, 0, 0xff, 1, 2, 3, 4, 5, 6, 7],
    ] {
        let mut stream = command(&served, &[WATCH]);
        stream.write_all(garbage).unwrap();
        let heard = hear(&stream);
        assert!(
            matches!(heard.last(), Some(ClientReply::Refused { .. })),
            "{heard:?}"
        );
    }
    served.wait_for_readers(1);
    kept.change();
    let now = kept.publish();
    publisher.publish(now.clone());
    assert_eq!(other.next().unwrap().unwrap().revision, now.revision());
}

#[test]
fn who_asks_for_the_whole_again_and_again_gets_it_no_more_often_than_anything() {
    let publisher = Publisher::new(Kept::with_nodes(3).publish());
    let served = Served::new(&publisher);
    let again: Vec<_> = std::iter::repeat_n(WATCH, 20).collect();
    let begun = Instant::now();
    let stream = command(&served, &again);
    served.wait_for_readers(1);
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let wholes = hear(&stream).len() as u128 - 1;
    // The first at once, and one in each turn.
    let most = begun.elapsed().as_millis() / OFTEN.as_millis() + 2;
    assert!((1..=most).contains(&wholes), "{wholes} times the whole");
}

#[test]
fn who_asks_without_a_pause_keeps_nobody_else_from_being_told() {
    let mut kept = Kept::with_nodes(3);
    let publisher = Publisher::new(kept.publish());
    let served = Served::new(&publisher);
    let mut other = served.watcher(OFTEN);
    other.next().unwrap();
    let mut asking = command(&served, &[WATCH]);
    served.wait_for_readers(2);
    let many = frame::encode_frame(&WATCH).unwrap().repeat(4096);
    let hangs_up = asking.try_clone().unwrap();
    let asks = thread::spawn(move || while asking.write_all(&many).is_ok() {});
    let told = thread::spawn(move || {
        for _ in 0..5 {
            kept.change();
            let now = kept.publish();
            publisher.publish(now.clone());
            assert_eq!(other.next().unwrap().unwrap().revision, now.revision());
        }
    });
    joined(told);
    hangs_up.shutdown(std::net::Shutdown::Both).unwrap();
    joined(asks);
}

#[test]
fn a_frame_that_has_begun_before_the_conversation_moved_is_read_to_its_end_after_that() {
    let publisher = Publisher::new(Kept::with_nodes(3).publish());
    let served = Served::new(&publisher);
    let protocol = CLIENT_PROTOCOL;
    let mut bytes = frame::encode_frame(&ClientRequest::Hello { protocol }).unwrap();
    bytes.extend(frame::encode_frame(&WATCH).unwrap());
    let status = frame::encode_frame(&ClientRequest::Status).unwrap();
    let (begin, end) = status.split_at(status.len() - 1);
    bytes.extend(begin);
    let mut stream = served.accept();
    stream.write_all(&bytes).unwrap();
    served.wait_for_readers(1);
    stream.write_all(end).unwrap();
    let heard = hear(&stream);
    assert!(
        matches!(heard.last(), Some(ClientReply::Refused { .. })),
        "{heard:?}"
    );
}

#[test]
fn more_than_may_watch_are_refused_and_a_place_that_is_left_is_given_again() {
    let publisher = Publisher::new(Kept::with_nodes(1).publish());
    let served = Served::new(&publisher);
    let mut watchers: Vec<Watcher> = (0..64).map(|_| served.watcher(OFTEN)).collect();
    served.wait_for_readers(64);
    match served.watcher(OFTEN).next() {
        Err(ClientError::Refused { reason }) => {
            let told = format!(
                "64 commands watch its statistics already (pid {})",
                std::process::id()
            );
            assert!(reason.contains(&told), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    watchers.pop();
    served.wait_for_places(1);
    served.watcher(OFTEN).next().unwrap().unwrap();
}

/// A runtime that says this, whatever it is asked.
fn runtime(replies: Vec<ClientReply>) -> Client {
    let (ours, theirs) = UnixStream::pair().unwrap();
    std::thread::spawn(move || {
        let welcome = ClientReply::Welcome {
            protocol: CLIENT_PROTOCOL,
            pid: 4711,
            is_agent: false,
        };
        for reply in std::iter::once(&welcome).chain(&replies) {
            if in_frames(reply).unwrap().len() == 1 {
                frame::send(&ours, reply, &[]).unwrap();
                continue;
            }
            for part in in_parts(reply).unwrap() {
                frame::send(&ours, &part, &[]).unwrap();
            }
        }
        ours.shutdown(std::net::Shutdown::Write).unwrap();
        // It hears all that it is told.
        let _ = (&ours).read_to_end(&mut Vec::new());
    });
    Client::over(theirs, 0, Box::new(|_| {})).unwrap()
}

#[test]
fn changes_that_never_follow_are_an_error_and_not_a_conversation_without_an_end() {
    let mut kept = Kept::with_nodes(2);
    let first = kept.publish();
    kept.change();
    let between = kept.publish();
    kept.change();
    let last = kept.publish();
    let whole = ClientReply::Statistics(Box::new(first.statistics()));
    let late = ClientReply::StatisticsDelta(Box::new(last.since(&between)));
    let turn = [whole.clone(), late];
    let replies: Vec<_> = turn.iter().cycle().take(100).cloned().collect();
    let mut watcher = Watcher::new(runtime(replies), Duration::from_secs(1)).unwrap();
    let mut told = 0;
    let error = loop {
        match watcher.next() {
            Ok(Some(_)) => told += 1,
            Ok(None) => panic!("it was to refuse this"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ClientError::Unexpected), "{error:?}");
    assert!(told < 20);
}

#[test]
fn more_rows_than_any_runtime_has_are_an_error_before_they_take_all_memory() {
    let mut more = Kept::with_nodes(1).publish().statistics();
    // Each is short on its way.
    more.groups = vec![more.groups[0].clone(); 16_000];
    is_too_much(more);
}

#[test]
fn longer_texts_than_any_runtime_has_are_an_error_before_they_take_all_memory() {
    let mut more = Kept::with_nodes(1).publish().statistics();
    more.dataflows[0].run = "x".repeat(17 * 1024 * 1024);
    is_too_much(more);
}

fn is_too_much(more: Statistics) {
    let first = Kept::with_nodes(3).publish().statistics();
    let whole = |statistics: &Statistics| ClientReply::Statistics(Box::new(statistics.clone()));
    let mut watcher = Watcher::new(runtime(vec![whole(&first), whole(&more)]), OFTEN).unwrap();
    assert_eq!(watcher.next().unwrap(), Some(&first));
    let error = watcher.next().expect_err("it says too much");
    assert!(matches!(error, ClientError::Unexpected), "{error:?}");
    assert_eq!(watcher.last(), None);
}

#[test]
fn after_a_gap_the_whole_is_asked_for_and_what_is_known_is_right_again() {
    let mut kept = Kept::with_nodes(2);
    let first = kept.publish();
    kept.change();
    let between = kept.publish();
    kept.change();
    let last = kept.publish();
    let replies = vec![
        ClientReply::Statistics(Box::new(first.statistics())),
        ClientReply::StatisticsDelta(Box::new(last.since(&between))),
        ClientReply::Statistics(Box::new(last.statistics())),
    ];
    let mut watcher = Watcher::new(runtime(replies), Duration::from_secs(1)).unwrap();
    assert_eq!(watcher.next().unwrap(), Some(&first.statistics()));
    assert_eq!(watcher.next().unwrap(), Some(&last.statistics()));
    assert_eq!(watcher.next().unwrap(), None, "the runtime has ended");
}

#[test]
fn an_answer_that_belongs_to_another_question_is_refused() {
    let mut watcher = Watcher::new(runtime(vec![ClientReply::Accepted]), OFTEN).unwrap();
    assert!(matches!(watcher.next(), Err(ClientError::Unexpected)));
}
