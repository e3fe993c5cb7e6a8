//! What `/proc/PID/stat` says of a process, also of one that has ended and was not reaped yet (proc_pid_stat(5)).

use std::fs;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};

/// Some of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// What it does: `R`, `S`, `T` when it is stopped, `Z` when it waits to be reaped.
    pub(crate) state: char,
    /// Its group; 0 for threads of the kernel.
    pub(crate) group: u32,
    /// Time of processors that it has used, and those of its children that it has waited for.
    pub(crate) cpu: Duration,
    /// Memory that it has mapped and that is there, also what it shares with others.
    pub(crate) memory_bytes: u64,
}

impl Stat {
    /// What is said of a process; `None` when there is none of this number.
    pub(crate) fn of(pid: u32) -> Option<Stat> {
        Stat::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Whether a signal or a debugger has stopped it.
    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    /// What the bytes of the file say. The name of the program may hold anything, also brackets, and bytes that are no
    /// text: what counts begins after the last bracket, since only numbers follow it.
    fn parse(bytes: &[u8]) -> Option<Stat> {
        let name_ends = bytes.iter().rposition(|byte| *byte == b')')?;
        let rest = str::from_utf8(bytes.get(name_ends + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The third field of the manual is the first here.
        let field = |number: usize| fields.get(number - 3).copied();
        let mut ticks = 0_u64;
        for number in [14, 15, 16, 17] {
            // The children's times are signed there. None is below 0.
            let spent: i64 = field(number)?.parse().ok()?;
            ticks = ticks.saturating_add(u64::try_from(spent).ok()?);
        }
        let pages: i64 = field(24)?.parse().ok()?;
        Some(Stat {
            state: field(3)?.chars().next()?,
            group: u32::try_from(field(5)?.parse::<i64>().ok()?).ok()?,
            cpu: time_of(ticks, clock_ticks_per_second().max(1)),
            memory_bytes: u64::try_from(pages)
                .ok()?
                .saturating_mul(page_size() as u64),
        })
    }
}

/// So many ticks of a clock.
fn time_of(ticks: u64, ticks_per_second: u64) -> Duration {
    let rest_ns = ticks % ticks_per_second * 1_000_000_000 / ticks_per_second;
    Duration::from_secs(ticks / ticks_per_second) + Duration::from_nanos(rest_ns)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const AFTER_THE_NAME: &str = " S 1 4711 4711 0 -1 4194304 85 5000 0 0 150 25 1000 3 20 0 1 0 123456 9000000 77 \
                                  18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

    fn named(name: &[u8]) -> Vec<u8> {
        let mut bytes = b"4712 (".to_vec();
        bytes.extend_from_slice(name);
        bytes.push(b')');
        bytes.extend_from_slice(AFTER_THE_NAME.as_bytes());
        bytes
    }

    #[test]
    fn whatever_a_program_is_called_its_numbers_are_read() {
        let expected = Stat {
            state: 'S',
            group: 4711,
            cpu: time_of(150 + 25 + 1000 + 3, clock_ticks_per_second()),
            memory_bytes: 77 * page_size() as u64,
        };
        for name in [
            b"node".as_slice(),
            b"",
            b")",
            b"(",
            b") R 1 1 1 1 (",
            b"a b) Z 2 3",
            b"\xff\xfe) \x80",
            b"two\nlines\t",
            "Prüfung 🦀".as_bytes(),
        ] {
            assert_eq!(Stat::parse(&named(name)), Some(expected), "{name:?}");
        }
    }

    #[test]
    fn what_is_no_such_line_says_nothing() {
        let whole = named(b"node");
        for length in 0..whole.len() - 120 {
            // Cut short anywhere before the last number that counts.
            assert_eq!(Stat::parse(&whole[..length]), None, "{length}");
        }
        let text = String::from_utf8(whole).unwrap();
        for (number, wrong) in [
            (" 150 ", " -150 "),
            (" 77 ", " x "),
            (" 77 ", " -1 "),
            (" 150 ", " 99999999999999999999999 "),
            (" S 1 4711 ", " S 1 -4711 "),
            (" 1000 ", " \u{a0} "),
        ] {
            let wrong = text.replacen(number, wrong, 1);
            assert_eq!(Stat::parse(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(Stat::parse(b""), None);
        assert_eq!(Stat::parse(b")"), None);
    }

    #[test]
    fn ticks_are_turned_into_time_without_a_loss() {
        assert_eq!(time_of(1, 100), Duration::from_millis(10));
        assert_eq!(time_of(12_345, 100), Duration::from_millis(123_450));
        assert_eq!(time_of(u64::MAX, 1).as_secs(), u64::MAX);
        assert_eq!(time_of(u64::MAX, 1024).as_secs(), u64::MAX / 1024);
    }

    #[test]
    fn a_process_is_stopped_from_when_it_was_until_it_goes_on() {
        use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
        let mut child = Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = Pid::from_child(&child);
        let is_stopped = || Stat::of(child.id()).unwrap().is_stopped();
        assert!(!is_stopped());
        kill_process(pid, Signal::STOP).unwrap();
        waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED).unwrap();
        assert!(is_stopped());
        kill_process(pid, Signal::CONT).unwrap();
        waitid(WaitId::Pid(pid), WaitIdOptions::CONTINUED).unwrap();
        assert!(!is_stopped());
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn a_process_that_has_ended_still_says_what_it_has_used_until_it_is_reaped() {
        // It works until it has used some ticks, and ends.
        let script = "read -r _; while read -r _ _ _ _ _ _ _ _ _ _ _ _ _ user _ < /proc/$$/stat; \
                      [ \"$user\" -lt 4 ]; do :; done";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let alive = Stat::of(child.id()).unwrap();
        drop(child.stdin.take());
        let pid = rustix::process::Pid::from_child(&child);
        let options =
            rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        rustix::process::waitid(rustix::process::WaitId::Pid(pid), options).unwrap();
        let ended = Stat::of(child.id()).unwrap();
        assert_eq!((ended.state, ended.memory_bytes), ('Z', 0));
        assert!(ended.cpu >= Duration::from_millis(40), "{ended:?}");
        assert!(ended.cpu >= alive.cpu);
        child.wait().unwrap();
    }
}
