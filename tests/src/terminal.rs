//! A command at a terminal of its own: what a person sees, and the keys that they press.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::Winsize;

use crate::PATIENCE;
use crate::command::Command;

/// The size of each terminal, in characters.
const ROWS: u16 = 40;
const COLUMNS: u16 = 120;

#[derive(Debug, Default)]
struct Screen {
    bytes: Mutex<Vec<u8>>,
    changed: Condvar,
}

/// The person's side of a terminal at which a command runs.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keys: File,
    screen: Arc<Screen>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    pub(crate) fn start(command: Command) -> Terminal {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("a terminal can be made");
        grantpt(&ours).expect("the terminal is ours");
        unlockpt(&ours).expect("the terminal is ours");
        let size = Winsize {
            ws_row: ROWS,
            ws_col: COLUMNS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&ours, size).expect("a terminal has a size");
        let name = ptsname(&ours, Vec::new()).expect("a terminal has a name");
        let name = name.to_str().expect("a terminal's name is text").to_owned();
        let theirs = || {
            let side = File::options()
                .read(true)
                .write(true)
                .open(&name)
                .expect("the terminal's other side opens");
            std::process::Stdio::from(side)
        };
        let (child, _) = command.streams(theirs).spawn_uncaptured();
        let screen = Arc::new(Screen::default());
        let mut output = File::from(ours);
        let keys = output.try_clone().expect("a descriptor can be duplicated");
        let to = Arc::clone(&screen);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The last one to close the other side ends this with an error (EIO).
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                to.bytes
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&bytes[..read]);
                to.changed.notify_all();
            }
        });
        Terminal {
            child,
            keys,
            screen,
            reader: Some(reader),
        }
    }

    /// Its rows and columns, in characters.
    pub fn size(&self) -> (u16, u16) {
        (ROWS, COLUMNS)
    }

    /// Everything that was written to the terminal, control characters included.
    pub fn shown(&self) -> String {
        let bytes = self
            .screen
            .bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until `text` has been shown.
    ///
    /// # Panics
    ///
    /// When it never is.
    pub fn wait_for(&self, text: &str) {
        self.wait_until(&format!("`{text}` is shown"), |bytes| {
            String::from_utf8_lossy(bytes).contains(text)
        });
    }

    /// Waits until `is_so` holds of everything that was written to the terminal.
    ///
    /// # Panics
    ///
    /// When it never does; `what` says what was waited for.
    pub fn wait_until(&self, what: &str, is_so: impl Fn(&[u8]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut bytes = self
            .screen
            .bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while !is_so(&bytes) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "never: {what}; shown was:\n{}",
                String::from_utf8_lossy(&bytes)
            );
            bytes = self
                .screen
                .changed
                .wait_timeout(bytes, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keys
            .write_all(keys.as_bytes())
            .expect("the terminal takes keys");
    }

    /// Presses Ctrl-C.
    pub fn press_interrupt(&mut self) {
        self.press("\x03");
    }

    /// Waits for the command's end; gives its exit code and everything it has shown.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn wait(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                if let Some(reader) = self.reader.take() {
                    reader.join().expect("reading a terminal does not panic");
                }
                return (status.code(), self.shown());
            }
            assert!(
                Instant::now() < deadline,
                "it does not end; it has shown:\n{}",
                self.shown()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
