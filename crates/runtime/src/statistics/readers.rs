//! Who takes snapshots again and again at this moment: while somebody does, what edges say is folded in more often.
//!
//! Somebody is a subscriber, for whom its conversation reads, or a collector, or who scrapes metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::source::{EVERY_WHILE_READ, EVERY_WHILE_UNREAD};

/// For how long whoever reads now and then is expected again: Prometheus asks once a minute, or more often.
const NOW_AND_THEN: Duration = Duration::from_secs(150);

/// Who reads. Shared by those who read and by whoever folds in what the edges say.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    /// How many read how often.
    reads: watch::Sender<BTreeMap<Duration, usize>>,
    /// Until when it is to be expected that somebody reads now and then.
    now_and_then: Mutex<Option<Instant>>,
}

impl Readers {
    /// One more reads, as often as anybody can, until what is returned is dropped.
    #[cfg(test)]
    pub(super) fn read(self: &Arc<Self>) -> Reading {
        self.read_every(EVERY_WHILE_READ)
    }

    /// One more reads once in so long, until what is returned is dropped.
    pub(crate) fn read_every(self: &Arc<Self>, every: Duration) -> Reading {
        self.reads
            .send_modify(|reads| *reads.entry(every).or_default() += 1);
        Reading {
            readers: Arc::clone(self),
            every,
        }
    }

    /// How often everything is to be folded in: as often as the one wants it who wants it most often, between
    /// [`EVERY_WHILE_READ`] and [`EVERY_WHILE_UNREAD`].
    pub(crate) fn every(&self) -> Duration {
        every_of(&self.reads.borrow())
    }

    /// Waits until everything is to be folded in more often than this, or more rarely.
    pub(crate) async fn every_is_not(&self, every: Duration) {
        self.until(|reads| every_of(reads) != every).await;
    }

    /// Somebody reads now, and will again in a while, as who scrapes metrics does: nothing is folded in more often for that,
    /// but all that changes is.
    pub(crate) fn read_now_and_then(&self) {
        self.read_now_and_then_until(Instant::now() + NOW_AND_THEN);
    }

    /// As [`Readers::read_now_and_then`], expected again until this moment.
    pub(crate) fn read_now_and_then_until(&self, until: Instant) {
        let mut now_and_then = self
            .now_and_then
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *now_and_then = (*now_and_then).max(Some(until));
    }

    /// Until when it is to be expected that somebody reads now and then, if it is.
    pub(crate) fn now_and_then(&self) -> Option<Instant> {
        let until = *self
            .now_and_then
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        until.filter(|until| Instant::now() < *until)
    }

    /// Whether somebody reads.
    pub(crate) fn are_there(&self) -> bool {
        !self.reads.borrow().is_empty()
    }

    /// Waits until somebody reads.
    pub(crate) async fn come(&self) {
        self.until(|reads| !reads.is_empty()).await;
    }

    /// Waits until nobody reads.
    pub(crate) async fn leave(&self) {
        self.until(BTreeMap::is_empty).await;
    }

    /// Waits until exactly so many read.
    #[cfg(test)]
    pub(super) async fn are(&self, wanted: usize) {
        self.until(|reads| reads.values().sum::<usize>() == wanted)
            .await;
    }

    async fn until(&self, is_so: impl Fn(&BTreeMap<Duration, usize>) -> bool) {
        let mut reads = self.reads.subscribe();
        // It lives as long as this.
        let _ = reads.wait_for(|reads| is_so(reads)).await;
    }
}

/// How often these want everything to be folded in.
fn every_of(reads: &BTreeMap<Duration, usize>) -> Duration {
    let wanted = reads.keys().next().copied().unwrap_or(EVERY_WHILE_UNREAD);
    wanted.clamp(EVERY_WHILE_READ, EVERY_WHILE_UNREAD)
}

/// Somebody reads.
#[derive(Debug)]
pub(crate) struct Reading {
    readers: Arc<Readers>,
    every: Duration,
}

impl Reading {
    /// How often it reads.
    pub(crate) fn every(&self) -> Duration {
        self.every
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.readers.reads.send_modify(|reads| {
            // It counts itself.
            if let Some(count) = reads.get_mut(&self.every) {
                *count -= 1;
            }
            reads.retain(|_, count| *count > 0);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_folds_in_hears_that_somebody_comes_and_that_the_last_one_leaves() {
        let readers = Arc::<Readers>::default();
        readers.leave().await;
        let (first, second) = (readers.read(), readers.read());
        readers.come().await;
        drop(first);
        readers.are(1).await;
        let last = readers.leave();
        drop(second);
        last.await;
    }

    #[test]
    fn everything_is_folded_in_as_often_as_the_one_wants_it_who_wants_it_most_often() {
        let readers = Arc::<Readers>::default();
        assert_eq!(readers.every(), EVERY_WHILE_UNREAD);
        let rarely = readers.read_every(Duration::from_secs(60));
        assert_eq!(readers.every(), EVERY_WHILE_UNREAD);
        let half = readers.read_every(Duration::from_millis(500));
        assert_eq!(readers.every(), Duration::from_millis(500));
        let (often, again) = (readers.read(), readers.read());
        assert_eq!(readers.every(), EVERY_WHILE_READ);
        drop(often);
        assert_eq!(readers.every(), EVERY_WHILE_READ);
        drop(again);
        assert_eq!(readers.every(), Duration::from_millis(500));
        drop((rarely, half));
        assert_eq!(readers.every(), EVERY_WHILE_UNREAD);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_reads_now_and_then_is_expected_for_a_while_and_not_for_ever() {
        let readers = Readers::default();
        assert_eq!(readers.now_and_then(), None);
        readers.read_now_and_then();
        tokio::time::advance(NOW_AND_THEN / 2).await;
        let until = readers.now_and_then().unwrap();
        readers.read_now_and_then_until(Instant::now());
        assert_eq!(readers.now_and_then(), Some(until));
        tokio::time::advance(NOW_AND_THEN / 2).await;
        assert_eq!(readers.now_and_then(), None);
        readers.read_now_and_then();
        assert!(readers.now_and_then().is_some());
        assert!(!readers.are_there());
    }
}
