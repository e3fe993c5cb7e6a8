//! Any bytes as a stream of frames, in any pieces.

use dataflow_wire::frame::{FrameError, FrameReader};
use dataflow_wire::node::{ToNode, ToRuntime};
use serde::de::DeserializeOwned;

/// How many of the first bytes say how the others are cut.
const CUTS: usize = 8;

/// Reads `data`, without its first bytes, as a stream: in one piece, and in those that the first bytes ask for.
///
/// # Panics
///
/// When the two find different messages, or a refused stream gives anything more.
pub fn stream(data: &[u8]) {
    let (cuts, bytes) = data.split_at(data.len().min(CUTS));
    if cuts.first().is_some_and(|first| first % 2 == 1) {
        compare::<ToRuntime>(cuts, bytes);
    } else {
        compare::<ToNode>(cuts, bytes);
    }
}

fn compare<T: DeserializeOwned + PartialEq + std::fmt::Debug>(cuts: &[u8], bytes: &[u8]) {
    let whole = read::<T>(&mut [bytes].into_iter());
    let mut sizes = cuts.iter().cycle().map(|cut| usize::from(*cut).max(1));
    let mut rest = bytes;
    let mut pieces = std::iter::from_fn(|| {
        if rest.is_empty() {
            return None;
        }
        let (piece, left) = rest.split_at(sizes.next().unwrap_or(1).min(rest.len()));
        rest = left;
        Some(piece)
    });
    assert_eq!(read::<T>(&mut pieces), whole);
}

fn read<T: DeserializeOwned>(
    pieces: &mut dyn Iterator<Item = &[u8]>,
) -> (Vec<T>, Option<FrameError>) {
    let mut reader = FrameReader::new();
    let mut messages = Vec::new();
    loop {
        let piece = pieces.next();
        match piece {
            Some(piece) => reader.feed(piece),
            None => reader.feed_end(),
        }
        loop {
            match reader.next::<T>() {
                Ok(Some((message, descriptors))) => {
                    assert!(descriptors.is_empty(), "none was sent");
                    messages.push(message);
                }
                Ok(None) => break,
                Err(error) => {
                    reader.feed(b"more");
                    assert!(matches!(reader.next::<T>(), Err(FrameError::AfterRefusal)));
                    return (messages, Some(error));
                }
            }
        }
        if piece.is_none() {
            return (messages, None);
        }
    }
}
