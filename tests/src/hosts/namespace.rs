//! One network namespace: made, entered, and gone with the last who has it open.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace.
#[derive(Debug)]
pub(super) struct Namespace {
    file: File,
}

impl Namespace {
    /// A new one, with nothing in it but a loopback that is down.
    pub(super) fn new() -> io::Result<Namespace> {
        let mut holder = Command::new("unshare")
            .args(["--net", "--", "sh", "-c", "echo there; read -r _"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut said = [0; 1];
        let mut output = holder.stdout.take().expect("its output is a pipe");
        let is_there = output.read_exact(&mut said).is_ok();
        // Open, it stays when its first process ends.
        let file = is_there.then(|| File::open(format!("/proc/{}/ns/net", holder.id())));
        let ended = holder.wait_with_output()?;
        match file {
            Some(file) => Ok(Namespace { file: file? }),
            None => Err(io::Error::other(
                String::from_utf8_lossy(&ended.stderr).trim().to_owned(),
            )),
        }
    }

    /// What `ip` takes for its name.
    pub(super) fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()).into()
    }

    /// Does something on a thread that is in it. Threads, sockets and processes that it makes are in it too.
    pub(super) fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("who has made a namespace may enter it");
                act()
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs `ip` in it.
    pub(super) fn ip(&self, arguments: &str) -> Result<(), String> {
        let output = self
            .inside(|| {
                Command::new("ip")
                    .args(arguments.split_whitespace())
                    .stdin(Stdio::null())
                    .output()
            })
            .map_err(|error| format!("`ip` does not start: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let error = String::from_utf8_lossy(&output.stderr);
        Err(format!("`ip {arguments}` failed: {}", error.trim()))
    }
}
