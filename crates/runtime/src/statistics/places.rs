//! The places for those who subscribe to one source: so many and no more. Who takes nothing keeps its place only until
//! somebody else wants it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// How many subscribers one source may have.
pub(super) const SUBSCRIBERS_MAX: usize = 64;
/// How many processes a refusal names: to end one of them is enough.
const NAMED_MAX: usize = 8;

/// Places for subscribers.
#[derive(Debug, Default)]
pub(super) struct Places {
    held: watch::Sender<Holders>,
}

/// Who has a place.
#[derive(Debug, Default)]
struct Holders {
    /// By numbers that only grow.
    by_number: BTreeMap<u64, Holder>,
    next: u64,
}

#[derive(Debug)]
struct Holder {
    pid: u32,
    /// Since when it has taken nothing.
    stalled_since: Option<Instant>,
    gives_it: Arc<Notify>,
}

/// Every place is taken, by somebody who reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{SUBSCRIBERS_MAX} commands watch its statistics already ({}): end one of them",
    Processes(.pids)
)]
pub(crate) struct AllTaken {
    /// The processes of those commands, in order, each once.
    pids: Vec<u32>,
}

/// Processes in words.
struct Processes<'p>(&'p [u32]);

impl fmt::Display for Processes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Processes(pids) = self;
        for (place, pid) in pids.iter().take(NAMED_MAX).enumerate() {
            let before = if place == 0 { "pid " } else { ", " };
            write!(f, "{before}{pid}")?;
        }
        match pids.len().saturating_sub(NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl Places {
    /// Takes a place for a command. If there is none left, the one gives its place who has taken nothing for the longest
    /// time; if all have taken what they were told, one whose process is stopped, as far as `is_stopped` knows: it is
    /// told more than it reads, and it takes a while until that is too much for a socket.
    ///
    /// # Errors
    ///
    /// [`AllTaken`] when everybody reads.
    pub(super) fn take(
        self: &Arc<Places>,
        pid: u32,
        is_stopped: impl Fn(u32) -> bool,
    ) -> Result<Place, AllTaken> {
        let mut taken = None;
        let mut pids = Vec::new();
        self.held.send_if_modified(|holders| {
            if holders.by_number.len() >= SUBSCRIBERS_MAX {
                let Some(number) = holders.who_gives(is_stopped) else {
                    pids = holders.by_number.values().map(|it| it.pid).collect();
                    return false;
                };
                if let Some(holder) = holders.by_number.remove(&number) {
                    holder.gives_it.notify_one();
                }
            }
            let number = holders.next;
            holders.next += 1;
            let gives_it = Arc::new(Notify::new());
            let holder = Holder {
                pid,
                stalled_since: None,
                gives_it: Arc::clone(&gives_it),
            };
            holders.by_number.insert(number, holder);
            taken = Some((number, gives_it));
            true
        });
        pids.sort_unstable();
        pids.dedup();
        let (number, gives_it) = taken.ok_or(AllTaken { pids })?;
        Ok(Place {
            places: Arc::clone(self),
            number,
            gives_it,
        })
    }

    /// How many are free.
    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        SUBSCRIBERS_MAX - self.held.borrow().by_number.len()
    }

    /// Waits until so many are free.
    #[cfg(test)]
    pub(super) async fn are_free(&self, wanted: usize) {
        self.until(|holders| SUBSCRIBERS_MAX - holders.by_number.len() == wanted)
            .await;
    }

    /// Waits until so many have taken nothing for a while.
    #[cfg(test)]
    pub(super) async fn are_stalled(&self, wanted: usize) {
        let is_stalled = |holder: &&Holder| holder.stalled_since.is_some();
        self.until(|holders| holders.by_number.values().filter(is_stalled).count() == wanted)
            .await;
    }

    #[cfg(test)]
    async fn until(&self, is_so: impl Fn(&Holders) -> bool) {
        let mut held = self.held.subscribe();
        // It lives as long as this.
        let _ = held.wait_for(|holders| is_so(holders)).await;
    }
}

