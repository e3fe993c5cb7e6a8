//! Every message type survives encoding, framing, and being cut anywhere on its way.

use std::fmt::Debug;

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
    fn every_reply_to_a_command(message in strategies::client_reply(), cut in 1..400usize) {
        survives(&message, cut)?;
    }
}
