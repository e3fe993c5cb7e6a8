//! `up -d`: the runtime as a process of its own, and the few words between it and the `up` that waits for it.
//!
//! The starter runs this binary again, in a session of its own. That process says what happens as JSON lines on
//! its standard output, a pipe, until the dataflow is up; then it lets go of the starter's streams.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Write, stdout};
use std::path::Path;
use std::process::{Command, Stdio};

use dataflow_runtime::RunEvent;
use dataflow_wire::status::{ModelStatus, Report, Waiting};
use serde::{Deserialize, Serialize};

use super::speaker::{Said, Speaker};
use super::started::Started;
use crate::arguments::UpArguments;
use crate::error::{CliError, Exit};
use crate::signals::Signals;

/// What the process in the background tells its starter.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum News {
    /// The run has begun.
    Started(Started),
    /// A stop during the start waits for somebody.
    Waiting(Vec<Waiting>),
    /// A model stands like this.
    Model(Box<ModelStatus>),
    /// Every node is ready. Nothing follows.
    Up,
    /// It ended before it was up, or at once after it. Nothing follows.
    Ended(Box<Report>),
}

/// Starts the runtime in the background, and waits until the dataflow is up or has ended.
pub(super) fn start(
    arguments: &UpArguments,
    speaker: &Speaker,
    signals: &Signals,
) -> Result<Exit, CliError> {
    let program =
        std::env::current_exe().map_err(CliError::system("find this program's own file"))?;
    let mut command = Command::new(program);
    command
        .args(["up", "--json", "--background"])
        .arg(&arguments.file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command.arg("--log-mb").arg(arguments.log_mb.to_string());
    if let Some(rate) = arguments.limit_rate.limit_rate {
        command.arg("--limit-rate").arg(rate.to_string());
    }
    if let Some(address) = arguments.metrics.metrics {
        command.arg("--metrics").arg(address.to_string());
    }
    if let Some(time) = arguments.force_after.force_after {
        command
            .arg("--force-after")
            .arg(format!("{}ms", time.as_millis()));
    }
    if signals.interrupted() {
        return Err(CliError::Interrupted);
    }
    // The runtime stays: a pipe that our starter has left open must end without it.
    dataflow_runtime::close_inherited_on_exec();
    let mut child = command
        .spawn()
        .map_err(CliError::system("start the runtime in the background"))?;
    signals.go_to_runtime(child.id());
    let news = child
        .stdout
        .take()
        .expect("standard output was made a pipe above");
    let mut begun = None;
    for text in BufReader::new(news).lines() {
        let text = text.map_err(CliError::system("listen to the runtime"))?;
        match serde_json::from_str(&text) {
            Ok(News::Started(started)) => begun = Some(started),
            Ok(News::Waiting(waiting)) => speaker.say(Said::Waiting(waiting)),
            Ok(News::Model(status)) => speaker.say(Said::Event(RunEvent::Model(status))),
            Ok(News::Up) => {
                if let Some(started) = begun {
                    speaker.say(Said::UpInBackground(started));
                }
                return Ok(Exit::Done);
            }
            Ok(News::Ended(report)) => return Ok(super::finish(*report, speaker)),
            Err(error) => tracing::warn!(%error, text, "news not understood"),
        }
    }
    // No news is bad news: it has said why on standard error, which it shares with us, or it was killed, perhaps by
    // a signal that we have passed on before it could listen.
    let status = child
        .wait()
        .map_err(CliError::system("wait for the runtime"))?;
    match status.code() {
        None if signals.interrupted() => Err(CliError::Interrupted),
        Some(1) => Err(CliError::Said(Exit::Failed)),
        Some(2) => Err(CliError::Said(Exit::WrongInput)),
        _ => Err(CliError::BackgroundEnded {
            how: status.to_string(),
        }),
    }
}

/// Begins a session of our own: no terminal, and no signal from one, reaches this process any more.
pub(super) fn leave_the_terminal() -> Result<(), CliError> {
    rustix::process::setsid()
        .map(|_| ())
        .map_err(io::Error::from)
        .map_err(CliError::system("begin a session"))
}

/// Tells the starter.
pub(super) fn tell(news: &News) {
    let mut out = stdout().lock();
    // A starter that has been killed is no reason to end a dataflow.
    let _ = serde_json::to_string(news)
        .map_err(io::Error::other)
        .and_then(|text| out.write_all(format!("{text}\n").as_bytes()))
        .and_then(|()| out.flush());
}

/// Tells the starter that the dataflow is up, and lets go of its streams: nobody listens to news any more, and
/// what this process logs goes into the folder of the run.
pub(super) fn is_up(started: &Started) {
    tell(&News::Up);
    let path = started.folder().join("runtime-log.txt");
    let open = |path: &Path| OpenOptions::new().append(true).create(true).open(path);
    let let_go = || {
        rustix::stdio::dup2_stdout(open(Path::new("/dev/null"))?)?;
        rustix::stdio::dup2_stderr(open(&path)?)?;
        io::Result::Ok(())
    };
    if let Err(error) = let_go() {
        tracing::warn!(%error, path = %path.display(), "still attached to the streams of `up -d`");
    }
}
