//! A program that somebody has open for writing is not executed: that passes in a moment, and is waited for.

use std::io;
use std::time::Duration;

/// The first pause; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// How often it is tried: the pauses are 1 + 2 + … + 512 ms, a second in all.
const ATTEMPTS_MAX: u32 = 11;

/// Starts a program with `start`, again and again while the kernel says that its file is busy (ETXTBSY), pausing with
/// `pause` in between; gives what the last attempt gave.
///
/// Whoever has just written the program has closed it, but a child that was forked meanwhile, by another thread here
/// or by the compiler or editor that wrote it, has it open until it executes something itself.
///
/// # Errors
///
/// Those of `start`. A busy file is one when it has been busy for a second.
pub(super) fn until_not_busy<T>(
    mut start: impl FnMut() -> io::Result<T>,
    mut pause: impl FnMut(Duration),
) -> io::Result<T> {
    let mut next_pause = PAUSE_MIN;
    for _ in 1..ATTEMPTS_MAX {
        match start() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => pause(next_pause),
            started => return started,
        }
        next_pause *= 2;
    }
    start()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // in tests, a panic is the report
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_program_that_was_open_for_writing_is_started_when_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, "#!/bin/sh\nexit 7\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut writer = Some(File::options().append(true).open(&program).unwrap());
        let mut pauses = 0;
        let start = || Command::new(&program).status();
        let status = until_not_busy(start, |time| {
            pauses += 1;
            if pauses == 3 {
                drop(writer.take());
            }
            std::thread::sleep(time);
        });
        assert_eq!(status.unwrap().code(), Some(7));
        assert!(pauses >= 3, "{pauses}");
    }

    #[test]
    fn a_program_that_stays_open_for_writing_is_given_up_after_a_second() {
        let mut paused = Duration::ZERO;
        let start = || Err::<(), _>(io::ErrorKind::ExecutableFileBusy.into());
        let error = until_not_busy(start, |time| paused += time).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ExecutableFileBusy);
        assert_eq!(paused, Duration::from_millis(1023));
    }

    #[test]
    fn any_other_refusal_is_told_at_once() {
        let mut attempts = 0;
        let start = || {
            attempts += 1;
            Err::<(), _>(io::ErrorKind::PermissionDenied.into())
        };
        let error = until_not_busy(start, |_| panic!("nothing is waited for")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(attempts, 1);
    }
}
