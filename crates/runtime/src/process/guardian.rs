//! The one who stays when the runtime is killed: ends the process groups of its nodes.
//!
//! The kernel ends the processes that the runtime has started (parent-death signal), but not their children, and a
//! node that is killed like this has no moment left to end its own group. So a small process, a shell that sleeps,
//! holds the list of groups and the other end of a pipe: when the pipe ends without a farewell to a group, that
//! group is ended (I-5).

use std::collections::{BTreeSet, VecDeque};
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

/// The runtime's end of it. Nothing here waits for it, except its own end when it has nothing left to do.
#[derive(Debug)]
pub(super) struct Guardian {
    groups: BTreeSet<i32>,
    process: Option<(Child, ChildStdin)>,
    /// What its pipe had no room for.
    unsaid: VecDeque<u8>,
    /// Earlier ones that were killed, and are not reaped yet.
    ended: Vec<Child>,
}

impl Guardian {
    /// Starts it.
    pub(super) fn new() -> io::Result<Guardian> {
        Ok(Guardian {
            groups: BTreeSet::new(),
            process: Some(start()?),
            unsaid: VecDeque::new(),
            ended: Vec::new(),
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

    /// Whether it has not been told everything yet: it is slow, or stands still.
    pub(super) fn is_behind(&self) -> bool {
        !self.unsaid.is_empty()
    }

    /// Tells it what its pipe had no room for.
    pub(super) fn flush(&mut self) {
        self.ended
            .retain_mut(|child| !matches!(child.try_wait(), Ok(Some(_))));
        while let Some((_, pipe)) = &mut self.process
            && !self.unsaid.is_empty()
        {
            let (first, _) = self.unsaid.as_slices();
            match pipe.write(first) {
                Ok(written) => {
                    self.unsaid.drain(..written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It lives, so its pipe must not end: that would end every group on its list.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.replace(),
            }
        }
    }

    /// Its process.
    #[cfg(test)]
    pub(super) fn pid(&self) -> Option<Pid> {
        let (process, _) = self.process.as_ref()?;
        i32::try_from(process.id()).ok().and_then(Pid::from_raw)
    }

    fn tell(&mut self, change: char, group: i32) {
        if self.process.is_none() {
            return self.replace();
        }
        self.unsaid.extend(format!("{change} {group}\n").bytes());
        self.flush();
    }

    /// Somebody has killed it: another one takes over.
    fn replace(&mut self) {
        self.unsaid.clear();
        if let Some((mut child, _)) = self.process.take() {
            // It has closed its pipe, so it is dead or useless.
            let _ = child.kill();
            self.ended.push(child);
        }
        match start() {
            Ok((child, pipe)) => {
                for group in &self.groups {
                    self.unsaid.extend(format!("+ {group}\n").bytes());
                }
                self.process = Some((child, pipe));
                // A pipe that is new has room, unless it is a very long list.
                if let Some((_, pipe)) = &mut self.process
                    && let Ok(written) = pipe.write(self.unsaid.make_contiguous())
                {
                    self.unsaid.drain(..written);
                }
            }
            Err(error) => tracing::warn!(%error, "guardian of the nodes' children not started"),
        }
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        let Some((mut child, pipe)) = self.process.take() else {
            return;
        };
        if self.groups.is_empty() {
            // Nothing to end, whatever it still believes.
            let _ = child.kill();
            drop(pipe);
            self.ended.push(child);
        } else {
            // It ends them at the end of its pipe. It is not waited for: it may stand still.
            drop(pipe);
            drop(child);
        }
        for mut child in self.ended.drain(..) {
            // It was killed, so this does not last.
            let _ = child.wait();
        }
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
    fn one_that_stands_still_is_told_later_and_ends_nobody() {
        let mut guardian = Guardian::new().unwrap();
        let (process, _) = guardian.process.as_ref().unwrap();
        let number = process.id();
        let pid = Pid::from_raw(i32::try_from(number).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        let (mut kept, kept_pid) = sleeper();
        guardian.add(kept_pid);
        // Numbers above the largest that a process can have.
        let mut numbers = 5_000_000..;
        while !guardian.is_behind() {
            let group = Pid::from_raw(numbers.next().unwrap()).unwrap();
            guardian.add(group);
            guardian.remove(group);
        }
        guardian.remove(kept_pid);
        assert_eq!(
            guardian.process.as_ref().unwrap().0.id(),
            number,
            "the same"
        );
        assert_eq!(kept.try_wait().unwrap(), None);
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
        while guardian.is_behind() {
            guardian.flush();
            std::thread::yield_now();
        }
        drop(guardian);
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
