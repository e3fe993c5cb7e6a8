//! How far a fetch is, and what it waits for: written by many, read a few times a second.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use dataflow_core::models::FilePlan;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::models::seam::{FetchProgress, FileProgress};

/// At most five times a second (section 9 of the design).
const EVERY: Duration = Duration::from_millis(200);

/// How far a fetch is. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Board(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    files: OnceLock<Vec<FileCount>>,
    received_bytes: AtomicU64,
    because: Because,
}

#[derive(Debug, Default)]
struct FileCount {
    done_bytes: AtomicU64,
    is_verified: AtomicBool,
}

impl Board {
    /// From now on the files are known.
    pub(super) fn set_files(&self, files: &[FilePlan]) {
        self.0
            .files
            .get_or_init(|| files.iter().map(|_| FileCount::default()).collect());
    }

    /// So many bytes are there of these files, by their places in the listing.
    pub(super) fn done(&self, places: &[usize], bytes: u64) {
        self.each(places, |file| {
            file.done_bytes.store(bytes, Ordering::Relaxed);
        });
    }

    /// These files are there and right.
    pub(super) fn verified(&self, places: &[usize], size: u64) {
        self.each(places, |file| {
            file.done_bytes.store(size, Ordering::Relaxed);
            file.is_verified.store(true, Ordering::Relaxed);
        });
    }

    fn each(&self, places: &[usize], what: impl Fn(&FileCount)) {
        let files = self.0.files.get().map_or(&[][..], Vec::as_slice);
        places
            .iter()
            .filter_map(|place| files.get(*place))
            .for_each(what);
    }

    /// So many bytes have come from the network.
    pub(super) fn received(&self, bytes: u64) {
        self.0.received_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Where it is said what is waited for.
    pub(super) fn because(&self) -> Because {
        self.0.because.clone()
    }

    fn now(&self) -> FetchProgress {
        let files = self.0.files.get().map_or(&[][..], Vec::as_slice);
        let file = |file: &FileCount| FileProgress {
            done_bytes: file.done_bytes.load(Ordering::Relaxed),
            is_verified: file.is_verified.load(Ordering::Relaxed),
        };
        FetchProgress {
            files: files.iter().map(file).collect(),
            received_bytes: self.0.received_bytes.load(Ordering::Relaxed),
            because: self.0.because.last(),
        }
    }

    /// Tells how far it is, once, if that has changed.
    pub(super) fn tell(&self, to: &watch::Sender<FetchProgress>) {
        let now = self.now();
        to.send_if_modified(|told| {
            let is_new = *told != now;
            if is_new {
                *told = now;
            }
            is_new
        });
    }

    /// Tells how far it is, again and again, until this is dropped.
    pub(super) async fn keep_telling(&self, to: &watch::Sender<FetchProgress>) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tell(to);
        }
    }
}

/// What is waited for. Several may wait at once: the one who began last is shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Because(Arc<Mutex<BTreeMap<u64, String>>>);

/// Somebody waits, until this is dropped.
#[derive(Debug)]
#[must_use = "it is waited for no more when this is dropped"]
pub(super) struct Told {
    because: Because,
    number: u64,
}

impl Because {
    /// From now on it is waited for this.
    pub(super) fn told(&self, what: String) -> Told {
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = reasons.last_key_value().map_or(0, |(last, _)| last + 1);
        reasons.insert(number, what);
        Told {
            because: self.clone(),
            number,
        }
    }

    fn last(&self) -> Option<String> {
        let reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.last_key_value().map(|(_, what)| what.clone())
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let mut reasons = self
            .because
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        reasons.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_began_to_wait_last_is_shown_until_he_does_not() {
        let because = Because::default();
        assert_eq!(because.last(), None);
        let first = because.told("first".to_owned());
        let second = because.told("second".to_owned());
        assert_eq!(because.last().as_deref(), Some("second"));
        drop(first);
        assert_eq!(because.last().as_deref(), Some("second"));
        drop(second);
        assert_eq!(because.last(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_is_told_at_most_five_times_a_second_and_only_when_it_changes() {
        let board = Board::default();
        let (to, mut from) = watch::channel(FetchProgress::default());
        let counting = async {
            let mut told = 0;
            while from.changed().await.is_ok() {
                told += 1;
                if from.borrow_and_update().received_bytes >= 5_000 {
                    break;
                }
            }
            told
        };
        let working = async {
            for _ in 0..5_000 {
                board.received(1);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            told = counting => assert!((24..=27).contains(&told), "{told} times in 5 s"),
            () = working => {}
            () = board.keep_telling(&to) => {}
        }
        assert!(!from.has_changed().unwrap());
    }
}
