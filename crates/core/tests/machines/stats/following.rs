//! A copy of a book that is told its changes is the book, also when some of them were lost.

use dataflow_core::Time;
use dataflow_core::stats::{Book, ProcessFacts};
use dataflow_ids::stats::{Keeper, NodeKey};
use dataflow_ids::{Epoch, NodeIndex};

use super::play::{GROUPS_MAX, Play, Processes};

/// How many changes of state are made.
const TRANSITIONS: u64 = 20_000;

fn is_the_same(copy: &mut Book, play: &mut Play) {
    // At the moment that both have seen.
    let published = [&mut play.book, copy].map(|book| book.publish(Time::START).statistics());
    assert_eq!(published[0], published[1]);
}

#[test]
fn a_copy_that_is_told_the_changes_is_the_book_at_each_of_them() {
    for (seed, processes) in [(1, Processes::Faulty), (2, Processes::Hostile)] {
        let mut play = Play::new(seed, processes);
        let mut copy = play.book.begin_copy();
        let (mut told, mut lost) = (0, 0);
        while play.changes.taken < TRANSITIONS {
            for _ in 0..play.below(20) {
                play.step();
            }
            // One in some batches never arrives, and what follows is the whole.
            if play.below(10) == 0 {
                drop(play.book.changes(None));
                play.book.copy_is_lost();
                play.step();
                lost += 1;
            }
            let now = play.moment();
            let followed = copy.follow(play.book.changes(Some(now)));
            assert_eq!(followed, Ok(()));
            told += 1;
            assert_eq!(play.book.untold(), 0);
            is_the_same(&mut copy, &mut play);
        }
        assert!(told > 50 && lost > 0, "{told} {lost}");
    }
}

#[test]
fn what_a_copy_is_not_told_for_long_takes_a_bounded_room() {
    let mut book = Book::new(Keeper(1), GROUPS_MAX);
    let peer = "here".parse().expect("a name");
    let name = "vision".parse().expect("a name");
    let run = book.add_dataflow(Time::START, peer, "a run".to_owned(), name);
    let node = NodeIndex(0);
    let key = NodeKey { run, node };
    book.add_node(Time::START, key, &"camera".parse().expect("a name"))
        .expect("its run is there");
    let mut copy = book.begin_copy();
    let mut most = 0;
    for cpu_ns in 0..200_000 {
        let facts = ProcessFacts {
            epoch: Epoch(1),
            pid: Some(1),
            cpu_ns,
            memory_bytes: 1,
            read_at: None,
        };
        book.process_read(key, &facts).expect("it is there");
        most = most.max(book.untold());
    }
    assert!((1000..100_000).contains(&most), "{most}");
    copy.follow(book.changes(Some(Time::START)))
        .expect("nothing was lost");
    let published = [&mut book, &mut copy].map(|book| book.publish(Time::START).statistics());
    assert_eq!(published[0], published[1]);
}
