//! The data plane: memfd segments, edges and wake-ups. The only room with unsafe code.
#![allow(unsafe_code)]

mod eventfd;

pub use eventfd::{EventFd, EventFdError};
