//! Breaking off what is done before a run begins: a person need not wait for a program that is only asked something.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// Breaks off [`prepare`](crate::prepare) from another thread, which then ends with
/// [`UpError::Interrupted`](crate::UpError::Interrupted). Once [`Run`](crate::Run) is there it changes nothing.
#[derive(Debug, Clone, Default)]
pub struct Interruption {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    came: bool,
    /// The process groups that run at this moment, none of them waited for yet.
    groups: Vec<Pid>,
}

/// How a program ended that [`Interruption::run`] has run.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It was killed, because nobody wants its answer any more.
    Interrupted,
    /// By itself, with what it has said on standard error.
    Done(ExitStatus, Vec<u8>),
}

impl Interruption {
    /// Ends what runs, and keeps anything else from beginning.
    pub fn interrupt(&self) {
        let mut state = self.lock();
        state.came = true;
        for group in &state.groups {
            // One that has ended needs no signal; its number is not given to another before it is waited for.
            let _ = kill_process_group(*group, Signal::KILL);
        }
    }

    /// Whether [`Interruption::interrupt`] was called.
    pub(crate) fn came(&self) -> bool {
        self.lock().came
    }

    /// Runs a program in a process group of its own, so that a Ctrl-C at the terminal comes to this process alone.
    pub(crate) fn run(&self, command: &mut Command) -> io::Result<Ended> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        let (mut child, group) = {
            let mut state = self.lock();
            if state.came {
                return Ok(Ended::Interrupted);
            }
            let child = command.spawn()?;
            let group = group_of(&child)?;
            state.groups.push(group);
            (child, group)
        };
        let mut errors = Vec::new();
        let read = match &mut child.stderr {
            Some(stderr) => stderr.read_to_end(&mut errors).map(drop),
            None => Ok(()),
        };
        let waited = wait_without_reaping(group);
        let came = {
            let mut state = self.lock();
            state.groups.retain(|other| *other != group);
            state.came
        };
        let status = child.wait()?;
        if came {
            return Ok(Ended::Interrupted);
        }
        read.and(waited)?;
        Ok(Ended::Done(status, errors))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of a process that leads a group is also the group's.
fn group_of(child: &Child) -> io::Result<Pid> {
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn wait_without_reaping(pid: Pid) -> io::Result<()> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    loop {
        match waitid(WaitId::Pid(pid), options) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other.map(drop)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;

    use super::*;

    fn shell(text: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", text]);
        command
    }

    #[test]
    fn what_a_program_says_on_standard_error_is_kept() {
        let ended = Interruption::default().run(&mut shell("echo out; echo wrong >&2; exit 3"));
        match ended.unwrap() {
            Ended::Done(status, errors) => {
                assert_eq!((status.code(), &errors[..]), (Some(3), &b"wrong\n"[..]));
            }
            Ended::Interrupted => panic!("nobody has interrupted it"),
        }
    }

    #[test]
    fn an_interruption_ends_a_program_with_its_children_and_lets_no_other_begin() {
        let interruption = Interruption::default();
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        let running = std::thread::spawn({
            let interruption = interruption.clone();
            let text = format!("sleep 1000 & echo running > {}; wait", fifo.display());
            move || interruption.run(&mut shell(&text))
        });
        let mut line = String::new();
        io::BufReader::new(std::fs::File::open(&fifo).unwrap())
            .read_line(&mut line)
            .unwrap();
        interruption.interrupt();
        assert!(matches!(
            running.join().unwrap().unwrap(),
            Ended::Interrupted
        ));
        let later = interruption.run(&mut shell("exit 0")).unwrap();
        assert!(matches!(later, Ended::Interrupted));
    }
}
