//! Who looks at statistics at this moment: while somebody does, they are read more often.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::source::{LOOKED_AT_EVERY, UNSEEN_EVERY};

/// Who looks. Shared by those who look and by whoever reads the edges.
#[derive(Debug)]
pub(crate) struct Lookers {
    /// How many look how often.
    looks: watch::Sender<BTreeMap<Duration, usize>>,
    /// Somebody looks now and then, for as long as there is something to see.
    now_and_then: AtomicBool,
}

impl Default for Lookers {
    fn default() -> Lookers {
        Lookers {
            looks: watch::Sender::default(),
            now_and_then: AtomicBool::new(false),
        }
    }
}

impl Lookers {
    /// One more looks, as often as anybody can, until what is returned is dropped.
    #[cfg(test)]
    pub(super) fn look(self: &Arc<Self>) -> Looking {
        self.look_every(LOOKED_AT_EVERY)
    }

    /// One more looks once in so long, until what is returned is dropped.
    pub(crate) fn look_every(self: &Arc<Self>, every: Duration) -> Looking {
        self.looks
            .send_modify(|looks| *looks.entry(every).or_default() += 1);
        Looking {
            lookers: Arc::clone(self),
            every,
        }
    }

    /// How often everything is to be read: as often as the one wants it who wants it most often, between
    /// [`LOOKED_AT_EVERY`] and [`UNSEEN_EVERY`].
    pub(crate) fn every(&self) -> Duration {
        every_of(&self.looks.borrow())
    }

    /// Waits until everything is to be read more often than this, or more rarely.
    pub(crate) async fn every_is_not(&self, every: Duration) {
        self.until(|looks| every_of(looks) != every).await;
    }

    /// Somebody looks now and then from now on, as who scrapes metrics does: nothing is read more often for that, but all is
    /// read that changes.
    pub(crate) fn look_now_and_then(&self) {
        self.now_and_then.store(true, Ordering::Relaxed);
    }

    /// Whether somebody looks now and then.
    pub(crate) fn are_there_now_and_then(&self) -> bool {
        self.now_and_then.load(Ordering::Relaxed)
    }

    /// Whether somebody looks.
    pub(crate) fn are_there(&self) -> bool {
        !self.looks.borrow().is_empty()
    }

    /// Waits until somebody looks.
    pub(crate) async fn come(&self) {
        self.until(|looks| !looks.is_empty()).await;
    }

    /// Waits until nobody looks.
    pub(crate) async fn leave(&self) {
        self.until(BTreeMap::is_empty).await;
    }

    /// Waits until exactly so many look.
    #[cfg(test)]
    pub(super) async fn are(&self, wanted: usize) {
        self.until(|looks| looks.values().sum::<usize>() == wanted)
            .await;
    }

    async fn until(&self, is_so: impl Fn(&BTreeMap<Duration, usize>) -> bool) {
        let mut looks = self.looks.subscribe();
        // It lives as long as this.
        let _ = looks.wait_for(|looks| is_so(looks)).await;
    }
}

/// How often these want everything to be read.
fn every_of(looks: &BTreeMap<Duration, usize>) -> Duration {
    let wanted = looks.keys().next().copied().unwrap_or(UNSEEN_EVERY);
    wanted.clamp(LOOKED_AT_EVERY, UNSEEN_EVERY)
}

/// Somebody looks.
#[derive(Debug)]
pub(crate) struct Looking {
    lookers: Arc<Lookers>,
    every: Duration,
}

impl Looking {
    /// How often it looks.
    pub(crate) fn every(&self) -> Duration {
        self.every
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.lookers.looks.send_modify(|looks| {
            // It counts itself.
            if let Some(count) = looks.get_mut(&self.every) {
                *count -= 1;
            }
            looks.retain(|_, count| *count > 0);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_reads_hears_that_somebody_comes_and_that_the_last_one_leaves() {
        let lookers = Arc::<Lookers>::default();
        lookers.leave().await;
        let (first, second) = (lookers.look(), lookers.look());
        lookers.come().await;
        drop(first);
        lookers.are(1).await;
        let last = lookers.leave();
        drop(second);
        last.await;
    }

    #[test]
    fn everything_is_read_as_often_as_the_one_wants_it_who_wants_it_most_often() {
        let lookers = Arc::<Lookers>::default();
        assert_eq!(lookers.every(), UNSEEN_EVERY);
        let rarely = lookers.look_every(Duration::from_secs(60));
        assert_eq!(lookers.every(), UNSEEN_EVERY);
        let half = lookers.look_every(Duration::from_millis(500));
        assert_eq!(lookers.every(), Duration::from_millis(500));
        let (often, again) = (lookers.look(), lookers.look());
        assert_eq!(lookers.every(), LOOKED_AT_EVERY);
        drop(often);
        assert_eq!(lookers.every(), LOOKED_AT_EVERY);
        drop(again);
        assert_eq!(lookers.every(), Duration::from_millis(500));
        drop((rarely, half));
        assert_eq!(lookers.every(), UNSEEN_EVERY);
    }
}
