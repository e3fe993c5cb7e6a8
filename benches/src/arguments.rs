//! `key=value` arguments of the measured nodes.

use std::collections::BTreeMap;
use std::str::FromStr;

/// The arguments of this process, as `key=value`.
pub struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// Reads the arguments of this process. Words without `=` are ignored: cargo adds some.
    pub fn read() -> Self {
        let pairs = std::env::args().skip(1).filter_map(|argument| {
            let (key, value) = argument.split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        });
        Arguments(pairs.collect())
    }

    /// The value of `key`.
    ///
    /// # Errors
    ///
    /// A line that names the key, when it is missing or does not parse.
    pub fn get<T: FromStr>(&self, key: &str) -> Result<T, String> {
        let text = self.0.get(key).ok_or(format!("no argument {key}="))?;
        text.parse()
            .map_err(|_| format!("{key}={text} is no value"))
    }
}
