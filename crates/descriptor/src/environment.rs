//! What a check needs to know of the process around it, so that tests can say it.

use std::ffi::OsString;
use std::path::PathBuf;

/// The part of the process's environment that decides which Python runs a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `$VIRTUAL_ENV`.
    pub virtual_env: Option<PathBuf>,
    /// `$PATH`.
    pub search_path: Option<OsString>,
}

impl Environment {
    /// As this process has it.
    pub fn of_this_process() -> Environment {
        Environment {
            virtual_env: std::env::var_os("VIRTUAL_ENV")
                .filter(|value| !value.is_empty())
                .map(PathBuf::from),
            search_path: std::env::var_os("PATH"),
        }
    }
}
