//! Writing to the standard streams of a command that ends by itself, where a reader that has gone is no mistake.

use std::io::{self, Write, stderr, stdout};

use crate::error::CliError;

/// Writes to standard output. Who reads no more has seen enough.
///
/// # Errors
///
/// [`CliError::System`] when it cannot be written for any other reason.
pub(crate) fn write(text: &str) -> Result<(), CliError> {
    let mut out = stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    or_read_no_more(written).map(drop)
}

/// Whether what was written to standard output is read.
///
/// # Errors
///
/// [`CliError::System`] when it could not be written, and not because its reader has gone.
pub(crate) fn or_read_no_more(written: io::Result<()>) -> Result<bool, CliError> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CliError::system("write to standard output")(error)),
    }
}

/// Writes a line to standard error. There is no other place to say that it has gone.
pub(crate) fn note(text: &str) {
    let _ = stderr().lock().write_all(format!("{text}\n").as_bytes());
}
