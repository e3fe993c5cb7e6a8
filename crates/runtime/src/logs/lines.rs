//! Bytes of a pipe to lines.

/// The longest line kept whole, in bytes; a longer one goes on in the next record.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes bytes as they came; gives the lines that are complete.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        while !bytes.is_empty() {
            let room = LINE_BYTES_MAX - self.partial.len();
            let window = &bytes[..bytes.len().min(room)];
            match window.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.partial.extend_from_slice(&window[..end]);
                    bytes = &bytes[end + 1..];
                    lines.push(self.take());
                }
                None => {
                    self.partial.extend_from_slice(window);
                    bytes = &bytes[window.len()..];
                    if self.partial.len() == LINE_BYTES_MAX {
                        lines.push(self.take());
                    }
                }
            }
        }
        lines
    }

    /// What is left when the stream ends without an end of line.
    pub(crate) fn finish(&mut self) -> Option<String> {
        (!self.partial.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> String {
        if self.partial.last() == Some(&b'\r') {
            self.partial.pop();
        }
        let line = String::from_utf8_lossy(&self.partial).into_owned();
        self.partial.clear();
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_their_ends_and_at_the_limit() {
        let mut lines = Lines::default();
        assert!(lines.push(b"half").is_empty());
        assert_eq!(
            lines.push(b" a line\r\nnext\n\nrest"),
            ["half a line", "next", ""]
        );
        assert_eq!(lines.finish().as_deref(), Some("rest"));
        assert_eq!(lines.finish(), None);

        let long = vec![b'x'; LINE_BYTES_MAX * 2 + 5];
        let cut = lines.push(&long);
        assert_eq!(cut.len(), 2);
        assert_eq!(cut[0].len(), LINE_BYTES_MAX);
        assert_eq!(lines.push(b"\n"), ["xxxxx"]);
        assert_eq!(lines.push(b"\xff\n"), ["\u{fffd}"]);
    }
}
