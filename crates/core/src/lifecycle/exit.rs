//! How a process ended, as the kernel says it.

use std::fmt;

/// The number of SIGKILL on Linux.
const SIGKILL: i32 = 9;
/// The number of SIGTERM on Linux.
const SIGTERM: i32 = 15;
/// What a shell answers with when what it ran was ended by SIGTERM.
const SHELL_SIGTERM: i32 = 128 + SIGTERM;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Exit {
    /// Whether it says that its work is done.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Exit::Code(0)
    }

    /// Whether it is what a process that was sent SIGTERM ends with, directly or under a shell.
    #[must_use]
    pub fn is_by_terminate(self) -> bool {
        matches!(self, Exit::Signal(SIGTERM) | Exit::Code(SHELL_SIGTERM))
    }

    /// Whether SIGKILL ended it.
    #[must_use]
    pub fn is_by_kill(self) -> bool {
        self == Exit::Signal(SIGKILL)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "killed by {name}"),
                None => write!(f, "killed by signal {number}"),
            },
        }
    }
}

/// Names of the signals that end programs, numbered as on x86-64 and aarch64 Linux.
fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        SIGKILL => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        SIGTERM => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_codes_and_names_of_signals() {
        assert_eq!(Exit::Code(3).to_string(), "exit code 3");
        assert_eq!(Exit::Signal(11).to_string(), "killed by SIGSEGV");
        assert_eq!(Exit::Signal(64).to_string(), "killed by signal 64");
    }
}
