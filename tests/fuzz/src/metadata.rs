//! Any bytes as a message's metadata.

use dataflow_wire::metadata::{METADATA_BYTES_MAX, Metadata};

/// Decodes `data` as metadata.
///
/// # Panics
///
/// When what was decoded does not encode to something that decodes to the same.
pub fn metadata(data: &[u8]) {
    let Ok(decoded) = Metadata::decode(data) else {
        return;
    };
    let encoded = encode(&decoded);
    assert!(encoded.len() <= METADATA_BYTES_MAX);
    match Metadata::decode(&encoded) {
        // Compared as bytes: a NaN is not equal to itself.
        Ok(again) => assert_eq!(encode(&again), encoded),
        Err(error) => panic!("{error} in what {decoded:?} was encoded to"),
    }
}

fn encode(metadata: &Metadata) -> Vec<u8> {
    match metadata.encode() {
        Ok(encoded) => encoded,
        Err(error) => panic!("metadata that was decoded cannot be encoded: {error}: {metadata:?}"),
    }
}