impl Holders {
    /// Whose place is given to somebody else, if anybody's.
    fn who_gives(&self, is_stopped: impl Fn(u32) -> bool) -> Option<u64> {
        let stalled = self.by_number.iter().filter_map(|(number, holder)| {
            let since = holder.stalled_since?;
            Some((since, *number))
        });
        let longest = stalled.min().map(|(_, number)| number);
        longest.or_else(|| {
            let mut holders = self.by_number.iter();
            let stopped = holders.find(|(_, holder)| is_stopped(holder.pid));
            stopped.map(|(number, _)| *number)
        })
    }
}

/// A place, until it is dropped, or taken by somebody else.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    gives_it: Arc<Notify>,
}

impl Place {
    /// It takes nothing from now on.
    pub(super) fn stalls(&self) {
        self.is_stalled_since(Some(Instant::now()));
    }

    /// It takes again what it is told.
    pub(super) fn reads(&self) {
        self.is_stalled_since(None);
    }

    fn is_stalled_since(&self, since: Option<Instant>) {
        self.places.held.send_if_modified(|holders| {
            let holder = holders.by_number.get_mut(&self.number);
            let Some(holder) = holder else { return false };
            holder.stalled_since = since;
            true
        });
    }

    /// Waits until somebody else has it.
    pub(super) async fn is_taken(&self) {
        self.gives_it.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let gone = |holders: &mut Holders| holders.by_number.remove(&self.number).is_some();
        self.places.held.send_if_modified(gone);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Nobody's process is stopped.
    fn goes_on(_: u32) -> bool {
        false
    }

    fn all_taken(places: &Arc<Places>) -> Vec<Place> {
        let pids = 1..=SUBSCRIBERS_MAX as u32;
        pids.map(|pid| places.take(pid, goes_on).unwrap()).collect()
    }

    async fn has_given(place: &Place) -> bool {
        let taken = tokio::time::timeout(Duration::ZERO, place.is_taken());
        taken.await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_taken_nothing_for_the_longest_time_gives_its_place_and_nobody_else_does() {
        let places = Arc::new(Places::default());
        let held = all_taken(&places);
        for stalls in [40, 3, 20] {
            held[stalls].stalls();
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        held[40].reads();
        let third = places.take(100, goes_on).unwrap();
        assert!(has_given(&held[3]).await);
        let _twentieth = places.take(101, goes_on).unwrap();
        assert!(has_given(&held[20]).await);
        places.take(102, goes_on).unwrap_err();
        for (number, place) in held.iter().enumerate() {
            assert!(
                [3, 20].contains(&number) || !has_given(place).await,
                "{number}"
            );
        }
        // Whose place was taken has none to give when it goes.
        drop(held);
        assert_eq!(places.free(), SUBSCRIBERS_MAX - 2);
        drop(third);
        assert_eq!(places.free(), SUBSCRIBERS_MAX - 1);
    }

    #[tokio::test]
    async fn whose_process_is_stopped_gives_its_place_before_anything_waits_for_it() {
        let places = Arc::new(Places::default());
        let held = all_taken(&places);
        let _taken = places.take(100, |pid| pid == 7).unwrap();
        assert!(has_given(&held[6]).await);
        assert!(!has_given(&held[5]).await);
    }

    #[test]
    fn a_refusal_names_processes_and_each_once() {
        let places = Arc::new(Places::default());
        let held = all_taken(&places);
        assert_eq!(
            places.take(100, goes_on).unwrap_err().to_string(),
            "64 commands watch its statistics already (pid 1, 2, 3, 4, 5, 6, 7, 8 and 56 more): end one \
             of them"
        );
        drop(held);
        let _held: Vec<_> = (0..SUBSCRIBERS_MAX)
            .map(|place| places.take(30 + place as u32 % 2, goes_on).unwrap())
            .collect();
        assert_eq!(
            places.take(100, goes_on).unwrap_err().to_string(),
            "64 commands watch its statistics already (pid 30, 31): end one of them"
        );
    }
}
