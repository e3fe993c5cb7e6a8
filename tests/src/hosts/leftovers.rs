//! Programs in hosts whose test was killed before it could end them.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// The variable that carries the owner.
pub(super) const OWNER: &str = "DATAFLOW_TEST_HOSTS_OF";

/// Who this test process is: its number, and when it was started, since numbers are used again.
pub(super) fn owner() -> String {
    let this = std::process::id();
    format!(
        "{this}:{}",
        started(&this.to_string()).expect("a running process is in /proc")
    )
}

/// When a process was started, in ticks since the machine was.
fn started(pid: &str) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Its name, in parentheses, may have blanks; what follows is the 3rd field.
    let after_name = &stat[stat.rfind(')')? + 1..];
    after_name.split_whitespace().nth(19).map(str::to_owned)
}

fn is_running(owner: &str) -> bool {
    owner
        .split_once(':')
        .is_some_and(|(pid, start)| started(pid).as_deref() == Some(start))
}

/// Kills every program that runs in a host of a test that runs no more.
pub(super) fn end_leftovers() {
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        let owner = environment
            .split(|byte| *byte == 0)
            .find_map(|variable| variable.strip_prefix(OWNER.as_bytes())?.strip_prefix(b"="));
        let Some(owner) = owner else { continue };
        if !is_running(&String::from_utf8_lossy(owner))
            && let Some(pid) = Pid::from_raw(pid)
        {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn only_what_a_dead_test_has_left_is_ended() {
        let sleeper = |owner: &str| {
            Command::new("sleep")
                .arg("1000")
                .env(OWNER, owner)
                .stdin(Stdio::null())
                .spawn()
                .unwrap()
        };
        let mut dead = sleeper(&format!("{}:1", std::process::id()));
        let mut living = sleeper(&owner());
        // Their environment is theirs once they have begun to run their program, and a while after they have its name.
        for child in [&dead, &living] {
            crate::wait_until("it has its environment", || {
                fs::read_to_string(format!("/proc/{}/environ", child.id()))
                    .is_ok_and(|variables| variables.contains(OWNER))
            });
        }
        end_leftovers();
        let ended = dead.wait().unwrap();
        assert!(!ended.success(), "{ended}");
        assert!(living.try_wait().unwrap().is_none());
        living.kill().unwrap();
        living.wait().unwrap();
    }
}
