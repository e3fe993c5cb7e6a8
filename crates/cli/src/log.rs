//! What the runtime itself logs to standard error: whoever logs never waits for whoever reads.

use std::io::{self, Write, stderr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::error::CliError;
use crate::style::Style;

/// How many lines may wait to be written; more are dropped and counted.
const LINES_WAITING_MAX: usize = 1024;
/// How long the end of the process waits until what was logged is written: a reader that stalls gets no more.
const LAST_LINES_WAIT_MAX: Duration = Duration::from_secs(1);

/// The log of this process.
#[derive(Debug)]
pub(crate) struct Log {
    lines: Lines,
    /// Ends when everything has been written.
    written: Receiver<()>,
}

impl Log {
    /// Logs what `DATAFLOW_LOG`, else `RUST_LOG`, asks for, else `default`, for the person on call.
    ///
    /// # Errors
    ///
    /// [`CliError::System`] when there is no thread to write it.
    pub(crate) fn to_standard_error(default: &str) -> Result<Log, CliError> {
        let log = Log::to(stderr(), |count| {
            format!("({count} lines of the log were dropped here: nobody read them)\n")
        })
        .map_err(CliError::system("start the thread that logs"))?;
        let filter = ["DATAFLOW_LOG", "RUST_LOG"]
            .into_iter()
            .find_map(|variable| EnvFilter::try_from_env(variable).ok())
            .unwrap_or_else(|| EnvFilter::new(default));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(log.lines.clone())
            .with_ansi(Style::of(&stderr()) != Style::PLAIN)
            // It would say so on standard error, and panic when that has gone.
            .log_internal_errors(false)
            .init();
        Ok(log)
    }

    /// Writes to a stream, and for lines that were dropped, since nobody read, what `says_dropped` makes of their count.
    ///
    /// # Errors
    ///
    /// When there is no thread to write.
    pub(crate) fn to(
        mut stream: impl Write + Send + 'static,
        says_dropped: fn(u64) -> String,
    ) -> io::Result<Log> {
        let (to_writer, waiting) = sync_channel::<Vec<u8>>(LINES_WAITING_MAX);
        let (done, written) = sync_channel(0);
        let dropped = Arc::new(AtomicU64::new(0));
        let lines = Lines {
            to_writer: Arc::new(RwLock::new(Some(to_writer))),
            dropped: Arc::clone(&dropped),
        };
        std::thread::Builder::new()
            .name("dataflow-log".to_owned())
            .spawn(move || {
                let _until_all_is_written: SyncSender<()> = done;
                for line in waiting {
                    // There is no other place to say that standard error has gone.
                    let _ = stream.write_all(&line).and_then(|()| stream.flush());
                    let count = dropped.swap(0, Ordering::Relaxed);
                    if count > 0 {
                        let _ = stream.write_all(says_dropped(count).as_bytes());
                    }
                }
            })?;
        Ok(Log { lines, written })
    }

    /// Where lines are left to be written.
    pub(crate) fn lines(&self) -> Lines {
        self.lines.clone()
    }

    /// Waits until everything has been written, and a second at most.
    pub(crate) fn finish(self) {
        let mut to_writer = self.lines.to_writer.write();
        *to_writer
            .as_deref_mut()
            .unwrap_or_else(|error| error.get_mut()) = None;
        drop(to_writer);
        // It ends with an error either way: nothing is ever sent.
        let _ = self.written.recv_timeout(LAST_LINES_WAIT_MAX);
    }
}

/// Where lines are left for the thread that writes them.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    /// `None` once the end of the process has begun.
    to_writer: Arc<RwLock<Option<SyncSender<Vec<u8>>>>>,
    dropped: Arc<AtomicU64>,
}

impl Lines {
    /// Leaves a line to be written.
    pub(crate) fn say(&self, text: &str) {
        // It takes everything.
        let _ = self.clone().write_all(format!("{text}\n").as_bytes());
    }
}

impl Write for Lines {
    /// Takes one whole line: the subscriber formats before it writes.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let to_writer = self
            .to_writer
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(to_writer) = to_writer.as_ref()
            && let Err(TrySendError::Full(_)) = to_writer.try_send(line.to_vec())
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Lines;

    fn make_writer(&self) -> Lines {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// A stream that takes each write when it is allowed to.
    struct Stalled {
        takes: Receiver<()>,
        taken: Sender<String>,
    }

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Without leave it has gone.
            self.takes.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            let text = String::from_utf8_lossy(bytes).into_owned();
            self.taken.send(text).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stalls_keeps_nobody_and_is_told_how_much_it_missed() {
        let (leave, takes) = channel();
        let (taken, lines) = channel();
        let log = Log::to(Stalled { takes, taken }, |count| {
            format!("({count} dropped)\n")
        })
        .unwrap();
        let mut writer = log.lines.make_writer();
        let sent = LINES_WAITING_MAX + 50;
        for number in 0..sent {
            writer.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        for _ in 0..=sent {
            leave.send(()).unwrap();
        }
        log.finish();
        let lines: Vec<String> = lines.iter().collect();
        assert_eq!(lines[0], "0\n");
        let missed: usize = lines
            .iter()
            .filter_map(|line| {
                line.strip_prefix('(')?
                    .split(' ')
                    .next()?
                    .parse::<usize>()
                    .ok()
            })
            .sum();
        let said = lines.iter().filter(|line| !line.starts_with('(')).count();
        assert!(missed >= 49, "{missed}");
        assert_eq!(said + missed, sent);
    }

    #[test]
    fn a_reader_that_has_gone_is_no_mistake() {
        let (_, takes) = channel();
        let (taken, _) = channel();
        let log = Log::to(Stalled { takes, taken }, |count| {
            format!("({count} dropped)\n")
        })
        .unwrap();
        let mut writer = log.lines.make_writer();
        for _ in 0..10 {
            writer.write_all(b"a line\n").unwrap();
        }
        log.finish();
    }
}
