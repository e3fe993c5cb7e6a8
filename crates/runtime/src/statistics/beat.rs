//! The last sign of life of a control loop, for whoever is asked whether it lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// When a control loop last said that it lives, which it does once a second. Cheap to clone.
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

    /// How long ago that was.
    pub(crate) fn silence(&self) -> Duration {
        let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
        self.begin.elapsed().saturating_sub(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_says_nothing_is_silent_for_as_long() {
        let beat = Beat::new();
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(beat.clone().silence(), Duration::from_secs(7));
        beat.lives();
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(beat.silence(), Duration::from_secs(2));
    }
}
