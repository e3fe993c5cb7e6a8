//! Packs bytes as gzip without making them smaller, for an answer that is packed though nobody asked for it.

/// The most bytes in one stored block.
const BLOCK_BYTES: usize = 0xffff;

/// `bytes` as a gzip file of stored blocks (RFC 1951 and 1952).
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = bytes.chunks(BLOCK_BYTES).peekable();
    if blocks.peek().is_none() {
        packed.extend([1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).expect("a block is as long as its length can say");
        packed.push(u8::from(blocks.peek().is_none()));
        packed.extend(length.to_le_bytes());
        packed.extend((!length).to_le_bytes());
        packed.extend(block);
    }
    packed.extend(crc32(bytes).to_le_bytes());
    // The length modulo 2^32, as the format says.
    packed.extend((bytes.len() as u32).to_le_bytes());
    packed
}

/// The checksum that the format wants.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    #[test]
    fn what_is_packed_is_what_gzip_unpacks() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        for length in [0, 1, BLOCK_BYTES, BLOCK_BYTES + 1] {
            let bytes: Vec<u8> = (0..length).map(|place| (place % 251) as u8).collect();
            let mut unpack = Command::new("gzip")
                .arg("--decompress")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdin = unpack.stdin.take().unwrap();
            let packed = gzip(&bytes);
            let writing = std::thread::spawn(move || stdin.write_all(&packed));
            let unpacked = unpack.wait_with_output().unwrap();
            writing.join().unwrap().unwrap();
            assert!(unpacked.status.success());
            assert!(unpacked.stdout == bytes, "{length}");
        }
    }
}
