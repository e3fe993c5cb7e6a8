//! The last sign of life of what goes on again and again, for whoever is asked whether it lives: a control loop, and who
//! publishes statistics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often whoever listens to a beat is to say that it does.
pub(crate) const LISTENS_EVERY: Duration = Duration::from_secs(1);
/// Who has not listened for longer than this was away itself.
const AWAY_AFTER: Duration = Duration::from_secs(2);

/// When something last said that it lives, which it does once a second. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Beat {
    begin: Instant,
    /// In milliseconds since the beginning.
    last_ms: Arc<AtomicU64>,
}

impl Beat {
    /// It lives now.
    pub(crate) fn new() -> Beat {
        Beat {
            begin: Instant::now(),
            last_ms: Arc::default(),
        }
    }

    /// It lives at this moment.
    pub(crate) fn lives(&self) {
        let now = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now, Ordering::Relaxed);
    }

    /// When that was.
    fn last(&self) -> Instant {
        self.begin + Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }
}

/// Somebody who listens to a beat, on another thread than the one it comes from. While it was away itself, because the
/// process was stopped or the machine gave it no time, it has heard nothing, and that is held against nobody.
#[derive(Debug)]
pub(crate) struct Listener {
    beat: Beat,
    heard: Mutex<Heard>,
}

/// What was listened to without being away.
#[derive(Debug)]
struct Heard {
    from: Instant,
    until: Instant,
}

impl Listener {
    /// It listens from now on.
    pub(crate) fn new(beat: Beat) -> Listener {
        let now = Instant::now();
        Listener {
            beat,
            heard: Mutex::new(Heard {
                from: now,
                until: now,
            }),
        }
    }

    /// It listens at this moment: to be said once in [`LISTENS_EVERY`].
    pub(crate) fn listens(&self) {
        let now = Instant::now();
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(heard.until) > AWAY_AFTER {
            heard.from = now;
        }
        heard.until = now;
    }

    /// For how long it has heard nothing, of the time in which it has listened.
    pub(crate) fn silence(&self) -> Duration {
        let now = Instant::now();
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever asks may be quicker after a stop than who listens.
        let until = match now.duration_since(heard.until) > AWAY_AFTER {
            true => heard.until,
            false => now,
        };
        until.saturating_duration_since(self.beat.last().max(heard.from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Time goes by, and it listens all the while.
    async fn listens_for(listener: &Listener, seconds: u32) {
        for _ in 0..seconds {
            tokio::time::advance(LISTENS_EVERY).await;
            listener.listens();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_says_nothing_is_silent_for_as_long() {
        let beat = Beat::new();
        let listener = Listener::new(beat.clone());
        listens_for(&listener, 12).await;
        assert_eq!(listener.silence(), Duration::from_secs(12));
        beat.lives();
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(listener.silence(), Duration::from_millis(1500));
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_was_stopped_accuses_nobody_when_it_goes_on() {
        let beat = Beat::new();
        let listener = Listener::new(beat.clone());
        listens_for(&listener, 3).await;
        beat.lives();
        listens_for(&listener, 1).await;
        tokio::time::advance(Duration::from_secs(12)).await;
        // Before anybody else had a turn, and after it.
        assert_eq!(listener.silence(), Duration::from_secs(1));
        listener.listens();
        assert_eq!(listener.silence(), Duration::ZERO);
        // A loop that does not go on then is silent.
        listens_for(&listener, 11).await;
        assert_eq!(listener.silence(), Duration::from_secs(11));
        beat.lives();
        assert_eq!(listener.silence(), Duration::ZERO);
    }
}
