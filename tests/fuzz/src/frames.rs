//! Any bytes as the body of a frame, of every type that is sent.

use std::fmt::Debug;

use dataflow_wire::client::{ClientReply, ClientRequest};
use dataflow_wire::frame::{FRAME_BODY_BYTES_MAX, decode, encode, encode_frame};
use dataflow_wire::node::{ToNode, ToRuntime};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Decodes `data` without its first byte, which says as what.
///
/// # Panics
///
/// When what was decoded does not encode to an equal value.
pub fn frames(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else {
        return;
    };
    match kind % 4 {
        0 => returns::<ToRuntime>(body),
        1 => returns::<ToNode>(body),
        2 => returns::<ClientRequest>(body),
        _ => returns::<ClientReply>(body),
    }
}

fn returns<T: Serialize + DeserializeOwned + PartialEq + Debug>(body: &[u8]) {
    let Ok(value) = decode::<T>(body) else {
        return;
    };
    let encoded = match encode(&value) {
        Ok(encoded) => encoded,
        Err(error) => panic!("a value that was decoded cannot be encoded: {error}: {value:?}"),
    };
    assert!(encoded.len() <= FRAME_BODY_BYTES_MAX);
    assert_eq!(decode::<T>(&encoded).as_ref(), Ok(&value));
    assert_eq!(
        encode_frame(&value).map(|frame| frame.len()),
        Ok(encoded.len() + 8)
    );
}
