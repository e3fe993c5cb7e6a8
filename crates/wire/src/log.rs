//! The word for where a line of a log came from.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Through which stream a line came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogStream {
    /// The node's standard output.
    Stdout,
    /// The node's standard error.
    Stderr,
    /// Not the node: the runtime says it about the node.
    Runtime,
}

impl fmt::Display for LogStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            LogStream::Stdout => "stdout",
            LogStream::Stderr => "stderr",
            LogStream::Runtime => "runtime",
        })
    }
}
