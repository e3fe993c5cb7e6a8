//! Why a process could not be started, told from what the kernel says and what stands on the disk.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The working folder does not exist, or is none.
    #[error("the working folder {} does not exist: create it", .folder.display())]
    FolderMissing {
        /// The folder.
        folder: PathBuf,
    },
    /// The working folder may not be entered.
    #[error("the working folder {} may not be entered: check its permissions", .folder.display())]
    FolderForbidden {
        /// The folder.
        folder: PathBuf,
    },
    /// There is no such program.
    #[error("the program {} does not exist: check the path, or build it first", .program.display())]
    ProgramMissing {
        /// The program.
        program: PathBuf,
    },
    /// No folder of `PATH` has such a program.
    #[error(
        "the program {} is in no folder of PATH: install it, or give its path with a `/`",
        .program.display()
    )]
    ProgramNotInPath {
        /// The program.
        program: PathBuf,
    },
    /// The program is a folder.
    #[error("{} is a folder and no program", .program.display())]
    ProgramIsFolder {
        /// The program.
        program: PathBuf,
    },
    /// The program may not be executed.
    #[error(
        "the program {0} may not be executed: make it executable (`chmod +x {0}`)",
        .program.display()
    )]
    NotExecutable {
        /// The program.
        program: PathBuf,
    },
    /// The program is a script for an interpreter that does not exist.
    #[error(
        "the program {} is a script for {}, which does not exist: install it or change the first line",
        .program.display(), .interpreter.display()
    )]
    InterpreterMissing {
        /// The program.
        program: PathBuf,
        /// What its first line names.
        interpreter: PathBuf,
    },
    /// The file is executable and neither a program of this machine nor a script.
    #[error(
        "{} is no program of this machine: build it for this machine, or begin a script with a line like \
         `#!/usr/bin/env python3`",
        .program.display()
    )]
    NotAProgram {
        /// The program.
        program: PathBuf,
    },
    /// The process or the machine has no room for another process or descriptor.
    #[error(
        "no room for another process ({errno}): raise the limits (`ulimit -n`, `ulimit -u`) or run fewer nodes"
    )]
    NoResources {
        /// What the kernel said.
        errno: Errno,
    },
    /// The kernel refused for another reason.
    #[error("the program {} could not be started: {error}", .program.display())]
    Failed {
        /// The program.
        program: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
}

impl SpawnError {
    pub(super) fn from_resources(errno: Errno) -> Self {
        SpawnError::NoResources { errno }
    }

    /// Refuses an executable text without `#!`.
    ///
    /// The C library would have a shell run it, and a shell that reads Python does strange things (`import` is
    /// a command that takes a picture of the screen). If other formats are registered with the kernel, it may
    /// be one of them, and the kernel decides.
    pub(super) fn refuse_what_a_shell_would_guess(
        program: &Path,
        folder: &Path,
    ) -> Result<(), SpawnError> {
        let file = folder.join(program);
        if !is_path(program) || !file.is_file() || !is_executable(&file) || others_registered() {
            return Ok(());
        }
        match beginning_of(&file) {
            Some(begin) if !begin.starts_with(b"#!") && !begin.starts_with(b"\x7fELF") => {
                Err(SpawnError::NotAProgram {
                    program: program.to_owned(),
                })
            }
            // What cannot be read can still be executed.
            _ => Ok(()),
        }
    }

    /// Looks at the disk to tell apart what the kernel answers alike.
    pub(super) fn explain(program: PathBuf, folder: PathBuf, error: io::Error) -> Self {
        let errno = Errno::from_io_error(&error);
        match errno {
            Some(errno @ (Errno::MFILE | Errno::NFILE | Errno::AGAIN | Errno::NOMEM)) => {
                return SpawnError::from_resources(errno);
            }
            Some(Errno::NOENT | Errno::NOTDIR) if !folder.is_dir() => {
                return SpawnError::FolderMissing { folder };
            }
            Some(Errno::ACCESS) if access(&folder, Access::EXEC_OK).is_err() => {
                return SpawnError::FolderForbidden { folder };
            }
            _ => {}
        }
        let by_path = is_path(&program);
        let file = folder.join(&program);
        match errno {
            Some(Errno::NOENT) if !by_path => SpawnError::ProgramNotInPath { program },
            Some(Errno::NOENT | Errno::NOTDIR) => match interpreter_of(&file) {
                Some(interpreter) => SpawnError::InterpreterMissing {
                    program,
                    interpreter,
                },
                None if file.exists() => SpawnError::NotAProgram { program },
                None => SpawnError::ProgramMissing { program },
            },
            Some(Errno::ACCESS) if by_path && file.is_dir() => {
                SpawnError::ProgramIsFolder { program }
            }
            Some(Errno::ACCESS) if !by_path || !is_executable(&file) => {
                SpawnError::NotExecutable { program }
            }
            Some(Errno::NOEXEC) => SpawnError::NotAProgram { program },
            _ => SpawnError::Failed { program, error },
        }
    }
}

fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|data| data.permissions().mode() & 0o111 != 0)
}

/// A program that is not named by a path is looked for in PATH.
fn is_path(program: &Path) -> bool {
    program.as_os_str().as_bytes().contains(&b'/')
}

/// Whether the kernel knows formats besides its own (Java, other machines' programs, …).
fn others_registered() -> bool {
    fs::read_dir("/proc/sys/fs/binfmt_misc").is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name() != "register" && entry.file_name() != "status")
    })
}

/// As much as the kernel looks at.
fn beginning_of(file: &Path) -> Option<Vec<u8>> {
    let mut begin = Vec::new();
    let file = File::open(file).ok()?;
    file.take(256).read_to_end(&mut begin).ok()?;
    Some(begin)
}

/// What a script's first line names, if that does not exist.
fn interpreter_of(file: &Path) -> Option<PathBuf> {
    let begin = beginning_of(file)?;
    let line = begin
        .strip_prefix(b"#!")?
        .split(|&byte| byte == b'\n')
        .next()?;
    let name = String::from_utf8_lossy(line);
    let interpreter = PathBuf::from(name.split_whitespace().next()?);
    (!interpreter.exists()).then_some(interpreter)
}
