//! What is no message is refused with a typed error: no panic, no hang, nothing big allocated.

use dataflow_ids::EdgeId;
use dataflow_wire::client::{ClientReply, ClientRequest};
use dataflow_wire::frame::{
    DecodeError, EncodeError, FRAME_BODY_BYTES_MAX, FRAME_HEADER_BYTES, FrameError, FrameReader,
    decode, encode, encode_frame,
};
use dataflow_wire::node::{ToNode, ToRuntime};
use proptest::prelude::*;

use crate::strategies;

fn header(length: u32, descriptors: u8, zeros: [u8; 3]) -> Vec<u8> {
    let mut header = length.to_le_bytes().to_vec();
    header.push(descriptors);
    header.extend(zeros);
    header
}

fn refusal(bytes: &[u8]) -> FrameError {
    let mut reader = FrameReader::new();
    reader.feed(bytes);
    let error = reader.next::<ToRuntime>().unwrap_err();
    // The stream stays refused, whatever follows.
    reader.feed(&encode_frame(&ToRuntime::Ready).unwrap());
    assert_eq!(
        reader.next::<ToRuntime>().unwrap_err(),
        FrameError::AfterRefusal
    );
    error
}

proptest! {
    #[test]
    fn a_frame_truncated_at_any_byte_is_refused_when_the_stream_ends(
        message in strategies::to_runtime(),
    ) {
        let frame = encode_frame(&message).unwrap();
        for length in 1..frame.len() {
            let mut reader = FrameReader::new();
            reader.feed(&frame[..length]);
            prop_assert!(reader.next::<ToRuntime>().unwrap().is_none());
            reader.feed_end();
            let error = reader.next::<ToRuntime>().unwrap_err();
            let needed = if length < FRAME_HEADER_BYTES { FRAME_HEADER_BYTES } else { frame.len() };
            prop_assert_eq!(error, FrameError::Truncated { have: length, needed });
        }
    }

    #[test]
    fn a_body_truncated_at_any_byte_is_refused(
        message in strategies::to_node(),
        reply in strategies::client_reply(),
    ) {
        let body = encode(&message).unwrap();
        for length in 0..body.len() {
            prop_assert!(decode::<ToNode>(&body[..length]).is_err());
        }
        let body = encode(&reply).unwrap();
        for length in 0..body.len() {
            prop_assert!(decode::<ClientReply>(&body[..length]).is_err());
        }
    }

    #[test]
    fn bytes_after_a_message_are_refused(
        message in strategies::to_runtime(),
        tail in proptest::collection::vec(any::<u8>(), 1..20),
    ) {
        let mut body = encode(&message).unwrap();
        body.extend(&tail);
        prop_assert_eq!(
            decode::<ToRuntime>(&body).unwrap_err(),
            DecodeError::Trailing { bytes: tail.len() }
        );
        let mut frame = header(body.len() as u32, 0, [0; 3]);
        frame.extend(&body);
        prop_assert_eq!(
            refusal(&frame),
            FrameError::Body(DecodeError::Trailing { bytes: tail.len() })
        );
    }

    #[test]
    fn garbage_gives_an_error_or_a_message_and_never_a_panic(
        garbage in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = decode::<ToRuntime>(&garbage);
        let _ = decode::<ToNode>(&garbage);
        let _ = decode::<ClientRequest>(&garbage);
        let _ = decode::<ClientReply>(&garbage);
        let mut reader = FrameReader::new();
        reader.feed(&garbage);
        while let Ok(Some(_)) = reader.next::<ToNode>() {}
    }

    #[test]
    fn one_changed_byte_never_panics(
        reply in strategies::client_reply(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut body = encode(&reply).unwrap();
        let place = place.index(body.len());
        body[place] = byte;
        let _ = decode::<ClientReply>(&body);
    }
}

#[test]
fn a_frame_above_the_limit_is_refused_before_its_body_comes() {
    let claims = FRAME_BODY_BYTES_MAX as u32 + 1;
    assert_eq!(
        refusal(&header(claims, 0, [0; 3])),
        FrameError::TooLong {
            bytes: claims as usize
        }
    );
    assert_eq!(
        refusal(&header(u32::MAX, 0, [0; 3])),
        FrameError::TooLong {
            bytes: u32::MAX as usize
        }
    );
}

#[test]
fn a_frame_with_too_many_descriptors_is_refused() {
    assert_eq!(
        refusal(&header(1, 5, [0; 3])),
        FrameError::TooManyDescriptors { descriptors: 5 }
    );
}

#[test]
fn a_frame_that_claims_descriptors_and_brings_none_is_refused() {
    assert_eq!(
        refusal(&header(1, 2, [0; 3])),
        FrameError::DescriptorsMismatch {
            claimed: 2,
            arrived: 0
        }
    );
}

#[test]
fn a_header_with_something_where_zeros_belong_is_refused() {
    for zeros in [[1, 0, 0], [0, 1, 0], [0, 0, 255]] {
        assert_eq!(refusal(&header(1, 0, zeros)), FrameError::HeaderGarbled);
    }
    // What somebody gets who speaks HTTP to the socket.
    assert!(matches!(
        refusal(b"GET / HTTP/1.1\r\n\r\n"),
        FrameError::HeaderGarbled
    ));
}

#[test]
fn an_empty_body_is_refused() {
    assert!(matches!(
        refusal(&header(0, 0, [0; 3])),
        FrameError::Body(DecodeError::Garbled { .. })
    ));
}

#[test]
fn a_list_that_claims_to_be_huge_is_refused_without_allocating_for_it() {
    // `ReleaseAck`: variant 6, edge 0, epoch 0, released_upto 0, queued 0, then a list of 2^62 sequences.
    let mut body = vec![6, 0, 0, 0, 0, 253];
    body.extend((1u64 << 62).to_le_bytes());
    assert!(matches!(
        decode::<ToRuntime>(&body),
        Err(DecodeError::Garbled { .. })
    ));
    // `Warning`: variant 9, then a text of 2^63 bytes.
    let mut body = vec![9, 253];
    body.extend((1u64 << 63).to_le_bytes());
    assert!(matches!(
        decode::<ToRuntime>(&body),
        Err(DecodeError::ClaimsTooMuch { .. })
    ));
}

#[test]
fn a_name_that_is_no_name_is_refused() {
    let honest = encode(&ToRuntime::Warning {
        text: "../../etc".into(),
    })
    .unwrap();
    // The same bytes, read as a node's name.
    assert!(matches!(
        decode::<dataflow_ids::NodeId>(&honest[1..]),
        Err(DecodeError::Garbled { .. })
    ));
}

#[test]
fn a_message_above_the_limit_is_not_sent() {
    let message = ToRuntime::EdgeDamaged {
        edge: EdgeId(0),
        what: "x".repeat(FRAME_BODY_BYTES_MAX),
    };
    assert!(matches!(
        encode(&message),
        Err(EncodeError::TooLong { bytes, .. }) if bytes > FRAME_BODY_BYTES_MAX
    ));
    assert!(matches!(
        decode::<ToRuntime>(&vec![0; FRAME_BODY_BYTES_MAX + 1]),
        Err(DecodeError::TooLong { .. })
    ));
}

#[test]
fn the_longest_message_is_sent() {
    let message = ToRuntime::Warning {
        text: "x".repeat(FRAME_BODY_BYTES_MAX - 16),
    };
    let mut reader = FrameReader::new();
    reader.feed(&encode_frame(&message).unwrap());
    let (received, _) = reader.next::<ToRuntime>().unwrap().unwrap();
    assert_eq!(received, message);
}
