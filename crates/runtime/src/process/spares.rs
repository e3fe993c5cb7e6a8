//! Descriptors kept back for the moment in which the runtime has no other left.
//!
//! A descriptor that is sent to a process without room for it is lost, and whoever waits for the memory behind it
//! waits in vain. So room is made before one is received; what follows is a refusal that names the limit.

use std::cell::RefCell;
use std::os::fd::OwnedFd;

use dataflow_shm::EventFd;

/// One for a segment that arrives, one for the copy that a receiver of it is sent.
const SPARES: usize = 2;

/// The descriptors that are kept back.
#[derive(Debug)]
pub(super) struct Spares {
    held: RefCell<Vec<OwnedFd>>,
}

impl Spares {
    pub(super) fn new() -> Spares {
        let spares = Spares {
            held: RefCell::default(),
        };
        spares.refill();
        spares
    }

    /// Makes sure that a descriptor can be received.
    pub(super) fn make_room(&self) {
        if spare().is_none() {
            self.held.borrow_mut().clear();
        }
    }

    /// Takes back what was given up, if there is room for it; says whether all spares are there.
    pub(super) fn refill(&self) -> bool {
        let mut held = self.held.borrow_mut();
        while held.len() < SPARES {
            let Some(fd) = spare() else {
                return false;
            };
            held.push(fd);
        }
        true
    }
}

fn spare() -> Option<OwnedFd> {
    EventFd::new().ok().map(EventFd::into_fd)
}
