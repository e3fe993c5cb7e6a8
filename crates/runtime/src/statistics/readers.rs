//! Who takes snapshots again and again at this moment: while somebody does, what edges say is folded in more often.
//!
//! Somebody is a subscriber, for whom its conversation reads, or a collector, or who scrapes metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::source::{EVERY_WHILE_READ, EVERY_WHILE_UNREAD};

/// Who reads. Shared by those who read and by whoever folds in what the edges say.
#[derive(Debug)]
pub(crate) struct Readers {
    /// How many read how often.
    reads: watch::Sender<BTreeMap<Duration, usize>>,
    /// Somebody reads now and then, for as long as there is something to read.
    now_and_then: AtomicBool,
}

impl Default for Readers {
    fn default() -> Readers {
        Readers {
            reads: watch::Sender::default(),
            now_and_then: AtomicBool::new(false),
        }
    }
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

    /// Somebody reads now and then from now on, as who scrapes metrics does: nothing is folded in more often for that,
    /// but all that changes is.
    pub(crate) fn read_now_and_then(&self) {
        self.now_and_then.store(true, Ordering::Relaxed);
    }

    /// Whether somebody reads now and then.
    pub(crate) fn are_there_now_and_then(&self) -> bool {
        self.now_and_then.load(Ordering::Relaxed)
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
}
