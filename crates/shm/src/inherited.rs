//! Taking over the control socket that a node was started with.

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::fs::FileType;
use rustix::io::{Errno, FdFlags};

/// Why a number names no socket that was left for this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InheritedError {
    /// It is one of the standard streams, or no number of a descriptor at all.
    #[error("{number} is not above 2")]
    NotAbove2 {
        /// The number.
        number: RawFd,
    },
    /// Nothing is open under this number.
    #[error(
        "descriptor {number} is not open: a program between the runtime and this one has closed it"
    )]
    NotOpen {
        /// The number.
        number: RawFd,
    },
    /// Something else is open under this number.
    #[error("descriptor {number} is no socket")]
    NoSocket {
        /// The number.
        number: RawFd,
    },
    /// It was opened by this process, or taken over before.
    #[error("descriptor {number} was not inherited, or was taken over before")]
    NotInherited {
        /// The number.
        number: RawFd,
    },
    /// The kernel refused.
    #[error("descriptor {number} cannot be used: {errno}")]
    Unusable {
        /// The number.
        number: RawFd,
        /// What the kernel said.
        errno: Errno,
    },
}

/// Takes over an inherited socket, and closes it on exec from now on.
///
/// # Errors
///
/// [`InheritedError`] unless `number` is an open socket above 2 that is still marked to be inherited. A second
/// call with the same number is refused by that: the first has removed the mark.
pub fn inherited_socket(number: RawFd) -> Result<OwnedFd, InheritedError> {
    if number <= 2 {
        return Err(InheritedError::NotAbove2 { number });
    }
    // SAFETY: the number is only asked about here; the kernel answers with an error if it is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = match rustix::io::fcntl_getfd(borrowed) {
        Ok(flags) => flags,
        Err(Errno::BADF) => return Err(InheritedError::NotOpen { number }),
        Err(errno) => return Err(InheritedError::Unusable { number, errno }),
    };
    let unusable = |errno| InheritedError::Unusable { number, errno };
    let stat = rustix::fs::fstat(borrowed).map_err(unusable)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Err(InheritedError::NoSocket { number });
    }
    if flags.contains(FdFlags::CLOEXEC) {
        return Err(InheritedError::NotInherited { number });
    }
    // SAFETY: it is open, and nothing in this process owns it: what Rust's and Python's libraries open is closed
    // on exec, so a socket without that mark was inherited, and the mark is set below, before a second call
    // could take it over too.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(socket.as_fd(), FdFlags::CLOEXEC).map_err(unusable)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd, IntoRawFd};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_socket_left_open_for_us_is_taken_over_once() {
        let (here, _there) = UnixStream::pair().unwrap();
        rustix::io::fcntl_setfd(&here, FdFlags::empty()).unwrap();
        let number = here.into_raw_fd();
        let socket = inherited_socket(number).unwrap();
        assert_eq!(socket.as_raw_fd(), number);
        assert!(
            rustix::io::fcntl_getfd(&socket)
                .unwrap()
                .contains(FdFlags::CLOEXEC)
        );
        assert_eq!(
            inherited_socket(number).unwrap_err(),
            InheritedError::NotInherited { number }
        );
    }

    #[test]
    fn what_was_not_left_for_us_is_refused() {
        for number in [-1, 0, 2] {
            assert_eq!(
                inherited_socket(number).unwrap_err(),
                InheritedError::NotAbove2 { number }
            );
        }
        let number = 999_999;
        assert_eq!(
            inherited_socket(number).unwrap_err(),
            InheritedError::NotOpen { number }
        );
        let file = tempfile::tempfile().unwrap();
        let number = file.as_raw_fd();
        assert_eq!(
            inherited_socket(number).unwrap_err(),
            InheritedError::NoSocket { number }
        );
    }
}
