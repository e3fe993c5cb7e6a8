//! A terminal of its own for a command: the screen as a person sees it, and the keys that they press.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use vt100::Parser;

use crate::ground::Running;

/// How long anything is waited for before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// What stands before and after a whole picture.
const BEGINS: &[u8] = b"\x1b[?2026h";
const ENDS: &[u8] = b"\x1b[?2026l";

struct Shown {
    parser: Mutex<Parser>,
    changed: Condvar,
}

/// The person's side of a terminal.
pub(crate) struct Screen {
    ours: File,
    /// The command's side, kept open: so that it can be looked at after the command's end.
    theirs: File,
    shown: Arc<Shown>,
}

impl Screen {
    /// A terminal with so many columns and rows.
    pub(crate) fn new(columns: u16, rows: u16) -> Screen {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let mut options = File::options();
        let theirs = options.read(true).write(true);
        let theirs = theirs.open(name.to_str().unwrap()).unwrap();
        let ours = File::from(ours);
        let shown = Arc::new(Shown {
            parser: Mutex::new(Parser::new(lines(rows), lines(columns), 0)),
            changed: Condvar::new(),
        });
        let (mut output, to) = (ours.try_clone().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            let mut held = Vec::new();
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                held.extend_from_slice(&bytes[..read]);
                let whole: Vec<u8> = held.drain(..whole_bytes(&held)).collect();
                let mut parser = to.parser.lock().unwrap_or_else(PoisonError::into_inner);
                parser.process(&whole);
                to.changed.notify_all();
            }
        });
        let screen = Screen {
            ours,
            theirs,
            shown,
        };
        screen.set_size(columns, rows);
        screen
    }

    /// Runs a command at it, as the leader of its own session: so that this is its terminal, whose changes it hears of.
    pub(crate) fn start(&self, command: &Command) -> Running {
        let side = || Stdio::from(self.theirs.try_clone().unwrap());
        let mut leader = Command::new("setsid");
        leader
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args())
            .env("TERM", "xterm-256color")
            .stdin(side())
            .stdout(side())
            .stderr(side());
        if let Some(folder) = command.get_current_dir() {
            leader.current_dir(folder);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => leader.env(name, value),
                None => leader.env_remove(name),
            };
        }
        Running::start(&mut leader)
    }

    fn set_size(&self, columns: u16, rows: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.ours, size).unwrap();
    }

    /// The person has made the window smaller or larger.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let mut parser = self.shown.parser.lock().unwrap();
        parser.screen_mut().set_size(lines(rows), lines(columns));
        self.set_size(columns, rows);
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.ours.write_all(keys.as_bytes()).unwrap();
    }

    /// What is seen, a line each, without spaces at their ends and empty lines at the end.
    pub(crate) fn text(&self) -> String {
        text(&self.shown.parser.lock().unwrap())
    }

    /// Asks for something of what is seen, again and again as it changes, until it is so.
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn(&vt100::Screen, &str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut parser = self.shown.parser.lock().unwrap();
        while !is_so(parser.screen(), &text(&parser)) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "never so: {what}:\n{}", text(&parser));
            parser = self.shown.changed.wait_timeout(parser, left).unwrap().0;
        }
    }

    /// Waits until this stands there.
    pub(crate) fn wait_for(&self, part: &str) {
        self.wait_until(part, |_, text| text.contains(part));
    }

    /// How the terminal treats what is typed.
    pub(crate) fn modes(&self) -> Termios {
        tcgetattr(&self.theirs).unwrap()
    }
}

/// How many of these bytes belong to no picture that is still being drawn: nobody sees half of one, as at a terminal that
/// knows of synchronised updates.
fn whole_bytes(bytes: &[u8]) -> usize {
    let last = |wanted: &[u8]| bytes.windows(wanted.len()).rposition(|part| part == wanted);
    match (last(BEGINS), last(ENDS)) {
        (Some(begins), ends) if ends < Some(begins) => begins,
        // The last bytes may be the first ones of a beginning.
        _ => (1..BEGINS.len())
            .rev()
            .find(|&count| bytes.ends_with(&BEGINS[..count]))
            .map_or(bytes.len(), |count| bytes.len() - count),
    }
}

#[test]
fn half_a_picture_is_held_back_wherever_it_is_cut() {
    let text = [b"a".as_slice(), BEGINS, b"b\x1b[1mc", ENDS, b"d"].concat();
    let (begins, ends) = (1, text.len() - 1);
    for cut in 0..=text.len() {
        let whole = if (begins..ends).contains(&cut) {
            begins
        } else {
            cut
        };
        assert_eq!(whole_bytes(&text[..cut]), whole, "{cut}");
    }
}

fn lines(number: u16) -> NonZero<u16> {
    NonZero::new(number).unwrap()
}

fn text(parser: &Parser) -> String {
    let screen = parser.screen();
    let (_, columns) = screen.size();
    let lines: Vec<String> = screen
        .rows(0, columns.get())
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n").trim_end().to_owned()
}
