//! A command under test: started, its lines captured as they come, its end waited for.

use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::PATIENCE;

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// A line that a command has printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// On which stream.
    pub stream: Stream,
    /// Without its line feed.
    pub text: String,
}

/// A command about to be started.
#[derive(Debug)]
pub struct Command {
    inner: std::process::Command,
    shown: String,
}

impl Command {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Command {
        let program = program.as_ref();
        Command {
            inner: std::process::Command::new(program),
            shown: Path::new(program)
                .file_name()
                .unwrap_or(program)
                .to_string_lossy()
                .into_owned(),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Command {
        self.shown.push(' ');
        self.shown.push_str(&argument.as_ref().to_string_lossy());
        self.inner.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>) -> Command {
        arguments.into_iter().fold(self, Command::arg)
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Command {
        self.inner.env(name, value);
        self
    }

    pub(crate) fn env_remove(mut self, name: &str) -> Command {
        self.inner.env_remove(name);
        self
    }

    /// Runs it in `folder` instead of the project's.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Command {
        self.inner.current_dir(folder);
        self
    }

    pub(crate) fn streams(mut self, make: impl Fn() -> Stdio) -> Command {
        self.inner.stdin(make()).stdout(make()).stderr(make());
        self
    }

    pub(crate) fn spawn_uncaptured(mut self) -> (Child, String) {
        let child = self
            .inner
            .spawn()
            .unwrap_or_else(|error| panic!("`{}` does not start: {error}", self.shown));
        (child, self.shown)
    }

    /// Starts it, with its output captured.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(mut self) -> Running {
        self.inner
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let started = Instant::now();
        let (mut child, shown) = self.spawn_uncaptured();
        let lines = Arc::new(Lines::default());
        let output = child.stdout.take().expect("its output is a pipe");
        let error = child.stderr.take().expect("its errors are a pipe");
        let readers = vec![
            read_lines(output, Stream::Output, &lines),
            read_lines(error, Stream::Error, &lines),
        ];
        Running {
            child,
            shown,
            lines,
            readers,
            started,
            ended: None,
        }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    ///
    /// When it cannot be started, or does not end.
    pub fn run(self) -> Finished {
        self.start().wait()
    }
}

#[derive(Debug, Default)]
struct Lines {
    lines: Mutex<Vec<Line>>,
    changed: Condvar,
}

impl Lines {
    fn push(&self, line: Line) {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
        self.changed.notify_all();
    }
}

fn read_lines(from: impl Read + Send + 'static, stream: Stream, to: &Arc<Lines>) -> JoinHandle<()> {
    let to = Arc::clone(to);
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut bytes = Vec::new();
        while from
            .read_until(b'\n', &mut bytes)
            .is_ok_and(|read| read > 0)
        {
            let text = String::from_utf8_lossy(&bytes);
            to.push(Line {
                stream,
                text: text.trim_end_matches(['\n', '\r']).to_owned(),
            });
            bytes.clear();
        }
    })
}

/// A command that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    shown: String,
    lines: Arc<Lines>,
    readers: Vec<JoinHandle<()>>,
    started: Instant,
    ended: Option<(ExitStatus, Duration)>,
}

impl Running {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn lines(&self) -> Vec<Line> {
        self.lines
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits for a line that has all of `parts`, also among those that came already, and gives it.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub fn wait_for_line(&self, parts: &[&str]) -> Line {
        self.wait_for_line_in_which(&format!("it has {parts:?}"), |line| {
            parts.iter().all(|part| line.contains(part))
        })
    }

    /// Waits for a line of which `is_so` holds, also among those that came already, and gives it.
    ///
    /// # Panics
    ///
    /// When none comes; `what` says what was waited for.
    pub fn wait_for_line_in_which(&self, what: &str, is_so: impl Fn(&str) -> bool) -> Line {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self
            .lines
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut seen = 0;
        loop {
            let found = lines[seen..].iter().find(|line| is_so(&line.text));
            if let Some(line) = found {
                return line.clone();
            }
            seen = lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "`{}` printed no line in which {what}:\n{}",
                self.shown,
                Shown(&lines)
            );
            lines = self
                .lines
                .changed
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Sends a signal to its process alone.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        rustix::process::kill_process(pid.expect("a process has a number"), signal)
            .unwrap_or_else(|error| panic!("cannot signal `{}`: {error}", self.shown));
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        if self.ended.is_none() {
            let status = self.child.try_wait().expect("a child can be waited for");
            self.ended = status.map(|status| (status, self.started.elapsed()));
        }
        self.ended.is_some()
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// When it does not come.
    pub fn wait(self) -> Finished {
        self.wait_for(PATIENCE)
    }

    /// Waits for its end, at most so long.
    ///
    /// # Panics
    ///
    /// When it does not come.
    pub fn wait_for(mut self, patience: Duration) -> Finished {
        let deadline = Instant::now() + patience;
        while !self.has_ended() {
            assert!(
                Instant::now() < deadline,
                "`{}` does not end; it printed:\n{}",
                self.shown,
                Shown(&self.lines())
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        let (status, took) = self.ended.expect("it has ended");
        for reader in std::mem::take(&mut self.readers) {
            while !reader.is_finished() {
                assert!(
                    Instant::now() < deadline,
                    "`{}` has ended, but something that it started keeps its output open; it printed:\n{}",
                    self.shown,
                    Shown(&self.lines())
                );
                std::thread::sleep(Duration::from_millis(1));
            }
            reader.join().expect("reading lines does not panic");
        }
        Finished {
            shown: self.shown.clone(),
            status,
            took,
            lines: self.lines(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("`{}` printed:\n{}", self.shown, Shown(&self.lines()));
        }
    }
}

/// A command that has ended.
#[derive(Debug, Clone)]
pub struct Finished {
    shown: String,
    status: ExitStatus,
    /// From its start to its end.
    pub took: Duration,
    /// What it has printed, on both streams, in the order in which it was read.
    pub lines: Vec<Line>,
}

impl Finished {
    /// What it printed on one stream.
    pub fn text(&self, stream: Stream) -> String {
        let lines: Vec<_> = self
            .lines
            .iter()
            .filter(|line| line.stream == stream)
            .map(|line| line.text.as_str())
            .collect();
        lines.join("\n")
    }

    /// What it printed on standard output.
    pub fn output(&self) -> String {
        self.text(Stream::Output)
    }

    /// What it printed on standard error.
    pub fn error(&self) -> String {
        self.text(Stream::Error)
    }

    /// Its exit code; `None` when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Asserts its exit code.
    ///
    /// # Panics
    ///
    /// When it is another one.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Finished {
        assert_eq!(
            self.code(),
            Some(code),
            "wrong exit code ({}) of {self}",
            self.status
        );
        self
    }

    /// Asserts that some line has all of `parts`.
    ///
    /// # Panics
    ///
    /// When none has.
    #[track_caller]
    pub fn expect_line(self, parts: &[&str]) -> Finished {
        let found = self
            .lines
            .iter()
            .any(|line| parts.iter().all(|part| line.text.contains(part)));
        assert!(found, "no line with {parts:?} in {self}");
        self
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`:\n{}", self.shown, Shown(&self.lines))
    }
}

struct Shown<'a>(&'a [Line]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.0 {
            let stream = match line.stream {
                Stream::Output => "out",
                Stream::Error => "err",
            };
            writeln!(f, "  {stream} | {}", line.text)?;
        }
        Ok(())
    }
}
