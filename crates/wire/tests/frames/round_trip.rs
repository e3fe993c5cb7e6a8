//! Every message type survives encoding, framing, and being cut anywhere on its way.

use std::fmt::Debug;

use dataflow_wire::client::{ClientReply, PART_BYTES_MAX, Parts, REPLY_BYTES_MAX, in_parts};
use dataflow_wire::frame::{FrameReader, decode, encode, encode_frame};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::strategies;

fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    message: &T,
    cut: usize,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(&decode::<T>(&encode(message).unwrap()).unwrap(), message);

    // Twice in one stream, which arrives in pieces of `cut` bytes.
    let mut stream = encode_frame(message).unwrap();
    stream.extend(encode_frame(message).unwrap());
    let mut reader = FrameReader::new();
    let mut received = Vec::new();
    for piece in stream.chunks(cut) {
        reader.feed(piece);
        while let Some((message, fds)) = reader.next::<T>().unwrap() {
            prop_assert!(fds.is_empty());
            received.push(message);
        }
    }
    prop_assert_eq!(received.len(), 2);
    prop_assert!(received.iter().all(|other| other == message));
    reader.feed_end();
    prop_assert!(reader.next::<T>().unwrap().is_none());
    Ok(())
}

proptest! {
    #[test]
    fn every_message_to_the_runtime(message in strategies::to_runtime(), cut in 1..40usize) {
        survives(&message, cut)?;
    }

    #[test]
    fn every_message_to_a_node(message in strategies::to_node(), cut in 1..40usize) {
        survives(&message, cut)?;
    }

    #[test]
    fn every_request_of_a_command(message in strategies::client_request(), cut in 1..40usize) {
        survives(&message, cut)?;
    }

    #[test]
    fn every_reply_in_parts(replies in prop::collection::vec(strategies::client_reply(), 1..4)) {
        let mut parts = Parts::default();
        for reply in replies.into_iter().filter(|reply| !matches!(reply, ClientReply::Part { .. })) {
            let mut whole = Vec::new();
            for part in in_parts(&reply).unwrap() {
                whole.extend(parts.take(part).unwrap());
            }
            prop_assert_eq!(whole, [reply]);
        }
    }

    #[test]
    fn every_reply_to_a_command(message in strategies::client_reply(), cut in 1..400usize) {
        survives(&message, cut)?;
    }
}

#[test]
fn a_reply_that_never_ends_is_refused_before_it_fills_the_memory() {
    let mut parts = Parts::default();
    let part = || ClientReply::Part {
        bytes: vec![0; PART_BYTES_MAX],
        is_last: false,
    };
    let taken = (0..).find(|_| parts.take(part()).is_err());
    assert_eq!(taken, Some(REPLY_BYTES_MAX / PART_BYTES_MAX));
}
