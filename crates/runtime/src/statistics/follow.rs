//! The copy of a run's statistics on the thread of statistics: it follows what the keeper of the run is told, and
//! snapshots are published of it. So a reader does not make the keeper copy what it changes next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dataflow_core::Time;
use dataflow_core::stats::{Book, Changes};
use tokio::sync::{Mutex, mpsc};

use super::source::Publisher;
use super::thread::StatisticsThread;

/// How many changes wait for the copy. While there is no room they stay with the keeper, which has room for so many.
const WAITING_MAX: usize = 64;
/// So much that the copy has not been told is told without being asked for, so that it does not come all at once.
const UNTOLD_MAX: usize = 4096;

/// Tells the copy of a run's statistics on the thread of statistics what the keeper was told.
#[derive(Debug)]
pub(crate) struct CopyOfStatistics {
    changes: mpsc::Sender<Changes>,
    /// Room for the last, however much waits then.
    last: mpsc::OwnedPermit<Changes>,
    lost: Arc<Lost>,
}

/// What the copy tells the keeper.
#[derive(Debug, Default)]
struct Lost {
    /// The copy was lost, with what it was told last.
    is_lost: AtomicBool,
    /// How often it was not what the keeper is, although it was told all: a fault in ours.
    strayed: AtomicU64,
}

/// What the copy's task has, also when it begins anew.
struct Following {
    copy: Mutex<Copy>,
    lost: Arc<Lost>,
}

struct Copy {
    book: Book,
    received: mpsc::Receiver<Changes>,
    publisher: Publisher,
    /// A panic has left it somewhere between two changes, or it is not what it should be.
    is_broken: bool,
}

impl CopyOfStatistics {
    /// Lets a copy of `book` follow it on the thread. What it publishes ends after [`CopyOfStatistics::end`], or when this is
    /// dropped.
    pub(crate) fn begin(
        thread: &StatisticsThread,
        book: &mut Book,
        publisher: Publisher,
    ) -> CopyOfStatistics {
        let (changes, received) = mpsc::channel(WAITING_MAX + 1);
        // Nobody else has taken any yet.
        let last = (changes.clone().try_reserve_owned())
            .expect("it is empty, and has room for one at least");
        let lost = Arc::new(Lost::default());
        let following = Arc::new(Following {
            copy: Mutex::new(Copy {
                book: book.begin_copy(),
                received,
                publisher,
                is_broken: false,
            }),
            lost: Arc::clone(&lost),
        });
        thread.keep("copy of a run's statistics", move || {
            follow(Arc::clone(&following))
        });
        CopyOfStatistics {
            changes,
            last,
            lost,
        }
    }

    /// Tells the copy what it has not been told, to be published as of this moment. When there is no room for it now, the
    /// next time makes up for it.
    pub(crate) fn publish(&self, book: &mut Book, at: Time) {
        self.tell(book, Some(at));
    }

    /// Tells the copy all that it has not been told, to be published as of this moment; nothing follows. There is always
    /// room for it.
    pub(crate) fn end(self, book: &mut Book, at: Time) {
        let changes = self.lost.changes(book, Some(at));
        self.last.send(changes);
    }

    /// Tells the copy what it has not been told, if that is much.
    pub(crate) fn relieve(&self, book: &mut Book) {
        if book.untold() >= UNTOLD_MAX {
            self.tell(book, None);
        }
    }

    fn tell(&self, book: &mut Book, at: Option<Time>) {
        let Ok(room) = self.changes.try_reserve() else {
            return;
        };
        room.send(self.lost.changes(book, at));
    }
}

impl Lost {
    /// What makes up for what the copy was not told, and for what it has lost.
    fn changes(&self, book: &mut Book, at: Option<Time>) -> Changes {
        if self.is_lost.swap(false, Ordering::AcqRel) {
            book.copy_is_lost();
        }
        let strayed = self.strayed.swap(0, Ordering::AcqRel);
        if strayed > 0 {
            // Whoever looks has seen, or would have seen, what is wrong.
            book.audited(0, strayed);
        }
        book.changes(at)
    }
}

