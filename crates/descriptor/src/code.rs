//! The codes of the diagnostics.

use std::fmt;

/// The kind of a diagnostic, written `DF0007`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DF{:04}", self.0)
    }
}
