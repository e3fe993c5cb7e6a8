//! Names in URLs: `hf-hub` puts them in as they are, so they are escaped before.

/// Escapes a path as Python's `urllib.parse.quote` does: all but letters, digits, `_.-~` and `/`.
pub(super) fn escaped(path: &str) -> String {
    use std::fmt::Write as _;
    path.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"_.-~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string never fails.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_a_url_is_escaped_and_folders_stay() {
        assert_eq!(escaped("onnx/model_1.0-b~.json"), "onnx/model_1.0-b~.json");
        assert_eq!(
            escaped("a b#c?d%2Fé&+=:@"),
            "a%20b%23c%3Fd%252F%C3%A9%26%2B%3D%3A%40"
        );
    }
}