/// Follows until nothing more is told. A panic leaves a copy that cannot be relied on, and one that is not what the keeper is
/// cannot be either: it waits for the whole then, and nothing is published before.
async fn follow(following: Arc<Following>) {
    let mut copy = following.copy.lock().await;
    let Copy {
        book,
        received,
        publisher,
        is_broken,
    } = &mut *copy;
    if *is_broken {
        following.lost.is_lost.store(true, Ordering::Release);
    }
    while let Some(changes) = received.recv().await {
        if *is_broken && !changes.are_whole() {
            continue;
        }
        *is_broken = true;
        let published_at = changes.published_at();
        let followed = book.follow(changes);
        if let Err(strayed) = followed {
            tracing::error!(%strayed, "statistics: a copy is not what it was told");
            following.lost.strayed.fetch_add(1, Ordering::AcqRel);
            following.lost.is_lost.store(true, Ordering::Release);
            continue;
        }
        *is_broken = false;
        if let Some(at) = published_at {
            publisher.publish(book.publish(at));
        }
        // Others have their turn, however much there is.
        tokio::task::yield_now().await;
    }
    publisher.end();
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dataflow_core::stats::{GROUPS_MAX, ProcessFacts, Transition};
    use dataflow_ids::stats::{Keeper, NodeKey, RunNumber, Statistics};
    use dataflow_ids::{Epoch, LifeCycle, NodeIndex};

    use super::super::Source;
    use super::*;

    const NODES: u32 = 20;

    fn at(ms: u64) -> Time {
        Time(Duration::from_millis(ms))
    }

    fn block_on<T>(what: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(what)
    }

    /// A keeper of a run, and the copy that follows it on its thread.
    struct Followed {
        thread: StatisticsThread,
        book: Book,
        run: RunNumber,
        source: Source,
        copy: CopyOfStatistics,
    }

    fn followed() -> Followed {
        let thread = StatisticsThread::start().unwrap();
        let mut book = Book::new(Keeper(7), GROUPS_MAX);
        let peer = "here".parse().unwrap();
        let name = "vision".parse().unwrap();
        let run = book.add_dataflow(Time::START, peer, "vision-1".to_owned(), name);
        for node in (0..NODES).map(NodeIndex) {
            let key = NodeKey { run, node };
            book.add_node(Time::START, key, &"camera".parse().unwrap())
                .unwrap();
        }
        let publisher = Publisher::new(book.publish(Time::START));
        let source = publisher.source().clone();
        let copy = CopyOfStatistics::begin(&thread, &mut book, publisher);
        Followed {
            thread,
            book,
            run,
            source,
            copy,
        }
    }

    impl Followed {
        fn change(&mut self, node: u32, cpu_ns: u64) {
            let facts = ProcessFacts {
                epoch: Epoch(1),
                pid: Some(1),
                cpu_ns,
                memory_bytes: cpu_ns,
                read_at: None,
            };
            let key = NodeKey {
                run: self.run,
                node: NodeIndex(node),
            };
            self.book.process_read(key, &facts).unwrap();
        }

        /// The copy is not told what its keeper was told since it was told something.
        fn tells_nothing_of_it(&mut self) {
            drop(self.book.changes(None));
        }

        fn publish(&mut self, ms: u64) {
            self.copy.publish(&mut self.book, at(ms));
        }

        /// Publishes until readers have seen all: there may be no room for it at a moment, and the next one makes up for it.
        fn publish_until_it_is_seen(&mut self, ms: u64) {
            while self.source.snapshots.borrow().revision() < self.book.revision() {
                self.publish(ms);
                std::thread::yield_now();
            }
        }

        /// Waits until readers see what the keeper knows.
        fn wait_until_it_is_seen(&self) {
            let revision = self.book.revision();
            let mut snapshots = self.source.snapshots.clone();
            block_on(snapshots.wait_for(|snapshot| snapshot.revision() == revision)).unwrap();
        }

        /// What readers see is what the keeper knows. Gives it.
        fn seen(&mut self) -> Statistics {
            let seen = self.source.snapshots.borrow().statistics();
            assert_eq!(seen, self.book.publish(Time::START).statistics());
            seen
        }

        /// Tells the copy the last of it.
        fn end(mut self, ms: u64) -> Ended {
            self.copy.end(&mut self.book, at(ms));
            Ended {
                _thread: self.thread,
                book: self.book,
                source: self.source,
            }
        }
    }

    /// A keeper that has told the last of it.
    struct Ended {
        /// It goes on for as long as there is somebody who has it.
        _thread: StatisticsThread,
        book: Book,
        source: Source,
    }

    impl Ended {
        /// Waits until nothing follows: what was seen last is what the keeper knows.
        fn wait_until_it_is_seen(mut self) {
            let mut snapshots = self.source.snapshots.clone();
            block_on(async { while snapshots.changed().await.is_ok() {} });
            let last = self.source.snapshots.borrow().statistics();
            assert_eq!(last, self.book.publish(Time::START).statistics());
        }
    }

    #[test]
    fn whoever_looks_sees_what_the_keeper_was_told_and_the_end_comes_after_the_last_of_it() {
        let mut followed = followed();
        let placed = Transition {
            node: NodeIndex(3),
            to: LifeCycle::Placed,
            epoch: Epoch(0),
            sequence: 1,
            at: at(1),
        };
        followed.book.transition(followed.run, placed).unwrap();
        followed.publish(2);
        followed.wait_until_it_is_seen();
        for cpu_ns in 0..20_000 {
            followed.change(3, cpu_ns);
            followed.copy.relieve(&mut followed.book);
        }
        followed.publish_until_it_is_seen(3);
        followed.change(4, 5);
        followed.end(4).wait_until_it_is_seen();
    }

    #[test]
    fn a_copy_that_was_lost_is_made_anew_and_says_nothing_wrong_before() {
        let mut followed = followed();
        followed.change(1, 1);
        // As after a panic between two changes.
        followed.tells_nothing_of_it();
        followed.copy.lost.is_lost.store(true, Ordering::Release);
        followed.change(2, 2);
        followed.publish(1);
        followed.wait_until_it_is_seen();
        followed.seen();
    }

    #[test]
    fn a_copy_that_something_was_not_told_counts_as_a_mismatch_and_is_made_anew() {
        let mut followed = followed();
        followed.change(1, 1);
        // As if it had not been written down.
        followed.tells_nothing_of_it();
        followed.change(2, 2);
        followed.publish_until_it_is_seen(1);
        assert_eq!(followed.seen().audit.mismatches.get(), 1);
    }

    #[test]
    fn what_a_run_has_counted_last_is_published_however_much_waits_for_its_copy() {
        let mut followed = followed();
        let (goes_on, held) = std::sync::mpsc::channel::<()>();
        followed.thread.run("holds the thread", move || async move {
            // Until the sender has gone.
            let _ = held.recv();
        });
        let published = u64::try_from(WAITING_MAX).unwrap() + 10;
        for ms in 1..=published {
            followed.change(5, ms);
            followed.publish(ms);
        }
        assert!(
            followed.book.untold() > 0,
            "there was no room for all of it"
        );
        followed.change(6, 7);
        let ended = followed.end(published + 1);
        drop(goes_on);
        ended.wait_until_it_is_seen();
    }
}
