//! What the agent tells the one who started it as a service (sd_notify(3)): that it is ready, how it stands, that it
//! lives, and that it stops.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use sd_notify::NotifyState;

use crate::error::CliError;

/// How many words may wait for a supervisor that does not take them. The next beat says the same as a lost one.
const WAITING_MAX: usize = 16;

/// A word for the supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Ready,
    Status,
    Stopping,
    Beat,
}

/// The supervisor of this process, if it has one that wants to be told. Nothing here waits for it.
#[derive(Debug, Clone)]
pub(super) struct Supervisor {
    /// `None` without `NOTIFY_SOCKET`.
    to_thread: Option<SyncSender<Word>>,
    /// The last counts.
    status: Arc<Mutex<String>>,
}

impl Supervisor {
    /// As `NOTIFY_SOCKET` says.
    ///
    /// # Errors
    ///
    /// [`CliError::System`] when the system gives no thread.
    pub(super) fn of_this_process() -> Result<Supervisor, CliError> {
        let status = Arc::<Mutex<String>>::default();
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            let to_thread = None;
            return Ok(Supervisor { to_thread, status });
        }
        let (to_thread, words) = sync_channel(WAITING_MAX);
        let said = Arc::clone(&status);
        std::thread::Builder::new()
            .name("dataflow-notify".to_owned())
            .spawn(move || tell_all(&words, &said))
            .map_err(CliError::system(
                "start the thread that tells the supervisor",
            ))?;
        let to_thread = Some(to_thread);
        Ok(Supervisor { to_thread, status })
    }

    /// It listens, and commands find it.
    pub(super) fn ready(&self) {
        self.say(Word::Ready);
    }

    /// How it stands, in one line.
    pub(super) fn status(&self, text: String) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = text;
        self.say(Word::Status);
    }

    /// It stops, which takes as long as its dataflows need.
    pub(super) fn stopping(&self) {
        self.say(Word::Stopping);
    }

    /// Called by the control loop, once a second for as long as it runs: who is silent for too long is restarted.
    pub(super) fn on_beat(&self) -> Box<dyn FnMut() + Send> {
        let supervisor = self.clone();
        Box::new(move || supervisor.say(Word::Beat))
    }

    fn say(&self, word: Word) {
        if let Some(to_thread) = &self.to_thread {
            // One that takes nothing is not waited for: by nobody, the control loop least of all.
            let _ = to_thread.try_send(word);
        }
    }
}

fn tell_all(words: &Receiver<Word>, status: &Mutex<String>) {
    for word in words {
        let text = status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let told = match word {
            Word::Ready => {
                sd_notify::notify(false, &[NotifyState::Ready, NotifyState::Status(&text)])
            }
            Word::Status => sd_notify::notify(false, &[NotifyState::Status(&text)]),
            Word::Stopping => sd_notify::notify(
                false,
                &[
                    NotifyState::Stopping,
                    NotifyState::Status("stopping: its dataflows end first"),
                ],
            ),
            Word::Beat => sd_notify::notify(false, &[NotifyState::Watchdog]),
        };
        if let Err(error) = told {
            tracing::debug!(%error, ?word, "supervisor not told");
        }
    }
}
