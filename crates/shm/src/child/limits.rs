//! The limit of open descriptors: raised for the runtime, given back to its children.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The soft limit of open descriptors, before and after it was raised. `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DescriptorLimit {
    before: Option<u64>,
    now: Option<u64>,
}

impl DescriptorLimit {
    /// What children get back: programs that use `select` break above 1024.
    pub fn before(self) -> Option<u64> {
        self.before
    }

    /// What this process has now.
    pub fn now(self) -> Option<u64> {
        self.now
    }
}

/// The limit could not be raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the limit of open descriptors cannot be raised: {errno}")]
pub struct DescriptorLimitError {
    /// What the kernel said.
    pub errno: Errno,
}

/// Raises this process's soft limit of open descriptors to the hard one.
///
/// # Errors
///
/// [`DescriptorLimitError`] when the kernel refuses; the limit is then as it was.
pub fn raise_descriptor_limit() -> Result<DescriptorLimit, DescriptorLimitError> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        setrlimit(Resource::Nofile, raised).map_err(|errno| DescriptorLimitError { errno })?;
    }
    Ok(DescriptorLimit {
        before: current,
        now: maximum,
    })
}
