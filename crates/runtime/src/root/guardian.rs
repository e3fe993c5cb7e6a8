//! The one who stays when the runtime is killed: ends the process groups of its nodes.
//!
//! The kernel ends the processes that the runtime has started (parent-death signal), but not their children, and a
//! node that is killed like this has no moment left to end its own group. So a small process, a shell that sleeps,
//! holds the list of groups and the other end of a pipe: when the pipe ends without a farewell to a group, that
//! group is ended (I-5).

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Pid;

/// Keeps a list of groups, by the lines `+ NUMBER` and `- NUMBER`. It does not listen to the terminal.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
groups=' '
while read -r change group; do
  case $change in
    +) groups="$groups$group " ;;
    -) groups="${groups%% "$group" *} ${groups#* "$group" }" ;;
  esac
done
for group in $groups; do
  kill -s KILL -- "-$group"
done
"#;

/// The runtime's end of it.
#[derive(Debug)]
pub(super) struct Guardian {
    groups: BTreeSet<i32>,
    process: Option<(Child, ChildStdin)>,
}

impl Guardian {
    /// Starts it.
    pub(super) fn new() -> io::Result<Guardian> {
        Ok(Guardian {
            groups: BTreeSet::new(),
            process: Some(start()?),
        })
    }

    /// A group is to end with the runtime.
    pub(super) fn add(&mut self, group: Pid) {
        let group = group.as_raw_nonzero().get();
        if self.groups.insert(group) {
            self.tell('+', group);
        }
    }

    /// A group has ended, before its number is given to another.
    pub(super) fn remove(&mut self, group: Pid) {
        let group = group.as_raw_nonzero().get();
        if self.groups.remove(&group) {
            self.tell('-', group);
        }
    }

    fn tell(&mut self, change: char, group: i32) {
        let line = format!("{change} {group}\n");
        if let Some((_, pipe)) = &mut self.process
            && pipe.write_all(line.as_bytes()).is_ok()
        {
            return;
        }
        // Somebody has killed it: another one takes over.
        self.end();
        match start() {
            Ok((child, mut pipe)) => {
                let lines: String = (self.groups.iter())
                    .map(|group| format!("+ {group}\n"))
                    .collect();
                let _ = pipe.write_all(lines.as_bytes());
                self.process = Some((child, pipe));
            }
            Err(error) => tracing::warn!(%error, "guardian of the nodes' children not started"),
        }
    }

    fn end(&mut self) {
        if let Some((mut child, pipe)) = self.process.take() {
            drop(pipe);
            // It ends at the end of its pipe, at once.
            let _ = child.wait();
        }
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        self.end();
    }
}

fn start() -> io::Result<(Child, ChildStdin)> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", SCRIPT, "dataflow-guardian"])
        .current_dir("/")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    let Some(pipe) = child.stdin.take() else {
        unreachable!("it was asked to be a pipe");
    };
    // The arbiter writes to it, and waits for nobody.
    fcntl_setfl(&pipe, fcntl_getfl(&pipe)? | OFlags::NONBLOCK)?;
    Ok((child, pipe))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn sleeper() -> (Child, Pid) {
        let child = Command::new("sleep")
            .arg("1000")
            .process_group(0)
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        (child, pid)
    }

    #[test]
    fn groups_that_were_not_taken_off_the_list_end_with_the_pipe() {
        let mut guardian = Guardian::new().unwrap();
        let ((mut kept, kept_pid), (mut gone, gone_pid)) = (sleeper(), sleeper());
        guardian.add(gone_pid);
        guardian.add(kept_pid);
        guardian.remove(kept_pid);
        drop(guardian);
        assert_eq!(gone.wait().unwrap().signal(), Some(9));
        assert_eq!(kept.try_wait().unwrap(), None);
        kept.kill().unwrap();
        kept.wait().unwrap();
    }

    #[test]
    fn another_takes_over_when_it_is_killed() {
        let mut guardian = Guardian::new().unwrap();
        let ((mut first, first_pid), (mut second, second_pid)) = (sleeper(), sleeper());
        guardian.add(first_pid);
        let (process, _) = guardian.process.as_mut().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        guardian.add(second_pid);
        drop(guardian);
        assert_eq!(first.wait().unwrap().signal(), Some(9));
        assert_eq!(second.wait().unwrap().signal(), Some(9));
    }
}
