//! Any bytes as what another agent says on a connection, and as the reason for which it closes one.

use dataflow_wire::peer::{
    FRAME_BYTES_MAX, Frame, Goodbye, HELLO_BYTES_MAX, LABEL_BYTES_MAX, LABELS_MAX, LENGTH_BYTES,
    PREAMBLE_BYTES, Preamble, Refusal, VERSION_BYTES_MAX,
};

/// Takes `data` as a preamble and the frames after it, or, by its first byte, as a close.
///
/// # Panics
///
/// When a frame that was read is not written as an equal one, when one is longer than was allowed, or when a hello that
/// passes has what cannot be shown.
pub fn peer_frames(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    if kind % 4 == 3 {
        return close(rest);
    }
    // Two of three inputs are spared the magic, which no chance finds.
    let frames = match rest.split_first_chunk::<PREAMBLE_BYTES>() {
        Some((bytes, frames)) if kind % 4 == 0 => match Preamble::from_bytes(bytes) {
            Ok(preamble) => {
                let again = Preamble::from_bytes(&preamble.to_bytes());
                assert_eq!(again, Ok(preamble));
                frames
            }
            Err(_) => return,
        },
        _ => rest,
    };
    conversation(frames);
}

/// The first frame may be as long as a hello, and every later one is short.
fn conversation(mut rest: &[u8]) {
    let mut bytes_max = HELLO_BYTES_MAX;
    while let Some((length, after)) = rest.split_first_chunk::<LENGTH_BYTES>() {
        let Ok(length) = Frame::body_bytes(*length, bytes_max) else {
            return;
        };
        assert!(length <= bytes_max);
        let Some((body, after)) = after.split_at_checked(length) else {
            return;
        };
        let Ok(frame) = Frame::decode(body) else {
            return;
        };
        returns(&frame);
        rest = after;
        bytes_max = FRAME_BYTES_MAX;
    }
}

fn returns(frame: &Frame) {
    let written = match frame.encode() {
        Ok(written) => written,
        Err(error) => panic!("a frame that was read cannot be written: {error}: {frame:?}"),
    };
    let body = &written[LENGTH_BYTES..];
    let length = Frame::body_bytes([written[0], written[1], written[2], written[3]], body.len());
    assert_eq!(length, Ok(body.len()));
    assert_eq!(Frame::decode(body).as_ref(), Ok(frame));
    if let Frame::Hello(hello) = frame
        && hello.check().is_ok()
    {
        let shown = format!(
            "{} {} {} {}",
            hello.cluster, hello.from, hello.to, hello.version
        );
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        assert!(hello.version.len() <= VERSION_BYTES_MAX);
        let labels = &hello.offer.labels;
        assert!(labels.len() <= LABELS_MAX);
        for text in labels.iter().flat_map(|(key, value)| [key, value]) {
            assert!(text.len() <= LABEL_BYTES_MAX, "{text:?}");
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
    }
}

/// The code and the reason of a close: a goodbye, a refusal, or neither.
fn close(data: &[u8]) {
    let Some((code, reason)) = data.split_first() else {
        return;
    };
    let code = u64::from(*code);
    let goodbye = Goodbye::from_code(code);
    let refusal = Refusal::from_close(code, reason);
    assert!(goodbye.is_none() || refusal.is_none(), "code {code}");
    if let Some(goodbye) = goodbye {
        assert_eq!(u64::from(goodbye.code()), code);
    }
    if let Some(refusal) = refusal {
        let (code, reason) = refusal.to_close();
        assert_eq!(Refusal::from_close(code.into(), &reason), Some(refusal));
        assert!(!reason.iter().any(u8::is_ascii_control), "{reason:?}");
    }
}
