//! Which sizes chunks have: few enough that a freed chunk fits the next message, close enough to waste little.

/// What every chunk is aligned to, in bytes; so is every payload.
pub const CHUNK_ALIGNMENT_BYTES: u64 = 64;

/// The smallest chunk, in bytes. Smaller messages travel inside the slot anyway.
pub(crate) const CHUNK_BYTES_MIN: u64 = 128;

/// From here on chunks are whole pages, and their sizes lie closer together: a quarter of a large frame would
/// be much to waste.
const LARGE_BYTES: u64 = 1 << 20;

const PAGE_BYTES: u64 = 4096;

/// The size of the chunk that a message of `bytes` bytes gets: four sizes between two powers of two, 32 for
/// large ones. `None` when there is no such size, because `bytes` is near 2⁶⁴.
pub(crate) fn class_bytes(bytes: u64) -> Option<u64> {
    if bytes <= CHUNK_BYTES_MIN {
        return Some(CHUNK_BYTES_MIN);
    }
    let power_below = 1u64 << (bytes - 1).ilog2();
    let step = if bytes <= LARGE_BYTES {
        (power_below / 4).max(CHUNK_ALIGNMENT_BYTES)
    } else {
        (power_below / 32).max(PAGE_BYTES)
    };
    bytes.checked_next_multiple_of(step)
}

/// `bytes` in whole pages. `None` near 2⁶⁴.
pub(crate) fn page_bytes(bytes: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn there_are_four_sizes_between_two_powers_of_two() {
        let sizes: Vec<_> = [1, 128, 129, 1024, 1025, 1281, 1537, 1793, 2048, 2049]
            .map(|bytes| class_bytes(bytes).unwrap())
            .to_vec();
        assert_eq!(
            sizes,
            [128, 128, 192, 1024, 1280, 1536, 1792, 2048, 2048, 2560]
        );
        assert_eq!(class_bytes(1920 * 1080 * 3), Some(6 * LARGE_BYTES));
    }

    #[test]
    fn a_size_without_a_class_is_refused() {
        assert_eq!(class_bytes(u64::MAX), None);
        assert_eq!(page_bytes(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn a_chunk_is_large_enough_aligned_and_wastes_little(bytes in 1..1u64 << 40) {
            let size = class_bytes(bytes).unwrap();
            prop_assert!(size >= bytes);
            prop_assert_eq!(size % CHUNK_ALIGNMENT_BYTES, 0);
            prop_assert_eq!(class_bytes(size), Some(size), "a class is its own class");
            prop_assert!(size - bytes < (bytes / 4).max(CHUNK_BYTES_MIN));
            if bytes > LARGE_BYTES {
                prop_assert_eq!(size % PAGE_BYTES, 0);
                prop_assert!(size - bytes < bytes / 32 + PAGE_BYTES);
            }
        }
    }
}
