//! What is tried again, after how long, and what is said when it was tried often enough.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dataflow_core::models::{Attempts, NextAttempt, RetryRules};
use dataflow_core::random::Random;
use dataflow_ids::span;

use super::progress::Because;
use crate::models::error::ModelError;

/// Why something did not work.
#[derive(Debug)]
pub(super) enum Failure {
    /// It will not work next time either.
    Final(ModelError),
    /// It may work next time.
    Setback(Setback),
}

/// Something that may work next time.
#[derive(Debug)]
pub(super) struct Setback {
    /// Whose fault it was: host and port.
    pub(super) host: String,
    /// What happened, in a few words.
    pub(super) why: String,
    /// How long the server asks to be left alone.
    pub(super) asked: Option<Duration>,
    /// What it is called when it happens again and again.
    pub(super) kind: SetbackKind,
}

/// What a setback is called when it happens again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SetbackKind {
    /// The server does not answer, breaks off, or says itself that it fails.
    Gone,
    /// It answers what it should not.
    Wrong,
    /// It was asked too often.
    Limited,
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Failure::Final(error)
    }
}

impl From<Setback> for Failure {
    fn from(setback: Setback) -> Self {
        Failure::Setback(setback)
    }
}

impl Setback {
    pub(super) fn gone(host: &str, why: impl Into<String>) -> Setback {
        Setback {
            host: host.to_owned(),
            why: why.into(),
            asked: None,
            kind: SetbackKind::Gone,
        }
    }

    pub(super) fn wrong(host: &str, why: impl Into<String>) -> Setback {
        Setback {
            kind: SetbackKind::Wrong,
            ..Setback::gone(host, why)
        }
    }

    fn last(self, attempts: u32, wait: Duration) -> ModelError {
        let Setback { host, why, .. } = self;
        match self.kind {
            SetbackKind::Gone => ModelError::ServerGone {
                host,
                why,
                attempts,
            },
            SetbackKind::Wrong => ModelError::BadAnswer { host, why },
            SetbackKind::Limited => ModelError::RateLimited {
                endpoint: host,
                until: time_of_day()
                    .checked_add(wait)
                    .unwrap_or(UNIX_EPOCH + FAR_AWAY),
            },
        }
    }
}

/// For whoever limits how often he is asked and does not say for how long: longer than all attempts have taken.
const UNSAID: Duration = Duration::from_secs(60);
/// The end of the year 9999: for those who ask to be left alone for ever.
const FAR_AWAY: Duration = Duration::from_secs(253_402_300_799);

/// The attempts at one thing.
pub(super) struct Patience<'a> {
    attempts: Attempts,
    random: &'a Dice,
    because: Because,
}

impl<'a> Patience<'a> {
    pub(super) fn new(rules: RetryRules, random: &'a Dice, because: Because) -> Patience<'a> {
        Patience {
            attempts: Attempts::new(rules),
            random,
            because,
        }
    }

    /// So many bytes are there now: more than ever is progress, and all attempts are new.
    pub(super) fn reached(&mut self, bytes: u64) {
        self.attempts.reached(bytes);
    }

    /// Waits until it may be tried again.
    ///
    /// # Errors
    ///
    /// It is not to be tried again.
    pub(super) async fn after(&mut self, failure: Failure) -> Result<(), ModelError> {
        let setback = match failure {
            Failure::Final(error) => return Err(error),
            Failure::Setback(setback) => setback,
        };
        let next = self.attempts.fail(setback.asked, self.random.draw());
        let attempts = self.attempts.failed();
        match next {
            NextAttempt::After(wait) => {
                tracing::debug!(host = %setback.host, why = %setback.why, ?wait, attempts, "fetch set back");
                let _told = self.because.told(format!(
                    "{}: {} (attempt {attempts}, next in {})",
                    setback.host,
                    setback.why,
                    span::plain(wait)
                ));
                tokio::time::sleep(wait).await;
                Ok(())
            }
            NextAttempt::GiveUp => {
                let wait = setback.asked.unwrap_or(UNSAID);
                Err(setback.last(attempts, wait))
            }
            NextAttempt::NotBefore(wait) => {
                let why = format!(
                    "{}, and asks to be left alone for {} s",
                    setback.why,
                    wait.as_secs()
                );
                Err(Setback { why, ..setback }.last(attempts, wait))
            }
        }
    }
}

/// Random numbers for whoever asks.
#[derive(Debug)]
pub(super) struct Dice(Mutex<Random>);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(Mutex::new(Random::new(seed)))
    }

    pub(super) fn draw(&self) -> u64 {
        let mut random = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        random.draw()
    }
}

/// What time it is for people and for servers, who name dates.
#[expect(
    clippy::disallowed_methods,
    reason = "dates of servers are compared with the date; nothing that is tested on virtual time depends on it"
)]
pub(super) fn time_of_day() -> SystemTime {
    SystemTime::now()
}

/// The same, in seconds since 1970.
pub(super) fn unix_seconds() -> u64 {
    time_of_day()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
