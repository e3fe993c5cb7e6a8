//! Who looks at statistics at this moment: while somebody does, they are read more often.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// How many look. Shared by those who look and by whoever reads the edges.
#[derive(Debug)]
pub(crate) struct Lookers {
    count: watch::Sender<usize>,
    /// Somebody looks now and then, for as long as there is something to see.
    now_and_then: AtomicBool,
}

impl Default for Lookers {
    fn default() -> Lookers {
        Lookers {
            count: watch::Sender::new(0),
            now_and_then: AtomicBool::new(false),
        }
    }
}

impl Lookers {
    /// One more looks, until what is returned is dropped.
    pub(crate) fn look(self: &Arc<Self>) -> Looking {
        self.count.send_modify(|count| *count += 1);
        Looking(Arc::clone(self))
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
        *self.count.borrow() > 0
    }

    /// Waits until somebody looks.
    pub(crate) async fn come(&self) {
        self.until(|count| count > 0).await;
    }

    /// Waits until nobody looks.
    pub(crate) async fn leave(&self) {
        self.until(|count| count == 0).await;
    }

    /// Waits until exactly so many look.
    #[cfg(test)]
    pub(super) async fn are(&self, wanted: usize) {
        self.until(|count| count == wanted).await;
    }

    async fn until(&self, is_so: impl Fn(usize) -> bool) {
        let mut count = self.count.subscribe();
        // It lives as long as this.
        let _ = count.wait_for(|count| is_so(*count)).await;
    }
}

/// Somebody looks.
#[derive(Debug)]
pub(crate) struct Looking(Arc<Lookers>);

impl Drop for Looking {
    fn drop(&mut self) {
        // It counts itself.
        self.0.count.send_modify(|count| *count -= 1);
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
}
