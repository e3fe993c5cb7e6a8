//! The checksum of a frame.

/// The wrapping sum of `bytes` as little-endian words of 8 bytes; a rest counts as if followed by zeros.
///
/// numpy computes the same with `frame.view("<u8").sum()`. It moves at the speed of memory in both, so it can
/// stand on every frame, and any torn, stale or shifted frame of the examples changes it.
pub fn checksum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(8);
    let mut rest = [0; 8];
    rest[..words.remainder().len()].copy_from_slice(words.remainder());
    words
        .map(|word| u64::from_le_bytes(word.try_into().expect("chunks_exact gives 8 bytes")))
        .fold(u64::from_le_bytes(rest), u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_little_endian_and_the_sum_wraps() {
        assert_eq!(checksum(&[]), 0);
        assert_eq!(checksum(&[1, 1]), 0x101);
        assert_eq!(checksum(&[0xff; 16]), u64::MAX.wrapping_add(u64::MAX));
        assert_eq!(checksum(&[1, 0, 0, 0, 0, 0, 0, 0, 2]), 3);
    }

    #[test]
    fn one_changed_byte_changes_it() {
        let mut frame = vec![7; 4096];
        let before = checksum(&frame);
        frame[4095] ^= 1;
        assert_ne!(checksum(&frame), before);
    }
}
